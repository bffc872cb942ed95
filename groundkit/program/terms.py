"""Small tools over ProbLog's terms: printing, walking, and places in the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from problog.errors import ProbLogError
from problog.logic import And, Constant, Not, Or, Term, Var

from groundkit.errors import Location
from groundkit.program.parser import parse_statements

_PLAIN = re.compile(r"[a-z]\w*|\[\]", re.ASCII)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

_OPERATORS = frozenset({"is", "as", "not", "xor", "rdiv", "mod", "rem", "div"})


def text_of(term: Any) -> str:
    """Prints a term as a user writes it in data: without the quotes of a quoted atom."""
    text = str(term).strip()
    for quote in ("'", '"'):
        if len(text) >= 2 and text[0] == text[-1] == quote:
            return text[1:-1]
    return text


def printed(term: Any) -> str:
    """Prints a ground term so that ProbLog's parser reads the same term back.

    Two terms print alike only if they are the same: ``yes``, ``'yes'`` and ``"yes"``
    are three, ``1`` and ``'1'`` two. An atom that a built-in put together, such as ``New York``,
    is quoted.
    """
    if _is_simple(term):
        return str(term)
    text = str(term)
    return text if _reads_back(text, term) else _functional(term)


def _is_simple(term: Any) -> bool:
    """Tells whether ProbLog's own printing of a term is known to read back."""
    if isinstance(term, Constant):
        return isinstance(term.functor, int | float) or bool(_STRING.fullmatch(str(term)))
    if type(term) is not Term:
        return False
    if term.functor == "." and term.arity == 2:
        head, tail = term.args
        while _is_simple(head) and type(tail) is Term and tail.functor == "." and tail.arity == 2:
            head, tail = tail.args
        return _is_simple(head) and str(tail) == "[]"
    if not _is_atom(term.functor):
        return False
    # An operator's name is quoted by the parser, and printed between its arguments.
    simple = [_is_simple(arg) for arg in term.args]  # all() would recurse on the short C stack
    return term.op_spec is None and False not in simple


def _is_atom(functor: Any) -> bool:
    name = str(functor)
    if name in _OPERATORS:
        return False
    return bool(_PLAIN.fullmatch(name) or _QUOTED.fullmatch(name))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any:
    """Parses a term; ``None`` when it is none."""
    try:
        statements = parse_statements(f"'$term'({text}).")
    except (ProbLogError, RecursionError):
        return None
    one: Any = statements[0] if len(statements) == 1 else None
    return one.args[0] if type(one) is Term and one.arity == 1 else None


def _reads_back(text: str, term: Any) -> bool:
    found = _parsed(text)
    return found is not None and same(found, term)


def same(first: Any, second: Any) -> bool:
    """Tells whether two terms are the same: numbers by value, type and the sign of zero."""
    stack = [(first, second)]
    while stack:
        a, b = stack.pop()
        if type(a) is not type(b):
            return False
        if not isinstance(a, Term):
            if a != b:
                return False
            continue
        if type(a.functor) is not type(b.functor) or a.functor != b.functor or a.arity != b.arity:
            return False
        if a.functor == 0 and str(a.functor) != str(b.functor):
            return False
        stack.extend(zip(a.args, b.args, strict=True))
    return True


def _functional(term: Any) -> str:
    """Prints without operators, every name quoted that needs it."""
    if isinstance(term, And | Or):
        sign = ", " if isinstance(term, And) else "; "
        return f"({_functional(term.op1)}{sign}{_functional(term.op2)})"
    if isinstance(term, Not):
        return f"(\\+{_functional(term.child)})"
    if isinstance(term, Constant) and isinstance(term.functor, str):
        return _string(term.functor)
    if isinstance(term, Constant | Var) or not isinstance(term, Term):
        return str(term)
    if term.functor == "." and term.arity == 2:
        return _list(term)
    name = str(term.functor)
    if not _is_atom(name) and (not term.arity or not _reads_back(f"{name}(1)", Term(name, _ONE))):
        name = _quote(name)
    return f"{name}({','.join(map(_functional, term.args))})" if term.arity else name


_ONE = Constant(1)


def _string(text: str) -> str:
    """Quotes the characters of a string that a built-in put together."""
    if _STRING.fullmatch(text) or not text.startswith('"'):
        return text
    return '"' + text[1:-1].replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list(term: Any) -> str:
    items = []
    while isinstance(term, Term) and term.functor == "." and term.arity == 2:
        items.append(_functional(term.args[0]))
        term = term.args[1]
    rest = "" if str(term) == "[]" else f" | {_functional(term)}"
    return f"[{', '.join(items)}{rest}]"


def term_of(text: str) -> Any:
    """Reads a symbol as a user writes it: a ground term, or else the quoted atom of that text.

    ``Bob`` and ``New York`` cannot be ProbLog terms without variables, so they are atoms.
    """
    text = text.strip()
    found = _parsed(text)
    if found is not None and not any(isinstance(inner, Var) for inner in walk(found)):
        return found
    return Term(_quote(text))


def read_term(text: str) -> Any:
    """Reads a term that was printed; what does not parse stays as it is."""
    found = _parsed(text)
    return Term(text) if found is None else found


def _quote(text: str) -> str:
    """Writes the quoted atom of a text."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def rewrite_goals(term: Any, change: Callable[[Any], Any]) -> Any:
    r"""Returns a statement's body in which ``change`` was applied to every goal in it.

    Goals are looked for behind connectives and in the arguments of other goals, as in
    ``\+ findall(X, g(X), [])``. What no change touches keeps its place in the text.
    """
    if isinstance(term, Not):
        child = rewrite_goals(term.child, change)
        return term if child is term.child else Not(term.functor, child, location=term.location)
    if isinstance(term, And | Or):
        first, second = rewrite_goals(term.op1, change), rewrite_goals(term.op2, change)
        if first is term.op1 and second is term.op2:
            return term
        return type(term)(first, second, location=term.location)
    if not isinstance(term, Term) or isinstance(term, Constant | Var) or term.functor == ".":
        return term
    args = [rewrite_goals(arg, change) for arg in term.args]
    if any(a is not b for a, b in zip(args, term.args, strict=True)):
        term = term.with_args(*args)
    return change(term)


def walk(term: Any) -> Iterator[Term]:
    """Yields a term and all terms inside it, probabilities and clause parts included."""
    stack = [term]
    while stack:
        current = stack.pop()
        if isinstance(current, list):  # the heads of an annotated disjunction
            stack.extend(current)
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

    def start(self, line: int) -> int:
        """Returns the position at which a line, counted from 1, begins."""
        return self._starts[min(line, len(self._starts)) - 1]

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
