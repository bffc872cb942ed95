"""Asks a plain program, without a run: light enough to answer before torch would be loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from groundkit.circuit.answer import ask_queries
from groundkit.circuit.cache import cache_folder
from groundkit.circuit.tasks import TaskResult, run_task
from groundkit.program.source import load_program
from groundkit.runs.answers import ProgramAnswers
from groundkit.task.spec import parse_spec


def is_program(path: Path) -> bool:
    """Tells a program's file from a run's folder."""
    return path.suffix == ".pl" or path.is_file()


def ask_program(
    path: Path,
    goal: str | None = None,
    *,
    task: str | None = None,
    examples: Sequence[Path | str] = (),
    count: int = 1,
    seed: int | None = None,
    settings: Sequence[str] = (),
    trust: bool = False,
) -> ProgramAnswers | TaskResult:
    """Answers a goal of a program without networks, or does another of ProbLog's tasks.

    Args:
        path: The program.
        goal: A goal; without one, the program's ``query/1`` facts are answered.
        task: ``mpe``, ``map``, ``sample``, ``explain`` or ``lfi``.
        examples: For ``lfi``, files of interpretations.
        count: For ``sample``, how many worlds.
        seed: Seed of ``sample`` and ``lfi``.
        settings: Such as ``reasoning.limit_seconds=60``.
        trust: Allow the program to run Python code.

    Raises:
        InputError: The program or the goal is wrong.
    """
    program = load_program(path, trust=trust)
    if task is not None:
        files = [Path(file) for file in examples]
        return run_task(program, task, goal, examples=files, count=count, seed=seed)
    limits = parse_spec("", None, settings).reasoning.limits
    found = ask_queries(program, goal, cache=cache_folder(), limits=limits)
    return ProgramAnswers(found.probabilities, found.mode, found.gaps)
