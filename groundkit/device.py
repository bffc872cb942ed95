"""The device that training and reading run on, and the processors beside it."""

from __future__ import annotations

import os

import torch

from groundkit.errors import SpecError


def choose_device(name: str) -> torch.device:
    """Picks the device: ``auto`` is CUDA where there is one.

    Raises:
        SpecError: The device is unknown or not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise SpecError(f"unknown device '{name}'", expected="auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise SpecError("there is no CUDA device on this machine", remedy="use --device cpu")
    if name == "cuda":  # torchrun numbers the processes of a machine: each has a device
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


def processors() -> int:
    """Returns how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
