"""ProbLog's parser, with bounds on what it takes in and on the time it takes.

ProbLog looks through all of a statement's operators again for each of them: 58 KB of sums would
hold the terminal for many seconds before anything could look at them. Here the search for the
operator that binds least is left to :meth:`bytes.find`; the trees are the same. Lists and arguments
cost what they are long, so a domain may have thousands of symbols.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from problog.errors import GroundingError, ProbLogError
from problog.parser import ParseError, Token
from problog.program import DefaultPrologFactory, DefaultPrologParser, PrologString

MOST_OPERATORS = 20_000
"""Operators that stand side by side in one statement."""
_DEEPEST = 50_000
"""Python's recursion limit while terms are read: a right-leaning disjunction is as deep as long."""

MOST_SECONDS = 30.0
"""Computing time of reading one text; a megabyte of facts takes about ten seconds."""

ODD = (ValueError, LookupError, AttributeError, TypeError, AssertionError, ImportError)
"""What ProbLog raises, beside its own errors and bare exceptions, at odd terms."""


class _Parser(DefaultPrologParser):  # type: ignore[misc]
    """ProbLog's parser, which refuses texts that would take too long."""

    def __init__(self, factory: Any) -> None:
        super().__init__(factory)
        self._started = time.thread_time()

    def _parse_statement(self, string: str, tokens: list[Any]) -> Any:
        if time.thread_time() - self._started > MOST_SECONDS:
            message = f"reading up to here took more than {MOST_SECONDS:g} s, split the program"
            raise ParseError(string, message, tokens[0].location)
        try:
            return super()._parse_statement(string, tokens)
        except GroundingError as error:  # it does not say where
            message = str(error.base_message).rstrip(".")
            raise ParseError(string, message, tokens[0].location) from None

    def _token_equal(self, s: str, pos: int) -> Any:
        """Reads ``==`` without the warning that ProbLog prints; the comparison is legal."""
        return self._same(s, pos, "==") or super()._token_equal(s, pos)

    def _token_backslash(self, s: str, pos: int) -> Any:
        r"""Reads ``\==`` without the warning that ProbLog prints."""
        return self._same(s, pos, "\\==") or super()._token_backslash(s, pos)

    def _same(self, s: str, pos: int, sign: str) -> tuple[Token, int] | None:
        if not s.startswith(sign, pos):
            return None
        end = pos + len(sign)
        binop = (700, "xfx", self.factory.build_binop)
        return Token(sign, pos, binop=binop, functor=self._next_paren_open(s, pos)), end

    def fold(self, string: str, operators: list[Any], lo: int, hi: int, *_outer: Any) -> Any:
        """Makes a term of tokens, the operators among them labelled; see :class:`_Fold`."""
        if not any(token.binop or token.unop for token in operators[lo:hi]):
            return self._build_operator_free(string, operators[lo:hi])
        return _Fold(self, string, operators).fold(lo, hi)


class _Fold:
    """The operators of one bracket, by priority.

    Args:
        parser: The parser, which builds what has no operator in it.
        string: The text, for messages.
        operators: Tokens; those that act as operators have ``binop`` or ``unop`` set.
    """

    def __init__(self, parser: _Parser, string: str, operators: list[Any]) -> None:
        self.parser = parser
        self.string = string
        self.tokens = operators
        self.operators = [token.binop or token.unop for token in operators]
        if sum(map(bool, self.operators)) > MOST_OPERATORS:
            message = "a statement of too many operators side by side; split it into several"
            raise ParseError(string, message, operators[0].location)
        priorities = sorted({op[0] for op in self.operators if op}, reverse=True)
        rank = {priority: 1 + index for index, priority in enumerate(priorities)}
        self.ranks = [bytes([value]) for value in rank.values()]
        self.all = bytes(rank[op[0]] if op else 0 for op in self.operators)
        self.not_left = bytes(rank[op[0]] if op and op[1] != "yfx" else 0 for op in self.operators)

    def fold(self, lo: int, hi: int, outer: int | None = None, side: str | None = None) -> Any:
        """Makes a term of ``tokens[lo:hi]``.

        Args:
            lo: First token.
            hi: One past the last token.
            outer: Priority of the operator outside.
            side: Whether that operator takes an equal priority here (``y``) or not (``x``).
        """
        place = self._loosest(lo, hi) if hi > lo else None
        if place is None:
            return self.parser._build_operator_free(self.string, self.tokens[lo:hi])
        priority, kind, build = self.operators[place]
        token = self.tokens[place]
        binary = len(kind) == 3
        if (outer == priority and side == "x") or (not binary and place != lo):
            raise ParseError(self.string, "Operator priority clash", token.location)
        if binary:
            operands = {
                "operand1": self.fold(lo, place, priority, kind[0]),
                "operand2": self.fold(place + 1, hi, priority, kind[2]),
            }
        else:
            operands = {"operand": self.fold(lo + 1, hi, priority, kind[1])}
        return build(
            functor=token.string,
            location=token.location,
            priority=priority,
            opspec=kind,
            **operands,
        )

    def _loosest(self, lo: int, hi: int) -> int | None:
        """Finds the operator that binds least: the first, or of those to the left the last."""
        for rank in self.ranks:
            place = self.not_left.find(rank, lo, hi)
            if place < 0:
                place = self.all.rfind(rank, lo, hi)
            if place >= 0:
                return place
        return None


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
        ProbLogError: ProbLog cannot read it, or the text takes too long.
    """
    try:
        with deep_terms():
            return list(PrologString(text, parser=_Parser(DefaultPrologFactory())))
    except Exception as error:
        if isinstance(error, ODD) or type(error) is Exception:
            raise ProbLogError(f"{type(error).__name__}: {error}") from None
        raise
