"""Drawings brought to a finished run: what it reads in them, its answers, and why."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from groundkit.data.pen import Pen, measure_pen
from groundkit.errors import DataError, InputError, LimitError, SpecError, choose_from
from groundkit.perception.inputs import kind_of
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.query import Question
from groundkit.report.words import chance
from groundkit.runs.explain import explain_case
from groundkit.runs.session import Session
from groundkit.task.binding import of_lengths
from groundkit.task.templates import flatten

# While more combinations of symbols are open than this, answers say nothing yet.
_MOST_OPEN = 100
_ANSWERS = 6


class Easel:
    """The goal of a run with a drawing for each of its images.

    Args:
        session: A finished run.

    Raises:
        InputError: The run has no goal with images, or its program cannot be grounded.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._goal, inputs = _drawable(session)
        images = {name: name for name in inputs}
        question = Question(self._goal.text, self._goal, images)
        reasoner, readers = session.questions.compile(question)
        self._readers = {name: readers[name] for name in images if name in readers}
        self._networks = {name: own[0] for name, own in self._readers.items()}
        for name in self._networks.values():
            kind = kind_of(session.in_distribution[name].shape)
            if kind != "image":
                raise DataError(
                    f"network '{name}' reads {kind}s, which nobody can draw",
                    expected="a run whose networks read images",
                    remedy="ask with groundkit query",
                )
        self._pens = {name: self._pen(name) for name in set(self._networks.values())}
        self._values: dict[str, Sequence[str]] = {
            name: self._domain(own[0])
            for name, own in readers.items()
            if name in self._goal.variables and name not in images
        }
        for place, name in enumerate(reasoner.observed):
            # A dictionary keeps the order of the answers, and each value once.
            self._values[name] = list(dict.fromkeys(row[place] for row in reasoner.answers))

    def _domain(self, network: str) -> tuple[str, ...]:
        return self._session.program.networks[network].domain

    def _pen(self, network: str) -> Pen:
        """Measures the strokes of a network's training images; MNIST's where these are gone."""
        try:
            pool = self._session.task.pool(network)
        except InputError:
            return Pen()
        return measure_pen(pool, self._dark(network))

    def _dark(self, network: str) -> bool:
        return self._session.in_distribution[network].dark_border >= 0.5

    def describe(self) -> dict[str, Any]:
        """Returns what the page shows before anything is drawn, as JSON-able values."""
        images = []
        for name, network in self._networks.items():
            _, height, width = self._session.in_distribution[network].shape
            pen = self._pens[network]
            images.append(
                {
                    "name": name,
                    "network": network,
                    "symbols": list(self._domain(network)),
                    "height": height,
                    "width": width,
                    "dark": self._dark(network),
                    "smallest": pen.smallest,
                    "largest": pen.largest,
                    "stroke": pen.stroke,
                }
            )
        values = [{"name": name, "values": list(of)} for name, of in self._values.items()]
        return {
            "run": str(self._session.folder),
            "goal": self._goal.text,
            "program": self._session.program.text,
            "images": images,
            "observed": values,
        }

    def answer(self, drawings: Mapping[str, str], values: Mapping[str, str]) -> dict[str, Any]:
        """Reads drawings and answers the goal.

        An image that is not drawn, and an observed variable without a value, are asked for.

        Args:
            drawings: Image variable -> its grey pixels in base64, a byte each, row by row, in the
                size of :meth:`describe`.
            values: Observed variable -> the value it is held at.

        Returns:
            ``images`` as `groundkit query` reads them, ``answers`` with ``rest`` and ``note``,
            ``explanation``, and ``problem`` where there is no answer, as JSON-able values.

        Raises:
            DataError: A name, a value or the number of pixels is wrong.
        """
        question = self._question(drawings, values)
        told: dict[str, Any] = {
            "images": {}, "answers": [], "rest": None, "note": None,
            "explanation": [], "problem": None,
        }  # fmt: skip
        for name in question.images:
            own = self._readers[name]
            for network in own:
                reading = self._session.read([name], network, question.contents)[0]
                label = name if len(own) == 1 else f"{name} ({network})"
                told["images"][label] = reading.to_dict()
        try:
            told |= self._answered(question)
        except (InputError, LimitError) as error:
            told["problem"] = str(error)
        return told

    def _question(self, drawings: Mapping[str, str], values: Mapping[str, str]) -> Question:
        """Poses the goal about what is drawn."""
        contents = {}
        for name, pixels in drawings.items():
            if name not in self._networks:
                raise DataError(f"no image '{name}'", remedy=choose_from(name, self._networks))
            contents[name] = self._file(self._networks[name], pixels)
        for name, value in values.items():
            known = self._values.get(name)
            if known is None:
                raise DataError(f"no variable '{name}'", remedy=choose_from(name, self._values))
            if value not in known:
                raise DataError(f"{name} is never '{value}'", remedy=choose_from(value, known[:50]))
        goal = parse_goal(self._goal.with_values(values)) if values else self._goal
        return Question(goal.text, goal, {name: name for name in contents}, contents)

    def _file(self, network: str, pixels: str) -> bytes:
        """Turns pixels into a file, which is what the run reads."""
        _, height, width = self._session.in_distribution[network].shape
        try:
            raw = base64.b64decode(pixels, validate=True)
        except (binascii.Error, ValueError):
            raise DataError("a drawing is not base64") from None
        if len(raw) != height * width:
            raise DataError(
                f"a drawing has {len(raw)} pixels", expected=f"{height} rows of {width}"
            )
        buffer = io.BytesIO()
        grey = np.frombuffer(raw, np.uint8).reshape(height, width)
        Image.fromarray(grey).save(buffer, "PNG")
        return buffer.getvalue()

    def _answered(self, question: Question) -> dict[str, Any]:
        """Answers a question, and explains the best answer."""
        empty = [name for name in self._networks if name not in question.images]
        open_ = math.prod(len(self._domain(n)) for name in empty for n in self._readers[name])
        if open_ > _MOST_OPEN:
            return {"note": f"Still to draw: {', '.join(empty)}."}
        case = self._session.questions.case(question)
        found = self._session.questions.answer(case)
        why = explain_case(case, found, count=1)
        rest = found.answers[_ANSWERS:]
        return {
            "answers": [
                {"values": one.values, "probability": one.probability}
                for one in found.answers[:_ANSWERS]
            ],
            "rest": f"and {len(rest)} more, {chance(sum(one.probability for one in rest))} in all"
            if rest
            else None,
            "note": f"{', '.join(found.unseen)} not given: the probabilities are those of the goal "
            "if these symbols were there."
            if found.unseen
            else None,
            "explanation": [
                *(
                    f"Most probable proof, {chance(proof.probability)}: {proof}."
                    for proof in why.proofs
                ),
                *(f"{words}." for words in why.disagreements()),
            ],
        }


def _drawable(session: Session) -> tuple[Goal, tuple[str, ...]]:
    """Returns the goal to draw for, and its images: the first query, lists at their shortest.

    Raises:
        SpecError: The run asks for no goal.
    """
    queries = session.binding.queries
    if not queries:
        raise SpecError("the run asks for no goal, so there is nothing to draw")
    query = queries[0]
    lengths = {name: min(n for n in of if n) for name, of in query.examples.lengths.items()}
    flat = flatten(query.goal, of_lengths(query, lengths))
    return flat.goal, flat.of(query.inputs)
