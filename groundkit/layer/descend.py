"""Walks down a circuit for a whole batch: drawing worlds, and the most probable one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from groundkit.circuit.layer import CERTAIN, CONSTANT_ROWS, IMPOSSIBLE, CircuitLayer
from groundkit.circuit.reasoner import Reasoner
from groundkit.program.ground import NeuralSource

_AT_ONCE = 1 << 23
"""Numbers of one slice of draws: rows of the circuit, draws and examples."""


@dataclass(frozen=True)
class Samples:
    """Drawn worlds.

    Attributes:
        symbols: For every network ``(B, count, S)`` positions in its domain; -1 in all slots of
            an example whose answers are all impossible.
        answers: ``(B, count)`` positions in the answers: the one that holds in each world.
    """

    symbols: dict[str, Tensor]
    answers: Tensor


@dataclass(frozen=True)
class MostProbable:
    """The most probable worlds in which an answer holds.

    Attributes:
        symbols: For every network ``(B, S)`` positions in its domain; -1 in all slots of an
            example whose answer is impossible.
        log_prob: ``(B,)`` log P(world | evidence), the facts of the program included.
    """

    symbols: dict[str, Tensor]
    log_prob: Tensor


def draw(
    reasoner: Reasoner,
    parts: Sequence[Tensor],
    batch: int,
    count: int,
    answers: Tensor | None,
    *,
    generator: torch.Generator | None,
) -> Samples:
    """Draws worlds in proportion to their probability, given an answer or that some answer holds.

    Args:
        reasoner: The compiled goal.
        parts: Log-probabilities of the circuit's inputs.
        batch: Number of examples B.
        count: Worlds an example.
        answers: ``(B,)`` roots; ``None`` to draw the answers too.
        generator: Source of randomness.
    """
    layer = reasoner.layer
    values = _wide(layer.values(parts), batch)
    rows = cast(Tensor, layer.roots)[: len(reasoner.answers)]
    if answers is None:
        weights = values[rows].unsqueeze(1).expand(-1, count, -1)
        answers = _pick(weights, generator)
    else:
        answers = answers.unsqueeze(0).expand(count, -1)
    slice_ = max(1, _AT_ONCE // max(1, len(values) * batch))
    found = [_active(layer, values, rows[some], generator) for some in torch.split(answers, slice_)]
    symbols = {}
    low = 0
    active = torch.cat(found, 1)
    for name, calls in reasoner.slots.items():
        size = reasoner.sizes[name]
        high = low + len(calls) * size
        shape = (len(calls), size, count, batch)
        reached = active[low:high].view(shape)
        prior = values[CONSTANT_ROWS + low : CONSTANT_ROWS + high]
        weights = prior.view(len(calls), size, 1, batch).expand(shape)
        free = _pick(weights.transpose(0, 1), generator)
        symbols[name] = torch.where(reached.any(1), reached.int().argmax(1), free)
        low = high
    impossible = values[rows[answers], torch.arange(batch, device=rows.device)] == -torch.inf
    return Samples(
        {n: s.masked_fill(impossible, -1).permute(2, 1, 0) for n, s in symbols.items()},
        answers.transpose(0, 1).contiguous(),
    )


def most_probable(
    reasoner: Reasoner, parts: Sequence[Tensor], batch: int, answers: Tensor
) -> MostProbable:
    """Finds the most probable world of every example in which its answer holds.

    A circuit leaves out choices that an answer does not depend on. Every choice is therefore
    weighed relative to its most probable outcome: what is left out then counts as log 1, which is
    what completing a world by those outcomes adds.

    Args:
        reasoner: The compiled goal.
        parts: Log-probabilities of the circuit's inputs.
        batch: Number of examples B.
        answers: ``(B,)`` roots.
    """
    layer = reasoner.layer
    none = torch.zeros(batch, 0, dtype=torch.float64, device=answers.device)
    inputs = torch.cat([part.expand(batch, -1) for part in parts], 1) if parts else none
    shifted, total = inputs.clone(), inputs.new_zeros(batch)
    for choice, row in zip(reasoner.ground_program.choices, reasoner.row_of, strict=True):
        best = inputs[:, row : row + choice.size].amax(1, keepdim=True)
        shifted[:, row : row + choice.size] = inputs[:, row : row + choice.size] - best
        total = total + best[:, 0]
    values = _best_values(layer, shifted)
    rows = cast(Tensor, layer.roots)[answers]
    reached = _active(layer, values, rows.unsqueeze(0), None, best=True)[:, 0]
    log_prob = values[rows, torch.arange(batch, device=rows.device)] + total
    symbols = {}
    low = 0
    for name, calls in reasoner.slots.items():
        size = reasoner.sizes[name]
        high = low + len(calls) * size
        active = reached[low:high].view(len(calls), size, batch)
        free = inputs[:, low:high].T.reshape(len(calls), size, batch).argmax(1)
        chosen = torch.where(active.any(1), active.int().argmax(1), free)
        symbols[name] = chosen.masked_fill(log_prob == -torch.inf, -1).T
        low = high
    return MostProbable(symbols, log_prob)


def count_calls(reasoner: Reasoner, name: str) -> list[int]:
    """Counts for every slot of a network the choices that read it."""
    found = [0] * len(reasoner.slots[name])
    for choice in reasoner.ground_program.choices:
        if isinstance(choice.source, NeuralSource) and choice.source.network == name:
            found[choice.source.slot] += 1
    return found


def _best_values(layer: CircuitLayer, inputs: Tensor) -> Tensor:
    """Evaluates every row with maxima instead of sums: ``(rows, B)``."""
    values = inputs.new_empty((layer.rows, len(inputs)))
    values[IMPOSSIBLE], values[CERTAIN] = -torch.inf, 0.0
    values[CONSTANT_ROWS : CONSTANT_ROWS + layer.inputs] = inputs.T
    for step in layer.steps:
        table = layer.children_of(step)
        below = values[table.reshape(-1)].view(*table.shape, -1)
        values[step.low : step.high] = below.amax(0) if step.disjunction else below.sum(0)
    return values


def _active(
    layer: CircuitLayer,
    values: Tensor,
    roots: Tensor,
    generator: torch.Generator | None,
    best: bool = False,
) -> Tensor:
    """Goes down from some roots, one branch of every disjunction.

    Args:
        layer: The circuit.
        values: ``(rows, B)`` log-values of every row.
        roots: ``(count, B)`` rows to begin from.
        generator: Source of randomness.
        best: Take the highest branch instead of drawing one.

    Returns:
        ``(inputs, count, B)``: which input rows the worlds need.
    """
    count, batch = roots.shape
    active = torch.zeros(layer.rows, count, batch, dtype=torch.int32, device=values.device)
    active.scatter_(0, roots.unsqueeze(0), 1)
    for step in reversed(layer.steps):
        above = active[step.low : step.high].clamp(max=1)
        table = layer.children_of(step)
        if not step.disjunction:
            for children in table:
                active.index_add_(0, children, above)
            continue
        weights = values[table.reshape(-1)].view(*table.shape, 1, batch)
        weights = weights.expand(-1, -1, count, -1)
        chosen = weights.argmax(0) if best else _pick(weights, generator)
        for position, children in enumerate(table):
            active.index_add_(0, children, above * (chosen == position))
    return active[CONSTANT_ROWS : CONSTANT_ROWS + layer.inputs] > 0


def _pick(log_weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draws along the first axis in proportion to exponentiated weights."""
    noise = torch.empty_like(log_weights, memory_format=torch.contiguous_format)
    noise.exponential_(generator=generator)
    return (log_weights - noise.log_()).argmax(0)


def _wide(values: Tensor, batch: int) -> Tensor:
    """Repeats the column of a circuit that no example tells apart."""
    return values.expand(-1, batch) if values.shape[1] == 1 else values
