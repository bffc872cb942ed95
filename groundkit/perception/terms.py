"""Terms of what training maximises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Term:
    """A weighted summand of the objective.

    Attributes:
        name: Its name in the history.
        weight: Its weight.
        value: Its value, a scalar that is to be maximised.
        of_energy: Whether it shapes the energy alone; the gradient of such terms has a limit of
            its own.
    """

    name: str
    weight: float
    value: Tensor
    of_energy: bool = False


@dataclass(frozen=True, slots=True)
class Contrast:
    """Data against samples, or against perturbations of it.

    Attributes:
        terms: The terms of the energy, the generative one first.
        data: Logits ``(m, K)`` of the data, detached.
        others: Logits ``(n, K)`` of what it was contrasted with, detached.
    """

    terms: tuple[Term, ...]
    data: Tensor
    others: Tensor


def add_up(terms: Iterable[Term]) -> Tensor:
    """Returns the weighted sum of terms, zero without any."""
    return sum((term.weight * term.value for term in terms), torch.zeros(()))
