"""ProbLog's parser, with a bound on what it takes in at once.

Its time grows with the square of the operators that stand side by side: a goal of 20,000 negation
signs would hold the terminal for a minute before anything could look at it. Lists and arguments
cost what they are long, so a domain may have thousands of symbols.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from problog.errors import ProbLogError
from problog.parser import ParseError
from problog.program import DefaultPrologFactory, DefaultPrologParser, PrologString

MOST_STEPS = 12_500_000
"""Steps of putting one statement's operators in order; they take about two seconds."""

_DEEPEST = 50_000
"""Python's recursion limit while terms are read: a right-leaning disjunction is as deep as long."""

_ODD = (ValueError, LookupError, AttributeError, TypeError, AssertionError)
"""What ProbLog's parser raises, beside its own errors and bare exceptions, at odd terms."""


class _Parser(DefaultPrologParser):  # type: ignore[misc]
    """ProbLog's parser, which refuses statements that would take too long."""

    steps = 0

    def _parse_statement(self, string: str, tokens: list[Any]) -> Any:
        self.steps = 0
        return super()._parse_statement(string, tokens)

    def fold(
        self, string: str, operators: list[Any], lo: int, hi: int, *args: Any, **kwargs: Any
    ) -> Any:
        """Puts operators in order, counting what it costs."""
        self.steps += max(hi - lo, 0)
        if self.steps > MOST_STEPS:
            message = "a statement of too many operators side by side; split it into several"
            raise ParseError(string, message, operators[lo].location)
        return super().fold(string, operators, lo, hi, *args, **kwargs)


@contextmanager
def deep_terms() -> Iterator[None]:
    """Lets Python recurse as deep as long statements are nested."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def parse_statements(text: str) -> list[Any]:
    """Parses a text into ProbLog's terms, one a statement.

    Raises:
        ProbLogError: ProbLog cannot read it, or a statement is too long.
    """
    try:
        with deep_terms():
            return list(PrologString(text, parser=_Parser(DefaultPrologFactory())))
    except Exception as error:
        if isinstance(error, _ODD) or type(error) is Exception:
            raise ProbLogError(f"{type(error).__name__}: {error}") from None
        raise
