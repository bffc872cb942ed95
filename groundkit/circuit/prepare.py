"""Grounds and compiles one query shape: from the cache, in a process with limits, or here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from groundkit.circuit import cache as disk
from groundkit.circuit.codec import decode, decode_error, encode_location
from groundkit.circuit.compile import Compiled, compile_program
from groundkit.errors import LimitError, RunError
from groundkit.program.engine import Shape, ground
from groundkit.program.ground import GroundProgram
from groundkit.program.limits import RAISE_MEMORY, RAISE_SECONDS, Limits

_GRACE = 5.0
"""Seconds that the child may take beyond its limit to say which clause is at fault."""

_KEPT = ("PATH", "PYTHON", "LD_", "DYLD_", "LANG", "LC_", "TZ", "OMP_", "SYSTEMROOT")
"""How the names of variables begin that a worker needs."""


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
        "parent": os.getpid(),
    }
    worker = subprocess.Popen(
        # -P: modules that lie in the user's folder beside a program are not imported.
        [sys.executable, "-P", "-m", "groundkit.circuit.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(shape.program.trust),
    )
    # The pipe to the worker stays open until it has answered: it ends when the pipe closes.
    told, worker.stdin = cast(IO[bytes], worker.stdin), None
    with worker:
        try:
            _tell(told, request)
            output, _ = worker.communicate(
                timeout=None if limits.seconds is None else limits.seconds + _GRACE
            )
        except subprocess.TimeoutExpired:
            worker.kill()
            raise LimitError(
                f"grounding and compiling '{shape.goal.text}' took more than {limits.seconds:g} s",
                remedy=f"try a smaller shape of the goal with `groundkit plan`, or {RAISE_SECONDS}",
                at=shape.goal.at,
            ) from None
        except BaseException:
            worker.kill()
            raise
        finally:
            with suppress(BrokenPipeError):
                told.close()
    return _result(shape, limits, output, worker.returncode)


def _tell(pipe: IO[bytes], request: dict[str, Any]) -> None:
    """Writes a request, one line; of a worker that has died, :func:`_result` says so."""
    with suppress(BrokenPipeError):
        pipe.write(json.dumps(request).encode() + b"\n")
        pipe.flush()


def _environment(trust: bool) -> dict[str, str]:
    """What the worker's process is told of ours: where Python finds its modules, and its language.

    A trusted program may need everything.
    """
    kept = dict(os.environ)
    if not trust:
        kept = {name: value for name, value in kept.items() if name.startswith(_KEPT)}
    kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    kept["OPENBLAS_NUM_THREADS"] = "1"
    return kept


def _result(
    shape: Shape, limits: Limits, output: bytes, status: int
) -> tuple[GroundProgram, Compiled]:
    """Reads the child's answer; a child that died without one ran out of memory or stack."""
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        limit = f" of {limits.memory >> 20} MiB" if limits.memory is not None else ""
        raise LimitError(
            f"grounding '{shape.goal.text}' ended the process (status {status}); it "
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
