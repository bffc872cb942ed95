"""Runs that train through bounds and through estimates, and say so everywhere."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from groundkit.runs.plan import plan_program
from groundkit.runs.run import run

PROGRAM = """nn(net, [X], L, [dark,bright]) :: light(X, L).
0.3::cloud. 0.2::veil.
dim :- cloud.
dim :- veil.
evidence(\\+dim).
lit(X, 1) :- light(X, bright), \\+dim.
lit(X, 0) :- light(X, dark).
lit(X, 0) :- light(X, bright), dim.
lights(X, Y, N) :- lit(X, A), lit(Y, B), N is A + B.
"""
SPEC = """[query]
goal = "lights(X, Y, N)"
[examples]
file = "pairs.csv"
images = ["X", "Y"]
[networks.net]
backbone = "mlp"
perception = {augmentation = "none", generative = 0.0}
[train]
epochs = 2
min_steps = 30
batch = 16
pool_batch = 16
cluster_steps = 10
cluster_batch = 16
[evaluate]
ood = []
samples = 0
[reasoning]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Writes 40 pairs of dark and bright images with the number of bright ones."""
    folder = tmp_path_factory.mktemp("inexact")
    rng = np.random.default_rng(0)
    (folder / "lights.pl").write_text(PROGRAM)
    with (folder / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["X", "Y", "N", "X.truth", "Y.truth"])
        for i in range(40):
            bright = rng.integers(0, 2, 2)
            names = [f"{i}{side}.png" for side in "xy"]
            for name, level in zip(names, bright, strict=True):
                image = rng.integers(0, 40, (8, 8)) + 200 * level
                Image.fromarray(image.astype(np.uint8)).save(folder / name)
            words = [["dark", "bright"][level] for level in bright]
            rows.writerow([*names, int(bright.sum()), *words])
    return folder


@pytest.mark.parametrize("mode", ["bounds", "sample"])
def test_a_run_learns_and_tells_how_exact_it_was(folder, mode):
    (folder / "lights.toml").write_text(f'{SPEC}mode = "{mode}"\nlimit_seconds = 60\n')
    result = run(folder / "lights.pl", out=folder / mode, seed=0)
    metrics = json.loads((folder / mode / "metrics.json").read_text())
    assert metrics["reasoning"]["mode"] == mode
    if mode == "bounds":  # every proof is found here
        assert metrics["reasoning"]["gap"] == pytest.approx(0.0, abs=1e-6)
        assert "trained through lower bounds" in (folder / mode / "report.html").read_text()
    else:
        assert 0.0 < metrics["reasoning"]["gap"] < 0.05
        assert "trained through estimates" in (folder / mode / "report.html").read_text()
    assert result.accuracy == 1.0
    assert metrics["query"]["accuracy"] == 1.0


def test_a_plan_tells_what_the_run_will_do(folder):
    (folder / "lights.toml").write_text(f'{SPEC}mode = "sample"\n')
    told = str(plan_program(folder / "lights.pl"))
    assert "random worlds are drawn" in told
