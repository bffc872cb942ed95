"""Evaluates a circuit for a whole batch at once, in log space, forward and backward.

The nodes of one depth and kind are one gather and one reduction over a matrix with a row per node
and a column per example. The backward pass is written out: the derivative of a disjunction with
respect to a child is ``exp(child - parent)``, of a conjunction 1. Rows that are impossible
(log 0) pass on a zero gradient, never a NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from groundkit.circuit.ir import FALSE, KINDS, TRUE, Circuit

IMPOSSIBLE = 0
CERTAIN = 1
CONSTANT_ROWS = 2
"""Rows 0 and 1 of the value matrix are log 0 and log 1, then come the input rows."""


@dataclass(frozen=True)
class _Step:
    """One gather and reduction: rows ``low`` to ``high`` from the rows in ``children``."""

    disjunction: bool
    low: int
    high: int
    children: int


class CircuitLayer(nn.Module):
    """A circuit as a differentiable function of the log-probabilities of its choices.

    Args:
        circuit: The circuit.
        row_of: For every choice, the first input row of its outcomes.
        inputs: Number of input rows.
    """

    def __init__(self, circuit: Circuit, row_of: Sequence[int], inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.steps: list[_Step] = []
        rows, total = self._lay_out(circuit, row_of)
        self.rows = total
        roots = torch.from_numpy(rows[circuit.roots])
        self.register_buffer("roots", roots, persistent=False)

    def _lay_out(self, circuit: Circuit, row_of: Sequence[int]) -> tuple[Any, int]:
        """Gives every node a row, grouped by depth, kind and number of children."""
        rows = np.zeros(len(circuit), dtype=np.int64)
        rows[TRUE], rows[FALSE] = CERTAIN, IMPOSSIBLE
        depth = np.zeros(len(circuit), dtype=np.int64)
        groups: dict[tuple[int, bool, int], list[tuple[int, tuple[int, ...]]]] = {}
        for index in range(CONSTANT_ROWS, len(circuit)):
            kind, items = circuit.node(index)
            if kind == "leaf":
                outcomes = tuple(CONSTANT_ROWS + row_of[items[0]] + o for o in items[1:])
                if len(outcomes) == 1:
                    rows[index] = outcomes[0]
                    continue
                depth[index], items = 1, outcomes
            else:
                depth[index] = 1 + max(int(depth[item]) for item in items)
            key = (int(depth[index]), kind != "and", _bucket(len(items)))
            groups.setdefault(key, []).append((index, items))
        low = CONSTANT_ROWS + self.inputs
        for key in sorted(groups):
            members = groups[key]
            _, disjunction, width = key
            table = np.full((len(members), width), IMPOSSIBLE if disjunction else CERTAIN)
            for position, (index, items) in enumerate(members):
                direct = circuit.kinds[index] == KINDS.index("leaf")
                table[position, : len(items)] = items if direct else rows[list(items)]
                rows[index] = low + position
            number = len(self.steps)
            self.register_buffer(f"children{number}", torch.from_numpy(table), persistent=False)
            self.steps.append(_Step(disjunction, low, low + len(members), number))
            low += len(members)
        return rows, low

    def children_of(self, step: _Step) -> Tensor:
        """Returns the ``(rows, width)`` children of one step."""
        return cast(Tensor, getattr(self, f"children{step.children}"))

    def forward(self, log_probs: Tensor) -> Tensor:
        """Evaluates all roots.

        Args:
            log_probs: ``(inputs, B)`` log-probabilities of every outcome.

        Returns:
            ``(R, B)`` log-probabilities of the roots.
        """
        return cast(Tensor, _Evaluate.apply(log_probs, self))

    def values(self, log_probs: Tensor) -> Tensor:
        """Evaluates every row: ``(rows, B)``, without gradient."""
        batch = log_probs.shape[1]
        values = log_probs.new_empty((self.rows, batch))
        values[IMPOSSIBLE] = -torch.inf
        values[CERTAIN] = 0.0
        values[CONSTANT_ROWS : CONSTANT_ROWS + self.inputs] = log_probs
        floor = torch.finfo(values.dtype).min
        for step in self.steps:
            table = self.children_of(step)
            out = values[step.low : step.high]
            gathered = values.index_select(0, table.reshape(-1)).view(*table.shape, batch)
            if step.disjunction:
                highest = gathered.amax(1).clamp_min_(floor)
                gathered.sub_(highest.unsqueeze(1)).exp_()
                torch.sum(gathered, 1, out=out)
                out.log_().add_(highest)
            else:
                torch.sum(gathered, 1, out=out)
        return values

    def gradient(self, values: Tensor, outer: Tensor) -> Tensor:
        """Goes down from the roots.

        Args:
            values: ``(rows, B)`` of :meth:`values`.
            outer: ``(R, B)`` derivatives with respect to the roots.

        Returns:
            ``(inputs, B)`` derivatives with respect to the input rows.
        """
        flow = torch.zeros_like(values)
        flow.index_add_(0, cast(Tensor, self.roots), outer)
        floor = torch.finfo(values.dtype).min
        for step in reversed(self.steps):
            table = self.children_of(step)
            flat = table.reshape(-1)
            above = flow[step.low : step.high].unsqueeze(1)
            if step.disjunction:
                share = values.index_select(0, flat).view(*table.shape, -1)
                parents = values[step.low : step.high].clamp_min(floor)
                share.sub_(parents.unsqueeze(1)).exp_().mul_(above)
            else:
                share = above.expand(*table.shape, -1)
            flow.index_add_(0, flat, share.reshape(len(flat), -1))
        return flow[CONSTANT_ROWS : CONSTANT_ROWS + self.inputs]


class _Evaluate(torch.autograd.Function):
    """Joins the two passes of a :class:`CircuitLayer` for autograd."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, layer: CircuitLayer) -> Tensor:
        values = layer.values(log_probs)
        ctx.layer = layer
        ctx.save_for_backward(values)
        return values.index_select(0, cast(Tensor, layer.roots))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:
        (values,) = ctx.saved_tensors
        return ctx.layer.gradient(values, outer), None


def _bucket(width: int) -> int:
    """Rounds a number of children up, so that few different widths remain."""
    return width if width <= 4 else 1 << (width - 1).bit_length()
