"""Evidence at the time of a question: what is told of choices, and of atoms that follow from them.

An atom that one choice alone decides (a neural predicate or a probabilistic fact, without a body
and without a second clause for the same atom) conditions that choice: its other outcomes are
masked and the rest is normalised again, so nothing is compiled. Any other atom follows from
several choices; it becomes evidence of a shape of its own, compiled once for each set of atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from problog.logic import AnnotatedDisjunction, Clause, Constant, Or, Term, Var, term2list
from torch import Tensor

from groundkit.errors import DataError, ProgramError, choose_from
from groundkit.layer.columns import symbol
from groundkit.layer.shapes import CompiledShape
from groundkit.program.builtins import is_builtin
from groundkit.program.convert import placeholder
from groundkit.program.goal import Binding, Goal, parse_goal
from groundkit.program.source import Program
from groundkit.program.terms import text_of

_REMEDY = 'write atoms as keys, such as {"digit(X)": 3, "noisy": False}'


@dataclass(frozen=True)
class Call:
    """One outcome of a network's call: what evidence on a neural predicate speaks of."""

    network: str
    inputs: tuple[str, ...]
    outcome: int


@dataclass(frozen=True)
class Fact:
    """A probabilistic fact, or a head of an annotated disjunction.

    Attributes:
        text: The printed atom.
        alone: Whether it is its statement's only head.
    """

    text: str
    alone: bool


@dataclass(frozen=True)
class Told:
    """One atom that is known to hold or not.

    Attributes:
        atom: The printed atom, inputs as the constants that stand for them while grounding.
        holds: Whether it is true.
        decided: The neural call, or the fact, that alone decides it; ``None`` when it follows
            from several choices.
    """

    atom: str
    holds: bool
    decided: Call | Fact | None

    def within(self, shape: CompiledShape) -> Told:
        """Tells a head that the goal does not ask as if it followed from several choices.

        Of an annotated disjunction a circuit knows only the heads that its goal asks.
        """
        fact = self.decided
        if isinstance(fact, Fact) and not fact.alone and fact.text not in shape.facts:
            return replace(self, decided=None)
        return self


