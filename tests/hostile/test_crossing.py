"""No way to load, inside no predicate, has an effect, in a program or in the goal of a spec.

Questions and the program of a run are tried in ``tests/runs/test_strangers.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import groundkit
from groundkit.errors import GroundkitError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program
from tests.hostile.crossing import (
    ELSEWHERE,
    FORMS,
    METAS,
    SECRET,
    Form,
    Meta,
    Watch,
    lay_out,
    program,
)
from tests.hostile.harness import MARK

FINDALL = METAS[1]
COMPOSED = next(form for form in FORMS if form.name == "a composed name by =..")


def name_of(case: Form | Meta) -> str:
    return case.name


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evil")
    lay_out(folder)
    return folder


def attempt(form: Form, meta: Meta, folder: Path, trust: bool = False) -> str:
    """Grounds the program here, in this process; returns all that comes out."""
    try:
        parsed = parse_program(program(form, meta, folder), folder / "main.pl", trust)
        goal = parse_goal("query(Query)" if meta.facts else "q")
        return str(ground(Shape(parsed, goal, facts=meta.facts)))
    except GroundkitError as error:
        return str(error)


def test_there_are_enough_of_them() -> None:
    assert len(FORMS) * len(METAS) >= 1_000


@pytest.mark.parametrize("meta", METAS, ids=name_of)
def test_nothing_loads_in_a_program(watch: Watch, evil: Path, meta: Meta) -> None:
    for form in FORMS:
        with watch.over(evil) as seen:
            out = attempt(form, meta, evil)
        assert not seen, f"{form.name}: {seen}"
        assert SECRET not in out, form.name


@pytest.mark.parametrize("form", [form for form in FORMS if form.live], ids=name_of)
def test_what_is_tried_would_load_in_a_trusted_program(
    watch: Watch, tmp_path: Path, form: Form
) -> None:
    lay_out(tmp_path)
    with watch.over(tmp_path) as seen:
        attempt(form, FINDALL, tmp_path, trust=True)
    assert seen


@pytest.mark.parametrize("meta", [meta for meta in METAS if meta.live], ids=name_of)
def test_where_it_is_tried_a_trusted_program_loads(
    watch: Watch, tmp_path: Path, meta: Meta
) -> None:
    lay_out(tmp_path)
    with watch.over(tmp_path) as seen:
        attempt(COMPOSED, meta, tmp_path, trust=True)
    assert seen


PROGRAM = """:- use_module(library(lists)).
:- use_module(library(string)).
nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).
"""
SPEC = """[query]
goal = "GOAL"
[examples]
data = "digits8"
images = ["X"]
count = 20
held_out = 10
[networks.net]
backbone = "mlp"
"""


def test_nothing_loads_in_the_goal_of_a_spec(evil: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pl").write_text(PROGRAM)
    for form in ELSEWHERE:
        goal = f"{form.in_findall(evil)}, digit(X, A)"
        (tmp_path / "a.toml").write_text(SPEC.replace("GOAL", goal))
        with pytest.raises(GroundkitError) as info:
            groundkit.check_program(tmp_path / "a.pl")
        assert SECRET not in str(info.value), form.name
        assert not (evil / MARK).exists(), form.name
