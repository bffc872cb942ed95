"""Bounds of a conditional probability from bounds of what it is the quotient of.

P(q | e) = A / (A + B) with A = P(q, e) and B = P(not q, e). It grows with A and falls with B, so it
lies between the quotients of their opposite ends; bounding P(q, e) and P(e) apart from each other
would count one uncertainty twice. Upper bounds are taken from a condition that the evidence implies
and whose probability is known: what is left out is then compared with that, not with 1, and rare
evidence does not drown in it.

The functions are the same for numpy (where proofs are chosen) and torch (where networks train):
``space`` is the module. All numbers are logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Parts(Generic[T]):
    """Lower bounds of probabilities under evidence, and one that is exact.

    Attributes:
        holds: Of answer and evidence, an answer each.
        fails: Of the evidence without the answer.
        never_holds: Of the condition without "answer and evidence".
        never_fails: Of the condition without "evidence, and not the answer".
        told: Of the evidence.
        untold: Of the condition without the evidence.
        known: Of the condition, exact.
    """

    holds: T
    fails: T
    never_holds: T
    never_fails: T
    told: T
    untold: T
    known: T


def conditional(space: Any, parts: Parts[T]) -> tuple[T, T]:
    """Returns lower and upper bounds of log P(answer | evidence).

    Args:
        space: ``numpy`` or ``torch``.
        parts: Arrays that are broadcast against each other.
    """
    p: Parts[Any] = parts
    evidence = less(space, p.known, p.untold)
    most_holds = space.minimum(less(space, p.known, p.never_holds), less(space, evidence, p.fails))
    most_fails = space.minimum(less(space, p.known, p.never_fails), less(space, evidence, p.holds))
    holds = space.maximum(p.holds, _rest(space, p.told, most_fails))
    fails = space.maximum(p.fails, _rest(space, p.told, most_holds))
    return _share(space, holds, most_fails), _share(space, most_holds, fails)


def less(space: Any, whole: Any, part: Any) -> Any:
    """Returns the logarithm of ``exp(whole) - exp(part)``, where the part is no larger.

    At least the rounding error of the difference remains, so that the result stays an upper bound
    and has a finite derivative.
    """
    numbers = space.finfo(part.dtype)
    whole = space.clip(whole, numbers.min, None)
    share = space.clip(part - whole, None, -numbers.eps)
    return whole + space.log(-space.expm1(share))


def _rest(space: Any, whole: Any, part: Any) -> Any:
    """Returns a lower bound of the same difference, which may be nothing."""
    numbers = space.finfo(part.dtype)
    share = part - space.clip(whole, numbers.min, None)
    rest = whole + space.log(-space.expm1(space.clip(share, None, -numbers.eps)))
    return space.where(share < -64 * numbers.eps, rest, space.full_like(rest, -float("inf")))


def _share(space: Any, first: Any, second: Any) -> Any:
    """Returns the logarithm of a / (a + b)."""
    return first - space.clip(space.logaddexp(first, second), space.finfo(first.dtype).min, None)
