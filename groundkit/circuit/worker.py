"""The child process that grounds and compiles under limits: a request on stdin, one answer out.

Both are JSON; the answer holds the ground program and its circuit, an error, or the traceback of an
error nobody foresaw. Whatever a program prints goes to stderr.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from groundkit.circuit.attempts import Attempts, Helper
from groundkit.circuit.codec import decode_location, encode, encode_error
from groundkit.circuit.compile import compile_within
from groundkit.errors import GroundkitError, LimitError
from groundkit.program.engine import Shape, ground
from groundkit.program.limits import RAISE_MEMORY, RAISE_SECONDS, OutOfTimeError
from groundkit.program.query import parse_goal
from groundkit.program.source import parse_program

_RECURSION = 20_000
_STACK = 120 << 20
"""Bytes of stack; Linux leaves 128 MiB free for a stack that grows after the start."""


def answer(request: dict[str, Any], attempts: Attempts) -> dict[str, Any]:
    """Grounds and compiles a request; errors are returned, not raised."""
    try:
        found = ground(_shape(request))
        # What is left of the alarm is the compilers' time, less what writing the answer takes.
        left = 0.95 * signal.getitimer(signal.ITIMER_REAL)[0] or None
        return {"found": encode(found, compile_within(found, left, attempts, request["mode"]))}
    except LimitError as error:
        error.at = error.at or decode_location(request["at"])
        return {"error": encode_error(error)}
    except GroundkitError as error:
        return {"error": encode_error(error)}
    except OutOfTimeError:
        return _past_limit(
            request,
            f"compiling '{request['goal']}' took more than {request['seconds']:g} s",
            f"try a smaller shape of the goal with `groundkit plan`, or {RAISE_SECONDS}",
        )
    except (MemoryError, RecursionError):
        return _past_limit(
            request,
            f"'{request['goal']}' ran out of memory",
            f"look for a recursion without end, or {RAISE_MEMORY}",
        )
    except Exception:
        return {"unforeseen": traceback.format_exc()}


def _shape(request: dict[str, Any]) -> Shape:
    """Parses a request again."""
    file = None if request["file"] is None else Path(request["file"])
    program = parse_program(request["text"], file, request["trust"])
    goal = parse_goal(request["goal"], decode_location(request["at"]))
    images = tuple(request["images"])
    return Shape(program, goal, images, request["values"], request["facts"])


def _past_limit(request: dict[str, Any], found: str, remedy: str) -> dict[str, Any]:
    at = decode_location(request["at"])
    return {"error": encode_error(LimitError(found, remedy=remedy, at=at))}


def _widen_stack() -> None:
    """Lets the stack grow to where Python's own limit ends a recursion, and C does not overflow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTimeError


def main() -> None:
    """Reads the request, sets the limits, answers."""
    request = json.loads(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if request["memory"] is not None:
        resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
    if request["seconds"] is not None:
        signal.signal(signal.SIGALRM, _alarm)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    _widen_stack()
    sys.setrecursionlimit(_RECURSION)
    # Grounding makes many objects and few cycles: collecting rarely saves a sixth of its time.
    gc.set_threshold(100_000, 50, 50)
    helper = Helper(close=(out.fileno(),))
    result = answer(request, helper)
    signal.setitimer(signal.ITIMER_REAL, 0)
    json.dump(result, out)
    out.close()
    helper.close()


if __name__ == "__main__":
    main()
