"""Examples gathered by shape: lists, facts, and images that are known by their content."""

import json
import shutil

import numpy as np
import pytest

from groundkit.data.examples import UNKNOWN
from groundkit.errors import DataError, GroundkitError, NetworkError, SpecError
from tests.loaded import load_task
from tests.trained import write_digit

PROGRAM = """
nn(shape_net, [X], S, [0,1,2]) :: shape(X, S).
nn(colour_net, [X], C, [0,1]) :: colour(X, C).
points(X, Y, P) :- shape(X, S), colour(Y, C), P is S + C.
sum(X, Y, P) :- shape(X, A), shape(Y, B), P is A + B.
total([], 0).
total([X|Xs], N) :- total(Xs, M), shape(X, S), N is M + S.
reach(X, To) :- shape(X, S), path(S, To).
path(A, B) :- edge(A, B).
path(A, B) :- edge(A, C), path(C, B).
"""
NETWORKS = """
[networks.shape_net]
backbone = "mlp"
image_shape = [1, 8, 8]
[networks.colour_net]
backbone = "mlp"
image_shape = [1, 8, 8]
"""


@pytest.fixture
def task(tmp_path):
    """Loads a task whose examples are the given lines."""
    for digit in range(3):
        write_digit(tmp_path / f"{digit}.png", digit)
    shutil.copy(tmp_path / "0.png", tmp_path / "copy.png")
    (tmp_path / "p.pl").write_text(PROGRAM)

    def load(goal, inputs, rows, *, name="t.jsonl", networks=NETWORKS, more=""):
        lines = rows if isinstance(rows, str) else "\n".join(map(json.dumps, rows))
        (tmp_path / name).write_text(lines)
        (tmp_path / "p.toml").write_text(
            f'[query]\ngoal = "{goal}"\n[examples]\nfile = "{name}"\ninputs = {inputs}\n{more}'
            + networks
        )
        return load_task(tmp_path / "p.pl")

    load.folder = tmp_path
    return load


def every(task):
    return [*task.examples, *task.held_out]


def test_one_file_in_two_columns_is_one_image_and_so_is_its_copy(task):
    rows = "X,Y,P\n" + "0.png,0.png,0\n0.png,copy.png,0\n0.png,1.png,1\n" * 4
    found = task("points(X, Y, P)", ["X", "Y"], rows, name="t.csv")
    shapes = {shaped.goal.template.same: shaped.goal.roles.images for shaped in every(found)}
    assert shapes[(("Y", "X"),)] == {"X": ("shape_net", "colour_net")}
    assert shapes[()] == {"X": ("shape_net",), "Y": ("colour_net",)}
    assert found.groups == (("shape_net", "colour_net"),)
    banks = found.banks(0)
    assert banks["shape_net"].pixels is banks["colour_net"].pixels
    assert len(banks["shape_net"]) == 2


def test_lists_of_any_length_have_their_shapes_and_true_symbols(task):
    rows = [
        {"Xs": ["0.png", "1.png"], "N": 1, "Xs.truth": ["0", None]},
        {"Xs": ["2.png", "1.png"], "N": 3},
        {"Xs": [], "N": 0},
        {"Xs": ["1.png"], "N": 1, "Xs.truth": ["1"]},
    ] * 3
    found = task("total(Xs, N)", ["Xs"], rows)
    lengths = {dict(shaped.goal.template.lengths)["Xs"] for shaped in every(found)}
    assert lengths == {0, 1, 2}
    two = next(s for s in found.examples if s.goal.template.lengths == (("Xs", 2),))
    assert two.slots["shape_net"].shape == (len(two), 2)
    truth = two.truth()["shape_net"]
    assert set(np.unique(truth)) <= {UNKNOWN, 0}
    assert found.count + sum(map(len, found.held_out)) == len(rows)


def test_facts_hold_for_their_example_alone(task):
    rows = [
        {"X": "0.png", "To": 2, "facts": ["edge(0,1)", "edge(1,2)"]},
        {"X": "1.png", "To": 2, "facts": ["edge(1, 2)", "edge(0,1)."]},
        {"X": "2.png", "To": 0, "facts": ["edge(2,0)"]},
    ] * 3
    found = task("reach(X, To)", ["X"], rows)
    shapes = {shaped.goal.template.facts for shaped in every(found)}
    assert shapes == {("edge(0,1)", "edge(1,2)"), ("edge(2,0)",)}
    answers = {s.goal.template.facts: s.goal.reasoner.answers for s in every(found)}
    assert answers[("edge(2,0)",)] == (("0",),)


