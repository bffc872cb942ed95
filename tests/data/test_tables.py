"""Tables of examples are read, or refused with their line and a remedy."""

import json

import pytest

from groundkit.data.tables import read_raw
from groundkit.errors import DataError


@pytest.fixture
def read(tmp_path):
    def read(text, name="t.csv", variables=("X", "Y", "Z"), inputs=("X", "Y")):
        (tmp_path / name).write_text(text)
        return read_raw(tmp_path / name, variables, inputs)

    return read


def test_csv_binds_images_symbols_and_truth(read):
    first, second = read("X,Y,Z,X.truth\na.png,b.png,1,0\nb.png,b.png,2,\n")
    assert first.values == {"X": "a.png", "Y": "b.png", "Z": "1"}
    assert (first.truth, second.truth) == ({"X.truth": "0"}, {})
    assert (first.at.line, second.target) == (2, 1.0)


def test_json_lines_hold_lists_facts_and_probabilities(read):
    row = {"Xs": ["a.png", "b.png"], "N": 7, "facts": ["edge(a,b)"], "Xs.truth": ["3", None]}
    found, empty = read(
        json.dumps(row) + "\n\n" + json.dumps({"Xs": [], "N": [1, 2], "probability": 0.5}),
        "t.jsonl",
        ("Xs", "N"),
        ("Xs",),
    )
    assert found.values == {"Xs": ("a.png", "b.png"), "N": "7"}
    assert (found.facts, found.truth) == (("edge(a,b)",), {"Xs.truth": ("3", "")})
    assert (empty.values, empty.target, empty.at.line) == ({"Xs": (), "N": ("1", "2")}, 0.5, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("X,Z\na.png,1\n", "t.csv:1: there is no column 'Y'"),
        ("X,Y,Z,W\na.png,a.png,1,1\n", "t.csv:1: unknown column 'W'"),
        ("X,Y,Z\n", "t.csv:1: there is no example"),
        ("X,Y,Z\na.png,a.png\n", "t.csv:2: the row has 2 values"),
        ("X,Y,Z\na.png,,1\n", "t.csv:2: column Y is empty"),
        ("X,Y,Z,probability\na.png,a.png,1,2\n", "t.csv:2: probability is '2'"),
        ("X,Y,Z,probability\na.png,a.png,1,no\n", "t.csv:2: probability is 'no'"),
        ("x,y,z\na.png,a.png,1\n", "name it so in the first line, which has x, y, z"),
        ("X,Y,Z,facts\na.png,a.png,1,edge\n", "facts stand in a JSON Lines file"),
    ],
)
def test_wrong_tables_name_their_line(read, text, said):
    with pytest.raises(DataError) as caught:
        read(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("[1]", "t.jsonl:1: the line is no object"),
        ('{"X": "a.png"', "t.jsonl:1: the line is no JSON"),
        ('{"X": "a.png", "Y": "b.png"}', "t.jsonl:1: there is no 'Z'"),
        ('{"X": "a.png", "Y": "b.png", "Z": 1, "W": 2}', "unknown key 'W'"),
        ('{"X": 7, "Y": "b.png", "Z": 1}', "t.jsonl:1: X is 7"),
        ('{"X": "", "Y": "b.png", "Z": 1}', "t.jsonl:1: X is empty"),
        ('{"X": "a.png", "Y": "b.png", "Z": null}', "t.jsonl:1: Z is null"),
        ('{"X": "a.png", "Y": "b.png", "Z": {"a": 1}}', "t.jsonl:1: Z is {"),
        ('{"X": "a.png", "Y": "b.png", "Z": 1, "facts": "edge(a,b)"}', "facts is"),
        ('{"X": "a.png", "Y": "b.png", "Z": 1, "facts": [1]}', "facts is [1]"),
        ('{"X": "a.png", "Y": "b.png", "Z": 1, "probability": true}', "probability is"),
    ],
)
def test_wrong_lines_name_their_line(read, row, said):
    with pytest.raises(DataError) as caught:
        read(row, "t.jsonl")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"X": "a.png", "X": "b.png", "Y": "a.png", "Z": 1}', "the key 'X' stands twice"),
        ('[{"X": "a.png"},', "with no [ before and no comma after it"),
        ('{"X": "a.png",', "write each object on a line of its own"),
    ],
)
def test_lines_that_are_no_objects_are_told_what_a_line_is(read, text, said):
    with pytest.raises(DataError, match=r"t\.jsonl:1") as caught:
        read(text, "t.jsonl")
    assert said in str(caught.value)


def test_json_is_told_from_json_lines(read):
    with pytest.raises(DataError, match=r"t\.json' is JSON"):
        read('[{"X": "a.png"}]', "t.json")
