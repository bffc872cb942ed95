"""Examples follow the worlds they are drawn from; tables are read or refused with their line."""

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.data.examples import UNKNOWN, Roles, domain_classes, draw, read_examples, restrict
from groundkit.data.images import ImageSet
from groundkit.errors import DataError

ROLES = Roles({"X": "net", "Y": "net"}, ("Z",), {"net": ("0", "1", "2")}, {})


def bank(labels, classes=("0", "1", "2", "3")):
    labels = np.asarray(labels)
    pixels = torch.from_numpy(labels.astype(np.uint8))[:, None, None, None].expand(-1, 1, 4, 4)
    return ImageSet("bank", pixels.contiguous(), labels, classes)


def test_images_have_the_symbols_of_their_world():
    images = restrict("net", ROLES.domains["net"], bank(np.arange(40) % 4))
    assert len(images) == 30
    worlds = {"X": np.array([0, 1, 2, 2]), "Y": np.array([2, 2, 0, 1])}
    answers = [{"Z": str(a + b)} for a, b in zip(*worlds.values(), strict=True)]
    drawn = draw(ROLES, {"net": images}, worlds, answers, np.random.default_rng(0))
    for variable, values in worlds.items():
        shown = images.pixels[torch.from_numpy(drawn.images[variable])][:, 0, 0, 0]
        assert shown.tolist() == values.tolist() == drawn.truth[variable].tolist()
    assert drawn.symbols["Z"] == ("2", "3", "2", "3")


def test_a_symbol_without_images_is_named():
    images = restrict("net", ROLES.domains["net"], bank([0, 0, 1]))
    worlds = {"X": np.array([2]), "Y": np.array([0])}
    with pytest.raises(DataError, match="no image of the symbol 2"):
        draw(ROLES, {"net": images}, worlds, [{"Z": "2"}], np.random.default_rng(0))


def test_symbols_are_classes_by_name_or_number():
    named = bank([0, 1], classes=("cat", "dog"))
    assert domain_classes("net", ("dog", "cat"), named).tolist() == [1, 0]
    assert domain_classes("net", ("0", "1"), named).tolist() == [0, 1]
    with pytest.raises(DataError, match="did you mean 'dog'"):
        domain_classes("net", ("dogs",), named)


@pytest.fixture
def folder(tmp_path):
    for name, level in (("a", 0), ("b", 255)):
        Image.fromarray(np.full((6, 6), level, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def table(folder, text):
    (folder / "t.csv").write_text(text)
    return read_examples(folder / "t.csv", ROLES, {"net": (1, 6, 6)})


def test_tables_bind_images_symbols_and_truth(folder):
    read = table(folder, "X,Y,Z,X.truth\na.png,b.png,1,0\nb.png,b.png,2,\n")
    assert read.images["X"].tolist() == [0, 1]
    assert len(read.banks["net"]) == 2
    assert read.symbols["Z"] == ("1", "2")
    assert read.truth["X"].tolist() == [0, UNKNOWN]
    assert read.subset(np.array([1])).symbols["Z"] == ("2",)


def test_tables_may_say_how_probable_a_query_is_to_be(folder):
    read = table(folder, "X,Y,Z,probability\na.png,b.png,1,\nb.png,b.png,2,0\na.png,b.png,0,0.5\n")
    assert read.targets.tolist() == [1, 0, 0.5]
    assert read.subset(np.array([2, 1])).targets.tolist() == [0.5, 0]
    assert table(folder, "X,Y,Z\na.png,b.png,1\n").targets is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("X,Z\na.png,1\n", "t.csv:1: there is no column 'Y'"),
        ("X,Y,Z,W\na.png,a.png,1,1\n", "t.csv:1: unknown column 'W'"),
        ("X,Y,Z\n", "t.csv:1: there is no example"),
        ("X,Y,Z\na.png,a.png\n", "t.csv:2: 2 values"),
        ("X,Y,Z\na.png,c.png,1\n", "t.csv:2: there is no image"),
        ("X,Y,Z\na.png,../b.png,1\n", "t.csv:2: the path '../b.png' leaves"),
        ("X,Y,Z\na.png,/etc/passwd,1\n", "leaves the folder"),
        ("X,Y,Z,X.truth\na.png,a.png,1,7\n", "t.csv:2: X.truth is '7'"),
        ("X,Y,Z,probability\na.png,a.png,1,2\n", "t.csv:2: probability is '2'"),
        ("X,Y,Z,probability\na.png,a.png,1,no\n", "t.csv:2: probability is 'no'"),
    ],
)
def test_wrong_tables_name_their_line(folder, text, said):
    with pytest.raises(DataError) as caught:
        table(folder, text)
    assert said in str(caught.value)
