"""The first mistakes of a newcomer: each ends in one message with place, expectation and remedy."""

import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from groundkit.cli.app import app


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """What ``groundkit new mine --like own`` writes, in the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["new", "mine", "--like", "own"]).exit_code == 0


def in_file(name, old, new):
    """A mistake in a file: the first ``old`` reads ``new``."""

    def make():
        file = Path(name)
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return make


def semicolons():
    table = Path("mine.csv")
    table.write_text(table.read_text().replace(",", ";"))


def one_image_a_class():
    folder = Path("mine-images")
    for number, file in enumerate(sorted(folder.iterdir())):
        target = folder / str(0 if number else 4)
        target.mkdir(exist_ok=True)
        file.rename(target / file.name)
    for symbol in "123":
        shutil.copytree(folder / "0", folder / symbol)
    in_file("mine.toml", 'file = "mine.csv"', "count = 50")()


def classes_named_otherwise():
    one_image_a_class()
    Path("mine-images/4").rename("mine-images/four")


MISTAKES = {
    "wrong column": (in_file("mine.csv", "Y,Z", "W,Z"), ["mine.csv:1", "no column 'Y'", "X, Y, Z"]),
    "semicolons": (semicolons, ["mine.csv:1", "semicolons", "commas"]),
    "missing image": (
        in_file("mine.csv", "mine-images/", "images/"),
        ["mine.csv:2", "no image", "relative to"],
    ),
    "impossible answer": (
        in_file("mine.csv", ".png,7,", ".png,77,"),
        ["mine.csv:2", "Z = 77", "did you mean '7'"],
    ),
    "no such symbol": (in_file("mine.csv", ",7,3,4", ",7,3,9"), ["mine.csv:2", "Y.truth is '9'"]),
    "missing table": (
        in_file("mine.toml", "mine.csv", "my.csv"),
        ["my.csv", "a column for every variable", "relative to the spec"],
    ),
    "missing folder": (
        in_file("mine.toml", "mine-images", "my-images"),
        ["mine.toml:5", "'my-images'", "a folder of images"],
    ),
    "typo in the spec": (
        in_file("mine.toml", "backbone", "backbon"),
        ["mine.toml:10", "did you mean 'backbone'"],
    ),
    "arity": (in_file("mine.toml", "pair(X, Y, Z)", "pair(X, Y)"), ["mine.toml:2", "pair/3"]),
    "one image of a symbol": (one_image_a_class, ["symbol 4", "at least two images"]),
    "classes named otherwise": (
        classes_named_otherwise,
        ["symbol 4", "by name or by number", "0, 1, 2, 3, four"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_before_training(mine, mistake):
    make, told = MISTAKES[mistake]
    make()
    found = CliRunner().invoke(app, ["run", "mine.pl"])
    assert found.exit_code == 2
    assert not Path("runs").exists()
    for words in told:
        assert words in found.output


def test_a_spec_is_no_program(mine):
    found = CliRunner().invoke(app, ["check", "mine.toml"])
    assert found.exit_code == 2
    assert "mine.pl" in found.output


def test_images_of_any_size_and_colour_are_fitted_to_the_usual_one(mine):
    first = Path("mine-images/000.png")
    Image.open(first).convert("RGB").resize((200, 300)).save(first)
    found = CliRunner().invoke(app, ["check", "mine.pl"])
    assert found.exit_code == 0
    assert "1x28x28" in found.output
