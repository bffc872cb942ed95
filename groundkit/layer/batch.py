"""Examples of one batch that share a circuit, what is computed of them, and their way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from groundkit.errors import DataError
from groundkit.layer.columns import Columns
from groundkit.layer.descend import count_calls
from groundkit.layer.evidence import Told, apply_evidence
from groundkit.layer.rows import choose_rows
from groundkit.layer.shapes import CompiledShape, Evidence

_ROUNDING = 64
"""Roundings by which a sum of probabilities may miss 1."""


@dataclass(frozen=True)
class Given:
    """What one call of the layer is given.

    Attributes:
        rows: For every network ``(B, S, K)`` log-probabilities.
        columns: What is told of every example.
        like: A tensor with the device and type to compute on and in.
        complete: Whether every observed variable needs a value.
    """

    rows: Mapping[str, Tensor]
    columns: Columns
    like: Tensor
    complete: bool


@dataclass(frozen=True)
class AnswerTable:
    """Log-probabilities of the answers of examples that share a circuit.

    Attributes:
        index: ``(b,)`` their positions in the batch; ``None`` for all of it.
        answers: Values of the observed variables, one tuple a column.
        log_probs: ``(b, R)``.
    """

    index: Tensor | None
    answers: tuple[tuple[Any, ...], ...]
    log_probs: Tensor


@dataclass(frozen=True)
class Part:
    """The examples of a batch that share a circuit.

    Attributes:
        shape: The circuit.
        index: ``(b,)`` their positions in the batch; ``None`` for all of it.
        batch: Their number b.
        inputs: The circuit's inputs under the evidence, ``(b, n)`` or ``(1, n)`` each.
        answers: ``(b,)`` roots of the observed values; ``None`` when none are given.
        impossible: ``(b,)`` or ``(1,)`` whether the evidence leaves a choice no outcome, be it one
            that no answer depends on; ``None`` where none is told.
        dtype: The type of the networks' outputs, which a circuit without calls has too; ``None``
            without networks.
    """

    shape: CompiledShape
    index: Tensor | None
    batch: int
    inputs: list[Tensor]
    answers: Tensor | None
    impossible: Tensor | None = None
    dtype: torch.dtype | None = None

    def roots(self, inputs: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor | None]:
        """Returns ``(R, b)`` log P(answer, evidence) and ``(1, b)`` log P(evidence)."""
        reasoner = self.shape.reasoner
        found = reasoner.layer(*(self.inputs if inputs is None else inputs))
        found = found.expand(-1, self.batch) if found.shape[1] == 1 else found
        if self.dtype is not None:
            found = found.to(self.dtype)
        if self.impossible is not None:
            found = found.masked_fill(self.impossible, -torch.inf)
        count = len(reasoner.answers)
        return (found, None) if len(found) == count else (found[:count], found[count:])

    def conditional(self) -> Tensor:
        """Returns ``(R, b)`` log P(answer | evidence)."""
        roots, evidence = self.roots()
        if evidence is None:
            return roots
        return roots - evidence.clamp_min(torch.finfo(roots.dtype).min)

    def possible(self, symbols: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sets symbols, ``(b, ..., S)``, to -1 where the evidence cannot be."""
        if self.impossible is None:
            return dict(symbols)
        never = self.impossible.expand(self.batch)
        return {
            name: found.masked_fill(never.view(-1, *[1] * (found.ndim - 1)), -1)
            for name, found in symbols.items()
        }

    def back(self, symbols: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Puts slots, ``(b, S, K)`` or ``(b, ..., S)``, into the order of the shape's calls."""
        found = dict(symbols)
        for name, order in self.shape.order.items():
            places = torch.tensor(order, device=found[name].device).argsort()
            tensor = found[name]
            found[name] = tensor[:, places] if tensor.is_floating_point() else tensor[..., places]
        return found


def make_part(
    plain: CompiledShape,
    shape: CompiledShape,
    index: Sequence[int],
    told: list[list[Told | None]],
    given: Given,
) -> Part:
    """Arranges the inputs of some examples.

    Args:
        plain: The shape without evidence, whose calls the rows follow.
        shape: The shape to evaluate.
        index: Positions of the examples.
        told: Evidence on them.
        given: The whole batch.
    """
    columns, device = given.columns, given.like.device
    positions = None
    if len(index) < columns.batch:
        positions = torch.tensor(index, device=device)
    check_same_calls(plain, shape)
    sure = {
        name: list(zip(*(columns.printed(call[0], index) for call in calls), strict=True))
        for name, calls in shape.reasoner.slots.items()
        if name not in given.rows
    }
    chosen = choose_rows(shape, given.rows, positions, sure)
    answers = None
    if given.complete:
        answers = torch.tensor(columns.answers(shape, index), dtype=torch.long, device=device)
    inputs, impossible = apply_evidence(shape.reasoner.input_parts(chosen), shape, told)
    dtype = given.like.dtype if given.rows else None
    return Part(shape, positions, len(index), inputs, answers, impossible, dtype)


def by_derived(
    index: Sequence[int], told: list[list[Told | None]]
) -> list[tuple[Evidence, Sequence[int], list[list[Told | None]]]]:
    """Groups examples by the derived atoms that are known of them."""
    if not any(one is not None and one.decided is None for entry in told for one in entry):
        return [((), index, told)]
    groups: dict[Evidence, list[int]] = {}
    for position in range(len(index)):
        ones = [entry[position if len(entry) > 1 else 0] for entry in told]
        atoms = {(o.atom, o.holds) for o in ones if o is not None and o.decided is None}
        groups.setdefault(tuple(sorted(atoms)), []).append(position)
    return [
        (
            derived,
            [index[position] for position in some],
            [[e[p] for p in some] if len(e) > 1 else e for e in told],
        )
        for derived, some in groups.items()
    ]


def check_same_calls(plain: CompiledShape, shape: CompiledShape) -> None:
    """Raises a DataError when a circuit with evidence asks networks for more than the goal does."""
    for name, calls in shape.slots.items():
        extra = [call for call in calls if call not in plain.slots[name]]
        if extra:
            raise DataError(
                f"the evidence asks {name}({', '.join(extra[0])}), which the goal "
                f"'{plain.reasoner.goal.text}' does not",
                remedy="add what the evidence asks to the goal",
            )


def posterior(part: Part) -> dict[str, Tensor]:
    """Differentiates the chosen roots with respect to the inputs under the evidence."""
    reasoner = part.shape.reasoner
    answers = cast(Tensor, part.answers)
    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in part.inputs]
        roots, _ = part.roots(inputs)
        picked = roots.gather(0, answers.unsqueeze(0)).sum()
        flows = torch.autograd.grad(picked, inputs) if picked.requires_grad else inputs
    found, position = {}, 0
    for name, calls in reasoner.slots.items():
        if not calls:
            continue
        flow = flows[position].view(-1, len(calls), reasoner.sizes[name])
        prior = inputs[position].detach().view_as(flow).exp()
        # A circuit leaves out what an answer does not depend on: there symbols keep their own
        # probabilities. Choices that read one output are averaged.
        counts = flow.new_tensor(count_calls(reasoner, name)).view(1, -1, 1)
        rest = counts - flow.sum(-1, keepdim=True)
        rest = torch.where(rest > _ROUNDING * torch.finfo(rest.dtype).eps, rest, 0.0)
        found[name] = ((flow + rest * prior) / counts).log().expand(part.batch, -1, -1)
        position += 1
    return found


