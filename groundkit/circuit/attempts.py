"""Compilers that cannot be interrupted, each tried in a process of its own with its share of time.

D4 and PySDD are C++ and C: they hear no alarm, print, and overflow their stack. So each works in a
forked process that the system ends when its time is over, and what ends a compiler ends nothing
else. The worker that grounds starts a :class:`Helper` before it reads a program, so that it need
not fork itself, and does not hand what it has read to a compiler.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from groundkit.circuit import d4
from groundkit.circuit.ir import Circuit, CircuitBuilder
from groundkit.program.ground import Choice, FixedSource, GroundProgram, Node

if TYPE_CHECKING:
    from groundkit.circuit.sdd import Shape

_Compile = Callable[[GroundProgram, Sequence[int], CircuitBuilder], list[int]]

COMPILERS: dict[str, _Compile] = {
    "D4": d4.compile_references,
    "PySDD": lambda p, r, b: _sdd(p, r, b, "right"),
    "PySDD, balanced": lambda p, r, b: _sdd(p, r, b, "balanced"),
}
"""By the names that plans and messages use."""


def _sdd(
    program: GroundProgram, references: Sequence[int], builder: CircuitBuilder, shape: Shape
) -> list[int]:
    """Runs PySDD, which is loaded only where it is tried."""
    from groundkit.circuit.sdd import compile_references

    return compile_references(program, references, builder, shape)


class GaveUpError(Exception):
    """A compiler found no circuit; the text says why."""


class Attempts(Protocol):
    """Where compilers are run."""

    def run(
        self, name: str, program: GroundProgram, references: Sequence[int], seconds: float | None
    ) -> Circuit:
        """Runs one compiler.

        Args:
            name: A key of :data:`COMPILERS`.
            program: The ground program.
            references: What to compile, a root each.
            seconds: Its share of time; ``None`` for as long as it takes.

        Raises:
            GaveUpError: It took longer, crashed or ran out of memory.
        """


class Here:
    """Forks the compiler's process from this one."""

    def run(
        self, name: str, program: GroundProgram, references: Sequence[int], seconds: float | None
    ) -> Circuit:
        """See :class:`Attempts`."""
        return _circuit(_attempt(_job(name, program, references, seconds), None))


class Helper:
    """Forks compilers' processes from a process that was itself forked in good time.

    Args:
        close: File descriptors that it shall not keep open.

    Attributes:
        process: Its process id.
    """

    def __init__(self, close: Sequence[int] = ()) -> None:
        (there_in, here_out), (here_in, there_out) = os.pipe(), os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                for descriptor in (*close, here_out, here_in):
                    os.close(descriptor)
                _serve(there_in, there_out)
            finally:
                os._exit(0)
        os.close(there_in)
        os.close(there_out)
        self._jobs = os.fdopen(here_out, "wb")
        self._answers = os.fdopen(here_in, "rb")

    def run(
        self, name: str, program: GroundProgram, references: Sequence[int], seconds: float | None
    ) -> Circuit:
        """See :class:`Attempts`."""
        self._jobs.write(_job(name, program, references, seconds) + b"\n")
        self._jobs.flush()
        return _circuit(self._answers.readline())

    def close(self) -> None:
        """Ends the helper and what it runs."""
        self._jobs.close()
        self._answers.close()
        os.waitpid(self.process, 0)


def _serve(jobs: int, answers: int) -> None:
    """Does one job after the other until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(jobs, "rb") as lines, os.fdopen(answers, "wb") as out:
        for line in lines:
            out.write(_attempt(line, jobs) + b"\n")
            out.flush()


def _job(
    name: str, program: GroundProgram, references: Sequence[int], seconds: float | None
) -> bytes:
    """Writes what a compiler has to know of a ground program."""
    return json.dumps(
        {
            "compiler": name,
            "sizes": [choice.size for choice in program.choices],
            "nodes": [[n.kind, n.children, n.choice, n.mask] for n in program.nodes],
            "references": list(references),
            "seconds": seconds,
        }
    ).encode()


def _circuit(answer: bytes) -> Circuit:
    """Reads what a compiler's process answered."""
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise GaveUpError("its process is gone") from None
    if "failed" in found:
        raise GaveUpError(found["failed"])
    return Circuit.of(found)


def _attempt(job: bytes, watched: int | None) -> bytes:
    """Runs a job in a forked process.

    Args:
        job: What :func:`_job` wrote.
        watched: A descriptor that becomes readable when nobody waits for the answer any more.
    """
    inside, outside = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks beside threads; the new process computes, and never returns.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.close(inside)
            _work(json.loads(job), os.fdopen(outside, "wb"))
        finally:
            os._exit(1)
    os.close(outside)
    start = time.monotonic()
    seconds = json.loads(job)["seconds"]
    with os.fdopen(inside, "rb") as pipe:
        try:
            answer = read_all(pipe, None if seconds is None else start + seconds, watched)
        except LateError:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return json.dumps({"failed": f"took more than {seconds:.1f} s"}).encode()
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
    _, status = os.waitpid(child, 0)
    return answer or json.dumps({"failed": _cause(status)}).encode()


class LateError(Exception):
    """Raised when the time of a process is over."""


def read_all(pipe: IO[bytes], deadline: float | None, watched: int | None = None) -> bytes:
    """Reads a pipe to its end.

    Args:
        pipe: The pipe.
        deadline: When to stop waiting, by the monotonic clock.
        watched: A descriptor that becomes readable when nobody waits for it any more.

    Raises:
        LateError: It did not end in time.
        GaveUpError: Nobody waits for it any more.
    """
    parts: list[bytes] = []
    waiting = select.poll()
    for descriptor in (pipe.fileno(), *(() if watched is None else (watched,))):
        waiting.register(descriptor, select.POLLIN)
    while True:
        left = None if deadline is None else 1000 * max(deadline - time.monotonic(), 0.0)
        ready = [descriptor for descriptor, _ in waiting.poll(left)]
        if not ready:
            raise LateError
        if pipe.fileno() not in ready:
            raise GaveUpError("nobody waits for it")
        part = os.read(pipe.fileno(), 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _work(job: dict[str, Any], out: IO[bytes]) -> None:
    """Compiles, answers and ends this process."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    if job["seconds"] is not None:
        # Should nobody be left to end it, the system does.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, job["seconds"] + 1)
    builder = CircuitBuilder()
    program = GroundProgram(
        choices=tuple(Choice("", ("",) * size, FixedSource(())) for size in job["sizes"]),
        nodes=tuple(Node(kind, tuple(c), choice, mask) for kind, c, choice, mask in job["nodes"]),
        slots={},
        observed=(),
        answers=(),
        roots=(),
    )
    answer: dict[str, Any]
    try:
        roots = COMPILERS[job["compiler"]](program, job["references"], builder)
        answer = builder.finish(roots).lists()
    except MemoryError:
        answer = {"failed": "ran out of memory"}
    except Exception as error:
        answer = {"failed": f"failed: {type(error).__name__}: {error}"}
    out.write(json.dumps(answer).encode())
    out.flush()
    os._exit(0)


def _cause(status: int) -> str:
    """Words why a process ended without an answer."""
    if not os.WIFSIGNALED(status):
        return f"ended with status {os.waitstatus_to_exitcode(status)}"
    return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
