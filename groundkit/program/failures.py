"""Why a goal has no proof: the clause that comes furthest, and the literal it stops at."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from problog.logic import And, Clause, Term, Var

from groundkit.errors import Location
from groundkit.program.goal import Binding, Goal
from groundkit.program.source import Program

_DEEPEST = 4
_RENAMED = re.compile(r"__\d+\b")


@dataclass(frozen=True)
class Failure:
    """Where every attempt to prove a goal ends.

    Attributes:
        failed: The literal that has no proof.
        before: The literals before it, which do hold together.
        clause: The clause they stand in, ``None`` when no clause can be entered.
        at: Where the clause stands.
    """

    failed: str
    before: tuple[str, ...]
    clause: str | None
    at: Location | None

    def __str__(self) -> str:
        if self.clause is None:
            return f"no clause matches {self.failed}"
        held = f"{', '.join(self.before)} hold, then " if self.before else ""
        return f"{self.at}: in the clause\n  {self.clause}\n  {held}{self.failed} fails"


def why_not(program: Program, goal: Goal, holds: Callable[[str], bool]) -> Failure:
    """Finds the literal at which the proof of a goal without solution ends.

    Every clause of the goal's predicate is entered as far as its literals hold together; the one
    that comes furthest is told, and the literal it stops at is looked into in the same way.

    Args:
        program: The program.
        goal: A goal without solution.
        holds: Tells whether a conjunction, printed as text, has a solution.
    """
    return _Search(program, holds).look([], goal.term, 0) or Failure(goal.text, (), None, goal.at)


class _Search:
    """Goes down from a literal that fails."""

    def __init__(self, program: Program, holds: Callable[[str], bool]) -> None:
        self.program = program
        self.holds = holds

    def look(self, context: list[str], literal: Any, depth: int) -> Failure | None:
        """Explains a literal that fails after ``context``; ``None`` when no clause is entered."""
        best: tuple[int, list[str], list[Any], Any, Any] | None = None
        for head, body, statement in self._clauses(literal, depth):
            equations = [
                f"{mine} = {theirs}" for mine, theirs in zip(literal.args, head.args, strict=True)
            ]
            entered = [*context, *equations]
            if not entered or not self.holds(", ".join(entered)):
                continue
            done = self._longest(entered, body)
            if done < len(body) and (best is None or done > best[0]):
                best = (done, entered, body, head, statement)
        if best is None:
            return None
        done, entered, body, head, statement = best
        if depth < _DEEPEST:
            deeper = self.look([*entered, *map(str, body[:done])], body[done], depth + 1)
            if deeper is not None:
                return deeper
        shown = Binding(zip(map(str, head.args), literal.args, strict=True))
        return Failure(
            failed=_plain(body[done].apply(shown)),
            before=tuple(_plain(part.apply(shown)) for part in body[:done]),
            clause=_printed(statement),
            at=self.program.places.of(statement),
        )

    def _longest(self, entered: list[str], body: list[Any]) -> int:
        """Counts the literals that hold together; fewer hold only if more do, so it halves."""
        low, high = 0, len(body)
        while low < high:
            middle = (low + high + 1) // 2
            if self.holds(", ".join([*entered, *map(str, body[:middle])])):
                low = middle
            else:
                high = middle - 1
        return low

    def _clauses(self, literal: Any, depth: int) -> list[tuple[Any, list[Any], Any]]:
        """Lists the clauses with a body that could prove a literal, their variables renamed."""
        found = []
        for statement in self.program.statements:
            if not isinstance(statement, Clause) or not isinstance(literal, Term):
                continue
            head = statement.head
            if head.signature == literal.signature:
                fresh = _Fresh(depth)
                body = [part.apply(fresh) for part in _conjuncts(statement.body)]
                found.append((head.with_probability(None).apply(fresh), body, statement))
        return found


class _Fresh(dict[str, Any]):
    """Renames a clause's variables apart from those of other depths."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def __missing__(self, name: str) -> Any:
        return Var(name if name == "_" else f"{name}__{self.depth}")


def _plain(term: Any) -> str:
    """Prints a term with the variables' own names."""
    return _RENAMED.sub("", str(term))


def _conjuncts(body: Any) -> list[Any]:
    if isinstance(body, And):
        return [*_conjuncts(body.op1), *_conjuncts(body.op2)]
    return [body]


def _printed(clause: Any) -> str:
    """Prints a clause without the marks of learnable probabilities."""
    return f"{clause.head.with_probability(None)} :- {clause.body}."
