"""Words what ProbLog's parser cannot read, and what to write instead."""

from __future__ import annotations

import re

from problog.errors import ParseError

from groundkit.errors import ProgramError
from groundkit.program.terms import Places

_ANY = "every clause ends in a full stop; brackets and quotes come in pairs"
_IN_LINE = {
    re.compile(r":-\s*(dynamic|discontiguous|multifile|table|initialization)\b[^(.\n]"): (
        "remove the directive: ProbLog has none of this name and needs none"
    ),
    re.compile(r"'(?:[^'\\\n]|\\.)*''|\"(?:[^\"\\\n]|\\.)*\"\""): (
        "write a quote inside of quotes with a backslash: 'it\\'s'"
    ),
    re.compile(r"\d\s*\.\.\s*\d"): "write the values out, such as [0,1,2]: ProbLog has no ranges",
    re.compile(r"\b0'\S"): "write a character as an atom in quotes: 'a'",
}
_BY_MESSAGE = {
    "Unexpected clause head": (
        "begin the clause with an atom or a compound term, such as addition(X,Y,Z)"
    ),
    "Ambiguous token role": (
        "put an operator that is an argument into brackets of its own: f((a:-b))"
    ),
    "Unexpected character '{": "write a list [...] or a compound term: ProbLog has no {}",
    "Unmatched character '/*": "end the comment with */",
}


def unreadable(error: ParseError, text: str, places: Places) -> ProgramError:
    """Turns a complaint of ProbLog's parser into one with a place and a remedy.

    Args:
        error: What ProbLog raised.
        text: The program's text.
        places: Places in it.
    """
    _, line, column = error.location
    # ProbLog counts the columns of the first line from 0, those of all others from 1.
    column += line == 1
    start = places.start(line)
    position = start + column - 1
    end = text.find("\n", start)
    here = text[start : end if end >= 0 else len(text)]
    return ProgramError(
        f"syntax error: {error.base_message}",
        remedy=_remedy(str(error.base_message), here, text[position:]),
        at=places.at(position),
    )


def _remedy(message: str, line: str, rest: str) -> str:
    """Says what to write instead.

    Args:
        message: ProbLog's.
        line: The line of the place.
        rest: The text from there on.
    """
    for pattern, remedy in _IN_LINE.items():
        if pattern.search(line):
            return remedy
    for start, remedy in _BY_MESSAGE.items():
        if message.startswith(start):
            return remedy
    ended = message.startswith("Incomplete statement") and not rest.strip()
    return "end the last clause with a full stop" if ended else _ANY
