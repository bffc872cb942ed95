"""What stands behind the guard: the confined grounding process, and DeepProbLog's engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from groundkit.circuit.prepare import prepare
from groundkit.errors import GroundkitError, ProgramError
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program
from tests.hostile.crossing import lay_out
from tests.hostile.harness import MARK

ATTEMPTS = """
import json, os, pickle, socket, sqlite3, subprocess, sys, tempfile
import groundkit.circuit.worker
from groundkit.circuit import confine

folder, kernel_only = sys.argv[1], sys.argv[2] == "kernel"
if kernel_only:
    sys.addaudithook = lambda hook: None
else:
    confine.landlockpy = None
confine.confine()
attempts = {
    "write": lambda: open(f"{folder}/written", "w"),
    "append": lambda: open(f"{folder}/secret", "a"),
    "read": lambda: open(f"{folder}/secret").read(),
    "read by a descriptor": lambda: os.open(f"{folder}/secret", os.O_RDONLY),
    "climb out of Python": lambda: open(os.__file__ + f"/../../../../../../../{folder}/secret"),
    "a folder": lambda: os.mkdir(f"{folder}/made"),
    "remove": lambda: os.remove(f"{folder}/secret"),
    "rename": lambda: os.rename(f"{folder}/secret", f"{folder}/other"),
    "a link": lambda: os.symlink(f"{folder}/secret", f"{folder}/link"),
    "a program": lambda: subprocess.run([sys.executable, "-c", ""]),
    "a connection": lambda: socket.create_connection(("127.0.0.1", 9), timeout=5),
    "a database": lambda: sqlite3.connect(f"{folder}/base.db").execute("create table a (b)"),
    "a temporary file": lambda: tempfile.mkstemp(),
}
if not kernel_only:
    attempts["a process"] = os.fork
    attempts["a system command"] = lambda: os.system("true")
    attempts["a pickle"] = lambda: pickle.loads(b"cos\\nsystem\\n.")
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = "done"
    except OSError as error:
        found[name] = type(error).__name__
    except sqlite3.OperationalError:
        found[name] = "PermissionError"
found["Python's own files"] = len(open(os.__file__).read()) > 0
found["a late import"] = __import__("wave").__name__
print(json.dumps(found))
"""


def attempts(folder: Path, wall: str) -> dict[str, object]:
    """Runs all attempts in a confined process; returns what became of each."""
    (folder / "secret").write_text("secret")
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(folder), wall],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    assert found.pop("Python's own files") is True
    assert found.pop("a late import") == "wave"
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert (folder / "secret").read_text() == "secret"
    return found


def test_a_confined_process_does_nothing_but_compute(tmp_path: Path) -> None:
    found = attempts(tmp_path, "audit")
    # Python looks for a folder that it may write to, and finds none.
    assert found.pop("a temporary file") == "FileNotFoundError"
    assert set(found.values()) == {"PermissionError"}, found


def test_the_kernel_refuses_too(tmp_path: Path) -> None:
    landlockpy = pytest.importorskip("landlockpy")
    if not landlockpy.supported() or landlockpy.abi_version() < 4:
        pytest.skip("this kernel has no Landlock, or none for connections")
    found = attempts(tmp_path, "kernel")
    assert found.pop("a temporary file") == "FileNotFoundError"
    # The climb out of a file is no path to the kernel.
    assert found.pop("climb out of Python") in ("PermissionError", "NotADirectoryError")
    assert set(found.values()) == {"PermissionError"}, found


def test_the_worker_is_confined_unless_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A trusted program's Python sees the environment; of an untrusted one, none gets there."""
    monkeypatch.setenv("A_TOKEN", "secret")
    (tmp_path / "own.py").write_text(
        "import os, sys\nprint(os.environ.get('A_TOKEN'), os.getppid(), file=sys.stderr)\n"
    )
    text = ":- use_module('own.py').\nq :- a. 0.5::a."
    shape = Shape(parse_program(text, tmp_path / "a.pl", trust=True), parse_goal("q"))
    prepare(shape, None, Limits())
    assert f"secret {os.getpid()}" in capfd.readouterr().err
    with pytest.raises(ProgramError):
        parse_program(text, tmp_path / "a.pl")


@pytest.mark.parametrize("memory", [None, 1 << 30])
def test_confined_programs_may_print_and_use_libraries(
    memory: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ("lists", "apply", "aggregate", "collect", "control", "cut", "string", "scope")
    libraries = "".join(f":- use_module(library({name})).\n" for name in names)
    text = libraries + 'q :- writeln(hello), subquery(a, P, [], "prob", "sdd"), P > 0.4. 0.5::a.'
    prepare(Shape(parse_program(text), parse_goal("q")), None, Limits(60.0, memory))
    assert "hello" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_deepproblog_grounds_behind_the_guard(tmp_path: Path) -> None:
    pytest.importorskip("deepproblog")
    from groundkit.deepproblog.tensors import TensorProgram

    lay_out(tmp_path)
    text = f"""
    :- use_module(library(lists)).
    :- use_module(library(string)).
    nn(net, [X], E) :: embedded(X, E).
    nn(classify, [E], Y, [0,1]) :: class(E, Y).
    load :- concat([use, '_module'], F), G =.. [F, '{tmp_path}/evil.py'], call(G).
    good(X, Y) :- findall(Z, member(Z, [1,2]), L), embedded(X, E), class(E, Y).
    bad(X, Y) :- findall(Z, load, L), embedded(X, E), class(E, Y).
    """
    softmax = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(-1))
    networks = {"net": torch.nn.Linear(3, 4), "classify": softmax}
    program = TensorProgram(parse_program(text), networks)
    assert len(program.answers(parse_goal("good(X, Y)"), {"X": torch.zeros(1, 3)})[0]) == 2
    with pytest.raises(GroundkitError, match="refused"):
        program.answers(parse_goal("bad(X, Y)"), {"X": torch.zeros(1, 3)})
    assert not (tmp_path / MARK).exists()
