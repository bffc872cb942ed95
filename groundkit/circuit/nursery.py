"""Workers for many shapes: an interpreter that has loaded ProbLog once forks each of them.

Loading ProbLog takes longer than grounding most shapes. So while many are compiled, every thread
that compiles has a nursery: a lean interpreter (:mod:`groundkit.circuit.forker`) that is told a
request at a time and forks the worker on it. It ends when the process that started it closes its
end of the socket, however that happens.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

HEAD = 16
"""Bytes of a request's length, which goes ahead of it."""


class Nursery:
    """A process that forks workers, one at a time.

    Args:
        environment: Its environment.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "groundkit.circuit.forker", str(there.fileno())],
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
            socket.send_fds(self._socket, [b"%*d" % (HEAD, len(data))], [told, answers])
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
    def kept(self) -> Iterator[None]:
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
    return _ALL.kept()
