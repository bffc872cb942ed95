"""The log-probabilities that a layer is given: their checks, and the rows that a circuit reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import DataError, NetworkError, choose_from
from groundkit.layer.shapes import CompiledShape
from groundkit.program.source import Program

LogProbs = Mapping[str, Tensor | Sequence[Tensor]]
"""For every network ``(B, S, K)`` log-probabilities, or ``B`` tensors ``(S, K)``."""

_NORMALISED = {torch.float64: 1e-3, torch.float32: 1e-3}
_NORMALISED_HALF = 0.05


def as_batch(
    program: Program, log_probs: LogProbs, *, check: bool
) -> tuple[dict[str, Tensor], int | None]:
    """Makes one tensor a network, in single precision at least.

    Rows of half precision sum to 1 only roughly, and are normalised again.

    Args:
        program: The program.
        log_probs: What was given.
        check: Whether the numbers are looked at: that waits for the device, so it is done once.

    Returns:
        The tensors, and the number of examples, ``None`` without a tensor.

    Raises:
        NetworkError: A network is unknown, or its tensor is not what is expected.
    """
    if not isinstance(log_probs, Mapping):
        raise NetworkError(
            f"the log-probabilities are a {type(log_probs).__name__}",
            expected="a mapping from every network to its log-probabilities (batch, calls, values)",
            remedy=f'pass {{"{next(iter(program.networks), "net")}": log_probs}}',
        )
    rows: dict[str, Tensor] = {}
    for name, given in log_probs.items():
        predicate = program.networks.get(name)
        if predicate is None:
            raise NetworkError(
                f"the program has no network '{name}'", remedy=choose_from(name, program.networks)
            )
        size = len(predicate.domain)
        tensor = _tensor(name, given, size)
        if tensor.dim() != 3 or tensor.shape[2] != size or not tensor.is_floating_point():
            raise NetworkError(
                f"the outputs of network '{name}' have shape {tuple(tensor.shape)} and type "
                f"{tensor.dtype}",
                expected=f"(batch, calls, {size}) log-probabilities, one a value of its domain "
                f"[{', '.join(predicate.domain)}]",
                remedy="stack the log_softmax of each call's logits along axis 1",
                at=predicate.location,
            )
        if check and isinstance(given, Tensor) and tensor.isnan().any():
            raise NetworkError(f"the outputs of network '{name}' contain NaN")
        if tensor.dtype not in _NORMALISED:
            tensor = tensor.float()
            tensor = tensor - tensor.logsumexp(-1, keepdim=True).clamp(
                -_NORMALISED_HALF, _NORMALISED_HALF
            )
        rows[name] = tensor
    sizes = {name: len(tensor) for name, tensor in rows.items()}
    if len(set(sizes.values())) > 1:
        raise NetworkError(
            f"the networks give different numbers of examples: {sizes}",
            expected="one batch size for all networks",
        )
    return rows, next(iter(sizes.values()), None)


def _tensor(name: str, given: Any, size: int) -> Tensor:
    """Makes one tensor of what a network gave: a tensor, an array, or a list of these."""
    if isinstance(given, Tensor):
        return given
    if isinstance(given, np.ndarray):
        return torch.as_tensor(given)
    tensors = list(given) if isinstance(given, Sequence) else [given]
    if not tensors or not all(isinstance(one, Tensor) and one.dim() == 2 for one in tensors):
        raise NetworkError(
            f"the outputs of network '{name}' are a {type(given).__name__}",
            expected=f"a tensor (batch, calls, {size}), or a list of tensors (calls, {size})",
            remedy="stack the log_softmax of each call's logits along axis 1",
        )
    return pad_sequence(tensors, True)


def check_rows(
    shape: CompiledShape,
    rows: Mapping[str, Tensor],
    given: Collection[str],
    *,
    exact: bool,
    index: Sequence[int] | None,
) -> None:
    """Checks that there is a row for every call of a circuit.

    Args:
        shape: The circuit.
        rows: Tensors of :func:`as_batch`.
        given: Names of variables with observed symbols.
        exact: Whether there may be no rows beyond the calls.
        index: Positions of the examples whose numbers are looked at; ``None`` for none of them.

    Raises:
        NetworkError: A network is missing, has a wrong number of calls, or its rows are not
            normalised.
    """
    reasoner = shape.reasoner
    for name, calls in shape.slots.items():
        if name not in rows:
            if all(len(call) == 1 and call[0] in given for call in calls):
                continue
            raise NetworkError(
                f"no outputs of network '{name}' were given",
                expected=f"its log-probabilities of {_listed(calls)}",
                remedy=f'pass {{"{name}": log_probs}}',
                at=reasoner.program.networks[name].location,
            )
        found = rows[name].shape[1]
        if found < len(calls) or (exact and found > len(calls)):
            raise NetworkError(
                f"network '{name}' is given {found} calls an example",
                expected=f"{len(calls)}, in this order: {_listed(calls)}",
                remedy="stack the log-probabilities of these calls along axis 1",
                at=reasoner.program.networks[name].location,
            )
        if index is not None:
            _check_normalised(reasoner, name, rows[name][list(index), : len(calls)].detach())


def choose_rows(
    shape: CompiledShape,
    rows: Mapping[str, Tensor],
    positions: Tensor | None,
    sure: Mapping[str, Sequence[Sequence[str]]],
) -> dict[str, Tensor]:
    """Picks some examples and the rows of a circuit's calls.

    Args:
        shape: The circuit.
        rows: Tensors of :func:`as_batch`.
        positions: The examples' positions; ``None`` for all.
        sure: Networks that are not given -> the observed symbols that their calls read.
    """
    like = next(iter(rows.values()), torch.zeros(0))
    found = {}
    reasoner = shape.reasoner
    for name, calls in reasoner.slots.items():
        if name not in rows:
            found[name] = _sure(reasoner, name, sure[name], like)
            continue
        tensor = rows[name]
        if name in shape.order:
            tensor = tensor[:, torch.tensor(shape.order[name], device=tensor.device)]
        elif tensor.shape[1] > len(calls):
            tensor = tensor[:, : len(calls)]
        found[name] = tensor if positions is None else tensor.index_select(0, positions)
    return found


def _sure(reasoner: Reasoner, name: str, symbols: Sequence[Sequence[str]], like: Tensor) -> Tensor:
    """Returns ``(B, S, K)`` rows of a network that reads symbols."""
    domain = reasoner.program.networks[name].domain
    place = {symbol: position for position, symbol in enumerate(domain)}
    for symbol in (one for row in symbols for one in row):
        if symbol not in place:
            raise DataError(
                f"'{symbol}' is not in the domain of network '{name}'",
                remedy=choose_from(symbol, domain),
                at=reasoner.program.networks[name].location,
            )
    calls = len(reasoner.slots[name])
    found = torch.tensor([place[symbol] for row in symbols for symbol in row], dtype=torch.long)
    hot = torch.nn.functional.one_hot(found.view(len(symbols), calls), len(domain))
    return hot.to(like).log()


def _check_normalised(reasoner: Reasoner, name: str, tensor: Tensor) -> None:
    """Tells logits and probabilities from log-probabilities."""
    sums = torch.logsumexp(tensor, -1)
    if sums.isnan().any():
        raise NetworkError(f"the outputs of network '{name}' contain NaN")
    if tensor.numel() and float(sums.abs().max()) > _NORMALISED.get(tensor.dtype, 1e-3):
        worst = float(sums.flatten()[sums.abs().argmax()].exp())
        raise NetworkError(
            f"the outputs of network '{name}' are not log-probabilities: their exponentials sum "
            f"to {worst:g}, not to 1",
            remedy="apply log_softmax over the last axis to the logits",
            at=reasoner.program.networks[name].location,
        )


def _listed(calls: Sequence[Sequence[str]]) -> str:
    """Prints the inputs of some calls."""
    return ", ".join(f"({', '.join(call)})" for call in calls) or "no call"
