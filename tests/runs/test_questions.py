"""Further goals of a program are suggested where they tell apart what its query leaves open."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from groundkit.runs.identify import identify_task
from groundkit.runs.questions import suggest_goals
from tests.loaded import load_task

HEAD = """nn(net, [X], Y, [0,1,2,3]) :: digit(X, Y).
nn(coin, [X], Y, [0,1]) :: side(X, Y).
parity(X, Y, Z) :- digit(X, A), digit(Y, B), Z is (A+B) mod 2.
"""
SPEC = """[[query]]
name = "parity"
goal = "parity(X, Y, Z)"
[examples]
data = "digits8"
inputs = ["X", "Y"]
count = 200
[networks.net]
backbone = "mlp"
[networks.coin]
backbone = "mlp"
"""
ANOTHER = """[[query]]
name = "another"
goal = "{goal}"
[query.examples]
data = "digits8"
inputs = [{inputs}]
count = 200
"""


def load(folder, rules, goal=None):
    (folder / "p.pl").write_text(HEAD + rules)
    text = SPEC
    if goal is not None:
        images = [name for name in ("X", "Y") if name in goal]
        inputs = ", ".join(f'"{name}"' for name in images)
        text = text.replace("[examples]", ANOTHER.format(goal=goal, inputs=inputs) + "[examples]")
    (folder / "p.toml").write_text(text)
    return load_task(folder / "p.pl")


def goals(found):
    return {one.items[0]: one.left for one in found.suggestions if one.kind == "goals"}


@pytest.mark.parametrize(
    ("rules", "goal"),
    [
        ("larger(X, Y, L) :- digit(X, A), digit(Y, B), (A > B, L = a; A =< B, L = b).",
         "larger(X, Y, L)"),
        ("big(X) :- digit(X, A), A > 1.", "big(X)"),
        ("sum(X, Y, S) :- value(X, A), value(Y, B), S is A+B.\nvalue(X, A) :- digit(X, A).",
         "sum(X, Y, S)"),
        ("read(X, [A|T]) :- digit(X, A), T = [].\nread(X, S) :- fail, digit(X, S).", "read(X, S)"),
        ("named(X, low) :- digit(X, 0).  named(X, low) :- digit(X, 1).\n"
         "named(X, high) :- digit(X, 2).  named(X, high) :- digit(X, 3).", "named(X, V1)"),
    ],
)  # fmt: skip
def test_what_is_suggested_leaves_what_it_says_once_it_is_a_query(tmp_path, rules, goal):
    alone = identify_task(load(tmp_path, rules))
    told = goals(alone)
    assert told[goal] < alone.count
    both = identify_task(load(tmp_path, rules, goal))
    assert both.count == told[goal]


@pytest.mark.parametrize(
    "rules",
    [
        "",
        "helper(A, B) :- A > B.",  # asks no network
        "same(X, Y, Z) :- parity(X, Y, Z).",  # says nothing new
        "tossed(X, S) :- side(X, S).",  # asks another network
        "'Read as'(X, A) :- digit(X, A).",  # a name that needs quotes
        "endless(X, N) :- digit(X, A), endless(X, M), N is M+A.",
    ],
)
def test_what_tells_nothing_apart_is_not_suggested(tmp_path, rules):
    assert goals(identify_task(load(tmp_path, rules))) == {}


def test_an_example_of_one_image_twice_hides_no_goal(tmp_path):
    for name, same in (("apart", []), ("same", ["a.png,a.png,0"])):
        folder = tmp_path / name
        folder.mkdir()
        for place, image in enumerate("abc"):
            pixels = np.full((8, 8), 60 * place, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{image}.png")
        rows = ["X,Y,Z", "a.png,b.png,1", "b.png,c.png,0", *same]
        (folder / "rows.csv").write_text("\n".join([*rows, ""]))
        program = HEAD.replace("nn(coin, [X], Y, [0,1]) :: side(X, Y).\n", "")
        (folder / "p.pl").write_text(program + "big(X) :- digit(X, A), A > 1.\n")
        spec = SPEC.replace('data = "digits8"', 'file = "rows.csv"').replace("count = 200\n", "")
        (folder / "p.toml").write_text(spec.partition("[networks.coin]")[0])
        assert "big(X)" in goals(identify_task(load_task(folder / "p.pl")))


def test_a_search_without_time_finds_nothing_and_says_nothing(tmp_path):
    task = load(tmp_path, "big(X) :- digit(X, A), A > 1.")
    found = identify_task(task)
    assert goals(found) and suggest_goals(task, [], found, seconds=0.0) == ()


def test_one_grounding_needs_no_further_goal(tmp_path):
    task = load(tmp_path, "big(X) :- digit(X, A), A > 1.", "digit(X, D)")
    found = identify_task(task)
    assert found.count == 1 and found.suggestions == ()
