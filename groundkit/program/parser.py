"""ProbLog's parser, with a bound on what it takes in at once.

Its time grows with the square of a statement's length: a goal of 20,000 negation signs would hold
the terminal for a minute before anything could look at it.
"""

from __future__ import annotations

from typing import Any

from problog.errors import ProbLogError
from problog.parser import ParseError
from problog.program import DefaultPrologFactory, DefaultPrologParser, PrologString

MOST_TOKENS = 5_000
"""Tokens of one statement; it takes about two seconds."""

_ODD = (ValueError, LookupError, AttributeError, TypeError, AssertionError)
"""What ProbLog's parser raises, beside its own errors and bare exceptions, at odd terms."""


class _Parser(DefaultPrologParser):  # type: ignore[misc]
    """ProbLog's parser, which refuses statements that would take too long."""

    def _parse_statement(self, string: str, tokens: list[Any]) -> Any:
        if len(tokens) > MOST_TOKENS:
            message = (
                f"a statement of {len(tokens)} names and signs, at most {MOST_TOKENS} are read"
            )
            raise ParseError(string, message, tokens[0].location)
        return super()._parse_statement(string, tokens)


def parse_statements(text: str) -> list[Any]:
    """Parses a text into ProbLog's terms, one a statement.

    Raises:
        ProbLogError: ProbLog cannot read it, or a statement is too long.
    """
    try:
        return list(PrologString(text, parser=_Parser(DefaultPrologFactory())))
    except Exception as error:
        if isinstance(error, _ODD) or type(error) is Exception:
            raise ProbLogError(f"{type(error).__name__}: {error}") from None
        raise
