"""A worker is forked from a process that holds little else, and gives up what is not its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundkit.circuit import start
from groundkit.circuit.prepare import _cause_of_death
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forked")

PRELUDE = """
import json, os, signal, socket, subprocess, sys, threading
from pathlib import Path
import groundkit.circuit.worker as worker
from groundkit.circuit import confine, start
from groundkit.circuit.answer import answer_queries
from groundkit.circuit.codec import encode_error
from groundkit.errors import GroundkitError, ProgramError
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program

folder = Path(sys.argv[1])
program = parse_program("0.3::a. query(a).", trust=len(sys.argv) > 2)

def told(work):
    # What a worker does in place of grounding, and what it tells: a fork inherits this.
    worker.answer = lambda *_: {"error": encode_error(ProgramError(json.dumps(work())))}
    try:
        answer_queries(program, limits=Limits(60.0))
    except ProgramError as error:
        print(error.found)
"""


def in_a_lean_process(code: str, folder: Path, *more: str) -> str:
    """Runs code in a process of its own that has not loaded torch; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(folder), *more],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"A_TOKEN": "secret", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_lean_process_forks_and_others_start_an_interpreter(tmp_path: Path) -> None:
    code = """
print(start._is_lean())
start._spawn = None
print(answer_queries(program, limits=Limits(60.0)))
waiting = threading.Event()
thread = threading.Thread(target=waiting.wait)
thread.start()
print(start._is_lean())
waiting.set()
thread.join()
sys.ps1 = ">>> "
print(start._is_lean())
del sys.ps1
sys.modules["torch"] = sys
print(start._is_lean())
"""
    assert in_a_lean_process(code, tmp_path).splitlines() == [
        "True",
        "{'a': 0.3}",
        *["False"] * 3,
    ]


def test_a_forked_worker_has_no_environment_and_no_open_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    code = """
secret = open(folder / "secret")
signal.signal(signal.SIGTERM, lambda *_: None)
before = os.getpid()
original = confine.confine

def look():  # before the walls are up, or nothing could be looked at
    look.found = {
        "forked": os.getppid() == before,
        "token": os.environ.get("A_TOKEN"),
        "open": [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()],
        "SIGTERM": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    }
    original()

worker.confine = look
told(lambda: look.found)
"""
    found = json.loads(in_a_lean_process(code, tmp_path))
    assert found["forked"] and found["SIGTERM"]
    assert found["token"] is None
    assert not any("secret" in target for target in found["open"])


def test_a_trusted_program_keeps_the_environment(tmp_path: Path) -> None:
    code = 'told(lambda: os.environ.get("A_TOKEN"))'
    assert in_a_lean_process(code, tmp_path, "trusted") == '"secret"'


def test_a_forked_worker_does_nothing_but_compute(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    code = """
sys.path.insert(0, str(folder))
import mine
attempts = {
    "write": lambda: open(folder / "written", "w"),
    "read": lambda: open(folder / "secret").read(),
    "read beside a package that is loaded": lambda: open(folder / "mine" / "__init__.py"),
    "read the start's environment": lambda: open("/proc/self/environ").read(),
    "remove": lambda: os.remove(folder / "secret"),
    "a program": lambda: subprocess.run([sys.executable, "-c", ""]),
    "a process": os.fork,
    "a system command": lambda: os.system("true"),
    "a connection": lambda: socket.create_connection(("127.0.0.1", 9), timeout=5),
}

def attempt():
    found = {}
    for name, work in attempts.items():
        try:
            work()
            found[name] = "done"
        except OSError as error:
            found[name] = type(error).__name__
    return found

told(attempt)
"""
    found = json.loads(in_a_lean_process(code, tmp_path))
    assert set(found.values()) == {"PermissionError"} and len(found) == 9, found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "secret"]


def test_what_the_parent_has_not_printed_yet_is_printed_once(tmp_path: Path) -> None:
    code = 'print("waiting", end=" "); print(answer_queries(program, limits=Limits(60.0)))'
    assert in_a_lean_process(code, tmp_path) == "waiting {'a': 0.3}"


def test_processor_time_that_is_over_is_not_taken_for_memory(tmp_path: Path) -> None:
    code = """
import resource
program = parse_program("p(X) :- Y is X+1, p(Y). query(p(0)).")
resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
try:
    answer_queries(program, limits=Limits(60.0))
except GroundkitError as error:
    print(error)
"""
    found = in_a_lean_process(code, tmp_path)
    assert "all of the 1 s of processor time" in found and "`ulimit -t`" in found
    assert "memory" not in found


@pytest.mark.parametrize(
    ("ended_by", "used", "option"),
    [
        (signal.SIGXCPU, 12.3, "--limit-seconds"),
        (signal.SIGKILL, 0.1, "--limit-memory"),
        (signal.SIGSEGV, 0.1, "--limit-memory"),
    ],
)
def test_how_a_worker_ended_tells_which_limit_to_raise(
    ended_by: signal.Signals, used: float, option: str
) -> None:
    shape = Shape(parse_program("0.5::a."), parse_goal("a"))
    told, answers = io.BytesIO(), io.BytesIO()
    ended = start.Worker(0, told, answers, status=-ended_by, used=used)
    assert option in str(_cause_of_death(shape, Limits(2.0), ended))
