"""Workers for many shapes: an interpreter that has loaded ProbLog once forks each of them.

Loading ProbLog takes longer than grounding most shapes. So while many are compiled, every thread
that compiles has a nursery: a lean interpreter that is told a request at a time and forks the
worker on it, which limits and confines itself like any other (:mod:`groundkit.circuit.worker`).
A nursery ends when the process that started it closes its end of the socket, however it ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

_HEAD = 16
"""Bytes of a request's length."""


class Nursery:
    """A process that forks workers, one at a time.

    Args:
        environment: Its environment.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "groundkit.circuit.nursery", str(there.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                env=environment,
            )
        self._lines = self._socket.makefile("rb")

    def start(self, request: Mapping[str, Any], told: int, answers: int) -> int | None:
        """Forks a worker.

        Args:
            request: What it is to do, as it reads it.
            told: A pipe to it that this process holds open as long as it waits.
            answers: The pipe that it answers through.

        Returns:
            Its process id; ``None`` if the nursery is gone.
        """
        data = json.dumps(request).encode()
        try:
            socket.send_fds(self._socket, [b"%*d" % (_HEAD, len(data))], [told, answers])
            self._socket.sendall(data)
            return int(self._lines.readline())
        except (OSError, ValueError):
            return None

    def wait(self) -> tuple[int, float]:
        """Waits for the worker's end; returns how it ended, and its seconds of processor time."""
        try:
            status, used = self._lines.readline().split()
            return int(status), float(used)
        except (OSError, ValueError):
            return -signal.SIGKILL, 0.0

    def close(self) -> None:
        """Ends it, and the worker that it may have."""
        self._lines.close()
        self._socket.close()
        self._process.wait()


class _Nurseries:
    """Those of a process: idle ones, to be taken and given back by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Nursery] = []
        self._open = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        """See :func:`nurseries`."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                ended, self._idle = ([], self._idle) if self._open else (self._idle, [])
            for one in ended:
                one.close()

    def take(self, environment: Mapping[str, str]) -> Nursery | None:
        """Returns a nursery that has nothing to do; ``None`` where there are to be none."""
        with self._lock:
            if not self._open:
                return None
            if self._idle:
                return self._idle.pop()
        return Nursery(environment)

    def give_back(self, one: Nursery) -> None:
        """Keeps a nursery for the next shape, if there may be one."""
        with self._lock:
            if self._open:
                self._idle.append(one)
                return
        one.close()


_ALL = _Nurseries()
take, give_back = _ALL.take, _ALL.give_back


def nurseries() -> AbstractContextManager[None]:
    """Workers that are started inside this context are forked from nurseries.

    Example:
        >>> from groundkit.circuit.nursery import nurseries
        >>> with nurseries():
        ...     pass  # compile many shapes
    """
    return _ALL.open()


def main() -> None:
    """Forks a worker for every request until the other end of the socket is closed."""
    from groundkit.circuit.start import become_worker
    from groundkit.circuit.worker import shape_of

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who waits for a worker ends it
    channel = socket.socket(fileno=int(sys.argv[1]))
    while True:
        head, pipes, _, _ = socket.recv_fds(channel, _HEAD, 2)
        if len(head) < _HEAD:
            return
        told, answers = pipes
        data = bytearray()
        while len(data) < int(head):
            data += channel.recv(int(head) - len(data)) or sys.exit()
        request = json.loads(data) | {"parent": os.getpid()}
        process = os.fork()
        if process == 0:
            try:
                become_worker(told, answers, lambda: shape_of(request), request)  # noqa: B023 - a copy
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        for pipe in pipes:
            os.close(pipe)
        with suppress(OSError):
            channel.sendall(b"%d\n" % process)
        _, status, usage = os.wait4(process, 0)
        used = usage.ru_utime + usage.ru_stime
        with suppress(OSError):
            channel.sendall(f"{os.waitstatus_to_exitcode(status)} {used}\n".encode())


if __name__ == "__main__":
    main()
