"""ProbLog's other tasks on a plain program: MPE, MAP, samples, explanations, learning.

They are ProbLog's own implementations, with ProbLog's own output, run in a process with limits. A
constraint ``:- body.`` reaches them as evidence, which is what it means here.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from groundkit.circuit.codec import decode_error
from groundkit.errors import InputError, LimitError, ProgramError, RunError, choose_from
from groundkit.files import read_text
from groundkit.program.goal import check_goal, parse_goal
from groundkit.program.limits import RAISE_SECONDS, Limits
from groundkit.program.source import Program, parse_program

TaskName = Literal["mpe", "map", "sample", "explain", "lfi"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)

MOST_WORLDS = 100_000
_GRACE = 5.0
_SEPARATOR = "---"


@dataclass(frozen=True)
class TaskResult:
    """What a task found.

    Attributes:
        task: The task.
        text: ProbLog's output.
        data: The same as JSON-able values.
        notes: What ProbLog does otherwise than one may expect.
    """

    task: str
    text: str
    data: Any
    notes: tuple[str, ...] = ()

    def to_dict(self) -> Any:
        """Returns ProbLog's JSON."""
        return self.data

    def __str__(self) -> str:
        return "\n".join([*(f"% {note}" for note in self.notes), self.text.rstrip()])


def run_task(
    program: Program,
    task: str,
    goal: str | None = None,
    *,
    examples: Sequence[Path] = (),
    count: int = 1,
    seed: int | None = None,
    limits: Limits | None = None,
) -> TaskResult:
    """Runs one of ProbLog's tasks.

    Args:
        program: A program without neural predicates.
        task: ``mpe``: the most probable world; ``map``: the most probable values of the queries;
            ``sample``: worlds; ``explain``: the proofs of each query; ``lfi``: probabilities learnt
            from interpretations.
        goal: Asked besides the program's own ``query/1`` facts.
        examples: For ``lfi``, files of evidence, interpretations apart by a line of dashes.
        count: For ``sample``, how many worlds.
        seed: Seed of ``sample`` and ``lfi``.
        limits: Time and memory.

    Raises:
        ProgramError: The program has networks, or ProbLog refuses it.
        LimitError: It took too long, or too much memory.
    """
    if task not in TASKS:
        raise InputError(f"there is no task '{task}'", remedy=choose_from(task, TASKS))
    _check(program, task, goal, examples)
    told = [_interpretations(program, path) for path in examples]
    asked = {"task": task, "examples": told, "count": count, "seed": seed}
    answer = _in_child(program, goal, asked, limits or Limits())
    notes = []
    if task == "explain" and (program.evidence or program.constraints):
        notes.append("explain does not look at evidence: probabilities are without it")
    return TaskResult(task, answer["text"], answer["data"], tuple(notes))


@dataclass(frozen=True)
class Worlds:
    """Random worlds, and what held in them.

    Attributes:
        held: Printed query -> in how many worlds it held.
        drawn: Number of worlds that agree with the evidence.
    """

    held: dict[str, int]
    drawn: int

    @property
    def probabilities(self) -> dict[str, float]:
        """The share of worlds in which each query held."""
        return {query: count / self.drawn for query, count in self.held.items()}

    @property
    def errors(self) -> dict[str, float]:
        """The standard error of each share.

        One world is added that holds and one that does not: a share of 0 or 1 is not certain.
        """
        shares = {query: (count + 1) / (self.drawn + 2) for query, count in self.held.items()}
        return {query: math.sqrt(p * (1 - p) / self.drawn) for query, p in shares.items()}


def draw_worlds(program: Program, goal: str | None, limits: Limits) -> Worlds:
    """Draws worlds of a program that cannot be grounded as a whole.

    Args:
        program: A program without neural predicates and learnable probabilities.
        goal: Asked besides the program's own ``query/1`` facts.
        limits: Time to draw in, which has an end, and memory of the process that draws.

    Raises:
        LimitError: None was drawn.
    """
    asked = {"task": "worlds", "count": MOST_WORLDS, "seed": 0}
    data = _in_child(program, goal, asked, limits)["data"]
    if not data["drawn"]:
        raise LimitError(
            f"of {data['tried']} worlds that were drawn none agrees with the evidence",
            remedy=RAISE_SECONDS,
            at=program.places.at(None),
        )
    return Worlds(data["held"], data["drawn"])


