"""Pictures brought to a finished run: what it reads in them, its answers, and why."""

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
from groundkit.errors import (
    CheckpointError,
    DataError,
    InputError,
    LimitError,
    SpecError,
    choose_from,
)
from groundkit.files import read_bytes
from groundkit.perception.inputs import kind_of
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.query import Question
from groundkit.report.words import chance
from groundkit.runs.answers import Answers
from groundkit.runs.asked import FOLDER, Asked
from groundkit.runs.explain import explain_case
from groundkit.runs.labels import labelled, suggested
from groundkit.runs.session import Session
from groundkit.runs.settled import Settled
from groundkit.runs.what_if import WhatIf
from groundkit.task.binding import of_lengths
from groundkit.task.templates import flatten

# While more combinations of symbols are open than this, answers say nothing yet.
_MOST_OPEN = 100
_ANSWERS = 6
_MOST_EVIDENCE, _LONGEST = 10, 200


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
        self._settable = self._neural_atoms()
        self._asked: dict[str, Asked] = {}
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

    def _neural_atoms(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Lists what can be set for one question: ``digit(X)`` -> its image and its symbols."""
        found = {}
        for name, own in self._readers.items():
            for network in own:
                predicate = self._session.program.networks[network].predicate.rpartition("/")[0]
                found[f"{predicate}({name})"] = (name, self._domain(network))
        return found

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
                    "settable": [
                        {"atom": atom, "symbols": list(symbols)}
                        for atom, (image, symbols) in self._settable.items()
                        if image == name
                    ],
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

    def answer(
        self,
        drawings: Mapping[str, str],
        values: Mapping[str, str],
        *,
        pictures: Mapping[str, str] | None = None,
        fixed: Mapping[str, str] | None = None,
        evidence: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Reads drawings and answers the goal.

        An image that is not drawn, and an observed variable without a value, are asked for.

        Args:
            drawings: Image variable -> its grey pixels in base64, a byte each, row by row, in the
                size of :meth:`describe`.
            values: Observed variable -> the value it is held at.
            pictures: Image variable -> an image file in base64, in place of a drawing.
            fixed: Neural atom of :meth:`describe`, such as ``digit(X)`` -> the symbol that is taken
                for what its image shows.
            evidence: What is known to hold, or not to.

        Returns:
            ``images`` as `groundkit query` reads them, ``answers`` with ``rest`` and ``note``,
            ``explanation``, and ``problem`` where there is no answer, as JSON-able values.

        Raises:
            DataError: A name, a value, the number of pixels or a file is wrong.
        """
        question = self._question(drawings, pictures or {}, values)
        what_if = WhatIf(self._set(fixed or {}, question), evidence=self._known(evidence))
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
            told |= self._answered(question, what_if)
        except (InputError, LimitError) as error:
            told["problem"] = str(error)
        return told

    def suggest(self) -> dict[str, Any]:
        """Names the images whose labels leave one meaning of the symbols.

        Returns:
            ``maps``, the number of readings that are left, or ``None``; ``images`` with their
            ``picture`` as a URI, ``network`` and ``symbols``, as JSON-able values.
        """
        try:
            return self._offer(suggested(self._session))
        except InputError as error:  # the data is gone: there are no images to show
            self._asked = {}
            return {"maps": None, "images": [], "problem": str(error)}

    def label(self, image: str, symbol: str) -> dict[str, Any]:
        """Takes up what a suggested image shows: the run's symbols are renamed.

        Args:
            image: One of :meth:`suggest`.
            symbol: One of its symbols.

        Returns:
            What :meth:`suggest` returns from now on.

        Raises:
            DataError: It is another image, or the label contradicts program or other labels.
        """
        asked = self._asked.get(image)
        if asked is None:
            raise DataError(f"no label is asked for '{image}'", remedy="load the page again")
        told = [(self._session.folder / asked.image, symbol)]
        self._session, settled = labelled(self._session, told, network=asked.network)
        return self._offer(settled)

    def _offer(self, settled: Settled) -> dict[str, Any]:
        """Words suggested images for the page, and remembers which they are."""
        self._asked = {one.image: one for one in settled.asked}
        doubt = self._session.doubt
        images = []
        for one in settled.asked:
            file = read_bytes(
                self._session.folder / one.image,
                error=CheckpointError,
                within=self._session.folder / FOLDER,
            )
            assert doubt is not None  # what is asked for has readings
            images.append(
                {
                    "image": one.image,
                    "network": one.network,
                    "symbols": list(doubt.readings.domains[one.network]),
                    "picture": f"data:image/png;base64,{base64.b64encode(file).decode()}",
                }
            )
        return {"maps": settled.maps, "images": images, "problem": None}

    def _set(self, fixed: Mapping[str, str], question: Question) -> list[str]:
        """Words the symbols that are set as `--set` does."""
        found = []
        for atom, symbol in fixed.items():
            image, symbols = self._settable.get(atom, ("", ()))
            if not symbols:
                raise DataError(
                    f"no network gives '{atom}'", remedy=choose_from(atom, self._settable)
                )
            if symbol not in symbols:
                raise DataError(f"{atom} is never '{symbol}'", remedy=choose_from(symbol, symbols))
            if image not in question.images:
                raise DataError(f"{image} is not drawn", remedy=f"draw it, then set {atom}")
            found.append(f"{atom}={symbol}")
        return found

    @staticmethod
    def _known(evidence: Sequence[str]) -> list[str]:
        """Bounds what a question may suppose: every other evidence is another circuit."""
        if len(evidence) > _MOST_EVIDENCE or any(len(one) > _LONGEST for one in evidence):
            raise DataError(
                "too much evidence",
                expected=f"at most {_MOST_EVIDENCE} facts of at most {_LONGEST} characters",
            )
        return list(evidence)

    def _question(
        self,
        drawings: Mapping[str, str],
        pictures: Mapping[str, str],
        values: Mapping[str, str],
    ) -> Question:
        """Poses the goal about what is drawn."""
        contents = {}
        for name, given in (*drawings.items(), *pictures.items()):
            if name not in self._networks:
                raise DataError(f"no image '{name}'", remedy=choose_from(name, self._networks))
            raw = _decoded(given)
            contents[name] = raw if name in pictures else self._file(self._networks[name], raw)
        for name, value in values.items():
            known = self._values.get(name)
            if known is None:
                raise DataError(f"no variable '{name}'", remedy=choose_from(name, self._values))
            if value not in known:
                raise DataError(f"{name} is never '{value}'", remedy=choose_from(value, known[:50]))
        goal = parse_goal(self._goal.with_values(values)) if values else self._goal
        return Question(goal.text, goal, {name: name for name in contents}, contents)

    def _file(self, network: str, raw: bytes) -> bytes:
        """Turns pixels into a file, which is what the run reads."""
        _, height, width = self._session.in_distribution[network].shape
        if len(raw) != height * width:
            raise DataError(
                f"a drawing has {len(raw)} pixels", expected=f"{height} rows of {width}"
            )
        buffer = io.BytesIO()
        grey = np.frombuffer(raw, np.uint8).reshape(height, width)
        Image.fromarray(grey).save(buffer, "PNG")
        return buffer.getvalue()

    def _answered(self, question: Question, what_if: WhatIf) -> dict[str, Any]:
        """Answers a question, and explains the best answer."""
        empty = [name for name in self._networks if name not in question.images]
        open_ = math.prod(len(self._domain(n)) for name in empty for n in self._readers[name])
        if open_ > _MOST_OPEN:
            return {"note": f"Still to draw: {', '.join(empty)}."}
        case = self._session.questions.case(question, what_if)
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
            "note": _note(found) or None,
            "explanation": [
                *(
                    f"Most probable proof, {chance(proof.probability)}: {proof}."
                    for proof in why.proofs
                ),
                *(f"{words}." for words in why.disagreements()),
            ],
        }


def _decoded(text: str) -> bytes:
    """Reads what the page sends.

    Raises:
        DataError: It is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataError("a drawing is not base64") from None


def _note(found: Answers) -> str:
    """Says what answers leave open."""
    notes = []
    if found.unseen:
        notes.append(
            f"{', '.join(found.unseen)} not given: the probabilities are those of the goal if "
            "these symbols were there."
        )
    if found.note:
        notes.append(f"{found.note[0].upper()}{found.note[1:]}.")
    return " ".join(notes)


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
