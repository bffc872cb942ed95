"""Many shapes are compiled by workers that one interpreter forks, each under its own limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from groundkit.circuit import nursery, start
from groundkit.circuit.nursery import Nursery, nurseries
from groundkit.circuit.prepare import prepare
from groundkit.errors import GroundkitError, LimitError, ProgramError
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program
from tests.circuit.test_orphans import is_running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forked")
assert torch  # a process that has loaded it forks nothing by itself
LIMITS = Limits(60.0, 2 << 30)
ENDLESS = "q :- p(0). p(X) :- Y is X+1, p(Y)."


def shape(text: str, goal: str = "q", *, trust: bool = False) -> Shape:
    return Shape(parse_program(text, trust=trust), parse_goal(goal))


def coins(count: int) -> Shape:
    facts = " ".join(f"0.{i + 1}::c{i}." for i in range(count))
    return shape(f"{facts} " + " ".join(f"q :- c{i}." for i in range(count)))


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lists who starts an interpreter: a worker, or a nursery."""
    found: list[str] = []
    genuine_spawn, genuine_start = start._spawn, Nursery.__init__

    def spawn(request):
        found.append("worker")
        return genuine_spawn(request)

    def begin(self, environment):
        found.append("nursery")
        genuine_start(self, environment)

    monkeypatch.setattr(start, "_spawn", spawn)
    monkeypatch.setattr(Nursery, "__init__", begin)
    return found


def test_one_interpreter_does_for_many_shapes_and_answers_the_same(spawned: list[str]) -> None:
    alone = [prepare(coins(count), None, LIMITS) for count in (1, 2, 3)]
    assert spawned == ["worker"] * 3
    with nurseries():
        together = [prepare(coins(count), None, LIMITS) for count in (1, 2, 3)]
    assert spawned == ["worker"] * 3 + ["nursery"]
    assert [(p.nodes, c.circuit) for p, c in together] == [(p.nodes, c.circuit) for p, c in alone]


def test_every_thread_has_its_own_and_none_is_left(spawned: list[str]) -> None:
    begun: list[Nursery] = []
    with nurseries(), ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda count: prepare(coins(count), None, LIMITS), range(1, 9)))
        begun += nursery._ALL._idle
    assert len(found) == 8
    assert 1 <= len(begun) <= 2 and spawned == ["nursery"] * len(begun)
    assert not any(is_running(one._process.pid) for one in begun)
    prepare(coins(1), None, LIMITS)
    assert spawned[-1] == "worker"  # outside, each shape has an interpreter of its own


def test_a_worker_past_its_limits_ends_and_the_next_one_works(
    spawned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with nurseries():
        with pytest.raises(LimitError, match="did not end in time"):
            prepare(shape(ENDLESS), None, Limits(1.0, 2 << 30))
        with monkeypatch.context() as impatient:  # this process ends it
            impatient.setattr("groundkit.circuit.prepare._GRACE", -0.9)
            with pytest.raises(LimitError, match="took more than 1 s"):
                prepare(shape(ENDLESS), None, Limits(1.0, 2 << 30))
        with pytest.raises(ProgramError):
            prepare(shape("q :- unknown(1)."), None, LIMITS)
        program, _ = prepare(coins(2), None, LIMITS)
    assert program.roots and spawned == ["nursery"]


def test_a_nursery_that_is_gone_is_replaced(spawned: list[str]) -> None:
    with nurseries():
        prepare(coins(1), None, LIMITS)
        (gone,) = nursery._ALL._idle
        os.kill(gone._process.pid, signal.SIGKILL)
        gone._process.wait()
        assert prepare(coins(2), None, LIMITS)[0].roots
        assert prepare(coins(3), None, LIMITS)[0].roots
    assert spawned == ["nursery", "worker", "nursery"]


def test_a_trusted_program_has_an_interpreter_with_the_whole_environment(
    spawned: list[str],
) -> None:
    with nurseries():
        prepare(shape("0.3::q.", trust=True), None, LIMITS)
    assert spawned == ["worker"]


def test_its_workers_know_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    with nurseries():
        prepare(coins(1), None, LIMITS)
        (one,) = nursery._ALL._idle
        assert b"A_TOKEN" not in Path(f"/proc/{one._process.pid}/environ").read_bytes()
        with pytest.raises(GroundkitError):  # confined, it cannot read a file
            prepare(shape(":- consult('/etc/hostname'). q."), None, LIMITS)


PARENT = f"""
import torch
from groundkit.circuit import nursery
from groundkit.circuit.prepare import prepare
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program

with nursery.nurseries():
    prepare(Shape(parse_program("0.5::q."), parse_goal("q")), None, Limits(60.0, 2 << 30))
    print(nursery._ALL._idle[0]._process.pid, flush=True)
    prepare(Shape(parse_program("{ENDLESS}"), parse_goal("q")), None, Limits(60.0, 2 << 30))
"""


def test_nothing_outlives_the_process_that_asked() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    lean = int(parent.stdout.readline())
    deadline = time.monotonic() + 60
    children = Path(f"/proc/{lean}/task/{lean}/children")
    while not (worker := children.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while is_running(lean) or is_running(int(worker[0])):
        assert time.monotonic() < deadline
        time.sleep(0.05)