def _check(program: Program, task: str, goal: str | None, examples: Sequence[Path]) -> None:
    """Refuses what ProbLog's tasks would fail at, or pass over."""
    if program.neural:
        remedy = "replace it by a disjunction with numbers, or ask a finished run: groundkit query"
        if task == "lfi":
            remedy = "train it with examples: groundkit run learns t(...) together with networks"
        raise ProgramError(
            f"the task {task} is ProbLog's, which has no network "
            f"'{program.neural[0].network}' to ask",
            remedy=remedy,
            at=program.neural[0].location,
        )
    if goal is not None:
        check_goal(program, parse_goal(goal))
    if task == "lfi" and not examples:
        raise InputError(
            "learning from interpretations needs some",
            expected="a file of evidence, such as 'evidence(a,true). evidence(b,false).', "
            "interpretations apart by a line of dashes",
            remedy="pass --examples FILE",
        )
    if task in ("map", "explain") and not program.queries and goal is None:
        raise ProgramError(
            "the program asks nothing",
            expected="facts such as query(a), or a goal beside the program",
            at=program.places.at(None),
        )


def _as_problog(program: Program, goal: str | None) -> str:
    """Writes constraints as evidence, and the goal as a query; the lines stay where they are."""
    lines = program.text.split("\n")
    told = []
    numbered = list(enumerate(program.constraints))
    for number, constraint in reversed(numbered):
        name = f"constraint_{number}"
        line, column = (constraint.location.line or 1) - 1, (constraint.location.column or 1) - 1
        lines[line] = f"{lines[line][:column]}{name} {lines[line][column:]}"
        told.append(f"evidence({name},false).")
    asked = [] if goal is None else [f"query({goal.strip().removesuffix('.')})."]
    return "\n".join([*lines, *reversed(told), *asked, ""])


def _interpretations(program: Program, path: Path) -> str:
    """Reads a file of interpretations, which must hold evidence and nothing else."""
    try:
        text = read_text(path, error=InputError, what="the examples")
    except FileNotFoundError:
        raise InputError(f"there are no examples '{path}'", remedy="check the path") from None
    blank = "\n".join("" if line.startswith(_SEPARATOR) else line for line in text.split("\n"))
    found = parse_program(blank, path, program.trust)
    if found.predicates or found.queries or found.neural:
        raise InputError(
            f"'{path}' holds more than evidence: {(*found.predicates, *found.queries)[0]}",
            expected="evidence(a,true), evidence(b,false), ... and lines of dashes",
        )
    return text


def _in_child(program: Program, goal: str | None, asked: dict[str, Any], limits: Limits) -> Any:
    """Runs :mod:`groundkit.circuit.task_worker`, which can be killed."""
    request = asked | {
        "text": _as_problog(program, goal),
        "file": None if program.file is None else str(program.file),
        "trust": program.trust,
        "seconds": limits.seconds,
        "memory": limits.memory,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    at = program.places.at(None)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "groundkit.circuit.task_worker"],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            timeout=None if limits.seconds is None else limits.seconds + _GRACE,
            env=environment,
            check=False,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise LimitError(
            f"the task {request['task']} took more than {limits.seconds:g} s",
            remedy="try a smaller program",
            at=at,
        ) from None
    except ValueError:
        raise LimitError(
            f"the task {request['task']} ended its process (status {done.returncode}); it probably "
            "ran out of memory",
            remedy="look for a recursion without end, or try a smaller program",
            at=at,
        ) from None
    if "error" in answer:
        raise decode_error(answer["error"])
    if "unforeseen" in answer:
        raise RunError(
            f"the task {request['task']} failed unexpectedly: "
            f"{answer['unforeseen'].strip().splitlines()[-1]}",
            remedy="report it with what --debug shows",
        ) from RuntimeError(answer["unforeseen"])
    return answer
