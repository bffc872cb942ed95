"""One tiny trained run that all tests of this folder share, and images to ask it about."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from groundkit.runs.run import run

PROGRAM = """nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).
sum(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
same(X, Y) :- digit(X, A), digit(Y, A).
t(0.3) :: lucky.
nice(X) :- digit(X, 1), lucky.
"""
SPEC = """[query]
goal = "sum(X, Y, Z)"
[examples]
data = "digits8"
images = ["X", "Y"]
count = 200
held_out = 40
[networks.net]
backbone = "mlp"
[networks.net.perception]
augmentation = "none"
[networks.net.perception.sampler]
steps = 2
buffer = 50
batch = 8
[train]
epochs = 1
min_steps = 100
cluster_steps = 40
cluster_batch = 64
[evaluate]
ood = ["noise"]
ood_count = 50
samples = 2
sample_steps = 3
"""


def write_digit(path, digit, *, nth=0, invert=False, size=None, colour=False):
    """Writes the nth image of a digit, perhaps as paper and ink, larger, or in colour."""
    data = load_digits()
    pixels = np.round(data.images[np.flatnonzero(data.target == digit)[nth]] * 255 / 16)
    picture = Image.fromarray(pixels.astype(np.uint8))
    if invert:
        picture = Image.fromarray(255 - np.asarray(picture))
    if size:
        picture = picture.resize(size, Image.Resampling.NEAREST)
    (picture.convert("RGB") if colour else picture).save(path)
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Iterator[Path]:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    torch.set_num_threads(1)
    (folder / "sum.pl").write_text(PROGRAM)
    (folder / "sum.toml").write_text(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUNDKIT_CACHE", str(folder / "cache"))
        yield run(folder / "sum.pl", out=folder / "run", device="cpu").folder


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder to work in that holds 0.png to 4.png."""
    for digit in range(5):
        write_digit(tmp_path / f"{digit}.png", digit)
    monkeypatch.chdir(tmp_path)
    return tmp_path
