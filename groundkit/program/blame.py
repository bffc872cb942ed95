"""Says which clause made grounding fail, and what the user can do about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from problog.engine import NonGroundProbabilisticClause, UnknownClause
from problog.engine_builtin import CallModeError, IndirectCallCycleError
from problog.engine_unify import OccursCheck
from problog.errors import NonGroundQuery
from problog.eval_nodes import NegativeCycle
from problog.logic import ArithmeticError as ProbLogArithmeticError
from problog.logic import Clause, InstantiationError

from groundkit.errors import LimitError, Location, NoSolutionError, ProgramError
from groundkit.program.builtins import library_of
from groundkit.program.constraints import Constraint, unread
from groundkit.program.goal import Goal, nearest_predicate
from groundkit.program.limits import RAISE_MEMORY, RAISE_SECONDS, OutOfTimeError
from groundkit.program.source import Program
from groundkit.program.trust import REMEDY, UntrustedError


def explain_nothing(program: Program, goal: Goal, inputs: Sequence[str]) -> NoSolutionError:
    """Words that nothing makes a goal true.

    Args:
        program: The program.
        goal: The goal.
        inputs: Its variables that are inputs of networks.
    """
    remedy = "call its clauses one by one with `groundkit query` to see which one fails"
    if program.neural:
        remedy = "look for a value or a comparison in its clauses that no symbols satisfy"
    lost = unread(goal.term, inputs, program.statements, program.neural)
    if lost:
        remedy = (
            f"no network reads {' or '.join(lost)} as it stands: leave it out of the inputs if its "
            "values are observed, or give a list where the goal takes one"
        )
    return NoSolutionError(
        f"the goal '{goal.text}' has no solution", remedy=remedy, at=_head_place(program, goal)
    )


def explain_failure(program: Program, goal: Goal, error: Exception) -> ProgramError:
    """Turns a ProbLog error into a located error with a remedy."""
    message = str(getattr(error, "base_message", error)).rstrip(".")
    found, remedy = f"{message}, for {_asked(goal)}", None
    for kinds, words in _REMEDIES:
        if isinstance(error, kinds):
            found, remedy = words[0].format(message=message, goal=_asked(goal)), words[1]
            break
    wrong = isinstance(error, CallModeError) and not _OPEN.search(message)
    if wrong or isinstance(error, ProbLogArithmeticError):
        remedy = "correct the arguments, or exclude such values by a goal before this one"
    if isinstance(error, UnknownClause):
        name = str(error.signature).replace("'", "")
        found, remedy = _unknown(program, name)
    at = _place(program, error) or _head_place(program, goal)
    return ProgramError(found, remedy=remedy, at=at)


_OPEN = re.compile(r"(?<![\w'\"])(X\d+|_)(?![\w'\"(])")
"""A variable among the arguments of a call, as ProbLog prints it."""


def _asked(goal: Goal) -> str:
    """Words what is asked, for messages."""
    return "the program's queries" if goal.text == "query(Query)" else f"'{goal.text}'"


def _unknown(program: Program, name: str) -> tuple[str, str]:
    """Words that nothing defines a predicate: a construct, a library's, or a slip of the pen."""
    if name in _CONSTRUCTS:
        sign, instead = name.partition("/")[0], _CONSTRUCTS[name]
        return f"ProbLog has no '{sign}': every proof counts, in no order", instead
    if name in (",/2", ";/2"):
        return (
            f"query/1 and evidence/1 take single goals, and none joined by '{name[0]}'",
            "name it by a clause, such as both :- a, b. and write evidence(both)",
        )
    stem = name.rpartition("_p/")[0]
    if stem and name.replace("_p/", "_n/") in program.predicates:
        return f"{stem} has nothing but negated heads", f"add a clause that makes {stem} true"
    library = library_of(name)
    if library is not None:
        return (
            f"{name} is in ProbLog's library({library}), which the program does not load",
            f"add :- use_module(library({library})). at its top",
        )
    close = nearest_predicate(name, program.predicates)
    alike = f"did you mean {close}?" if close else None
    return f"no clause defines {name}", alike or (
        "define it, or correct its name and number of arguments"
    )


_CONSTRUCTS = {
    "!/0": "make the clauses exclude each other, such as by \\+ Condition in the later ones",
    "->/2": "write (Condition, Then ; \\+ Condition, Else)",
    "*->/2": "write (Condition, Then ; \\+ Condition, Else)",
}


def explain_unbound(program: Program, goal: Goal, names: list[str]) -> ProgramError:
    """Words that an answer leaves variables of the goal unbound; ProbLog calls it not ground."""
    return ProgramError(
        f"an answer of '{goal.text}' leaves {', '.join(names)} unbound, so it is no answer",
        expected="clauses that bind every variable of their head",
        remedy=f"bind {', '.join(names)} in the clause, or ask with a value in its place",
        at=_head_place(program, goal),
    )


