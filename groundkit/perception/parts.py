"""Many inputs read a part at a time, in the memory of one part and of the results."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

INPUTS = 1000
VALUES = 1 << 24
"""A part has at most so many inputs, and so many values unless a single input has more."""


def in_parts(
    read: Callable[[Tensor], Tensor], inputs: Tensor, device: torch.device | None = None
) -> Tensor:
    """Reads inputs in parts that fit into memory.

    Results are written into one tensor from the start. Kept one by one, each would lie in the gap
    that its part has left, the next part would need memory of its own, and reading a set would
    take as much memory as all of it.

    Args:
        read: Inputs ``(B, ...)`` to results ``(B, ...)``, a row for each.
        inputs: ``(N, ...)``, which may lie on disk.
        device: Where a part is moved to before it is read.

    Returns:
        Results ``(N, ...)``.

    Example:
        >>> in_parts(lambda part: part.sum(1), torch.ones(3, 2))
        tensor([2., 2., 2.])
    """
    each = inputs.shape[1:].numel()
    parts = torch.split(inputs, max(1, min(INPUTS, VALUES // max(1, each))))
    first = read(_moved(parts[0], device))
    if len(parts) == 1:
        return first
    found = first.new_empty((len(inputs), *first.shape[1:]))
    found[: len(first)] = first
    done = len(first)
    for part in parts[1:]:
        found[done : done + len(part)] = read(_moved(part, device))
        done += len(part)
    return found


def _moved(part: Tensor, device: torch.device | None) -> Tensor:
    return part if device is None else part.to(device)
