"""The few labels that a user has: drawn or read, and refused by name when they do not fit."""

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.data.images import ImageSet
from groundkit.data.labels import draw_labelled, read_labelled
from groundkit.errors import DataError

DOMAIN = ("a", "b", "c")
BANK = ImageSet(
    "bank", torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1), np.array([0, 1, 1, 0, 1, 2])
)


def test_drawn_labels_are_the_images_own():
    found = draw_labelled(BANK, DOMAIN, (), 1, seed=0)
    assert found.symbols() == [0, 1, 2]
    for pixel, target in zip(found.pixels.flatten(), found.targets, strict=True):
        assert BANK.labels[pixel] == target.argmax()
    assert draw_labelled(BANK, DOMAIN, ("b",), 3, seed=1).pixels.flatten().sort()[0].tolist() == [
        1, 2, 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("symbols", "count", "message"),
    [(("d",), 1, "the symbol d, which is not"), (("c",), 2, "has 1 images of the symbol c")],
)
def test_labels_that_are_not_there_are_refused(symbols, count, message):
    with pytest.raises(DataError, match=message):
        draw_labelled(BANK, DOMAIN, symbols, count, seed=0)


def table(folder, text):
    for name, shade in (("x.png", 0), ("y.png", 255)):
        Image.fromarray(np.full((4, 4), shade, dtype=np.uint8)).save(folder / name)
    (folder / "labels.csv").write_text(text)
    return read_labelled(folder / "labels.csv", DOMAIN, (1, 4, 4))


def test_tables_have_symbols_or_probabilities(tmp_path):
    hard = table(tmp_path, "image,symbol\nx.png,b\ny.png,a\n")
    assert hard.targets.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert hard.pixels[1].unique().tolist() == [255]
    soft = table(tmp_path, "image,a,c\nx.png,0.25,0.75\ny.png,1,\n")
    assert soft.targets.tolist() == [[0.25, 0, 0.75], [1, 0, 0]]
    assert soft.symbols() == [0]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("image,symbol\nx.png,z\n", 2, "'z' is no symbol"),
        ("picture,symbol\nx.png,a\n", 1, "unknown column 'picture'"),
        ("symbol\na\n", 1, "no column 'image'"),
        ("image,symbol\n", 1, "no row below the header"),
        ("image\nx.png\n", 1, "no column 'symbol'"),
        ("image,symbol,a,b\nx.png,a,1,0\n", 1, "a column 'symbol' and columns of probabilities"),
        ("image,a,b\nx.png,0.5,0.6\n", 2, "sum to 1.1"),
        ("image,a,b\nx.png,0.5,0.3\n", 2, "sum to 0.8"),
        ("image,a,b\nx.png,much,0.6\n", 2, "a has 'much'"),
        ("image,symbol\nnone.png,a\n", 2, "none.png"),
        ("image,symbol\nx.png,a\ny.png,a\nx.png,b\n", 4, "another label on line 2"),
    ],
)
def test_wrong_tables_are_refused_with_their_line(tmp_path, text, line, message):
    with pytest.raises(DataError, match=message) as error:
        table(tmp_path, text)
    assert error.value.at.line == line


def test_labelled_rows_are_named_by_their_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "labels.csv").write_text("image,symbol\nt.csv#1,b\nt.csv#0,a\n")
    found = read_labelled(tmp_path / "labels.csv", DOMAIN, (2,))
    assert found.pixels.tolist() == [[3, 4], [1, 2]] and found.symbols() == [0, 1]
    (tmp_path / "labels.csv").write_text("image,symbol\nt.csv#1,b\nt.csv#2,a\n")
    with pytest.raises(DataError, match=r"labels.csv:3: there is no row 2"):
        read_labelled(tmp_path / "labels.csv", DOMAIN, (2,))
