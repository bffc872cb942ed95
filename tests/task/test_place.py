"""A key of a spec is found where it was written last: in the file, or in a ``--set`` text."""

from pathlib import Path

import pytest

from groundkit.task.place import line_of, place_of

FILE = Path("a.toml")
TEXT = """[[query]]
name = "s"
weight = 1
[[query]]
name = "t"
[networks.net]
backbone = "mlp"
"""


def test_line_of_falls_back_to_the_table():
    assert line_of("[a]\nb = 1\n[a.c]\nd = 2\n", ["a", "c", "missing"]) == 3
    assert line_of("x = 1", ["y"]) is None


@pytest.mark.parametrize(
    ("path", "settings", "found"),
    [
        (["query", "0", "weight"], [], "a.toml:3"),
        (["query", "0", "weight"], ["query.s.weight=-1"], "--set query.s.weight=-1"),
        (["query", "0", "weight"], ["query.t.weight=-1"], "a.toml:3"),
        (["query", "1", "weight"], ["query.t.weight=-1"], "--set query.t.weight=-1"),
        (["networks", "net", "backbone"], ["networks.net.backbone=x"], "--set"),
        (["networks", "net", "backbone"], ["networks.net.data=x"], "a.toml:7"),
        (["networks", "net", "backbone"], ["networks={}"], "--set networks={}"),
        (["networks", "net", "labels"], ["networks.net.data=x"], "a.toml:6"),
        (["networks", "net"], ["networks.net.backbone=x"], "a.toml:6"),
        (["networks", "nett"], ["networks.nett.backbone=x"], "--set networks.nett.backbone=x"),
        (["train", "epochs"], ["train.epochs=1", "train.epochs=0"], "--set train.epochs=0"),
        (["examples", "inputs"], ["examples.images=X"], "--set examples.images=X"),
    ],
)
def test_a_setting_is_blamed_for_what_it_wrote(path, settings, found):
    assert str(place_of(FILE, TEXT, path, settings, ["s", "t"])).startswith(found)


def test_a_long_setting_is_shortened():
    assert len(str(place_of(FILE, TEXT, ["a"], [f"a={'x' * 1000}"]))) < 120
