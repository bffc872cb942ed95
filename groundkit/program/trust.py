"""What a program from a stranger may not do: load code, read or write files.

Two walls stand behind each other. The parsed program and the goal are searched for the names of
such predicates, wherever they occur, so that the message has a line. And the engine that grounds
knows no built-in predicate but those on the lists of :mod:`groundkit.program.allowed`, on a
database that loads nothing but ProbLog's computing libraries; every database made from it while
grounding is of its kind. So a call put together while the program runs fails as well, inside
whatever predicate it is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import problog
from problog.clausedb import ClauseDB
from problog.engine import DefaultEngine
from problog.errors import GroundingError
from problog.logic import And, AnnotatedDisjunction, Clause, Constant, Not, Or, Term, Var
from problog.program import PrologFile

from groundkit.errors import Location, ProgramError
from groundkit.program.allowed import (
    BUILTINS,
    EVALUATORS,
    EXTERNS,
    GOAL_ARGUMENTS,
    LIBRARIES,
    OF_APPLY,
)
from groundkit.program.terms import Places, text_of, walk

REMEDY = "remove it, or pass --trust when you trust this program"
_LIBRARY_FOLDER = Path(problog.__file__).resolve().parent / "library"
_IMPORTS = frozenset({"use_module", "_use_module"})
_LOADERS = _IMPORTS | {"consult", "_consult", "load_external", "call_external"}
"""Names that are refused as data too: what stands as an atom here is called by name there."""
_FOREIGN = frozenset(
    {
        *("cmd_args/1", "ensure_loaded/1", "include/1", "load_files/1", "load_files/2"),
        *("shell/1", "shell/2", "system/1", "open/3", "open/4", "see/1", "tell/1", "append/1"),
        *("sqlite_load/1", "sqlite_load/2", "csv_load/2", "csv_load/3"),
    }
)
"""Predicates of other Prologs and of ProbLog's other libraries that touch files."""
_UNNAMED = count()
"""Numbers for variables that the program gives no name."""


class UntrustedError(GroundingError):  # type: ignore[misc]
    """A program that is not trusted reached for more than it may use, while it was grounded."""


def refuse_untrusted(statements: Iterable[Any], places: Places) -> None:
    """Raises a ProgramError at the first statement that reaches for code or files."""
    statements = list(statements)
    own = {_signature(head) for statement in statements for head in _heads(statement)}
    for statement in statements:
        found = _reached_for(statement, own)
        if found is not None:
            text, expected = found
            raise ProgramError(text, expected=expected, remedy=REMEDY, at=places.of(statement))


def refuse_untrusted_goal(goal: Any, own: Collection[str], at: Location | None) -> None:
    """Raises a ProgramError when a goal, as parsed, reaches for code or files.

    Args:
        goal: ProbLog's term.
        own: Names and arities that the program defines.
        at: Where the goal was written.
    """
    found = _reached_for(Clause(Term("$goal"), goal), own)
    if found is not None:
        raise ProgramError(found[0], expected=found[1], remedy=REMEDY, at=at)


def _reached_for(statement: Any, own: Collection[str]) -> tuple[str, str | None] | None:
    """Says what in a statement would load code or touch files, and what is expected instead.

    Args:
        statement: The statement.
        own: Names and arities that the program defines.
    """
    for term in walk(statement):
        name, signature = text_of(term.functor), _signature(term)
        if name in _IMPORTS:
            if not any(_names_safe_library(arg) for arg in term.args):
                expected = "library(L) with L among " + ", ".join(sorted(LIBRARIES))
                return f"'{term}' would load code from a file", expected
        elif name in _LOADERS or (signature in _FOREIGN and signature not in own):
            return f"'{name}' can load code or touch files, and the program is not trusted", None
    for goal in _goals(statement, own):
        signature = _signature(goal)
        if signature == "./2":
            return f"'{goal}' as a goal would load code from a file", None
        if signature in _engine_builtins() and signature not in BUILTINS:
            return f"ProbLog's built-in {signature} is not among those known to be harmless", None
    return None