def explain_constraint(program: Program, constraint: Constraint, error: Exception) -> ProgramError:
    """Words why the body of a constraint cannot be grounded."""
    message = str(getattr(error, "base_message", error)).rstrip(".")
    remedy = None
    if isinstance(error, NonGroundProbabilisticClause):
        message = "a variable is unbound where a probabilistic clause is called"
        remedy = (
            "bind it by a goal before; a variable that stands alone as an input of a network ranges"
            " over the inputs of the question"
        )
    if isinstance(error, UnknownClause):
        message, remedy = _unknown(program, str(error.signature).replace("'", ""))
    return ProgramError(
        f"the constraint '{constraint.text}' cannot be grounded: {message}",
        remedy=remedy,
        at=constraint.location,
    )


_REMEDIES: tuple[tuple[tuple[type[Exception], ...], tuple[str, str]], ...] = (
    ((UntrustedError,), ("{message}, for {goal}", REMEDY)),
    (
        (NonGroundProbabilisticClause,),
        (
            "a probabilistic clause is used with an unbound variable, for {goal}",
            "bind all variables of the clause before it is called, or list the variable in "
            "[examples] images if it is an input of a network",
        ),
    ),
    ((UnknownClause,), ("{message}", "define it, or correct its name and number of arguments")),
    (
        (NonGroundQuery,),
        (
            "an answer of {goal} still has a variable in it",
            "bind it in the program, or list its values in [query.answers]",
        ),
    ),
    (
        (NegativeCycle,),
        (
            "a negation is met inside the recursion of a predicate, for {goal}",
            "no clause may need the falsehood of what it defines; ProbLog also refuses negated "
            "goals that are recursive themselves: negate them outside of the recursion",
        ),
    ),
    (
        (IndirectCallCycleError,),
        (
            "collecting all answers of a goal needs that goal's own answers, for {goal}",
            "let findall/3 or its like collect from a predicate that does not call it back",
        ),
    ),
    (
        (OccursCheck,),
        (
            "a variable is to be equal to a term that it is part of, for {goal}",
            "write another variable there: X = f(Y) instead of X = f(X)",
        ),
    ),
    (
        (InstantiationError, CallModeError, ProbLogArithmeticError),
        (
            "{message}, for {goal}",
            "bind the variables before the call; values of an observed variable that the program "
            "cannot enumerate are listed in the spec under [query.answers]",
        ),
    ),
)


def explain_limit(
    program: Program, goal: Goal, error: BaseException, stack: Iterable[Any]
) -> LimitError:
    """Names the predicates that fill the engine's stack when a limit is reached."""
    own = set(program.predicates)
    open_calls: Counter[str] = Counter()
    for record in stack:
        node: Any = getattr(record, "node", None)
        if type(node).__name__ == "define":
            name = f"{node.functor}/{node.arity}".replace("'", "")
            if name in own:  # ProbLog makes predicates of its own for bodies and negations
                open_calls[name] += 1
    named = [(name, count) for name, count in open_calls.most_common(3) if count > 1]
    what = "did not end in time" if isinstance(error, OutOfTimeError) else "ran out of memory"
    found = f"grounding {_asked(goal)} {what}"
    raising = RAISE_SECONDS if isinstance(error, OutOfTimeError) else RAISE_MEMORY
    remedy = f"try a smaller shape of the goal, or {raising}"
    at = goal.at
    if named:
        through = ", ".join(f"{name} ({count} calls are open)" for name, count in named)
        found += f": a recursion without end, or a very long one, through {through}"
        remedy = "give it a case that stops it, with a bound that every call comes nearer to; for "
        remedy += f"a long one try a smaller shape of the goal, or {raising}"
        at = _definition(program, named[0][0]) or goal.at
    return LimitError(found, remedy=remedy, at=at)


def _definition(program: Program, name: str) -> Location | None:
    """Finds the first clause with a body of a predicate, or else its first."""
    found = [s for s in program.statements if _signature(getattr(s, "head", s)) == name]
    rules = [statement for statement in found if isinstance(statement, Clause)]
    return program.places.of((rules or found)[0]) if found else None


def _signature(head: Any) -> str:
    return str(getattr(head, "signature", "")).replace("'", "")


def explain_oddity(program: Program, goal: Goal, error: Exception) -> ProgramError | None:
    """Names the call at which ProbLog's own Python failed, such as ``str2int(abc, X)``.

    Returns:
        The error with its place; ``None`` when it did not come out of a call of the program.
    """
    called, at, trace = "", None, error.__traceback__
    while trace is not None:
        options = trace.tb_frame.f_locals.get("kwdargs")
        if isinstance(options, dict) and options.get("call_origin"):
            (name, place), database = options["call_origin"], options.get("database")
            arguments = ", ".join(map(_shown, options.get("context") or ()))
            called = f"{name.rpartition('/')[0]}({arguments})"
            where = database.lineno(place) if database is not None else None
            at = Location(program.file, *where[1:]) if where and where[0] is None else at
        trace = trace.tb_next
    if not called:
        return None
    return ProgramError(
        f"ProbLog cannot evaluate {called}, for {_asked(goal)}: {error}",
        remedy="check the arguments of the call",
        at=at or _head_place(program, goal),
    )


def _shown(argument: Any) -> str:
    """Prints an argument of a call; ProbLog numbers the variables."""
    return "_" if argument is None or isinstance(argument, int) else str(argument)


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