class EvidenceReader:
    """Reads evidence on one goal; what was read once is remembered.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._read: dict[tuple[str, Any, tuple[str, ...]], Told] = {}

    def read(self, key: str, value: Any, goal: Goal) -> Told:
        """Reads one entry.

        Args:
            key: An atom over the goal's inputs: ``digit(X)`` with a symbol, or with a truth value
                ``digit(X,3)``, a fact, or anything that the program defines.
            value: A symbol or a truth value.
            goal: The goal with its lists written out.

        Raises:
            DataError: The key is no atom of the program or speaks of unknown variables.
        """
        name = (key, value, goal.variables)
        if name not in self._read:
            self._read[name] = self._told(key, value, goal)
        return self._read[name]

    def _told(self, key: str, value: Any, goal: Goal) -> Told:
        term = self._parse(key, goal)
        if isinstance(value, bool) and self._defined(term):
            atom, holds = term, value
        else:
            atom, holds = self._with_value(term, key, value), True
        if not self._defined(atom):
            raise DataError(
                f"the program does not define '{key}', of which evidence is given",
                expected="a predicate of the program, with a truth value or with a symbol",
                remedy=choose_from(str(atom.signature), self.program.predicates),
            )
        return Told(str(atom), holds, self._decided(atom))

    def _parse(self, key: str, goal: Goal) -> Any:
        """Parses a key; the goal's variables become the constants that stand for inputs."""
        try:
            asked = parse_goal(key)
        except ProgramError as error:
            raise DataError(
                f"the evidence '{key}' is no atom: {error.found}", remedy=_REMEDY
            ) from None
        if len(asked.predicates) != 1 or str(asked.term.signature) != asked.predicates[0]:
            raise DataError(f"the evidence '{key}' is no atom", remedy=_REMEDY)
        for name in asked.variables:
            if name not in goal.variables:
                raise DataError(
                    f"the evidence '{key}' speaks of '{name}', which is no variable of the goal",
                    remedy=choose_from(name, goal.variables),
                )
        return asked.term.apply(Binding({v: Term(placeholder(v)) for v in asked.variables}))

    def _defined(self, term: Any) -> bool:
        signature = str(term.signature).replace("'", "")
        return signature in self.program.predicates or is_builtin(signature)

    def _with_value(self, term: Any, key: str, value: Any) -> Any:
        """Returns the atom that says that ``term`` has a value: ``digit(X)``, 3: ``digit(X,3)``."""
        for statement in self.program.statements:
            heads, _ = _heads(statement)
            number = _neural_number(heads[0])
            if number is None or self.program.neural[number].output is None:
                continue
            places = _output_places(heads)
            inputs = [arg for place, arg in enumerate(heads[0].args) if place not in places]
            bound = match(Term(heads[0].functor, *inputs), term)
            if bound is None:
                continue
            domain = self.program.neural[number].domain
            text = symbol(value)
            if text not in domain:
                raise DataError(
                    f"the evidence says that '{key}' is {value}, which it cannot be",
                    remedy=choose_from(text, domain),
                )
            return heads[domain.index(text)].with_probability(None).apply(Binding(bound))
        return Term(term.functor, *term.args, _value_term(value))

    def _decided(self, atom: Any) -> Call | Fact | None:
        """Finds the choice that alone decides an atom."""
        found = [
            (head, bound, bodiless, len(heads) == 1)
            for statement in self.program.statements
            for heads, bodiless in [_heads(statement)]
            for head in heads
            for bound in [match(head, atom)]
            if bound is not None
        ]
        if len(found) != 1:
            return None
        head, bound, bodiless, alone = found[0]
        if not bodiless or head.probability is None:
            return None
        number = _neural_number(head)
        if number is not None:
            _, inputs, outcome = head.probability.args
            names = (_input(term.apply(Binding(bound))) for term in term2list(inputs, False))
            return Call(self.program.neural[number].network, tuple(names), int(outcome))
        if str(head.probability.functor) == "$t" and bound:
            return None  # instances of one learnable clause share its probabilities
        if isinstance(head.probability, Constant) and float(head.probability) in (0.0, 1.0):
            return None  # circuits leave out what is settled, and so whether it was told rightly
        return Fact(str(atom), alone)


def apply_evidence(
    parts: list[Tensor], shape: CompiledShape, told: Sequence[Sequence[Told | None]]
) -> tuple[list[Tensor], Tensor | None]:
    """Conditions a circuit's inputs on what decided atoms say.

    Args:
        parts: Log-probabilities, as :meth:`Reasoner.input_parts` arranges them.
        shape: The shape.
        told: For every entry what is told to each example, ``None`` for nothing; or one for all.

    Returns:
        The parts, in which outcomes that are excluded have log-probability minus infinity; and
        ``(b,)`` or ``(1,)`` whether what is told cannot be, ``None`` where nothing is told.
    """
    impossible: Tensor | None = None
    masks: dict[tuple[int, int], Tensor] = {}
    for entry in told:
        for example, one in enumerate(entry):
            place = None if one is None or one.decided is None else _locate(shape, one)
            if one is None or place is None:
                continue
            row, size, outcome = place
            mask = masks.setdefault((row, size), torch.ones(len(entry), size, dtype=torch.bool))
            if len(mask) < len(entry):
                mask = masks[row, size] = mask.expand(len(entry), -1).clone()
            allowed = torch.zeros(size, dtype=torch.bool)
            allowed[outcome] = True
            rows = mask if len(entry) == 1 else mask[example : example + 1]
            rows &= allowed if one.holds else ~allowed
    for (row, size), mask in masks.items():
        parts, never = _condition(parts, row, size, mask)
        impossible = never if impossible is None else impossible | never
    return parts, impossible


