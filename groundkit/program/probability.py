"""Reads and checks probabilities: numbers, and the learnable ``t(...)``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from problog.errors import ProbLogError
from problog.logic import Term, Var

from groundkit.errors import Location, ProgramError
from groundkit.program.terms import text_of, walk

_ABOVE_ONE = 1e-9
_QUICK = frozenset("+-*/")


@dataclass(frozen=True, slots=True)
class LearnableGroup:
    """The ``t(...)`` probabilities of one fact or annotated disjunction.

    They form one distribution: a lone ``t(p)::f`` is over (true, false), a disjunction is over
    its learnable heads, with an outcome "none of them" when they start below their share.

    Attributes:
        heads: Printed heads, in order.
        initial: Their starting probabilities; ``t(_)`` takes an equal part of what is free.
        others: Printed fixed heads of the same disjunction.
        other_probabilities: Their probabilities.
        other_positions: Their positions among all heads.
        location: Where it stands.
        keys: Printed arguments of ``t(_, C)`` after the first: the group has a distribution of
            its own for each of their values.
    """

    heads: tuple[str, ...]
    initial: tuple[float, ...]
    others: tuple[str, ...]
    other_probabilities: tuple[float, ...]
    other_positions: tuple[int, ...]
    location: Location
    keys: tuple[str, ...] = ()

    @property
    def fixed(self) -> float:
        """The mass that the fixed heads take."""
        return sum(self.other_probabilities)

    @property
    def residual(self) -> float:
        """Probability of none of the learnable heads, at the start."""
        return max(0.0, 1.0 - self.fixed - sum(self.initial))

    @property
    def exhaustive(self) -> bool:
        """Whether one head of the disjunction always holds, and so stays certain to."""
        return len(self.heads) + len(self.others) > 1 and self.residual <= _ABOVE_ONE


def is_learnable(head: Any) -> bool:
    """Tells whether a head's probability is ``t(...)``."""
    return isinstance(head.probability, Term) and head.probability.functor == "t"


def learnable_group(heads: Sequence[Any], chosen: Sequence[int], at: Location) -> LearnableGroup:
    """Reads the group of the heads at the positions ``chosen``, which are learnable."""
    keys = tuple(str(key) for key in heads[chosen[0]].probability.args[1:])
    for i in chosen:
        probability = heads[i].probability
        if not probability.arity or tuple(map(str, probability.args[1:])) != keys:
            raise ProgramError(
                f"'{probability}' is not supported",
                expected="t(P) or t(_), or t(P, C) for a probability of each value of C, with the "
                "same C in all heads",
                at=at,
            )
    others = [i for i in range(len(heads)) if i not in chosen]
    fixed = [_constant(heads[i].probability) for i in others]
    if None in fixed:
        raise ProgramError(
            "a disjunction with t(...) has a head whose probability is not a constant",
            expected="numbers beside learnable probabilities",
            at=at,
        )
    given = [_initial(heads[i].probability.args[0], at) for i in chosen]
    group = LearnableGroup(
        heads=tuple(str(heads[i].with_probability(None)) for i in chosen),
        initial=_fill_in(given, 1.0 - sum(f or 0.0 for f in fixed), lone=len(heads) == 1),
        others=tuple(str(heads[i].with_probability(None)) for i in others),
        other_probabilities=tuple(value or 0.0 for value in fixed),
        other_positions=tuple(others),
        location=at,
        keys=keys,
    )
    if sum(group.initial) + group.fixed > 1.0 + _ABOVE_ONE:
        raise _sums_above_one(sum(group.initial) + group.fixed, at)
    return group


def _constant(probability: Any) -> float | None:
    """Evaluates a probability without variables; ``None`` when it depends on the clause.

    Powers and functions are left to grounding, which has limits: 9**9**9 is a number without end.
    """
    if probability is None or any(isinstance(inner, Var) for inner in walk(probability)):
        return None
    if any(inner.arity and text_of(inner.functor) not in _QUICK for inner in walk(probability)):
        return None
    try:
        value = probability.compute_value() if isinstance(probability, Term) else probability
        return float(value)
    except (ProbLogError, TypeError, ValueError, ArithmeticError):
        return None


def _initial(term: Any, at: Location) -> float | None:
    """Reads the starting value inside ``t(...)``; ``None`` for ``t(_)``."""
    if isinstance(term, Var) or term is None:
        return None
    value = _constant(term)
    if value is None or not 0.0 <= value <= 1.0:
        raise ProgramError(
            f"'t({term})' does not start from a probability",
            expected="a number from 0 to 1, or t(_)",
            at=at,
        )
    return value


def _fill_in(given: list[float | None], share: float, *, lone: bool) -> tuple[float, ...]:
    """Gives every ``t(_)`` an equal part of the mass that is free; a lone one gets a half."""
    free = max(0.0, share - sum(value for value in given if value is not None))
    unknown = sum(value is None for value in given) + (1 if lone else 0)
    return tuple(free / unknown if value is None else value for value in given)


def check_probabilities(heads: Iterable[Any], at: Location) -> None:
    """Every constant probability lies in [0, 1], and a disjunction's sum does not pass 1."""
    total = 0.0
    for head in heads:
        value = _constant(head.probability)
        if value is None:
            continue
        if not 0.0 <= value <= 1.0 + _ABOVE_ONE:
            raise ProgramError(
                f"{head.probability} is not a probability",
                expected="a number from 0 to 1",
                at=at,
            )
        total += value
    if total > 1.0 + _ABOVE_ONE:
        raise _sums_above_one(total, at)


def _sums_above_one(total: float, at: Location) -> ProgramError:
    return ProgramError(
        f"the probabilities of this annotated disjunction sum to {total:g}",
        expected="at most 1",
        remedy="lower them, or write separate clauses if the heads do not exclude each other",
        at=at,
    )
