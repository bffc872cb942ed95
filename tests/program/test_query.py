"""A question's images become variables, one an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundkit.program.query import pose

SUFFIXES = (".png", ".csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.png", b"1"), ("copy.png", b"1"), ("b.png", b"2"), ("t.csv", b"1")):
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_one_content_under_several_names_is_one_image(folder: Path) -> None:
    posed = pose("p('a.png', 'copy.png', './a.png', 'b.png', 'a.png')", SUFFIXES)
    assert posed.goal.text == "p(Image1, Image1, Image1, Image2, Image1)"
    assert posed.images == {"Image1": "a.png", "Image2": "b.png"}
    assert posed.names == {
        "a.png": "Image1",
        "copy.png": "Image1",
        "./a.png": "Image1",
        "b.png": "Image2",
    }


def test_files_that_are_not_there_and_rows_are_told_by_their_names(folder: Path) -> None:
    posed = pose("p('no.png', 'none.png', 'no.png', 't.csv#1', 't.csv#2', 't.csv#1')", SUFFIXES)
    assert list(posed.images.values()) == ["no.png", "none.png", "t.csv#1", "t.csv#2"]