def _signature(term: Any) -> str:
    """Prints name and number of arguments, without the quotes of a quoted name."""
    return f"{text_of(term.functor)}/{term.arity}" if isinstance(term, Term) else ""


@lru_cache(maxsize=1)
def _engine_builtins() -> frozenset[str]:
    """Names and arities of all built-in predicates of the installed ProbLog."""
    return frozenset(DefaultEngine().get_builtins())


def _heads(statement: Any) -> list[Any]:
    """Lists the heads of a statement."""
    if isinstance(statement, AnnotatedDisjunction):
        return list(statement.heads)
    if isinstance(statement, Clause):
        return [statement.head]
    return list(statement.to_list()) if isinstance(statement, Or) else [statement]


def _goals(statement: Any, own: Collection[str]) -> Iterator[Term]:
    """Yields all goals of a statement: those of its body, and what these call in turn.

    What the program defines in place of library(apply) calls what its own clauses say, which are
    statements too.
    """
    waiting = list(_heads(statement))
    if isinstance(statement, Clause | AnnotatedDisjunction):
        waiting.append(statement.body)
    while waiting:
        goal = waiting.pop()
        if isinstance(goal, Var) or not isinstance(goal, Term):
            continue
        if isinstance(goal, And | Or):
            waiting += [goal.op1, goal.op2]
            continue
        if isinstance(goal, Not):
            waiting.append(goal.child)
            continue
        yield goal
        signature = _signature(goal)
        if signature in OF_APPLY and signature in own:
            continue
        for index in GOAL_ARGUMENTS.get(signature, ()):
            inner = goal.args[index]
            # A list of goals, such as the evidence of subquery/3, stands for its elements.
            listed = index > 1 and isinstance(inner, Term) and inner.functor == "."
            waiting += _elements(inner) if listed else [inner]


def _elements(term: Any) -> list[Any]:
    """Lists the elements of a list, and its open tail."""
    found = []
    while isinstance(term, Term) and term.functor == "." and term.arity == 2:
        found.append(term.args[0])
        term = term.args[1]
    return [*found, term]


def _names_safe_library(term: Any) -> bool:
    """Tells whether a loader's argument is ``library(L)`` with a safe ``L``."""
    if not (isinstance(term, Term) and term.functor == "library" and term.arity == 1):
        return False
    name = text_of(term.args[0])
    return name.removesuffix(".pl").removesuffix(".py") in LIBRARIES


@lru_cache(maxsize=64)
def _library(path: str, number: int) -> tuple[tuple[Any, ...], Any]:
    """Parses one of ProbLog's libraries, the ``number``-th file of a database, with its lines."""
    file = PrologFile(path, identifier=number)
    return tuple(file), file.line_info[0]


class Database(ClauseDB):  # type: ignore[misc]
    """ProbLog's clause database, whose extensions are of its own kind."""

    def __init__(self, builtins: Any = None, parent: Any = None) -> None:
        self._builtins = builtins
        self._modules: dict[str, tuple[Any, Any]] = {}
        super().__init__(builtins=builtins, parent=parent)

    def extend(self) -> Database:
        """Makes the database on which findall/3, all/3 and all_or_none/3 evaluate their goal."""
        found = type(self)(builtins=self._builtins, parent=self)
        found.engine = self.engine
        return found

    def consult(self, filename: Any, location: Any = None, my_scope: Any = None) -> Any:
        """Loads a file, unless it is loaded already; ProbLog's libraries are parsed only once.

        A library that several files load is known in each of them; ProbLog itself lets only the
        first one see it, so that a program which loads library(string) has no member/2.
        """
        path = self.resolve_filename(filename)
        if path in self._modules:
            return self._modules[path]
        if path is None or path in self.source_files or Path(path).parent != _LIBRARY_FOLDER:
            return super().consult(filename, location, my_scope)
        statements, lines = _library(path, len(self.source_files))
        self.source_files.append(path)
        self.source_parent.append(location)
        self.line_info.append(lines)
        self._modules[path] = self.add_all(statements)
        return self._modules[path]

    def _compile(self, struct: Any, variables: Any = None, scope: Any = None) -> Any:
        """Compiles a term; ProbLog itself fails at findall(X, G, _), where ``_`` has no name."""
        if isinstance(struct, Term) and self.get_local_scope(struct.signature):
            named = [
                Var(f"_#{next(_UNNAMED)}") if isinstance(arg, Var) and arg.functor == "_" else arg
                for arg in struct.args
            ]
            if named != list(struct.args):
                struct = struct.with_args(*named)
        return super()._compile(struct, variables, scope)


