"""Every command that opens a finished run takes one whose images are read by two networks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from groundkit.cli.app import app
from groundkit.data.sources import load_data
from groundkit.runs.run import run

PROGRAM = """nn(shape_net, [X], S, [circle, square, triangle, star]) :: shape(X, S).
nn(colour_net, [X], C, [red, green, blue, yellow]) :: colour(X, C).
shown(X, S, C) :- shape(X, S), colour(X, C).
"""
SPEC = """[query]
goal = "shown(X, S, C)"
[examples]
data = "scenes"
inputs = ["X"]
count = 60
held_out = 20
[networks.shape_net]
backbone = "mlp"
image_shape = [3, 8, 8]
attribute = "shape"
[networks.colour_net]
backbone = "mlp"
image_shape = [3, 8, 8]
attribute = "colour"
[train]
epochs = 1
min_steps = 20
cluster_steps = 5
[evaluate]
ood = ["noise"]
ood_count = 40
samples = 2
sample_steps = 2
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run with two networks, beside an image of an object."""
    folder = tmp_path_factory.mktemp("seen")
    torch.set_num_threads(1)
    (folder / "seen.pl").write_text(PROGRAM)
    (folder / "seen.toml").write_text(SPEC)
    pixels = load_data("scenes").test.pixels[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(folder / "object.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUNDKIT_CACHE", str(folder / "cache"))
        yield run(folder / "seen.pl", out=folder / "run", device="cpu").folder


@pytest.fixture
def call(seen: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls a command beside the image; fails unless it ends well."""
    monkeypatch.chdir(seen.parent)

    def invoke(*arguments: object) -> Result:
        found = CliRunner().invoke(app, [str(one) for one in arguments])
        assert found.exit_code == 0, found.output
        return found

    return invoke


def test_evaluate_says_of_both_what_the_run_said(call: Callable[..., Result], seen: Path) -> None:
    metrics = json.loads((seen / "metrics.json").read_text())
    found = json.loads(call("evaluate", seen, "--json").stdout)
    assert found["grounding"]["accuracy"] == pytest.approx(metrics["grounding"]["accuracy"])
    for name in ("shape_net", "colour_net"):
        told, before = found["networks"][name], metrics["networks"][name]
        assert told["grounding"]["confusion"] == before["grounding"]["confusion"]
    assert "symbol accuracy" in call("evaluate", seen, "--set", "evaluate.samples=0").stdout


def test_questions_are_answered_by_both(call: Callable[..., Result], seen: Path) -> None:
    answers = call("query", seen, "shown('object.png', S, C)").stdout
    assert "shown(" in answers
    assert "object.png by shape_net: " in answers and "object.png by colour_net: " in answers
    told = call("query", seen, "shown('object.png', S, C)", "--set", "shape(X)=star").stdout
    assert told.startswith("shown('object.png',star,") and "circle," not in told
    assert "shown(" in call("explain", seen, "shown('object.png', circle, red)").stdout


def test_samples_of_both(call: Callable[..., Result], seen: Path) -> None:
    arguments = ("--count", 2, "--steps", 2, "--out", "grids", "--json")
    files = json.loads(call("sample", seen, *arguments).stdout)
    assert set(files) == {"shape_net", "colour_net"}


def test_comparison(call: Callable[..., Result], seen: Path) -> None:
    copy = shutil.copytree(seen, seen.parent / "copy")
    assert "seen" in call("compare", seen, copy).stdout
