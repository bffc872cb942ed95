"""What an encoded ground program and its circuit look like, value by value.

A checksum tells damage, not sense: an entry may be whole and still hold a text where a number
belongs. Containers may be lists or tuples, for JSON knows only lists. The checks are plain
functions, for a small program is answered before a library of schemas would be loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

_Check: TypeAlias = Callable[[Any], None]

_WIDE = 1 << 63
_LARGEST = sys.float_info.max


class _UnfitError(Exception):
    """A value is not what belongs at its place.

    Args:
        expected: What belongs there.
    """

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.path: list[str] = []


def _text(value: Any) -> None:
    if type(value) is not str:
        raise _UnfitError("a text")


def _one_of(*texts: str) -> _Check:
    """Makes the check of a text that is one of a few."""

    def check(value: Any) -> None:
        if type(value) is not str or value not in texts:
            raise _UnfitError(" or ".join(texts))

    return check


def _integer(low: int | None = -_WIDE, high: int | None = _WIDE) -> _Check:
    """Makes the check of a whole number from ``low`` up to and without ``high``.

    A text is no number, and a truth value is none either.
    """

    def check(value: Any) -> None:
        if type(value) is not int:
            raise _UnfitError("a whole number")
        if (low is not None and value < low) or (high is not None and value >= high):
            raise _UnfitError("a number of no more than 64 bits, or not below 0")

    return check


def _real(value: Any) -> None:
    if type(value) not in (int, float) or not -_LARGEST <= value <= _LARGEST:
        raise _UnfitError("a finite number")


def _many(item: _Check) -> _Check:
    """Makes the check of a sequence of any length."""

    def check(value: Any) -> None:
        _sequence(value)
        _each(enumerate(value), lambda _: item)

    return check


def _row(*items: _Check) -> _Check:
    """Makes the check of a sequence with a check for every place."""

    def check(value: Any) -> None:
        _sequence(value)
        if len(value) != len(items):
            raise _UnfitError(f"{len(items)} values")
        _each(enumerate(value), items.__getitem__)

    return check


def _sequence(value: Any) -> None:
    if not isinstance(value, list | tuple):
        raise _UnfitError("a list")


def _table(item: _Check) -> _Check:
    """Makes the check of a table from texts to anything."""

    def check(value: Any) -> None:
        _keys(value)
        _each(value.items(), lambda _: item)

    return check


def _record(needed: Mapping[str, _Check], more: Mapping[str, _Check]) -> _Check:
    """Makes the check of a table with known keys, of which some may be absent."""
    known = {**needed, **more}

    def check(value: Any) -> None:
        _keys(value)
        missing = [key for key in needed if key not in value]
        strange = [key for key in value if key not in known]
        if missing or strange:
            raise _UnfitError(f"the keys {', '.join(known)}")
        _each(value.items(), known.__getitem__)

    return check


def _keys(value: Any) -> None:
    if not isinstance(value, dict) or not all(type(key) is str for key in value):
        raise _UnfitError("a table")


def _each(items: Iterable[tuple[Any, Any]], check_of: Callable[[Any], _Check]) -> None:
    """Checks all items; an error learns where it happened."""
    key: Any = None
    try:
        for key, value in items:
            check_of(key)(value)
    except _UnfitError as error:
        error.path.insert(0, str(key))
        raise


_NUMBER, _NATURAL, _ANY_INTEGER = _integer(), _integer(low=0), _integer(None, None)
_NUMBERS, _TEXTS = _many(_NUMBER), _many(_text)

_SOURCES: dict[str, _Check] = {
    "NeuralSource": _record({"network": _text, "slot": _NUMBER}, {}),
    "FixedSource": _record({"probabilities": _many(_real)}, {}),
    "LearnedSource": _record({"group": _NATURAL}, {"keys": _TEXTS}),
}


def _choice(value: Any) -> None:
    """Checks a random variable, whose source has fields of its kind."""
    _row(_text, _TEXTS, _one_of(*_SOURCES), lambda fields: None)(value)
    _each([(3, value[3])], lambda _: _SOURCES[value[2]])


_ENTRY = _record(
    {
        "choices": _many(_choice),
        "nodes": _many(_row(_one_of("true", "leaf", "and", "or"), _NUMBERS, _NUMBER, _ANY_INTEGER)),
        "slots": _table(_many(_TEXTS)),
        "observed": _TEXTS,
        "answers": _many(_TEXTS),
        "roots": _NUMBERS,
        "evidence": _NUMBER,
        "evidence_parts": _many(_row(_text, _NUMBER)),
        "seconds": _real,
        "circuit": _record(dict.fromkeys(("kinds", "offsets", "items", "roots"), _NUMBERS), {}),
        "compiled": _row(_text, _text, _real),
    },
    {"shared": _TEXTS},
)


def check_entry(data: Any) -> None:
    """Checks the type of every value of an entry.

    Raises:
        ValueError: One is of another type, is missing or is not known.
    """
    try:
        _ENTRY(data)
    except _UnfitError as error:
        place = ".".join(error.path) or "the entry"
        raise ValueError(
            f"not a ground program and its circuit: {place}: expected {error}"
        ) from None