def test_a_held_out_file_is_held_out(task):
    held_out = {"Xs": ["0.png", "1.png", "2.png"], "N": 3}
    (task.folder / "test.jsonl").write_text(json.dumps(held_out))
    rows = [{"Xs": ["0.png"], "N": 0}] * 5
    found = task("total(Xs, N)", ["Xs"], rows, more='held_out_file = "test.jsonl"\n')
    assert found.count == 5
    assert [len(shaped) for shaped in found.held_out] == [1]
    assert dict(found.held_out[0].goal.template.lengths) == {"Xs": 3}


def test_two_networks_on_one_image_want_one_shape(task):
    other = NETWORKS.replace("[1, 8, 8]", "[1, 6, 6]", 1)
    rows = [{"X": "0.png", "Y": "0.png", "P": 0}] * 3
    with pytest.raises(NetworkError, match="different shapes") as info:
        _ = task("points(X, Y, P)", ["X", "Y"], rows, networks=other).examples
    assert "image_shape" in info.value.remedy


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"X": "9.png", "Y": "0.png", "P": 0}, "t.jsonl:1: there is no image '9.png'"),
        ({"X": "0.png", "Y": "0.png", "P": 9}, "has no solution with P = 9"),
        ({"X": ["0.png"], "Y": "0.png", "P": 0}, "is given a list where it reads one image"),
        ({"X": "0.png", "Y": "0.png", "P": 0, "X.truth": "7"}, "X.truth is '7'"),
        ({"X": "0.png", "Y": "0.png", "P": 0, "facts": ["a :- b"]}, "is no fact"),
    ],
)
def test_wrong_examples_are_told(task, row, said):
    with pytest.raises(GroundkitError) as info:
        _ = task("points(X, Y, P)", ["X", "Y"], [row] * 2).examples
    assert said in str(info.value)
    assert isinstance(info.value, DataError | SpecError | GroundkitError)


@pytest.mark.parametrize(
    ("goal", "inputs", "rows", "said", "remedy"),
    [
        (
            "sum(X, Y, P)",
            ["X", "Y"],
            [{"X": "0.png", "Y": "1.png", "P": 1}, {"X": "0.png", "Y": "copy.png", "P": 3}],
            "t.jsonl:2: the goal 'sum(X,X,P)' has no solution with P = 3",
            "valid: 0, 2, 4",
        ),
        (
            "sum(X, Y, P)",
            ["X", "Y"],
            [{"X": "0.png", "Y": "1.png", "P": 1}, {"X": ["0.png"], "Y": "1.png", "P": 1}],
            "t.jsonl:2: no network looks at",
            'a single input is no list: "X": "a.png"',
        ),
        (
            "total(Xs, N)",
            ["Xs"],
            [{"Xs": ["0.png"], "N": 1}, {"Xs": "0.png", "N": 1}],
            "t.jsonl:2: the goal 'total(Xs, N)' has no solution",
            "if Xs is a list, give it as one",
        ),
        (
            "reach(X, To)",
            ["X"],
            [{"X": "0.png", "To": 1, "facts": [f"edge({a},1)"]} for a in (0, 7)],
            "t.jsonl:2: the goal 'reach(X, To)' has no solution",
            "correct its facts (edge(7,1))",
        ),
    ],
)
def test_the_example_that_does_not_fit_the_goal_is_told(task, goal, inputs, rows, said, remedy):
    with pytest.raises(GroundkitError) as info:
        _ = [shaped.answers for shaped in every(task(goal, inputs, rows * 2))]
    assert said in str(info.value)
    assert remedy in info.value.remedy


def test_lists_that_are_all_empty_leave_a_network_without_images(task):
    found = task("total(Xs, N)", ["Xs"], [{"Xs": [], "N": 0}] * 3)
    with pytest.raises(DataError, match="no example gives network 'shape_net' an input"):
        found.pool("shape_net")


def test_a_network_that_no_query_asks_is_named(task):
    rows = [{"X": f"{k}.png", "Y": "0.png", "P": k} for k in range(3)]
    found = task("sum(X, Y, P)", ["X", "Y"], rows)
    for ask in (lambda: found.labelled, lambda: found.pool("colour_net")):
        with pytest.raises(DataError, match="no query asks network 'colour_net'") as error:
            ask()
        assert "leave nn(colour_net, ...) out" in error.value.remedy


def test_a_backbone_may_be_another_network_s(task):
    shared = NETWORKS.replace('"mlp"', '"shared:shape_net"').replace(
        '"shared:shape_net"', '"mlp"', 1
    )
    rows = [{"X": "0.png", "Y": "0.png", "P": 0}] * 3
    found = task("points(X, Y, P)", ["X", "Y"], rows, networks=shared)
    assert found.binding.trunk_of("colour_net") == "shape_net"
    wrong = shared.replace("shared:shape_net", "shared:shapenet")
    with pytest.raises(SpecError, match="no backbone of its own") as info:
        task("points(X, Y, P)", ["X", "Y"], rows, networks=wrong)
    assert "shape_net" in info.value.remedy
