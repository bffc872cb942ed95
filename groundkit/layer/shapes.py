"""The compiled shapes of one goal: a circuit for every length of its lists, made when first met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.learnable import LearnableGroups
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import DataError, choose_from
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.ground import FixedSource, LearnedSource
from groundkit.program.limits import Limits
from groundkit.program.source import Program, load_program, parse_program

Lengths = tuple[tuple[str, int], ...]
"""The lists among the goal's variables with their lengths."""
Evidence = tuple[tuple[str, bool], ...]
"""Derived atoms that are known to hold or not to hold."""


_TEXT = ("::", ":-", "\n")
"""What tells the text of a program from the name of its file."""


@dataclass
class CompiledShape:
    """One circuit and what the layer looks up in it again and again.

    Attributes:
        reasoner: The circuit with its inputs and answers.
        unused: Names of the program's learnable groups that the circuit does not read.
        slots: For every network the inputs of each of its calls, in the order in which the goal
            names them.
    """

    reasoner: Reasoner
    unused: tuple[str, ...]
    slots: dict[str, tuple[tuple[str, ...], ...]]
    _answers: dict[tuple[object, ...], int] = field(default_factory=dict)

    def answer(self, values: tuple[object, ...]) -> int:
        """Returns the root of some observed values, in the order of ``reasoner.observed``."""
        found = self._answers.get(values)
        if found is None:
            found = self.reasoner.answer_index([str(value) for value in values])
            self._answers[values] = found
        return found

    @property
    def observed(self) -> tuple[str, ...]:
        """The goal's variables whose values are answers."""
        return self.reasoner.observed

    @property
    def answers(self) -> tuple[tuple[Any, ...], ...]:
        """Values of :attr:`observed`, one tuple an answer."""
        return self.reasoner.answers

    @cached_property
    def order(self) -> dict[str, list[int]]:
        """For every network that is called, where the circuit's calls stand among the slots."""
        return {
            name: [self.slots[name].index(call) for call in calls]
            for name, calls in self.reasoner.slots.items()
            if list(calls) != list(self.slots[name])
        }

    @cached_property
    def facts(self) -> dict[str, tuple[int, int, int]]:
        """Printed probabilistic facts -> first input row, number of outcomes, position in them."""
        found: dict[str, tuple[int, int, int]] = {}
        for choice, row in zip(
            self.reasoner.ground_program.choices, self.reasoner.row_of, strict=True
        ):
            if isinstance(choice.source, FixedSource | LearnedSource):
                for position, outcome in enumerate(choice.outcomes):
                    found.setdefault(outcome, (row, choice.size, position))
        return found

    def move(self, device: torch.device) -> None:
        """Brings the circuit's tables to a device; learnable probabilities follow their owner."""
        if self.reasoner.constants.device != device:
            self.reasoner.constants = self.reasoner.constants.to(device)
            self.reasoner.layer.to(device)


class Shapes:
    """Grounds and compiles the shapes of one goal when they are first asked for.

    Args:
        program: The program.
        goal: The goal, its lists as variables.
        learnable: The parameters that all shapes share.
        values: Values of observed variables that the program cannot enumerate.
        cache: Folder of compiled shapes, or ``None``.
        limits: Time and memory of grounding and compiling, or ``None``.
    """

    def __init__(
        self,
        program: Program,
        goal: Goal,
        learnable: LearnableGroups,
        *,
        values: Mapping[str, Sequence[str]],
        cache: Path | None,
        limits: Limits | None,
    ) -> None:
        self.program = program
        self.goal = goal
        self.learnable = learnable
        self.values = dict(values)
        self.cache = cache
        self.limits = limits
        self.known: dict[tuple[tuple[str, ...], Lengths, Evidence], CompiledShape] = {}

    def get(
        self, inputs: Sequence[str], lengths: Lengths = (), evidence: Evidence = ()
    ) -> CompiledShape:
        """Returns a shape, compiled once.

        Args:
            inputs: The goal's variables that networks read; empty to find them.
            lengths: Lengths of its lists.
            evidence: Derived atoms that are known.
        """
        key = (tuple(inputs), lengths, evidence)
        if key not in self.known:
            self.known[key] = self._compile(*key)
        return self.known[key]

    def _compile(
        self, inputs: tuple[str, ...], lengths: Lengths, evidence: Evidence
    ) -> CompiledShape:
        program = self.program
        if evidence:
            told = "".join(f"\nevidence({atom},{str(holds).lower()})." for atom, holds in evidence)
            program = parse_program(program.text + told, program.file, program.trust)
        sizes = dict(lengths)
        names = [
            name
            for given in inputs
            for name in (elements(self.goal, given, sizes[given]) if given in sizes else [given])
        ]
        reasoner = build_reasoner(
            program,
            expand(self.goal, sizes),
            names,
            observed_values=self.values,
            cache=self.cache,
            limits=self.limits,
            may_be_impossible=bool(evidence),
        )
        for name in reasoner.learnable.groups:
            reasoner.learnable[name] = self.learnable[name]
        unused = [name for name in self.learnable.groups if name not in reasoner.learnable.groups]
        slots = {
            name: tuple(sorted(calls, key=lambda call: _place(call, reasoner.goal)))
            for name, calls in reasoner.slots.items()
        }
        return CompiledShape(reasoner, tuple(unused), slots)


def _place(call: Sequence[str], goal: Goal) -> list[tuple[int, float, str]]:
    """Orders calls by where the goal names their inputs; then come numbers and other constants."""
    keys = []
    for name in call:
        if name in goal.variables:
            keys.append((0, float(goal.variables.index(name)), ""))
            continue
        try:
            keys.append((1, float(name), ""))
        except ValueError:
            keys.append((2, 0.0, name))
    return keys


def elements(goal: Goal, name: str, length: int) -> list[str]:
    """Names the elements of a list variable: ``Xs_0``, ``Xs_1`` and so on."""
    mark = "_"
    while any(variable.startswith(f"{name}{mark}") for variable in goal.variables):
        mark += "_"
    return [f"{name}{mark}{index}" for index in range(length)]


def expand(goal: Goal, lengths: Mapping[str, int]) -> Goal:
    """Writes the lists of a goal out: ``total(Xs,N)`` becomes ``total([Xs_0,Xs_1],N)``.

    Raises:
        DataError: A name is no variable of the goal.
    """
    if not lengths:
        return goal
    for name in lengths:
        if name not in goal.variables:
            raise DataError(
                f"the goal '{goal.text}' has no variable '{name}'",
                remedy=choose_from(name, goal.variables),
            )
    lists = {
        name: f"[{','.join(elements(goal, name, length))}]" for name, length in lengths.items()
    }
    return replace(parse_goal(goal.with_values(lists), goal.at), at=goal.at)


def read_program(program: str | Path | Program, trust: bool) -> Program:
    """Reads a program from a file or a text, unless it is read already."""
    if isinstance(program, Program):
        return program
    if isinstance(program, str) and any(mark in program for mark in _TEXT):
        return parse_program(program, None, trust)
    return load_program(program, trust)
