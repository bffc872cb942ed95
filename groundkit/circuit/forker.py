"""The process of a nursery: it has loaded ProbLog, and forks a worker for each request.

It holds nothing else, reads requests from a socket (:mod:`groundkit.circuit.nursery` is the other
end), and ends when that is closed. A worker limits and confines itself like any other
(:mod:`groundkit.circuit.worker`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress

from groundkit.circuit.nursery import HEAD
from groundkit.circuit.start import become_worker
from groundkit.circuit.worker import shape_of


def main() -> None:
    """Forks a worker for every request until the other end of the socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who waits for a worker ends it
    channel = socket.socket(fileno=int(sys.argv[1]))
    while True:
        head, pipes, _, _ = socket.recv_fds(channel, HEAD, 2)
        if len(head) < HEAD:
            return
        data = bytearray()
        while len(data) < int(head):
            data += channel.recv(int(head) - len(data)) or sys.exit()
        with suppress(OSError):  # whoever waited is gone
            _serve(channel, bytes(data), *pipes)


def _serve(channel: socket.socket, data: bytes, told: int, answers: int) -> None:
    """Forks a worker; says which process it is, and later how it ended."""
    request = json.loads(data) | {"parent": os.getpid()}
    process = os.fork()
    if process == 0:
        try:
            become_worker(told, answers, lambda: shape_of(request), request)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(told)
    os.close(answers)
    channel.sendall(b"%d\n" % process)
    _, status, usage = os.wait4(process, 0)
    used = usage.ru_utime + usage.ru_stime
    channel.sendall(f"{os.waitstatus_to_exitcode(status)} {used}\n".encode())


if __name__ == "__main__":
    main()
