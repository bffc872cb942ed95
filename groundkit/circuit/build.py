"""From a goal to what evaluates it: ground once, compiled, exact or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from groundkit.circuit.approximate import reasoner_of
from groundkit.circuit.prepare import prepare
from groundkit.circuit.reasoner import Reasoner
from groundkit.program.engine import Shape
from groundkit.program.goal import Goal
from groundkit.program.limits import Limits
from groundkit.program.source import Program


def build_reasoner(
    program: Program,
    goal: Goal,
    images: Sequence[str],
    *,
    observed_values: Mapping[str, Sequence[str]] | None = None,
    cache: Path | None = None,
    limits: Limits | None = None,
    may_be_impossible: bool = False,
) -> Reasoner:
    """Grounds and compiles one query shape.

    Args:
        program: The program.
        goal: The goal.
        images: Names of the goal's variables that are images.
        observed_values: Values of observed variables, for a program that cannot enumerate them.
        cache: Folder of compiled shapes; ``None`` compiles anew.
        limits: Time and memory for grounding and compiling, which then run in a process of their
            own; ``None`` runs them here without limits.
        may_be_impossible: Whether a goal that the evidence rules out is answered by probability 0
            instead of an error: the evidence is a question's, not the program's.

    Raises:
        ProgramError: The goal is unknown, has no solution, or the program is not supported.
        LimitError: Grounding or compiling took too long or too much memory.
    """
    shape = Shape(program, goal, tuple(images), dict(observed_values or {}))
    found, compiled = prepare(shape, cache, limits)
    reasoner = reasoner_of(program, goal, found, compiled)
    if not may_be_impossible:
        reasoner.refuse_impossible()
    return reasoner
