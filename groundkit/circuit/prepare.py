"""Grounds and compiles one query shape: from the cache, in a process with limits, or here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from groundkit.circuit import cache as disk
from groundkit.circuit.codec import decode, decode_error, encode_location
from groundkit.circuit.compile import Compiled, compile_program
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
    keep = cache is not None and not shape.program.trust
    if keep and cache is not None:
        found = disk.load(cache, shape)
        if found is not None:
            return found  # exact, whatever the mode
    found = _here(shape) if limits is None else _in_child(shape, limits)
    if keep and cache is not None and found[1].exact:
        disk.store(cache, shape, *found)
    return found


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
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    try:
        done = subprocess.run(
            # -P: modules that lie in the user's folder beside a program are not imported.
            [sys.executable, "-P", "-m", "groundkit.circuit.worker"],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            timeout=None if limits.seconds is None else limits.seconds + _GRACE,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LimitError(
            f"grounding and compiling '{shape.goal.text}' took more than {limits.seconds:g} s",
            remedy=f"try a smaller shape of the goal with `groundkit plan`, or {RAISE_SECONDS}",
            at=shape.goal.at,
        ) from None
    return _result(shape, limits, done)


def _result(
    shape: Shape, limits: Limits, done: subprocess.CompletedProcess[bytes]
) -> tuple[GroundProgram, Compiled]:
    """Reads the child's answer; a child that died without one ran out of memory or stack."""
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        limit = f" of {limits.memory >> 20} MiB" if limits.memory is not None else ""
        raise LimitError(
            f"grounding '{shape.goal.text}' ended the process (status {done.returncode}); it "
            f"probably ran out of its memory{limit}",
            remedy=f"look for a recursion without end, or {RAISE_MEMORY}",
            at=shape.goal.at,
        ) from None
    if "error" in answer:
        raise decode_error(answer["error"])
    if "unforeseen" in answer:
        trace = answer["unforeseen"].strip()
        raise RunError(
            f"grounding '{shape.goal.text}' failed unexpectedly: {trace.splitlines()[-1]}",
            remedy="check the use of built-in predicates, or report it with what --debug shows",
        ) from RuntimeError(trace)
    return decode(answer["found"])
