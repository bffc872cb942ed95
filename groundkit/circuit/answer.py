"""Answers queries of programs whose probabilities are all known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from groundkit.circuit.approximate import reasoner_of
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.prepare import prepare
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import ProgramError
from groundkit.program.engine import Shape
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import Program


def answer_queries(
    program: Program,
    goal: Goal | str | None = None,
    *,
    cache: Path | None = None,
    limits: Limits | None = None,
) -> dict[str, float]:
    """Computes the probability of every answer, as ProbLog does.

    Args:
        program: A program without neural predicates.
        goal: A goal; without one, the program's own ``query/1`` facts are answered.
        cache: Folder of compiled shapes.
        limits: Time and memory for grounding and compiling.

    Returns:
        From the printed query, its variables replaced by their values, to its probability under
        the evidence. A query that nothing makes true has probability 0. Under limits whose mode is
        not ``exact``, it may be a lower bound or an estimate: see :func:`ask_queries`.

    Raises:
        ProgramError: The program has networks, asks nothing, or cannot be grounded.
    """
    return ask_queries(program, goal, cache=cache, limits=limits).probabilities


@dataclass(frozen=True)
class QueryAnswers:
    """Answers of a program, and how exact they are.

    Attributes:
        probabilities: Printed query -> probability, its lower bound, or its estimate.
        mode: ``exact``, ``bounds`` or ``sample``.
        gaps: Printed query -> upper less lower bound, or standard error; empty where exact.
        reason: How the answers came about.
    """

    probabilities: dict[str, float]
    mode: str
    gaps: dict[str, float]
    reason: str


def ask_queries(
    program: Program,
    goal: Goal | str | None = None,
    *,
    cache: Path | None = None,
    limits: Limits | None = None,
) -> QueryAnswers:
    """Computes what :func:`answer_queries` does, and says how exact it is."""
    if program.neural:
        raise ProgramError(
            f"the program needs outputs of network '{program.neural[0].network}'",
            remedy="run it first, then ask the run: groundkit query RUN GOAL",
            at=program.neural[0].location,
        )
    if goal is None:
        reasoner = reasoner_of_queries(program, cache, limits)
        names = [name for (name,) in reasoner.answers]
    else:
        goal = parse_goal(goal) if isinstance(goal, str) else goal
        reasoner = build_reasoner(program, goal, [], cache=cache, limits=limits)
        names = [
            goal.with_values(dict(zip(reasoner.observed, answer, strict=True)))
            for answer in reasoner.answers
        ]
    found = reasoner({})[0].detach().exp().tolist()
    gaps = [] if reasoner.mode == "exact" else reasoner.gap({})[0].tolist()
    return QueryAnswers(
        dict(zip(names, found, strict=True)),
        reasoner.mode,
        dict(zip(names, gaps, strict=False)),
        reasoner.compiled.reason,
    )


def reasoner_of_queries(program: Program, cache: Path | None, limits: Limits | None) -> Reasoner:
    """Compiles a program's ``query/1`` facts, all in one circuit.

    Raises:
        ProgramError: The program asks nothing, or cannot be grounded.
    """
    if not program.queries and not program.trust:
        raise ProgramError(
            "the program asks nothing",
            expected="facts such as query(addition(1,2,Z)), or a goal beside the program",
            at=program.places.at(None),
        )
    shape = Shape(program, parse_goal("query(Query)"), facts=True)
    reasoner = reasoner_of(program, shape.goal, *prepare(shape, cache, limits))
    reasoner.refuse_impossible(only_evidence=True)
    return reasoner
