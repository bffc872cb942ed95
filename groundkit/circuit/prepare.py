"""Grounds and compiles one query shape: from the cache, in a process with limits, or here."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundkit.circuit.attempts import LateError
from groundkit.circuit.codec import decode, decode_error, encode_location
from groundkit.circuit.compile import Compiled, compile_program
from groundkit.circuit.start import Worker, inherited_seconds, start_worker
from groundkit.errors import LimitError, RunError
from groundkit.program.engine import Shape, ground
from groundkit.program.ground import GroundProgram
from groundkit.program.limits import RAISE_MEMORY, RAISE_SECONDS, Limits

_GRACE = 5.0
"""Seconds that the child may take beyond its limit to say which clause is at fault."""


def prepare(
    shape: Shape, cache: Path | None, limits: Limits | None
) -> tuple[GroundProgram, Compiled]:
    """Returns the ground program of a query shape and its circuit.

    A program that may load files of its own is never cached, for they are not part of the key.

    Args:
        shape: What to ground.
        cache: Folder of entries, or ``None``.
        limits: Limits of a child process, or ``None`` to work here without limits.
    """
    if cache is None or shape.program.trust:
        return _made(shape, limits)
    from groundkit.circuit import cache as disk  # hashing and unpacking are for those who keep

    found = disk.load(cache, shape)
    if found is None:  # what is kept is exact, whatever the mode
        found = _made(shape, limits)
        if found[1].exact:
            disk.store(cache, shape, *found)
    return found


def _made(shape: Shape, limits: Limits | None) -> tuple[GroundProgram, Compiled]:
    return _here(shape) if limits is None else _in_child(shape, limits)


def _here(shape: Shape) -> tuple[GroundProgram, Compiled]:
    program = ground(shape)
    return program, compile_program(program)


def _in_child(shape: Shape, limits: Limits) -> tuple[GroundProgram, Compiled]:
    """Runs :mod:`groundkit.circuit.worker`, which imports no torch and can be killed."""
    request = {
        "text": shape.program.text,
        "file": None if shape.program.file is None else str(shape.program.file),
        "trust": shape.program.trust,
        "goal": shape.goal.text,
        "at": encode_location(shape.goal.at),
        "images": list(shape.images),
        "values": {name: list(values) for name, values in shape.observed_values.items()},
        "facts": shape.facts,
        "seconds": limits.seconds,
        "memory": limits.memory,
        "mode": limits.mode,
        "parent": os.getpid(),
    }
    begun = time.perf_counter()
    worker = start_worker(shape, request)
    try:
        output = worker.answer(None if limits.seconds is None else limits.seconds + _GRACE)
    except LateError:
        raise LimitError(
            f"grounding and compiling '{shape.goal.text}' took more than {limits.seconds:g} s",
            remedy=f"try a smaller shape of the goal with `groundkit plan`, or {RAISE_SECONDS}",
            at=shape.goal.at,
        ) from None
    program, compiled = _result(shape, limits, output, worker)
    # Whoever plans for many shapes waits for their processes, too.
    waited = time.perf_counter() - begun - compiled.seconds
    return replace(program, seconds=max(waited, program.seconds)), compiled


def _result(
    shape: Shape, limits: Limits, output: bytes, worker: Worker
) -> tuple[GroundProgram, Compiled]:
    """Reads the child's answer."""
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        raise _cause_of_death(shape, limits, worker) from None
    if "error" in answer:
        raise decode_error(answer["error"])
    if "unforeseen" in answer:
        trace = answer["unforeseen"].strip()
        raise RunError(
            f"grounding '{shape.goal.text}' failed unexpectedly: {trace.splitlines()[-1]}",
            remedy="check the use of built-in predicates, or report it with what --debug shows",
        ) from RuntimeError(trace)
    return decode(answer["found"])


def _cause_of_death(shape: Shape, limits: Limits, worker: Worker) -> LimitError:
    """Words why a child ended without an answer: its processor time was over, or its memory."""
    allowed = inherited_seconds()
    if worker.status in (-signal.SIGXCPU, -signal.SIGKILL) and worker.used > 0.9 * allowed:
        return LimitError(
            f"grounding '{shape.goal.text}' took all of the {allowed:g} s of processor time that "
            "the system allows a process here",
            remedy="raise `ulimit -t` of the shell, or set a --limit-seconds below it to learn "
            "which clause takes so long",
            at=shape.goal.at,
        )
    if worker.status == -signal.SIGXCPU:
        return LimitError(
            f"grounding '{shape.goal.text}' took {worker.used:.0f} s of processor time, more than "
            f"its limit of {limits.seconds or 0.0:g} s allows",
            remedy=RAISE_SECONDS,
            at=shape.goal.at,
        )
    limit = f" of {limits.memory >> 20} MiB" if limits.memory is not None else ""
    return LimitError(
        f"grounding '{shape.goal.text}' ended the process (status {worker.status}); it "
        f"probably ran out of its memory{limit}",
        remedy=f"look for a recursion without end, or {RAISE_MEMORY}",
        at=shape.goal.at,
    )
