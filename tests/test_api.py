"""Every public name has an example that runs, and a place in the API reference."""

import doctest
import re
import shutil
from pathlib import Path

import pytest

import groundkit
from groundkit.cli.starters import write_starter
from groundkit.data import sources

ROOT = Path(__file__).parent.parent
FIRST = ["write_starter", "run"]
"""The examples that later ones build on."""
NAMES = FIRST + sorted(set(groundkit.__all__) - {*FIRST, "errors"})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "programs", folder / "programs")
    write_starter("tiny", "own", folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs(name, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sources, "CARDS", dict(sources.CARDS))  # an example registers one
    value = getattr(groundkit, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(value, name, globs={})
    assert found.examples, f"{name} has no example"
    said = []
    doctest.DocTestRunner(verbose=False).run(found, out=said.append)
    assert not said, "".join(said)


def test_what_uses_the_package_can_be_sent_to_other_processes():
    cloudpickle = pytest.importorskip("cloudpickle")
    sent = cloudpickle.loads(cloudpickle.dumps(lambda: groundkit))
    assert sent() is groundkit


def test_the_reference_has_every_name():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: groundkit\.([\w.]+)$", page, re.MULTILINE)
    homes = {
        name: f"{getattr(groundkit, name).__module__}.{name}"
        for name in groundkit.__all__
        if name != "errors"
    }
    expected = {home.removeprefix("groundkit.") for home in homes.values()} | {"errors"}
    assert set(shown) == expected and len(shown) == len(set(shown))
