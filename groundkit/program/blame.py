"""Says which clause made grounding fail, and what the user can do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from problog.engine import NonGroundProbabilisticClause, UnknownClause
from problog.engine_builtin import CallModeError, IndirectCallCycleError
from problog.errors import NonGroundQuery
from problog.eval_nodes import NegativeCycle
from problog.logic import ArithmeticError as ProbLogArithmeticError
from problog.logic import InstantiationError

from groundkit.errors import LimitError, Location, ProgramError, nearest
from groundkit.program.limits import RAISE_MEMORY, RAISE_SECONDS
from groundkit.program.query import Goal
from groundkit.program.source import Program


def explain_failure(program: Program, goal: Goal, error: Exception | None) -> ProgramError:
    """Turns a ProbLog error, or the lack of any answer, into a located error with a remedy."""
    if error is None:
        return ProgramError(
            f"the goal '{goal.text}' has no solution",
            remedy="call its clauses one by one with `groundkit query` to see which one fails",
            at=_head_place(program, goal),
        )
    message = str(getattr(error, "base_message", error)).rstrip(".")
    found, remedy = f"{message}, for '{goal.text}'", None
    for kinds, words in _REMEDIES:
        if isinstance(error, kinds):
            found, remedy = words[0].format(message=message, goal=goal.text), words[1]
            break
    if isinstance(error, UnknownClause):
        name = str(error.signature).replace("'", "")
        close = nearest(name, program.predicates)
        found = f"no clause defines {name}"
        remedy = f"did you mean {close}?" if close else remedy
    at = _place(program, error) or _head_place(program, goal)
    return ProgramError(found, remedy=remedy, at=at)


_REMEDIES: tuple[tuple[tuple[type[Exception], ...], tuple[str, str]], ...] = (
    (
        (NonGroundProbabilisticClause,),
        (
            "a probabilistic clause is used with an unbound variable, for '{goal}'",
            "bind all variables of the clause before it is called, or list the variable in "
            "[examples] images if it is an input of a network",
        ),
    ),
    ((UnknownClause,), ("{message}", "define it, or correct its name and number of arguments")),
    (
        (NonGroundQuery,),
        (
            "an answer of '{goal}' still has a variable in it",
            "bind it in the program, or list its values in [query.answers]",
        ),
    ),
    (
        (NegativeCycle,),
        (
            "a negation is met inside the recursion of a predicate, for '{goal}'",
            "no clause may need the falsehood of what it defines; ProbLog also refuses negated "
            "goals that are recursive themselves: negate them outside of the recursion",
        ),
    ),
    (
        (IndirectCallCycleError,),
        (
            "collecting all answers of a goal needs that goal's own answers, for '{goal}'",
            "let findall/3 or its like collect from a predicate that does not call it back",
        ),
    ),
    (
        (InstantiationError, CallModeError, ProbLogArithmeticError),
        (
            "{message}, for '{goal}'",
            "bind the variables before the call; values of an observed variable that the program "
            "cannot enumerate are listed in the spec under [query.answers]",
        ),
    ),
)


def explain_limit(
    program: Program, goal: Goal, error: BaseException, stack: Iterable[Any]
) -> LimitError:
    """Names the predicates that fill the engine's stack when a limit is reached."""
    open_calls: Counter[str] = Counter()
    for record in stack:
        node: Any = getattr(record, "node", None)
        if type(node).__name__ == "define" and not str(node.functor).startswith("_"):
            open_calls[f"{node.functor}/{node.arity}"] += 1
    named = [(name, count) for name, count in open_calls.most_common(3) if count > 1]
    what = "ran out of memory" if isinstance(error, MemoryError) else "did not end in time"
    raising = RAISE_MEMORY if isinstance(error, MemoryError) else RAISE_SECONDS
    found = f"grounding '{goal.text}' {what}"
    if named:
        found += ", inside " + ", ".join(f"{count} open calls of {n}" for n, count in named)
    at = goal.at
    for statement in program.statements:
        head = getattr(statement, "head", statement)
        if named and str(getattr(head, "signature", "")) == named[0][0]:
            at = program.places.of(statement)
            break
    return LimitError(
        found,
        remedy="a recursion without end needs a case that stops it; a long one needs a smaller "
        f"shape of the goal, or more room: {raising}",
        at=at,
    )


def _place(program: Program, error: Any) -> Location | None:
    """Reads the place out of a ProbLog error, when it lies in the user's file."""
    location = getattr(error, "location", None)
    if isinstance(location, tuple) and len(location) == 3 and location[0] is None:
        return Location(program.file, location[1], location[2])
    if isinstance(location, tuple) and len(location) == 2 and location[0] == 0:
        return program.places.at(location[1])
    return None


def _head_place(program: Program, goal: Goal) -> Location | None:
    """Finds the first clause of the goal's predicate."""
    for statement in program.statements:
        head = getattr(statement, "head", statement)
        if str(getattr(head, "functor", "")) == goal.functor:
            return program.places.of(statement)
    return goal.at
