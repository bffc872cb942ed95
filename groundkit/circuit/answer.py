"""Answers queries of programs whose probabilities are all known."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from groundkit.circuit.compile import Compiled
from groundkit.circuit.evaluate import evaluate
from groundkit.circuit.prepare import prepare
from groundkit.errors import LimitError, NoSolutionError, ProgramError
from groundkit.program.engine import Shape
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.ground import FixedSource, GroundProgram
from groundkit.program.limits import Limits
from groundkit.program.source import Program

if TYPE_CHECKING:
    from groundkit.circuit.reasoner import Reasoner


_DRAWING = ("auto", "sample")
"""Modes in which worlds are drawn where a program cannot be grounded or compiled."""
_SECONDS = 60.0
"""Time to draw worlds in where none is given."""


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
        nodes: Nodes of the circuit.
        ground_seconds: Time that grounding took, with the start of its process.
        compile_seconds: Time that compiling took.
    """

    probabilities: dict[str, float]
    mode: str
    gaps: dict[str, float]
    reason: str
    nodes: int
    ground_seconds: float
    compile_seconds: float


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
        shape = _shape_of_queries(program)
    else:
        shape = Shape(program, parse_goal(goal) if isinstance(goal, str) else goal)
    if limits is not None and limits.seconds is not None and limits.mode in _DRAWING:
        limits = replace(limits, seconds=limits.seconds / 2)  # the rest is for drawing worlds
    try:
        found, compiled = prepare(shape, cache, limits)
    except NoSolutionError:
        return QueryAnswers({shape.goal.text: 0.0}, "exact", {}, "it has no proof", 0, 0.0, 0.0)
    except LimitError as error:
        if limits is None or limits.mode not in _DRAWING or program.learnable:
            raise
        return _drawn(shape, limits, error.found)
    names = [_printed(shape, found, answer) for answer in found.answers]
    gaps: list[float] = []
    mode, values = "exact", _at_once(found, compiled)
    if values is None:
        reasoner = _reasoner(shape, found, compiled)
        mode, values = reasoner.mode, reasoner({})[0].detach().exp().tolist()
        gaps = [] if mode == "exact" else reasoner.gap({})[0].tolist()
    return QueryAnswers(
        probabilities=dict(zip(names, values, strict=True)),
        mode=mode,
        gaps=dict(zip(names, gaps, strict=False)),
        reason=compiled.reason,
        nodes=len(compiled.circuit),
        ground_seconds=found.seconds,
        compile_seconds=compiled.seconds,
    )


def _drawn(shape: Shape, limits: Limits, why: str) -> QueryAnswers:
    """Estimates the answers from worlds that ProbLog's engine draws."""
    from groundkit.circuit.tasks import draw_worlds

    start = time.perf_counter()
    goal = None if shape.facts else shape.goal.text
    found = draw_worlds(shape.program, goal, replace(limits, seconds=limits.seconds or _SECONDS))
    reason = f"{why}; {found.drawn} worlds were drawn"
    taken = time.perf_counter() - start
    return QueryAnswers(found.probabilities, "sample", found.errors, reason, 0, 0.0, taken)


def _printed(shape: Shape, found: GroundProgram, answer: tuple[str, ...]) -> str:
    """Prints the goal that an answer stands for."""
    if shape.facts:
        return answer[0]
    return shape.goal.with_values(dict(zip(found.observed, answer, strict=True)))


def _at_once(found: GroundProgram, compiled: Compiled) -> list[float] | None:
    """Evaluates a circuit whose probabilities are all given.

    Returns:
        A probability for every answer; ``None`` where something is learnt or estimated, or the
        evidence impossible, which is the reasoner's to say.
    """
    weights = [c.source.probabilities for c in found.choices if isinstance(c.source, FixedSource)]
    if not compiled.exact or len(weights) < len(found.choices):
        return None
    values = evaluate(compiled.circuit, weights)
    answers, told = values[: len(found.answers)], values[len(found.answers) :]
    if -math.inf in told:
        return None
    return [math.exp(answer - sum(told)) for answer in answers]


def _shape_of_queries(program: Program) -> Shape:
    """Asks a program's ``query/1`` facts, all in one circuit."""
    if not program.queries and not program.trust:
        raise ProgramError(
            "the program asks nothing",
            expected="facts such as query(addition(1,2,Z)), or a goal beside the program",
            at=program.places.at(None),
        )
    return Shape(program, parse_goal("query(Query)"), facts=True)


def _reasoner(shape: Shape, found: GroundProgram, compiled: Compiled) -> Reasoner:
    """Makes a module of a circuit; a plain program is usually answered without loading torch."""
    from groundkit.circuit.approximate import reasoner_of

    reasoner = reasoner_of(shape.program, shape.goal, found, compiled)
    reasoner.refuse_impossible(only_evidence=True)
    return reasoner


def reasoner_of_queries(program: Program, cache: Path | None, limits: Limits | None) -> Reasoner:
    """Compiles a program's ``query/1`` facts, all in one circuit.

    Raises:
        ProgramError: The program asks nothing, or cannot be grounded.
    """
    shape = _shape_of_queries(program)
    return _reasoner(shape, *prepare(shape, cache, limits))
