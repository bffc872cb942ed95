"""What a program from a stranger may not do: load code, read or write files.

Two walls stand behind each other. The parsed program is searched for the names of such
predicates, wherever they occur, so that the message has a line. And the database that grounding
works on loads nothing but ProbLog's own computing libraries, so that a call put together while
the program runs fails as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import problog
from problog.clausedb import ClauseDB
from problog.errors import GroundingError
from problog.logic import And, AnnotatedDisjunction, Clause, Not, Or, Term

from groundkit.errors import ProgramError
from groundkit.program.terms import Places, text_of, walk

SAFE_LIBRARIES = frozenset(
    {"lists", "apply", "aggregate", "collect", "control", "cut", "string", "builtin", "scope"}
)
"""Libraries of the problog package that only compute."""

_LIBRARY_FOLDER = Path(problog.__file__).resolve().parent / "library"
_LOADERS = frozenset({"use_module", "_use_module"})
_REFUSED = frozenset(
    {
        "consult",
        "_consult",
        "load_external",
        "call_external",
        "cmd_args",
        "ensure_loaded",
        "include",
        "shell",
        "system",
        "open",
        "see",
        "tell",
        "sqlite_load",
        "csv_load",
    }
)


def refuse_untrusted(statements: Iterable[Any], places: Places) -> None:
    """Raises a ProgramError at the first statement that reaches for code or files."""
    for statement in statements:
        for goal in _goals(statement):
            if isinstance(goal, Term) and goal.functor == "." and goal.arity == 2:
                raise ProgramError(
                    f"'{goal}' as a goal would load code from a file",
                    remedy="remove it, or pass --trust when you trust this program",
                    at=places.of(statement),
                )
        for term in walk(statement):
            name = text_of(term.functor)
            if name in _LOADERS and term.arity > 0:
                if not any(_names_safe_library(arg) for arg in term.args):
                    raise ProgramError(
                        f"'{term}' would load code from a file",
                        expected="library(L) with L among " + ", ".join(sorted(SAFE_LIBRARIES)),
                        remedy="remove it, or pass --trust when you trust this program",
                        at=places.of(statement),
                    )
            elif name in _REFUSED and _is_call(name, term):
                raise ProgramError(
                    f"'{name}' can load code or touch files, and the program is not trusted",
                    remedy="remove it, or pass --trust when you trust this program",
                    at=places.of(statement),
                )


def _goals(term: Any) -> Iterator[Any]:
    """Yields the goals that a statement's body calls, looking through its connectives."""
    if isinstance(term, Clause | AnnotatedDisjunction):
        yield from _goals(term.body)
    elif isinstance(term, And | Or):
        yield from _goals(term.op1)
        yield from _goals(term.op2)
    elif isinstance(term, Not):
        yield from _goals(term.child)
    else:
        yield term


def _is_call(name: str, term: Term) -> bool:
    """Tells a call from an atom of the user's domain that happens to be named ``open``."""
    return bool(term.arity > 0) or name in {"consult", "_consult", "load_external", "shell"}


def _names_safe_library(term: Any) -> bool:
    """Tells whether a loader's argument is ``library(L)`` with a safe ``L``."""
    if not (isinstance(term, Term) and term.functor == "library" and term.arity == 1):
        return False
    return text_of(term.args[0]).removesuffix(".pl") in SAFE_LIBRARIES


class GuardedDatabase(ClauseDB):  # type: ignore[misc]
    """ProbLog's clause database, loading nothing but the safe libraries."""

    def resolve_filename(self, filename: Any) -> Any:
        """Finds the file of a library or path; refuses everything outside the safe libraries."""
        found = super().resolve_filename(filename)
        path = Path(str(found)).resolve()
        if path.parent != _LIBRARY_FOLDER or path.stem not in SAFE_LIBRARIES:
            raise GroundingError(
                f"loading '{filename}' is refused in a program that is not trusted"
            )
        return found
