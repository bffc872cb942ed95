"""The grounding process does not outlive the process that asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENDLESS = """
from groundkit.circuit.prepare import prepare
from groundkit.program.engine import Shape
from groundkit.program.limits import Limits
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

program = parse_program("q :- p(0). p(X) :- {body}, p(Y).")
prepare(Shape(program, parse_goal("q")), None, Limits(60.0, 2 << 30))
"""
SECONDS = 2.0
BODIES = {"clauses": "Y is X+1", "one long call": "Z is 9**(9**9), Y is Z+1"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def workers(parent: int) -> list[int]:
    """Numbers of the grounding processes of a process."""
    tasks = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(child) for child in tasks.read_text().split()]


def is_running(pid: int) -> bool:
    """Tells whether a process is there, and not just waiting to be fetched."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def start_grounding(body: str, wait: float) -> tuple[subprocess.Popen[bytes], int]:
    """Starts a process that grounds without end; returns it and its worker's number.

    Args:
        body: What every round of the recursion does.
        wait: Seconds that the worker is left to itself; 0 catches it while it starts.
    """
    code = ENDLESS.format(body=body)
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (found := workers(parent.pid)):
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(wait)
    assert is_running(found[0])
    return parent, found[0]


def ends_in_time(worker: int) -> bool:
    """Tells whether a process ends within two seconds."""
    deadline = time.monotonic() + SECONDS
    while is_running(worker):
        if time.monotonic() > deadline:
            os.kill(worker, signal.SIGKILL)
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("wait", [0.0, 1.5], ids=["starting", "grounding"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_no_worker_is_left(how: signal.Signals, wait: float) -> None:
    parent, worker = start_grounding(BODIES["clauses"], wait)
    parent.send_signal(how)
    parent.wait()
    assert ends_in_time(worker)


def test_no_worker_is_left_inside_one_long_call() -> None:
    parent, worker = start_grounding(BODIES["one long call"], 1.5)
    parent.kill()
    parent.wait()
    assert ends_in_time(worker)
