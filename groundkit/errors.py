"""Errors that a user can act on: where it is, what was found, what was expected, what to do.

Every wrong input ends in an :class:`InputError`; every failure of a run that was started with
right input ends in a :class:`RunError`. The command line turns them into one message on stderr
and the exit codes 2 and 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a user's file; lines and columns count from 1."""

    file: str | Path | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [str(self.file) if self.file is not None else "<text>"]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)


class GroundkitError(Exception):
    """Base of all errors that groundkit raises on purpose.

    Args:
        found: What is wrong, as a sentence without a full stop.
        expected: What would have been right, if that helps.
        remedy: What the user can do about it.
        at: Where it was found.
    """

    exit_code = 1

    def __init__(
        self,
        found: str,
        *,
        expected: str | None = None,
        remedy: str | None = None,
        at: Location | None = None,
    ) -> None:
        self.found = found
        self.expected = expected
        self.remedy = remedy
        self.at = at
        super().__init__(found)

    def __str__(self) -> str:
        lines = [f"{self.at}: {self.found}" if self.at is not None else self.found]
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.remedy is not None:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


class InputError(GroundkitError):
    """Something the user wrote is wrong: a program, a spec, data or an argument."""

    exit_code = 2


class ProgramError(InputError):
    """The ``.pl`` program cannot be read, is not supported, or has no solution."""


class NoSolutionError(ProgramError):
    """Nothing makes the goal true, or nothing that is possible."""


class UnreadError(ProgramError):
    """No network reads what the goal is given as an input."""


class SpecError(InputError):
    """The ``.toml`` spec is wrong, or does not fit its program."""


class DataError(InputError):
    """A data set, an image or an example is missing or malformed."""


class NetworkError(InputError):
    """A network does not fit the neural predicate that uses it."""


class CheckpointError(InputError):
    """A run folder or checkpoint cannot be read."""


class RunError(GroundkitError):
    """A run that was started with right input failed."""


class StoppedError(RunError):
    """A run was asked to stop, and saved what it needs to go on."""


class LimitError(RunError):
    """Grounding, compilation or sampling went past its limit of time or memory."""


@contextmanager
def located(place: Callable[[], Location | None]) -> Iterator[None]:
    """Gives an error that does not know where it belongs a place; asked for only then."""
    try:
        yield
    except GroundkitError as error:
        error.at = error.at or place()
        raise


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Returns the valid name most like ``name``, or ``None`` when nothing is alike."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return matches[0] if matches else None


def choose_from(name: str, valid: Iterable[str]) -> str:
    """Words a remedy for an unknown name: the nearest valid one first, then all of them."""
    names = sorted(valid)
    listing = ", ".join(names) if names else "(none)"
    close = nearest(name, names)
    return f"did you mean '{close}'? valid: {listing}" if close else f"valid: {listing}"
