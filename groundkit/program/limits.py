"""Limits of time and memory for work that a user's program may make endless."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

RAISE_SECONDS = "raise --limit-seconds (limit_seconds under [reasoning] in the spec)"
RAISE_MEMORY = "raise --limit-memory (limit_memory under [reasoning] in the spec)"
"""How a user raises a limit, for remedies."""

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_LEAST_MEMORY = 256 << 20


Mode = Literal["exact", "auto", "bounds", "sample"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What grounding and compiling one query shape may take.

    Attributes:
        seconds: Wall-clock time; ``None`` for no limit.
        memory: Address space of the child process in bytes; ``None`` for no limit.
        mode: What happens where an exact circuit does not fit: ``exact`` raises, ``bounds`` and
            ``sample`` do not even try one, ``auto`` tries one after the other.
    """

    seconds: float | None = 600.0
    memory: int | None = 4 << 30
    mode: Mode = "exact"


class OutOfTimeError(Exception):
    """Raised by the clock of a process with limits, wherever it happens to be."""


def memory_bytes(text: str) -> int:
    """Reads an amount of memory such as ``4GB``, ``512MB`` or ``1.5GiB``; a unit is 1,024 smaller.

    Raises:
        ValueError: It is no such amount, or too little for Python itself.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"'{text}' is no amount of memory, such as 4GB or 512MB")
    found = float(match[1]) * (1 << _UNITS[match[2].upper()])
    if not _LEAST_MEMORY <= found < 1 << 60:
        raise ValueError(f"'{text}' is less than 256MB, which Python itself needs, or too much")
    return int(found)
