"""What a hostile input must not do, and how that is seen."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from groundkit.errors import GroundkitError

SECONDS = 30.0
MEMORY_MB = 1_000
MARK = "mark"
"""File that hostile code would leave."""


@dataclass(frozen=True)
class Case:
    """One hostile input.

    Attributes:
        name: What it tries.
        attempt: Reads the input in an empty folder that it may prepare with :attr:`prepare`.
        error: The error that refuses it.
        words: What the message says.
        line: The line that the message names; ``None`` where there is none.
        prepare: Puts files into the folder.
    """

    name: str
    attempt: Callable[[Path], object]
    error: type[GroundkitError]
    words: str
    line: int | None = None
    prepare: Callable[[Path], object] = lambda folder: None


@contextmanager
def without_effect(folder: Path) -> Iterator[None]:
    """Checks that files, processes and the folder we are in stay as they were, within bounds."""
    before, here, started = snapshot(folder), Path.cwd(), time.monotonic()
    peak, others = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, set(children())
    yield
    assert snapshot(folder) == before, "files were written or changed"
    assert Path.cwd() == here
    assert set(children()) <= others, "a process is left"
    assert time.monotonic() - started < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown / 1024 < MEMORY_MB, f"{grown / 1024:.0f} MB more memory"


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of all files below a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


def children() -> list[str]:
    """Numbers of this process's children that are still there."""
    tasks = Path("/proc/self/task")
    return [
        child
        for task in (tasks.iterdir() if tasks.is_dir() else ())
        for child in (task / "children").read_text().split()
        if child != str(os.getpid())
    ]
