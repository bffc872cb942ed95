"""Addition of N-digit numbers with a carry: the program, its data, and its rivals written by hand.

Rivals compute the same query with torch alone, as a person would who knows the answer: a
contraction per digit with the one-hot sum (``einsum``), and a gather that uses the sum's digits as
numbers (``gather``), which no longer works when a digit of the sum is uncertain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from groundkit.circuit.reasoner import Reasoner
from groundkit.program.goal import Goal, parse_goal

CARRY = Path(__file__).resolve().parents[1] / "programs" / "carry.pl"


def carry_goal(digits: int) -> tuple[Goal, list[str]]:
    """Returns the goal for numbers of ``digits`` digits, and its images."""
    names = [[f"{letter}{i}" for i in range(digits + (letter == "Z"))] for letter in "XYZ"]
    lists = ",".join(f"[{','.join(part)}]" for part in names)
    return parse_goal(f"addition({lists})"), names[0] + names[1]


@dataclass(frozen=True)
class Batch:
    """Random sums with random beliefs about their images.

    Attributes:
        log_probs: ``(B, 2N, 10)`` in the order X0.., Y0.. of the goal.
        sums: ``(B, N+1)`` digits of the sums.
    """

    log_probs: Tensor
    sums: Tensor

    @property
    def one_hot(self) -> Tensor:
        """``(B, N+1, 10)`` log-probabilities of the sums' digits."""
        empty = self.log_probs.new_full((*self.sums.shape, 10), -torch.inf)
        return empty.scatter(2, self.sums.unsqueeze(2), 0.0)


def draw(digits: int, batch: int, dtype: torch.dtype, seed: int = 0) -> Batch:
    """Draws a batch of examples."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, 2 * digits, 10, generator=generator, dtype=dtype)
    numbers = torch.randint(10, (batch, 2, digits), generator=generator)
    sums = torch.zeros(batch, digits + 1, dtype=torch.long)
    carry = torch.zeros(batch, dtype=torch.long)
    for i in range(digits - 1, -1, -1):
        total = numbers[:, :, i].sum(1) + carry
        sums[:, i + 1], carry = total % 10, total // 10
    sums[:, 0] = carry
    return Batch(logits.log_softmax(-1).requires_grad_(), sums)


def by_reasoner(reasoner: Reasoner, batch: Batch) -> dict[str, Tensor]:
    """Arranges a batch in the order of a reasoner's slots."""
    digits = batch.log_probs.shape[1] // 2
    position = {f"X{i}": i for i in range(digits)} | {f"Y{i}": digits + i for i in range(digits)}
    images = [position[name] for (name,) in reasoner.slots["mnist_net"]]
    observed = [int(name[1:]) for (name,) in reasoner.slots["given"]]
    return {
        "mnist_net": batch.log_probs[:, images],
        "given": batch.one_hot[:, observed],
    }


def forward_backward(run: Callable[[], Tensor], leaf: Tensor) -> Callable[[], Tensor]:
    """Returns an action that evaluates and differentiates once."""

    def action() -> Tensor:
        leaf.grad = None
        out = run()
        out.sum().backward()
        return out

    return action


_DIGITS = torch.arange(10)


def _table(dtype: torch.dtype) -> Tensor:
    """``(2, 10, 10, 2, 10)``: 1 where carry in, a, b give carry out and digit."""
    total = torch.arange(2)[:, None, None] + _DIGITS[:, None] + _DIGITS
    table = torch.zeros(2, 10, 10, 2, 10, dtype=dtype)
    index = torch.meshgrid(torch.arange(2), _DIGITS, _DIGITS, indexing="ij")
    table[(*index, total // 10, total % 10)] = 1.0
    return table


def by_einsum(batch: Batch) -> Tensor:
    """``(B,)`` log P(sum): one contraction per digit, the sum as one-hot rows."""
    p, z = batch.log_probs.exp(), batch.one_hot.exp()
    digits = p.shape[1] // 2
    table = _table(p.dtype).reshape(2, 100, 20)
    state = torch.zeros(len(p), 2, dtype=p.dtype)
    state[:, 0] = 1.0
    for i in range(digits - 1, -1, -1):
        pairs = (p[:, i, :, None] * p[:, digits + i, None, :]).flatten(1)
        outcome = torch.einsum("zp,kpo->zko", pairs, table).view(-1, 2, 2, 10)
        state = torch.einsum("zk,zkcd,zd->zc", state, outcome, z[:, i + 1])
    return (state * z[:, 0, :2]).sum(1).log()


def by_gather(batch: Batch) -> Tensor:
    """``(B,)`` log P(sum): the second summand's digit follows from the first and the sum."""
    p = batch.log_probs.exp()
    digits = p.shape[1] // 2
    state = torch.zeros(len(p), 2, dtype=p.dtype)
    state[:, 0] = 1.0
    carry = torch.arange(2)[:, None]
    for i in range(digits - 1, -1, -1):
        needed = batch.sums[:, i + 1, None, None] - _DIGITS - carry
        over = needed < 0
        second = p[:, digits + i].gather(1, (needed % 10).flatten(1)).view(-1, 2, 10)
        weight = p[:, i, None, :] * second
        to_one = torch.where(over, weight, 0.0).sum(2)
        to_zero = torch.where(over, 0.0, weight).sum(2)
        state = torch.stack([(state * to_zero).sum(1), (state * to_one).sum(1)], 1)
    return state.gather(1, batch.sums[:, :1]).squeeze(1).log()
