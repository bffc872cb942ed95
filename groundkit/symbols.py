"""From a symbol as a user writes it in a table, a spec or a question to the value it means.

A value is a ProbLog term, printed so that it reads back: ``'A'``, ``"yes"``, ``1``, ``'1'``. Data
are written more loosely: without quotes, ``07`` or ``7.0`` for ``7``, ``[1,2]`` for ``[1, 2]``.
What is written exactly like a value means that value; otherwise it means the one value that
differs in such things only. Where there are several, the user has to say which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from groundkit.errors import DataError, Location, choose_from

_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"
_PIECES = re.compile(
    rf"'(?P<atom>(?:[^'\\]|\\.)*)'|\"(?P<string>(?:[^\"\\]|\\.)*)\"|(?<!\w)(?P<number>{_NUMBER})"
    r"(?![\w.])|(?P<space>\s+)"
)
_COMPOUND = re.compile(r"\[|[a-z]\w*\(", re.ASCII)


def plain(text: str) -> str:
    """Makes texts comparable that a user means alike."""
    text = text.strip()
    if _COMPOUND.match(text):
        return _PIECES.sub(_piece, text)
    whole = _PIECES.fullmatch(text)
    return _piece(whole) if whole is not None else text


def _piece(found: re.Match[str]) -> str:
    """Takes off quotes and space, and writes a number in one way."""
    if found["number"] is not None:
        return _number(found["number"])
    if found["space"] is not None:
        return ""
    inner = found["atom"] if found["atom"] is not None else found["string"]
    return _number(inner) if re.fullmatch(_NUMBER, inner) else inner


def _number(text: str) -> str:
    value = Decimal(text)
    whole = value == value.to_integral_value()
    return f"{value:.0f}" if whole else f"{value.normalize():f}"


class Values:
    """Some values, or rows of values, to be found by what a user writes.

    Args:
        values: The values as printed; every one a text, or all of them tuples of texts.
    """

    def __init__(self, values: Iterable[str] | Iterable[tuple[str, ...]]) -> None:
        self.rows = [(value,) if isinstance(value, str) else tuple(value) for value in values]
        self._exact = {row: index for index, row in enumerate(self.rows)}
        self._loose: dict[tuple[str, ...], list[int]] = {}
        for index, row in enumerate(self.rows):
            self._loose.setdefault(tuple(map(plain, row)), []).append(index)

    def find(self, *written: str) -> int | None:
        """Returns the position of the value that is meant, ``None`` when there is none.

        Raises:
            DataError: Several values differ from what is written in quotes and the like only.
        """
        key = tuple(text.strip() for text in written)
        found = self._exact.get(key)
        if found is not None:
            return found
        alike = self._loose.get(tuple(map(plain, key)), [])
        if len(alike) > 1:
            options = " or ".join(", ".join(self.rows[index]) for index in alike)
            raise DataError(
                f"'{', '.join(key)}' may mean {options}",
                remedy=f"write it with its quotes: {options}",
            )
        return alike[0] if alike else None

    def position(
        self, written: str, what: str, column: str | None = None, at: Location | None = None
    ) -> int:
        """Returns the position of the symbol that is meant.

        Args:
            written: What the user wrote.
            what: What it should be, for the message: ``symbol of network 'net'``.
            column: What holds it: ``X.truth``.
            at: Where it was written.

        Raises:
            DataError: No symbol is meant, or several may be.
        """
        try:
            found = self.find(written)
        except DataError as error:
            error.at = at
            raise
        if found is None:
            names = [", ".join(row) for row in self.rows]
            said = f"'{written}' is" if column is None else f"{column} is '{written}', which is"
            raise DataError(f"{said} no {what}", remedy=choose_from(written, names), at=at)
        return found
