"""Starts the process that grounds and compiles, and waits for what it answers.

Starting Python and loading ProbLog anew takes longer than a small program. So a process that holds
little but the program forks the worker, which drops the environment and every open file; any other,
such as one that has loaded torch or runs threads, starts a new interpreter, or has a nursery fork
the worker (:mod:`groundkit.circuit.nursery`). Either way the worker limits and confines itself
(:mod:`groundkit.circuit.worker`) before it grounds.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from groundkit.circuit import nursery
from groundkit.circuit.attempts import read_all
from groundkit.circuit.nursery import Nursery
from groundkit.program.engine import Shape

_KEPT = ("PATH", "PYTHON", "LD_", "DYLD_", "LANG", "LC_", "TZ", "OMP_", "SYSTEMROOT")
"""How the names of variables begin that a worker needs."""


@dataclass
class Worker:
    """A started worker.

    Attributes:
        process: Its process id.
        told: A pipe to it, open as long as anybody waits: it ends when the pipe closes.
        answers: The pipe that its answer comes through.
        nursery: What forked it, where that was not this process.
        status: How it ended, as :func:`os.waitstatus_to_exitcode` says; ``None`` while it runs.
        used: Seconds of processor time that it took, known when it has ended.
    """

    process: int
    told: IO[bytes]
    answers: IO[bytes]
    nursery: Nursery | None = None
    status: int | None = None
    used: float = 0.0

    def answer(self, seconds: float | None) -> bytes:
        """Returns all that it answers, and ends it.

        Args:
            seconds: Time to wait for it; ``None`` for as long as it takes.

        Raises:
            LateError: It took longer.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            return read_all(self.answers, deadline)
        except BaseException:
            with suppress(ProcessLookupError):  # a nursery may have seen it end
                os.kill(self.process, signal.SIGKILL)
            raise
        finally:
            with suppress(BrokenPipeError):
                self.told.close()
            self.answers.close()
            self._wait()

    def _wait(self) -> None:
        """Waits for its end."""
        if self.nursery is not None:
            self.status, self.used = self.nursery.wait()
            nursery.give_back(self.nursery)
            return
        _, status, usage = os.wait4(self.process, 0)
        self.status = os.waitstatus_to_exitcode(status)
        self.used = usage.ru_utime + usage.ru_stime


def start_worker(shape: Shape, request: dict[str, Any]) -> Worker:
    """Starts a worker on a shape.

    Args:
        shape: What to ground.
        request: The same in plain values, with the limits, as the worker reads it.
    """
    if _is_lean():
        return _fork(shape, request)
    return _from_nursery(request) or _spawn(request)


def _is_lean() -> bool:
    """Tells whether this process may be copied: Linux, one thread, no torch, and no prompt.

    Threads do not survive a fork, and what somebody typed at a prompt is no worker's business.
    """
    if sys.platform != "linux" or "torch" in sys.modules or hasattr(sys, "ps1"):
        return False
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def _from_nursery(request: dict[str, Any]) -> Worker | None:
    """Has a nursery fork the worker, where there are any; a trusted program may need all of us."""
    one = None if request["trust"] else nursery.take(_environment(False))
    if one is None:
        return None
    (there_in, here_out), (here_in, there_out) = os.pipe(), os.pipe()
    told, answers = os.fdopen(here_out, "wb"), os.fdopen(here_in, "rb")
    process = None
    try:
        process = one.start(request, there_in, there_out)
    finally:  # also where somebody interrupts
        os.close(there_in)
        os.close(there_out)
        if process is None:
            told.close()
            answers.close()
            one.close()
    return None if process is None else Worker(process, told, answers, one)


def _spawn(request: dict[str, Any]) -> Worker:
    """Starts a new interpreter and tells it the request."""
    process = subprocess.Popen(
        # -P: modules that lie in the user's folder beside a program are not imported.
        [sys.executable, "-P", "-m", "groundkit.circuit.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(request["trust"]),
    )
    assert process.stdin is not None and process.stdout is not None
    worker = Worker(process.pid, process.stdin, process.stdout)
    process.returncode = 0  # the worker is waited for by its number, see Worker.answer
    with suppress(BrokenPipeError):  # of a worker that has died, its status says so
        worker.told.write(json.dumps(request).encode() + b"\n")
        worker.told.flush()
    return worker


def _fork(shape: Shape, request: dict[str, Any]) -> Worker:
    """Copies this process; the copy gives up what is not the worker's."""
    (there_in, here_out), (here_in, there_out) = os.pipe(), os.pipe()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a stream of one's own need not know how
            stream.flush()
    with warnings.catch_warnings():
        # There is one thread, or we would not be here; Python may count a finished one.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        try:
            become_worker(there_in, there_out, lambda: shape, request)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(there_in)
    os.close(there_out)
    return Worker(process, os.fdopen(here_out, "wb"), os.fdopen(here_in, "rb"))


def become_worker(
    told: int, out: int, shape: Callable[[], Shape], request: dict[str, Any]
) -> NoReturn:
    """Leaves the copy three streams, the way to answer and a worker's environment; works.

    Args:
        told: The pipe that whoever waits holds open.
        out: Where the answer is written to.
        shape: Makes the shape, once this process is confined.
        request: The same in plain values, with the limits.
    """
    for handled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(handled, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    answers = os.dup(out)
    os.dup2(told, 0)
    os.dup2(2, 1)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != answers:
            with suppress(OSError):  # that of the listing is closed already
                os.close(number)
    sys.stdin = os.fdopen(0)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    kept = _environment(request["trust"])
    for name in [name for name in os.environ if name not in kept]:
        del os.environ[name]
    os.environ.update(kept)
    sys.path[:] = [path for path in sys.path if path]
    from groundkit.circuit.worker import work

    work(request, shape, 0, answers)


def _environment(trust: bool) -> dict[str, str]:
    """What a worker is told of our environment: where Python finds its modules, and its language.

    A trusted program may need everything.
    """
    kept = dict(os.environ)
    if not trust:
        kept = {name: value for name, value in kept.items() if name.startswith(_KEPT)}
    kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    kept["OPENBLAS_NUM_THREADS"] = "1"
    return kept


def inherited_seconds() -> float:
    """Returns the processor seconds that the system leaves a process that is started here."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    return float("inf") if hard == resource.RLIM_INFINITY else float(hard)
