"""The goal of a query: a template whose variables are bound once per example."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from problog.errors import ProbLogError
from problog.logic import And, Not, Or, Term, Var

from groundkit.errors import Location, ProgramError, nearest
from groundkit.program.builtins import is_builtin
from groundkit.program.parser import parse_statements
from groundkit.program.source import Program
from groundkit.program.terms import read_term, walk
from groundkit.program.trust import refuse_untrusted_goal


@dataclass(frozen=True)
class Goal:
    """A parsed goal; :func:`parse_goal` makes it.

    Attributes:
        text: The goal as written, without a final full stop.
        functor: Name of its first predicate.
        variables: Names of its variables in order of appearance.
        at: Where it was written.
        term: ProbLog's term.
    """

    text: str
    functor: str
    variables: tuple[str, ...]
    at: Location | None
    term: Any = field(repr=False, compare=False)

    @property
    def predicates(self) -> tuple[str, ...]:
        """Names and arities of the predicates that the goal calls."""
        return tuple(_called(self.term))

    def with_values(self, values: Mapping[str, str]) -> str:
        """Prints the goal with some variables replaced by printed values.

        Args:
            values: Variable -> a term, printed so that it reads back.
        """
        bound = Binding({name: read_term(value) for name, value in values.items()})
        return str(self.term.apply(bound))


class Binding(dict[str, Any]):
    """A substitution for ProbLog's ``apply`` that leaves other variables as they are."""

    def __missing__(self, name: str) -> Any:
        return Var(name)


def parse_goal(text: str, at: Location | None = None) -> Goal:
    """Parses a goal such as ``addition([X1,X2],[Y1,Y2],Z)``.

    Conjunctions, disjunctions and negations of goals are allowed; so are the ``?-`` and the full
    stop of a Prolog prompt.

    Args:
        text: The goal.
        at: Where it was written, for messages.

    Raises:
        ProgramError: It is not one callable term.
    """
    stripped = text.strip().removeprefix("?-").removesuffix(".").strip()
    remedy = "write one goal, such as addition(X, Y, Z)"
    try:
        parsed = parse_statements(f"'$goal' :- {stripped}.")
    except (ProbLogError, RecursionError) as error:
        message = getattr(error, "base_message", str(error))
        raise ProgramError(
            f"the goal '{stripped}' cannot be parsed: {message}", remedy=remedy, at=at
        ) from None
    if not stripped or len(parsed) != 1:
        raise ProgramError(f"'{stripped}' is not one goal", remedy=remedy, at=at)
    term = parsed[0].body
    if not isinstance(term, Term) or isinstance(term, Var):
        raise ProgramError(f"'{stripped}' is not a goal", remedy=remedy, at=at)
    if any(inner.probability is not None for inner in walk(term)):
        raise ProgramError(f"there is a probability in the goal '{stripped}'", remedy=remedy, at=at)
    try:
        called = _called(term)
    except RecursionError:
        raise ProgramError(
            f"the goal '{stripped[:60]}...' is nested too deeply", remedy=remedy, at=at
        ) from None
    return Goal(
        text=stripped,
        functor=called[0].rpartition("/")[0] if called else str(term.functor),
        variables=variables_of(stripped, term),
        at=at,
        term=term,
    )


def check_goal(program: Program, goal: Goal, declared: Collection[str] = ()) -> None:
    """Raises a ProgramError unless the program defines what the goal calls, and may call it.

    Args:
        program: The program.
        goal: The goal.
        declared: Further predicates that are known, as ``name/arity``.
    """
    if not program.trust:
        refuse_untrusted_goal(goal.term, program.predicates, goal.at)
    for predicate in goal.predicates:
        if predicate in {*program.predicates, *declared} or is_builtin(predicate):
            continue
        own = [p for p in program.predicates if not p.startswith("_")]
        close = nearest_predicate(predicate, own)
        listing = f"valid: {', '.join(sorted(own)) or '(none)'}"
        raise ProgramError(
            f"the goal '{goal.text}' calls {predicate}, which the program does not define",
            expected=close,
            remedy=f"did you mean '{close}'? {listing}" if close else listing,
            at=goal.at,
        )


def nearest_predicate(predicate: str, known: Iterable[str]) -> str | None:
    """Returns the predicate that is likely meant, of all as ``name/arity``: by its name alone.

    The number of arguments makes ``a/0`` and ``b/0`` look alike, which are not.
    """
    name = predicate.rpartition("/")[0]
    by_name: dict[str, list[str]] = {}
    for one in known:
        by_name.setdefault(one.rpartition("/")[0], []).append(one)
    close = name if name in by_name else nearest(name, by_name)
    if close is None:
        return None
    arity = predicate.removeprefix(name)
    return f"{close}{arity}" if f"{close}{arity}" in by_name[close] else by_name[close][0]


def _called(term: Any) -> list[str]:
    """Lists the predicates that a goal calls, looking through its connectives."""
    if isinstance(term, And | Or):
        return _called(term.op1) + _called(term.op2)
    if isinstance(term, Not):
        return _called(term.child)
    if isinstance(term, Term) and term.functor in ("not", "\\+") and term.arity == 1:
        return _called(term.args[0])
    return [str(term.signature).replace("'", "")] if isinstance(term, Term) else []


def variables_of(text: str, term: Any) -> tuple[str, ...]:
    """Names a term's variables in order of appearance in its text."""
    names = {str(inner) for inner in walk(term) if isinstance(inner, Var)} - {"_"}
    return tuple(sorted(names, key=lambda name: _first(name, text)))


def _first(name: str, text: str) -> int:
    """Finds where a variable first stands in the goal's text, not inside a longer name."""
    start = text.find(name)
    while start >= 0:
        before = text[start - 1] if start else " "
        after = text[start + len(name)] if start + len(name) < len(text) else " "
        if not any(c.isalnum() or c == "_" for c in (before, after)):
            return start
        start = text.find(name, start + 1)
    return len(text)
