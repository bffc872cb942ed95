"""A question, and the program of a run, may come from a stranger: nothing they name is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import groundkit
from groundkit.errors import GroundkitError
from tests.hostile.crossing import ELSEWHERE, SECRET, lay_out
from tests.hostile.harness import MARK

LIBRARIES = ":- use_module(library(lists)).\n:- use_module(library(string)).\n"


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evil")
    lay_out(folder)
    return folder


def test_nothing_loads_in_a_question(evil: Path, finished: Path, digits: Path) -> None:
    run = digits / "run"
    shutil.copytree(finished, run)
    program = run / "program.pl"
    program.write_text(LIBRARIES + program.read_text())
    session = groundkit.open_run(run, device="cpu")
    for form in ELSEWHERE:
        with pytest.raises(GroundkitError) as info:
            session.query(f"{form.in_findall(evil)}, digit('0.png', A)")
        assert SECRET not in str(info.value), form.name
        assert not (evil / MARK).exists(), form.name


def test_nothing_loads_in_the_program_of_a_run(evil: Path, finished: Path, digits: Path) -> None:
    run = digits / "run"
    shutil.copytree(finished, run)
    program = run / "program.pl"
    text = LIBRARIES + program.read_text().replace("sum(X, Y, Z) :-", "sum(X, Y, Z) :- load,")
    for form in ELSEWHERE:
        program.write_text(f"{text}load :- {form.in_findall(evil)}.\n")
        with pytest.raises(GroundkitError) as info:
            groundkit.open_run(run, device="cpu").query("sum('0.png', '1.png', Z)")
        assert SECRET not in str(info.value), form.name
        assert not (evil / MARK).exists(), form.name
