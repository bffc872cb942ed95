"""Questions made ready and answered: a goal with image files in it, its circuit, its readings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundkit.circuit.reasoner import Reasoner
from groundkit.data.examples import input_of, parts_of
from groundkit.data.features import INPUT_SUFFIXES
from groundkit.errors import DataError, InputError, LimitError, NetworkError, choose_from
from groundkit.identifiability.images import members
from groundkit.program.query import Question, pose
from groundkit.runs.answers import Answer, Answers, ImageReading
from groundkit.runs.doubt import Doubt, Seen
from groundkit.runs.what_if import WhatIf
from groundkit.symbols import Values
from groundkit.task.binding import Binding
from groundkit.task.shaped import EXCLUDED

_MOST_COMBINATIONS = 10_000


class Reader(Protocol):
    """Reads the images of one neural call."""

    def __call__(
        self, paths: Sequence[str], network: str, contents: Mapping[str, bytes]
    ) -> ImageReading:
        """Reads images, stacked along channels when there are several."""


@dataclass(frozen=True)
class Case:
    """A question made ready: its circuit and the log-probabilities of its networks.

    Attributes:
        question: The question.
        reasoner: Its circuit, with the run's learnt probabilities.
        readers: Input, or several that one call reads, joined by commas -> the networks that read
            it.
        readings: Network and input -> how the network reads it.
        unseen: Inputs that stand for an image or symbol that was not given.
        combinations: ``C`` assignments of symbols to ``unseen``, one symbol for each of its
            networks.
        rows: Network -> ``(C, S, K)`` log-probabilities.
        seen: Input -> the networks that read the same images, and what they make of it.
        fixed: Network and input -> position of the symbol that it is set to.
    """

    question: Question
    reasoner: Reasoner
    readers: dict[str, tuple[str, ...]]
    readings: dict[tuple[str, str], ImageReading]
    unseen: tuple[str, ...]
    combinations: list[tuple[tuple[str, ...], ...]]
    rows: dict[str, Tensor]
    seen: Seen
    fixed: dict[tuple[str, str], int] = field(default_factory=dict)

    def label(self, network: str, name: str) -> str:
        """Names an input of a network by its image files where it has been read."""
        reading = self.readings.get((network, name))
        shown = name if reading is None else reading.path
        return shown if len(self.readers[name]) == 1 else f"{shown} ({network})"

    def images(self) -> dict[str, ImageReading]:
        """Returns the readings by the images' names."""
        return {self.label(*key): reading for key, reading in self.readings.items()}

    def open_inputs(self) -> Seen:
        """Returns what is seen of the inputs that are not set, by all of their networks."""
        return {
            name: own
            for name, own in self.seen.items()
            if not all((network, name) in self.fixed for network in self.readers[name])
        }

    def rows_with(self, seen: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Arranges the circuit's inputs with other predictions for the images.

        Args:
            seen: Input -> network -> ``(B, K)`` log-probabilities.

        Returns:
            Network -> ``(B * C, S, K)``.
        """
        batch = max((len(t) for logs in seen.values() for t in logs.values()), default=1)
        found = {}
        for network, rows in self.rows.items():
            own = rows.expand(batch, *rows.shape).clone()
            for slot, call in enumerate(self.reasoner.slots[network]):
                logs = seen.get(input_of(call), {})
                if (symbol := self.fixed.get((network, input_of(call)))) is not None:
                    own[:, :, slot] = EXCLUDED
                    own[:, :, slot, symbol] = 0.0
                elif network in logs:
                    own[:, :, slot] = logs[network][:, None].clamp_min(EXCLUDED)
            found[network] = own.flatten(0, 1)
        return found

    def chances(self, seen: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        """Returns ``(B, C, R)`` probabilities of the answers with such predictions."""
        with torch.no_grad():
            found: Tensor = self.reasoner(self.rows_with(seen)).exp()
        count = len(self.combinations)
        if len(found) % count:  # a goal that reads nothing has one row
            found = found.expand(count, -1)
        return found.reshape(-1, count, found.shape[1])


class Questions:
    """What one may ask of a trained program.

    Args:
        binding: Program and spec, with the learnt probabilities.
        read: Reads images.
        doubt: The readings of the symbols that answers are averaged over; ``None`` for one.
    """

    def __init__(self, binding: Binding, read: Reader, doubt: Doubt | None = None) -> None:
        self._binding = binding
        self._read = read
        self._doubt = doubt

    def answer(self, case: Case) -> Answers:
        """Answers a question that :meth:`case` made ready."""
        if self._doubt is None:
            found, note = case.chances({})[0], ""
        else:
            found, note = self._doubt.answer(case.open_inputs(), case.chances)
        likelihood = found.numpy()
        answers = []
        for row, symbols in enumerate(case.combinations):
            shown = {
                name: own[0] if len(own) == 1 else f"({','.join(own)})"
                for name, own in zip(case.unseen, symbols, strict=True)
            }
            for column, values in enumerate(case.reasoner.answers):
                bound = {**shown, **dict(zip(case.reasoner.observed, values, strict=True))}
                text = case.question.with_values(bound)
                answers.append(Answer(text, bound, float(likelihood[row, column]), (row, column)))
        answers.sort(key=lambda answer: -answer.probability)
        possible = [answer for answer in answers if answer.probability > 0]
        return Answers(
            question=case.question.text,
            answers=tuple(possible or answers),
            images=case.images(),
            unseen=case.unseen,
            note=note,
        )

    def explained(self, case: Case, answer: Answer) -> Case:
        """Returns a case as it is read where an answer is likeliest, to explain the answer."""
        if self._doubt is None:
            return replace(case, rows=case.rows_with({}))
        row, column = answer.place
        seen = self._doubt.likeliest(
            case.open_inputs(), lambda one: case.chances(one)[:, row, column]
        )
        return replace(case, rows=case.rows_with(seen))

    def case(self, question: str | Question, what_if: WhatIf | None = None) -> Case:
        """Grounds a question, reads its images and arranges what the circuit needs.

        Args:
            question: The question.
            what_if: What holds for this question only.

        Raises:
            InputError: The question cannot be read, has no solution, or an image is missing.
            LimitError: Too many symbols are open.
        """
        posed = pose(question, INPUT_SUFFIXES)
        what_if = what_if or WhatIf()
        reasoner, readers = self.compile(posed, what_if)
        readings = self._readings(posed, readers)
        read = {name for _, name in readings}
        unseen = tuple(n for n in posed.goal.variables if n in readers and n not in read)
        combinations = self._combinations(unseen, readers)
        shown = [
            {
                (network, name): symbol
                for name, own in zip(unseen, symbols, strict=True)
                for network, symbol in zip(readers[name], own, strict=True)
            }
            for symbols in combinations
        ]
        rows = {
            network: self._rows(network, [input_of(call) for call in calls], readings, shown)
            for network, calls in reasoner.slots.items()
            if calls
        }
        seen = self._seen(posed, readers, readings)
        fixed = what_if.symbols(self._binding.program, posed, readers, self._places(posed))
        readings |= {
            key: replace(readings[key], doubt="") for key in fixed.keys() & readings.keys()
        }
        return Case(posed, reasoner, readers, readings, unseen, combinations, rows, seen, fixed)

    def _places(self, posed: Question) -> dict[str, str]:
        """Finds what stands in the question where the spec's goal has a variable."""
        for query in self._binding.queries:
            if query.goal.predicates == posed.goal.predicates:
                pairs = zip(query.goal.term.args, posed.goal.term.args, strict=True)
                return {str(ours): str(theirs) for ours, theirs in pairs}
        return {}

    def _seen(
        self,
        posed: Question,
        readers: Mapping[str, Sequence[str]],
        readings: Mapping[tuple[str, str], ImageReading],
    ) -> Seen:
        """Collects what all networks make of the question's images, those not asked too."""
        found: dict[str, tuple[str, dict[str, Tensor]]] = {}
        if self._doubt is None:
            return found
        for name in dict.fromkeys(name for _, name in readings):
            group = self._doubt.group_of(readers[name][0])
            logs = {}
            for network in members(group):
                reading = readings.get((network, name))
                if reading is None:
                    paths = [posed.images[part] for part in parts_of(name)]
                    reading = self._read(paths, network, posed.contents)
                logs[network] = _logs(reading)[None]
            found[name] = (group, logs)
        return found

    def _combinations(
        self, unseen: Sequence[str], readers: Mapping[str, Sequence[str]]
    ) -> list[tuple[tuple[str, ...], ...]]:
        """Lists what the inputs that were not given could show."""
        domains = {n: p.values for n, p in self._binding.program.networks.items()}
        count = int(np.prod([float(len(domains[n])) for name in unseen for n in readers[name]]))
        if count > _MOST_COMBINATIONS:
            raise LimitError(
                f"{', '.join(unseen)} could show {count} combinations of symbols",
                expected=f"at most {_MOST_COMBINATIONS}",
                remedy="give some of them: an image file, or a symbol",
            )
        each = [list(itertools.product(*(domains[n] for n in readers[name]))) for name in unseen]
        return list(itertools.product(*each))

    def _readings(
        self, posed: Question, readers: Mapping[str, Sequence[str]]
    ) -> dict[tuple[str, str], ImageReading]:
        """Reads the question's images, those of one neural call together."""
        readings = {}
        read: set[str] = set()
        for name, networks in readers.items():
            parts = parts_of(name)
            given = [part for part in parts if part in posed.images]
            read.update(given)
            if given and given != parts:
                raise DataError(
                    f"network '{networks[0]}' reads {len(parts)} images at once, and only "
                    f"'{posed.images[given[0]]}' is given",
                    remedy="give an image file for each of them",
                )
            if given:
                paths = [posed.images[part] for part in parts]
                for network in networks:
                    readings[network, name] = self._read(paths, network, posed.contents)
        for variable, path in posed.images.items():
            if variable not in read:
                raise NetworkError(f"no network reads '{path}' in {posed.text}")
        return readings

    def compile(
        self, posed: Question, what_if: WhatIf | None = None
    ) -> tuple[Reasoner, dict[str, tuple[str, ...]]]:
        """Compiles a question's goal with the learnt probabilities.

        Args:
            posed: The question.
            what_if: Facts and evidence of this question only.

        Returns:
            The circuit, and the networks that read each of its inputs: image variables (several
            joined by commas where one call reads them), other variables and printed constants.
        """
        binding = self._binding
        program = (what_if or WhatIf()).program(
            binding.program, binding.declared, posed.goal.predicates
        )
        try:
            reasoner = binding.reasoner(
                program, posed.goal, list(posed.images), self._listed(posed)
            )
        except InputError as error:
            error.found = posed.as_asked(error.found)
            raise
        readers: dict[str, tuple[str, ...]] = {}
        for network, calls in reasoner.slots.items():
            for call in calls:
                name = input_of(call)
                readers[name] = (*readers.get(name, ()), network)
        return reasoner, readers

    def _listed(self, posed: Question) -> dict[str, list[str]]:
        """Carries ``query.answers`` of the spec over to the question's variables, by place."""
        for query in self._binding.queries:
            listed = query.spec.answers
            if listed and query.goal.predicates == posed.goal.predicates:
                return {
                    str(theirs): [str(value) for value in listed[str(ours)]]
                    for ours, theirs in zip(query.goal.term.args, posed.goal.term.args, strict=True)
                    if str(ours) in listed and str(theirs) in posed.goal.variables
                }
        return {}

    def _rows(
        self,
        network: str,
        inputs: Sequence[str],
        readings: Mapping[tuple[str, str], ImageReading],
        shown: Sequence[Mapping[tuple[str, str], str]],
    ) -> Tensor:
        """Arranges one network's log-probabilities: ``(C, S, K)``.

        Args:
            network: The network.
            inputs: What each of its calls reads.
            readings: Network and input -> how the image was read.
            shown: For every combination, network and input -> the symbol that it is to show.
        """
        domain = self._binding.program.networks[network].values
        known = Values(domain)
        rows = torch.full((len(shown), len(inputs), len(domain)), EXCLUDED).double()
        for slot, name in enumerate(inputs):
            if (network, name) in readings:
                rows[:, slot] = _logs(readings[network, name])
            elif (network, name) in shown[0]:
                symbols = [domain.index(one[network, name]) for one in shown]
                rows[range(len(symbols)), slot, symbols] = 0.0
            elif (place := known.find(name)) is not None:
                rows[:, slot, place] = 0.0
            else:
                raise DataError(
                    f"'{name}' is neither an image file nor a symbol of network '{network}'",
                    expected="a file in quotes, such as 'a.png'; a symbol; or a variable",
                    remedy=choose_from(name, domain),
                )
        return rows


def _logs(reading: ImageReading) -> Tensor:
    """Returns ``(K,)`` log-probabilities of an image as its network predicts it."""
    own = reading.probabilities if reading.predicted is None else reading.predicted
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.log(own).clip(EXCLUDED))
