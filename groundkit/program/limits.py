"""Limits of time and memory for work that a user's program may make endless."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What grounding and compiling one query shape may take.

    Attributes:
        seconds: Wall-clock time; ``None`` for no limit.
        memory: Address space of the child process in bytes; ``None`` for no limit.
    """

    seconds: float | None = 600.0
    memory: int | None = 4 << 30


class OutOfTimeError(Exception):
    """Raised by the clock of a process with limits, wherever it happens to be."""
