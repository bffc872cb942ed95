"""What networks read: the inputs of a batch, gathered so that each network runs once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundkit.errors import DataError, NetworkError
from groundkit.layer.shapes import Lengths, elements
from groundkit.program.goal import Goal
from groundkit.program.neural import NeuralPredicate

Slots = Mapping[str, Sequence[Sequence[str]]]


@dataclass
class Inputs:
    """The inputs of one batch.

    Attributes:
        batch: Number of examples B.
        blocks: Tensors ``(n, ...)`` of inputs.
        places: Variables and elements of lists -> their block and ``(B,)`` rows in it; -1 where
            an example's list is shorter.
        lengths: Lists -> ``B`` lengths.
    """

    batch: int
    blocks: list[Tensor] = field(default_factory=list)
    places: dict[str, tuple[int, Tensor]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)

    def by_lengths(self) -> dict[Lengths, list[int]]:
        """Groups the examples by the lengths of their lists."""
        groups: dict[Lengths, list[int]] = {}
        for example in range(self.batch):
            key = tuple((name, counts[example]) for name, counts in sorted(self.lengths.items()))
            groups.setdefault(key, []).append(example)
        return groups


def is_input(value: Any) -> bool:
    """Tells what networks read from observed values: a batch of arrays, or lists of arrays."""
    if isinstance(value, Tensor | np.ndarray):
        return value.ndim > 1
    return is_list_of_inputs(value)


def is_list_of_inputs(value: Any) -> bool:
    """Tells whether every example has several inputs: a list of stacks, or of lists of arrays."""
    if isinstance(value, Tensor | np.ndarray) or not isinstance(value, Sequence):
        return False
    first = next((one for one in value if not isinstance(one, Sequence) or len(one)), None)
    if isinstance(first, Sequence) and not isinstance(first, str):
        first = first[0]
        return isinstance(first, Tensor | np.ndarray) and first.ndim > 0
    return isinstance(first, Tensor | np.ndarray) and first.ndim > 1


def gather_inputs(goal: Goal, given: Mapping[str, Any], lists: Sequence[str]) -> Inputs:
    """Arranges the inputs of a batch.

    Args:
        goal: The goal.
        given: Variables -> ``(B, ...)`` tensors; for lists ``B`` stacks ``(L, ...)`` or lists.
        lists: Names of the variables that are lists.

    Raises:
        DataError: The variables have different numbers of examples.
    """
    sizes = {name: _count(name, value) for name, value in given.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(
            f"the inputs have different numbers of examples: {sizes}",
            remedy="give one input, or one list of inputs, an example",
        )
    found = Inputs(next(iter(sizes.values()), 0))
    known: dict[int, int] = {}
    for name, value in given.items():
        if name in lists:
            _add_list(found, goal, name, value)
            continue
        if id(value) not in known:
            known[id(value)] = len(found.blocks)
            found.blocks.append(_batch(name, value))
        found.places[name] = (known[id(value)], torch.arange(found.batch))
    return found


def _count(name: str, value: Any) -> int:
    """Number of examples that a variable is given for."""
    if isinstance(value, str) or not hasattr(value, "__len__"):
        raise DataError(
            f"the inputs {name} are {value!r:.60}",
            expected="a tensor (batch, ...); for lists of inputs a list with an entry an example",
            remedy=f"read the files, and pass {name}=torch.stack(images)",
        )
    return len(value)


def _batch(name: str, value: Any) -> Tensor:
    """Makes a tensor of what is given for one variable."""
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"the inputs {name} are no batch of arrays: {error}",
            expected="a tensor (batch, ...)",
            remedy=f"read the files, and pass {name}=torch.stack(images)",
        ) from None


def _add_list(found: Inputs, goal: Goal, name: str, value: Sequence[Any]) -> None:
    """Adds the items of a list variable as one block; an item that occurs twice has one row."""
    rows: dict[int, int] = {}
    items: list[Tensor] = []
    table: list[list[int]] = []
    for example in value:
        row = []
        for item in example if isinstance(example, Sequence) else [*_batch(name, example)]:
            if id(item) not in rows or not isinstance(example, Sequence):
                rows[id(item)] = len(items)
                items.append(_batch(name, item))
            row.append(rows[id(item)])
        table.append(row)
    counts = [len(row) for row in table]
    found.lengths[name] = counts
    for place, element in enumerate(elements(goal, name, max(counts, default=0))):
        column = [row[place] if place < len(row) else -1 for row in table]
        found.places[element] = (len(found.blocks), torch.tensor(column))
    shapes = list(dict.fromkeys(tuple(item.shape) for item in items))
    if len(shapes) > 1:
        raise DataError(
            f"the inputs {name} have the shapes {', '.join(map(str, shapes[:3]))}",
            expected="one shape",
            remedy="bring the inputs of one network to one shape",
        )
    if items:
        found.blocks.append(torch.stack(items))


def run_network(
    module: nn.Module,
    predicate: NeuralPredicate,
    groups: Sequence[tuple[Slots, Sequence[int]]],
    inputs: Inputs,
    *,
    check: bool,
) -> Tensor:
    """Runs a network once on all distinct inputs of a batch.

    Args:
        module: The user's network: a batch of each input to logits.
        predicate: The neural predicate that uses it.
        groups: The calls of every shape with the examples that have it.
        inputs: The inputs.
        check: Whether the numbers are looked at.

    Returns:
        ``(B, S, K)`` log-probabilities of its calls; rows beyond an example's calls repeat one.

    Raises:
        NetworkError: Its outputs are not logits of the domain.
    """
    name = predicate.network
    most = max(len(slots[name]) for slots, _ in groups)
    if not inputs.batch:
        return torch.zeros(0, most, len(predicate.domain))
    width = max(len(call) for slots, _ in groups for call in slots[name])
    stores = [_store(predicate, groups, inputs, position) for position in range(width)]
    ids = torch.zeros(inputs.batch, most, width, dtype=torch.long)
    real = torch.zeros(inputs.batch, most, dtype=torch.bool)
    for slots, examples in groups:
        index = torch.tensor(examples)
        for slot, call in enumerate(slots[name]):
            real[index, slot] = True
            for position, variable in enumerate(call):
                block, rows = inputs.places[variable]
                ids[index, slot, position] = stores[position][1][block] + rows[index]
    wanted, inverse = torch.unique(ids[real], dim=0, return_inverse=True)
    arguments = []
    for position, (store, _) in enumerate(stores):
        column = wanted[:, position]
        whole = len(column) == len(store) and torch.equal(column, torch.arange(len(store)))
        arguments.append(store if whole else store[column.to(store.device)])
    try:
        out = module(*arguments)
    except Exception as error:
        shapes = ", ".join(str(tuple(argument.shape)) for argument in arguments)
        error.add_note(f"network '{name}' of the program was given a batch of shape {shapes}")
        raise
    rows = to_log_probs(out, predicate, len(wanted), check=check)
    place = torch.zeros(inputs.batch, most, dtype=torch.long)
    place[real] = inverse
    flat = rows.index_select(0, place.flatten().to(rows.device))
    return flat.view(inputs.batch, most, -1)


def _store(
    predicate: NeuralPredicate,
    groups: Sequence[tuple[Slots, Sequence[int]]],
    inputs: Inputs,
    position: int,
) -> tuple[Tensor, dict[int, int]]:
    """Joins the blocks that a network reads at one position; returns where each begins."""
    starts: dict[int, int] = {}
    used: list[Tensor] = []
    total = 0
    for slots, _ in groups:
        for call in slots[predicate.network]:
            block = inputs.places[call[position]][0]
            if block not in starts:
                starts[block] = total
                used.append(inputs.blocks[block])
                total += len(used[-1])
    shapes = {tuple(tensor.shape[1:]) for tensor in used}
    if len(shapes) > 1:
        raise NetworkError(
            f"network '{predicate.network}' is to read inputs of different shapes: "
            f"{', '.join(map(str, sorted(shapes)))}",
            remedy="bring the inputs of one network to one shape",
            at=predicate.location,
        )
    return (used[0] if len(used) == 1 else torch.cat(used)), starts


def to_log_probs(out: Any, predicate: NeuralPredicate, count: int, *, check: bool) -> Tensor:
    """Turns a network's outputs into ``(N, K)`` log-probabilities.

    Args:
        out: ``(N, K)`` logits; for nn/2 ``(N,)`` or ``(N, 1)`` logits of true.
        predicate: The neural predicate.
        count: Number of inputs N.
        check: Whether the numbers are looked at.

    Raises:
        NetworkError: The outputs have a wrong type or shape, or are probabilities.
    """
    name, size = predicate.network, len(predicate.domain)
    binary = predicate.kind == "bernoulli"
    shapes = [(count, size), *([(count,), (count, 1)] if binary else [])]
    if not isinstance(out, Tensor) or tuple(out.shape) not in shapes:
        what = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        wanted = "one logit, of true" if binary else f"{size} logits, one a value of its domain"
        raise NetworkError(
            f"network '{name}' gives {what} for {count} inputs",
            expected=f"{shapes[-1]}: {wanted}",
            remedy="change the last layer of the network"
            + ("" if binary else f", or the domain [{', '.join(predicate.domain)}]"),
            at=predicate.location,
        )
    out = out if out.dtype == torch.float64 else out.float()
    if binary and out.shape != (count, size):
        logits = out.reshape(count)
        signs = torch.stack([logits, -logits], 1)
        return torch.nn.functional.logsigmoid(signs)
    if check and count:
        _check_logits(out.detach(), predicate)
    return torch.log_softmax(out, 1)


def _check_logits(out: Tensor, predicate: NeuralPredicate) -> None:
    """Tells probabilities from logits: they would be squashed a second time."""
    if out.isnan().any():
        raise NetworkError(f"the outputs of network '{predicate.network}' contain NaN")
    if _are_distributions(out):
        raise NetworkError(
            f"network '{predicate.network}' gives probabilities",
            expected="logits, or log-probabilities",
            remedy="leave out the softmax at its end",
            at=predicate.location,
        )


def _are_distributions(out: Tensor) -> bool:
    """Tells whether all rows are probabilities of several values."""
    return bool(out.shape[1] > 1 and (out >= 0).all() and (out.sum(1) - 1).abs().max() < 1e-4)