def _locate(shape: CompiledShape, told: Told) -> tuple[int, int, int] | None:
    """Finds first row, number of outcomes and outcome; ``None`` when the goal does not care."""
    if isinstance(told.decided, Fact):
        return shape.facts.get(told.decided.text)
    call = told.decided
    assert call is not None
    reasoner, first = shape.reasoner, 0
    for name, calls in reasoner.slots.items():
        size = reasoner.sizes[name]
        if name == call.network and call.inputs in calls:
            return first + calls.index(call.inputs) * size, size, call.outcome
        first += len(calls) * size
    valid = [f"{n}({','.join(c)})" for n, calls in reasoner.slots.items() for c in calls]
    asked = f"{call.network}({','.join(call.inputs)})"
    raise DataError(
        f"evidence is given on {asked}, which the goal '{reasoner.goal.text}' does not ask",
        remedy=choose_from(asked, valid),
    )


def _condition(
    parts: list[Tensor], row: int, size: int, mask: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Masks some outcomes of the choice whose rows begin at ``row``, and normalises the others.

    Returns:
        The parts, and for every example whether none of its outcomes is left.
    """
    position = 0
    while row >= parts[position].shape[1]:
        row -= parts[position].shape[1]
        position += 1
    part = parts[position]
    mask = mask.to(part.device)
    wide = part.expand(max(len(part), len(mask)), -1)
    rows = wide[:, row : row + size].masked_fill(~mask, -torch.inf)
    result = torch.cat([wide[:, :row], rows - _total(rows), wide[:, row + size :]], dim=1)
    never = (rows == -torch.inf).all(1)
    return [*parts[:position], result, *parts[position + 1 :]], never


def _total(rows: Tensor) -> Tensor:
    """Sums log-probabilities; where all are minus infinity, value and gradient stay finite."""
    limits = torch.finfo(rows.dtype)
    highest = rows.detach().amax(-1, keepdim=True).clamp_min(limits.min)
    return (rows - highest).exp().sum(-1, keepdim=True).clamp_min(limits.tiny).log() + highest


def match(pattern: Any, term: Any) -> dict[str, Any] | None:
    """Matches a clause's head with a ground atom; returns the bindings of its variables."""
    bound: dict[str, Any] = {}
    pairs = [(pattern, term)]
    while pairs:
        mine, theirs = pairs.pop()
        if isinstance(mine, Var):
            name = str(mine)
            if name != "_" and bound.setdefault(name, theirs) != theirs:
                return None
        elif isinstance(mine, Constant) or isinstance(theirs, Constant):
            if text_of(mine) != text_of(theirs):
                return None
        elif str(getattr(mine, "signature", mine)) != str(getattr(theirs, "signature", theirs)):
            return None
        else:
            pairs.extend(zip(mine.args, theirs.args, strict=True))
    return bound


def _heads(statement: Any) -> tuple[list[Any], bool]:
    """Returns a statement's heads, and whether it has no body."""
    if isinstance(statement, AnnotatedDisjunction):
        return list(statement.heads), str(statement.body) == "true"
    if isinstance(statement, Clause):
        return [statement.head], False
    if isinstance(statement, Or):
        return list(statement.to_list()), True
    return [statement], True


def _neural_number(head: Any) -> int | None:
    """Returns which neural predicate a head belongs to."""
    chance = head.probability
    neural = isinstance(chance, Term) and str(chance.functor) == "$nn"
    return int(chance.args[0]) if neural else None


def _output_places(heads: Sequence[Any]) -> set[int]:
    """Finds the arguments in which the heads of a neural predicate differ: its output."""
    if len(heads) == 1:
        return {heads[0].arity - 1}
    return {
        place
        for place, (one, other) in enumerate(zip(heads[0].args, heads[1].args, strict=True))
        if str(one) != str(other)
    }


def _input(term: Any) -> str:
    """Prints one input of a call as slots do: a variable's own name, or a constant."""
    return text_of(term).removeprefix("$")


def _value_term(value: Any) -> Any:
    """Turns a Python value into a term."""
    text = symbol(value)
    term = Term.from_string(text)
    return Term(f"'{text}'") if isinstance(term, Var) else term