class GuardedDatabase(Database):
    """A database that loads nothing but the safe libraries."""

    _loading = False

    def resolve_filename(self, filename: Any) -> Any:
        """Finds the file of a library; refuses all others before it looks for them."""
        if _names_safe_library(filename):
            found = super().resolve_filename(filename)
        else:
            found = text_of(filename)
        try:
            path = Path(str(self.source_root), str(found)).resolve()
        except (OSError, ValueError, RuntimeError):
            path = Path()
        if path.parent != _LIBRARY_FOLDER or path.stem not in LIBRARIES:
            raise UntrustedError(
                f"loading '{filename}' is refused in a program that is not trusted"
            )
        return str(path)

    def load_external_module(self, filename: str) -> Any:
        """Loads the Python part of a safe library."""
        self.resolve_filename(Term(filename))
        self._loading = True
        try:
            return super().load_external_module(filename)
        finally:
            self._loading = False

    def add_extern(self, predicate: str, arity: int, func: Any, scope: Any = None) -> None:
        """Adds a predicate in Python; one of a library's must be known to compute only."""
        signature = f"{predicate}/{arity}"
        if self._loading and signature not in EXTERNS:
            func = _refusal(signature)
        super().add_extern(predicate, arity, func, scope)


class Engine(DefaultEngine):  # type: ignore[misc]
    """ProbLog's engine on a :class:`Database`."""

    database: type[Database] = Database

    def prepare(self, db: Any) -> Any:
        """Makes a database of a program and runs its directives."""
        result = self.database.createFrom(db, builtins=self.get_builtins())
        result.engine = self
        self._process_directives(result)
        return result


class GuardedEngine(Engine):
    """The engine for programs that are not trusted: it knows the allowed predicates only.

    Goals that ProbLog evaluates with an engine of their own, as subquery/2 does, get one of this
    class.
    """

    database = GuardedDatabase

    def add_builtin(self, predicate: str, arity: int, function: Any) -> None:
        """Adds a built-in predicate, or its refusal where it is not on the list."""
        signature = f"{predicate}/{arity}"
        if signature not in BUILTINS:
            function = _refusal(signature)
        elif signature in ("subquery/5", "subquery_in_scope/6"):
            function = _with_known_evaluator(function)
        super().add_builtin(predicate, arity, function)


def _refusal(signature: str) -> Callable[..., Any]:
    """Makes what takes the place of a predicate that is not allowed."""

    def refuse(*_args: Any, **_options: Any) -> Any:
        raise UntrustedError(f"{signature} is refused in a program that is not trusted")

    return refuse


def _with_known_evaluator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps subqueries from evaluators that start programs and write files."""

    def check(*args: Any, **options: Any) -> Any:
        name = text_of(args[-1])
        if isinstance(args[-1], Constant) and name not in EVALUATORS:
            raise UntrustedError(
                f"evaluator '{name}' is refused in a program that is not trusted, which may use "
                + ", ".join(sorted(EVALUATORS))
            )
        return function(*args, **options)

    return check
