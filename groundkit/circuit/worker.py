"""The child process that grounds and compiles under limits, and answers once.

A new interpreter reads its request from stdin, a line of JSON; a forked process knows it. The
answer, JSON too, holds the ground program and its circuit, an error, or the traceback of an error
nobody foresaw. The parent holds stdin open as long as it waits. Whatever a program prints goes to
stderr. :mod:`groundkit.circuit.start` is the other end.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from groundkit.circuit.attempts import Attempts, Helper
from groundkit.circuit.codec import decode_location, encode, encode_error
from groundkit.circuit.compile import compile_within
from groundkit.circuit.confine import confine, die_with_parent, limit
from groundkit.errors import GroundkitError, LimitError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.limits import RAISE_MEMORY, RAISE_SECONDS, OutOfTimeError
from groundkit.program.source import parse_program

_RECURSION = 20_000
_STACK = 120 << 20
"""Bytes of stack; Linux leaves 128 MiB free for a stack that grows after the start."""
GRACE = 5.0
"""Seconds that this process may take beyond its limit to say which clause is at fault."""
_INTERVAL = 0.1
"""Seconds between two looks at clock and memory."""
_NEARLY = 0.85
"""Share of the memory after which grounding is stopped with a message."""


def answer(
    request: dict[str, Any], shape: Callable[[], Shape], attempts: Attempts, end: float
) -> dict[str, Any]:
    """Grounds and compiles a shape until an end; errors are returned, not raised."""
    try:
        found = ground(shape())
        # What is left is the compilers' time, less what writing the answer takes.
        left = None if end == math.inf else 0.95 * (end - time.monotonic())
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


def shape_of(request: dict[str, Any]) -> Shape:
    """Parses the shape of a request again."""
    file = None if request["file"] is None else Path(request["file"])
    program = parse_program(request["text"], file, request["trust"])
    goal = parse_goal(request["goal"], decode_location(request["at"]))
    images = tuple(request["images"])
    return Shape(program, goal, images, request["values"], request["facts"])


def _past_limit(request: dict[str, Any], found: str, remedy: str) -> dict[str, Any]:
    at = decode_location(request["at"])
    return {"error": encode_error(LimitError(found, remedy=remedy, at=at))}


def watch(end: float, memory: int | None) -> None:
    """Raises OutOfTimeError at the end of the time, and MemoryError while some is still left.

    At the very end of its memory Python can neither unwind its frames nor word a message.
    """
    used = _address_space()

    def look(_signal: int, _frame: FrameType | None) -> None:
        if time.monotonic() > end:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise OutOfTimeError
        if memory is not None and used() > _NEARLY * memory:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise MemoryError

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _INTERVAL, _INTERVAL)


def _address_space() -> Callable[[], int]:
    """Returns what tells the bytes of address space in use, 0 where the system does not.

    The file is opened here, for later this process may open none.
    """
    try:
        told = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return lambda: 0
    page = os.sysconf("SC_PAGE_SIZE")
    return lambda: int(os.pread(told, 64, 0).split()[0]) * page


def _widen_stack() -> None:
    """Lets the stack grow to where Python's own limit ends a recursion, and C does not overflow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))


def work(request: dict[str, Any], shape: Callable[[], Shape], told: int, answers: int) -> NoReturn:
    """Sets the limits, gives up what is not needed, answers and ends this process.

    Args:
        request: What is asked, in plain values.
        shape: Makes the shape that is asked for, once this process is confined.
        told: The pipe that the parent holds open.
        answers: Where the answer is written to.
    """
    die_with_parent(request["parent"], told)
    out = os.fdopen(answers, "w")
    end = math.inf if request["seconds"] is None else time.monotonic() + request["seconds"]
    limit(request["seconds"], request["memory"], GRACE)
    watch(end, request["memory"])
    _widen_stack()
    sys.setrecursionlimit(_RECURSION)
    # Grounding makes many objects and few cycles: collecting rarely saves a sixth of its time.
    gc.set_threshold(100_000, 50, 50)
    if request["mode"] != "exact":
        import groundkit.circuit.bounds  # noqa: F401 # a confined process does not look for numpy
    helper = Helper(close=(answers,))  # compilers run beside, begun while that is allowed
    if not request["trust"]:
        confine()
    result = answer(request, shape, helper, end)
    signal.setitimer(signal.ITIMER_REAL, 0)
    json.dump(result, out)
    out.close()
    helper.close()
    os._exit(0)  # taking down what grounding built may take as long as building it


def main() -> None:
    """Reads the request and works on it."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return  # the parent is gone
    request = json.loads(line)
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    work(request, lambda: shape_of(request), sys.stdin.fileno(), answers)


if __name__ == "__main__":
    main()
