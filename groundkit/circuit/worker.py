"""The child process that grounds and compiles under limits: a request on stdin, one answer out.

The answer is a pickle of the ground program and its circuit, of a GroundkitError, or of a text
for an error nobody foresaw. Whatever a program prints goes to stderr.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import sys
import traceback
from types import FrameType
from typing import Any

from groundkit.circuit.compile import compile_program
from groundkit.errors import GroundkitError, LimitError
from groundkit.program.engine import Shape, ground
from groundkit.program.limits import OutOfTimeError
from groundkit.program.query import parse_goal
from groundkit.program.source import parse_program

_RECURSION = 100_000


def answer(request: dict[str, Any]) -> Any:
    """Grounds and compiles a request; errors are returned, not raised."""
    seconds = request["seconds"]
    try:
        program = parse_program(request["text"], request["file"], request["trust"])
        goal = parse_goal(request["goal"], request["at"])
        shape = Shape(program, goal, request["images"], request["values"], request["facts"])
        found = ground(shape)
        return found, compile_program(found)
    except GroundkitError as error:
        return error
    except OutOfTimeError:
        return LimitError(
            f"compiling '{request['goal']}' took more than {seconds:g} s",
            remedy="try a smaller shape of the goal with `groundkit plan`, or raise the limit",
            at=request["at"],
        )
    except (MemoryError, RecursionError):
        return LimitError(
            f"'{request['goal']}' ran out of memory",
            remedy="look for a recursion without end, or raise the limit",
            at=request["at"],
        )
    except Exception:
        return traceback.format_exc()


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTimeError


def main() -> None:
    """Reads the request, sets the limits, answers."""
    request = pickle.loads(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if request["memory"] is not None:
        resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
    if request["seconds"] is not None:
        signal.signal(signal.SIGALRM, _alarm)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    sys.setrecursionlimit(_RECURSION)
    # Grounding makes many objects and few cycles: collecting rarely saves a sixth of its time.
    gc.set_threshold(100_000, 50, 50)
    result = answer(request)
    signal.setitimer(signal.ITIMER_REAL, 0)
    pickle.dump(result, out)
    out.close()


if __name__ == "__main__":
    main()
