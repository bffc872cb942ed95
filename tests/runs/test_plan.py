"""Tests of what a program is expected to cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from groundkit.runs.plan import Planned, plan_program

PROGRAM = """nn(net, [X], Y, [0,1]) :: bit(X, Y).
sum(X, Y, Z) :- bit(X, A), bit(Y, B), Z is A + B.
"""
SPEC = """[query]
goal = "sum(X, Y, Z)"
[examples]
file = "pairs.csv"
inputs = ["X", "Y"]
[networks.net]
backbone = "mlp"
"""


def test_fewer_images_than_chains_of_the_sampler(tmp_path: Path) -> None:
    """As many chains are timed as training has: with four images, four."""
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    rows = "".join(f"{x}.png,{y}.png,1\n" for x in range(4) for y in range(4) if x != y)
    (tmp_path / "pairs.csv").write_text("X,Y,Z\n" + rows)
    (tmp_path / "pairs.toml").write_text(SPEC)
    program = tmp_path / "pairs.pl"
    program.write_text(PROGRAM)
    planned = plan_program(program)
    assert isinstance(planned, Planned)
    assert planned.sample_s > 0
