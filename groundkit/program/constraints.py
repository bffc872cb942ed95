r"""Constraints: ``:- a, b.`` is evidence that ``a, b`` does not hold.

ProbLog runs such a line once as a directive and forgets it; answer-set programs read it as a
constraint, and so does groundkit. A body that calls nothing of the program, such as
``:- use_module(library(lists)).``, stays a directive.

A variable that only networks read, as X and Y in ``:- digit(X,A), digit(Y,B), A \= B.``, ranges
over all inputs of the question that these networks read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from problog.logic import And, AnnotatedDisjunction, Clause, Constant, Not, Or, Term, Var

from groundkit.errors import Location, ProgramError
from groundkit.program.builtins import is_builtin
from groundkit.program.neural import NeuralPredicate
from groundkit.program.terms import Places, walk

CONSTRAINT = "$constraint"
"""Name of the predicate whose clause number ``i`` is the body of constraint ``i``."""

_UNKNOWN_DIRECTIVES = frozenset(
    {"initialization", "dynamic", "discontiguous", "multifile", "table", "style_check", "module"}
    | {"set_prolog_flag", "op", "include", "ensure_loaded"}
)

_COMPARISONS = frozenset(
    {"\\=", "\\==", "==", "=\\=", "=:=", "<", ">", "=<", ">=", "@<", "@>", "@=<", "@>="}
)
"""Goals that bind nothing."""

Readers = dict[str, dict[int, set[str]]]
"""Predicate -> position of an argument -> networks that read it."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One ``:- body.`` of a program.

    Attributes:
        text: As ProbLog prints it.
        inputs: Variables that range over the inputs of a question, with the networks that read
            them.
        location: Where it stands.
    """

    text: str
    inputs: tuple[tuple[str, frozenset[str]], ...]
    location: Location

    def with_inputs(self, values: Mapping[str, str]) -> str:
        """Prints the constraint, and which inputs its variables stand for."""
        shown = ", ".join(f"{name} = {value.strip('$')}" for name, value in values.items())
        return f"{self.text} with {shown}" if shown else self.text


def is_directive(statement: Any) -> bool:
    """Tells whether a statement is ``:- body``."""
    return isinstance(statement, Clause) and statement.head.functor == "_directive"


def find_constraints(
    statements: Sequence[Any],
    neural: Sequence[NeuralPredicate],
    predicates: Iterable[str],
    places: Places,
) -> tuple[tuple[Any, ...], tuple[Constraint, ...]]:
    """Tells constraints from directives.

    Args:
        statements: The program's statements.
        neural: Its neural predicates.
        predicates: Names and arities that it defines.
        places: Locates statements.

    Returns:
        The statements, a constraint's turned into a clause of ``'$constraint'(I, Inputs...)``, and
        the constraints.

    Raises:
        ProgramError: A directive is one that ProbLog does not know.
    """
    known = set(predicates)
    readers: Readers | None = None
    kept: list[Any] = []
    found: list[Constraint] = []
    for statement in statements:
        if not is_directive(statement):
            kept.append(statement)
            continue
        at = places.of(statement)
        calls = list(_calls(statement.body))
        if not any(signature(call) in known for call in calls):
            _check_directive(calls, at)
            kept.append(statement)
            continue
        readers = _readers(statements, neural) if readers is None else readers
        inputs = _inputs(statement.body, readers)
        number = Constant(len(found))
        head = Term(CONSTRAINT, number, *(Var(name) for name in inputs))
        kept.append(Clause(head, statement.body, location=statement.location))
        ranges = tuple((name, frozenset(networks)) for name, networks in inputs.items())
        found.append(Constraint(f":- {statement.body}.", ranges, at))
    return tuple(kept), tuple(found)


def _check_directive(calls: Sequence[Any], at: Location) -> None:
    """Refuses what other Prologs know as a directive, and a goal that nothing defines."""
    for call in calls:
        if not isinstance(call, Term) or is_builtin(signature(call)):
            continue
        name = signature(call)
        if call.functor in _UNKNOWN_DIRECTIVES:
            raise ProgramError(
                f"ProbLog has no directive {name}",
                expected="use_module(library(L)), or a constraint such as ':- a, b.'",
                remedy="remove it; a goal is asked by a fact query(Goal)",
                at=at,
            )
        if call.functor not in ("use_module", "consult"):
            raise ProgramError(
                f"the constraint ':- {', '.join(map(str, calls))}.' calls {name}, which the "
                "program does not define",
                remedy="define it, or correct its name and number of arguments",
                at=at,
            )


def signature(term: Any) -> str:
    """Returns name and arity of a term, without quotes."""
    return str(getattr(term, "signature", "")).replace("'", "")


def _calls(body: Any) -> Iterator[Any]:
    """Yields the goals of a body, looking through its connectives."""
    if isinstance(body, And | Or):
        yield from _calls(body.op1)
        yield from _calls(body.op2)
    elif isinstance(body, Not):
        yield from _calls(body.child)
    else:
        yield body


def unread(
    goal: Any, names: Iterable[str], statements: Sequence[Any], neural: Sequence[NeuralPredicate]
) -> list[str]:
    """Lists the variables of a goal's arguments that reach no network as they stand."""
    readers = _readers(statements, neural)
    read = _read_variables(goal, readers)
    direct = {str(arg) for term in walk(goal) for arg in term.args if isinstance(arg, Var)}
    return [name for name in names if name in direct and name not in read]


