"""Small tools over ProbLog's terms: printing, walking, and places in the text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from problog.logic import Term

from groundkit.errors import Location


def text_of(term: Any) -> str:
    """Prints a term as a user writes it in data: without the quotes of a quoted atom."""
    text = str(term).strip()
    for quote in ("'", '"'):
        if len(text) >= 2 and text[0] == text[-1] == quote:
            return text[1:-1]
    return text


def walk(term: Any) -> Iterator[Term]:
    """Yields a term and all terms inside it, probabilities and clause parts included."""
    stack = [term]
    while stack:
        current = stack.pop()
        if not isinstance(current, Term):
            continue
        yield current
        stack.extend(current.args)
        if current.probability is not None:
            stack.append(current.probability)


class Places:
    """Turns character positions of a text into lines and columns.

    Args:
        text: The program's text.
        file: Where it was read, for messages.
    """

    def __init__(self, text: str, file: Path | None) -> None:
        self._file = file
        self._starts = [0]
        for index, character in enumerate(text):
            if character == "\n":
                self._starts.append(index + 1)

    def at(self, position: int | None) -> Location:
        """Returns the location of the character at ``position`` (from 0)."""
        if position is None:
            return Location(self._file)
        line = bisect_right(self._starts, position)
        return Location(self._file, line, position - self._starts[line - 1] + 1)

    def of(self, term: Any) -> Location:
        """Returns where a parsed statement or term begins."""
        positions = []
        for inner in walk(term):
            location = inner.location
            if isinstance(location, tuple) and location[0] == 0 and location[1] is not None:
                positions.append(int(location[1]))
        return self.at(min(positions) if positions else None)
