"""A circuit as a layer: sums, products, and their derivatives against those of autograd."""

from __future__ import annotations

import math

import torch

from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.circuit.layer import CircuitLayer


def build() -> CircuitLayer:
    """Choices a of 5, b of 3 and c of 2 outcomes: three disjunctions and a conjunction."""
    builder = CircuitBuilder()
    wide = builder.leaf(0, [0, 1, 2, 3])
    narrow = builder.leaf(1, [0, 2])
    other = builder.leaf(2, [1])
    both = builder.conjoin([wide, narrow, other])
    either = builder.disjoin([both, builder.conjoin([builder.leaf(0, [4]), builder.leaf(1, [1])])])
    circuit = builder.finish([either, both, wide, FALSE, TRUE])
    return CircuitLayer(circuit, [0, 5, 8], 10)


def by_hand(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    wide = a[:, :4].exp().sum(1)
    both = wide * (b[:, 0].exp() + b[:, 2].exp()) * c[:, 1].exp()
    either = both + (a[:, 4] + b[:, 1]).exp()
    return torch.stack([either.log(), both.log(), wide.log()])


def draws(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((count, 5), (count, 3), (1, 2))
    return [torch.randn(*size, generator=generator).double().requires_grad_() for size in sizes]


def test_values_and_derivatives_are_those_of_the_formula() -> None:
    layer, parts = build(), draws(4)
    found, expected = layer(*parts), by_hand(*parts)
    torch.testing.assert_close(found[:3], expected)
    assert (found[3] == -math.inf).all() and (found[4] == 0).all()
    outer = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)).double()
    ours = torch.autograd.grad((found[:3] * outer).sum(), parts)
    theirs = torch.autograd.grad((expected * outer).sum(), parts)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)


def test_what_is_impossible_passes_on_no_gradient() -> None:
    layer, parts = build(), draws(2)
    with torch.no_grad():
        parts[0][:, :4] = -math.inf
    (slope,) = torch.autograd.grad(layer(*parts)[1:3].sum(), [parts[0]])
    assert torch.isfinite(slope).all()