def readers_of(
    goal: Any, statements: Sequence[Any], neural: Sequence[NeuralPredicate]
) -> dict[str, set[str]]:
    """Finds the networks that read the variables of a goal as they stand."""
    found = _read_variables(goal, _readers(statements, neural))
    return {name: set(networks) for name, networks in found.items()}


def _readers(statements: Sequence[Any], neural: Sequence[NeuralPredicate]) -> Readers:
    """Finds the arguments through which inputs reach networks, to a fixed point."""
    clauses: list[tuple[list[Any], Any]] = []
    readers: Readers = {}
    for statement in statements:
        if isinstance(statement, AnnotatedDisjunction):
            heads, body = list(statement.heads), statement.body
        elif isinstance(statement, Clause) and not is_directive(statement):
            heads, body = [statement.head], statement.body
        else:
            heads, body = [statement], None
        probability = getattr(heads[0], "probability", None)
        if isinstance(probability, Term) and probability.functor == "$nn":
            network = neural[int(probability.args[0])].network
            names = {str(inner) for inner in walk(probability.args[1]) if isinstance(inner, Var)}
            _note(readers, heads[0], {name: {network} for name in names})
        if body is not None:
            clauses.append((heads, body))
    grown = True
    while grown:
        grown = False
        for heads, body in clauses:
            read = _read_variables(body, readers)
            for head in heads:
                grown |= _note(readers, head, read)
    return readers


def _note(readers: Readers, head: Any, read: Mapping[str, set[str]]) -> bool:
    """Notes which arguments of a head are read by networks; tells whether that is news."""
    news = False
    for place, arg in enumerate(head.args):
        networks = read.get(str(arg)) if isinstance(arg, Var) else None
        if networks:
            known = readers.setdefault(signature(head), {}).setdefault(place, set())
            news |= not networks <= known
            known |= networks
    return news


def _read_variables(body: Any, readers: Readers) -> dict[str, set[str]]:
    """Returns the variables of a body that networks read, wherever in it they are called."""
    found: dict[str, set[str]] = {}
    for term in walk(body):
        for place, networks in readers.get(signature(term), {}).items():
            arg = term.args[place]
            if isinstance(arg, Var):
                found.setdefault(str(arg), set()).update(networks)
    return found


def _inputs(body: Any, readers: Readers) -> dict[str, set[str]]:
    """Returns the variables that only networks bind: no other goal of the program has them."""
    bound: set[str] = set()
    for call in _calls(body):
        if not isinstance(call, Term) or str(call.functor).strip("'") in _COMPARISONS:
            continue
        places = readers.get(signature(call), {})
        for place, arg in enumerate(call.args):
            if place not in places:
                bound |= {str(inner) for inner in walk(arg) if isinstance(inner, Var)}
    read = _read_variables(body, readers)
    return {name: read[name] for name in sorted(read) if name not in bound}