def entropy(roots: Tensor) -> Tensor:
    """Returns ``(b,)`` entropies of ``(R, b)`` log-probabilities, safe at minus infinity."""
    possible = (roots > -torch.inf).any(0)
    shares = torch.log_softmax(roots.clamp_min(torch.finfo(roots.dtype).min), 0)
    shares = shares.masked_fill(roots == -torch.inf, -torch.inf)
    terms = shares.exp() * shares.masked_fill(shares == -torch.inf, 0.0)
    return torch.where(possible, -terms.sum(0), 0.0)


def join(parts: Sequence[Part], found: Sequence[Tensor]) -> Tensor:
    """Puts the results of all parts back into the order of the batch."""
    if len(parts) == 1:
        return found[0]
    if not parts:  # a batch of no example, over lists of no length
        return torch.zeros(0)
    index = torch.cat([cast(Tensor, part.index) for part in parts])
    return torch.cat(list(found))[index.argsort()]


def join_symbols(
    parts: Sequence[Part], found: Sequence[Mapping[str, Tensor]], fill: float
) -> dict[str, Tensor]:
    """Joins slots of all parts; shorter shapes are filled up."""
    names = dict.fromkeys(name for one in found for name in one)
    joined = {}
    for name in names:
        tensors = [one[name] for one in found if name in one]
        axis = -2 if tensors[0].is_floating_point() else -1
        most = max(tensor.shape[axis] for tensor in tensors)
        filled = [_filled(tensor, axis, most, fill) for tensor in tensors]
        joined[name] = join(parts, filled)
    return joined


def _filled(tensor: Tensor, axis: int, size: int, fill: float) -> Tensor:
    """Lengthens an axis."""
    missing = size - tensor.shape[axis]
    if not missing:
        return tensor
    shape = list(tensor.shape)
    shape[axis] = missing
    return torch.cat([tensor, tensor.new_full(shape, fill)], axis)
