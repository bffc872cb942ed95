"""Tensors on their way between host and device, for which neither waits."""

from __future__ import annotations

import torch
from torch import Tensor


def send(values: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor of the host to a device, which makes the copy when it comes to it."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


class Readback:
    """A copy of a tensor on the CPU, which the device makes when it comes to it.

    A tensor read at once would make the host wait for all work that is queued; read a step later,
    the copy is there already.

    Args:
        values: The tensor.
    """

    def __init__(self, values: Tensor) -> None:
        # Copied before the caller can write to it; on a GPU the destination is pinned memory.
        self._host = values.detach().to("cpu", non_blocking=True, copy=True)
        self._done: torch.cuda.Event | None = None
        if values.is_cuda:
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._done.record()

    def read(self) -> Tensor:
        """The tensor, waited for if need be."""
        if self._done is not None:
            self._done.synchronize()
        return self._host
