"""A finished run whose network reads two images in one call answers questions about files."""

import pytest

import groundkit
from groundkit.errors import DataError
from tests.small import write_pairs

PROGRAM = """nn(net, [X,Y], Z, [same,different]) :: pair(X, Y, Z).
one(X, Y, Z) :- pair(X, Y, Z).
"""
SPEC = """[query]
goal = "one(X, Y, Z)"
[examples]
images = ["X", "Y"]
data = "pairs.npz"
count = 20
held_out = 10
[networks.net]
backbone = "mlp"
perception = {augmentation = "none", generative = 0.0}
[train]
epochs = 1
min_steps = 3
cluster_steps = 2
cluster_batch = 8
[evaluate]
ood = ["noise"]
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, PROGRAM, SPEC)
    result = groundkit.run(folder / "pair.pl", out=folder / "run", device="cpu")
    return groundkit.open_run(result.folder, device="cpu")


def test_both_files_are_read_together(session, monkeypatch):
    monkeypatch.chdir(session.folder.parent)
    found = session.query("one('0.png', '255.png', Z)")
    assert sum(answer.probability for answer in found.answers) == pytest.approx(1.0, abs=1e-6)
    (reading,) = found.images.values()
    assert reading.path == "0.png, 255.png" and reading.pixels.shape == (1, 8, 16)
    assert reading.pixels[0, :, :8].max() == 0 and reading.pixels[0, :, 8:].min() == 255
    told = groundkit.explain(session.folder, "one('0.png', '255.png', Z)")
    assert "0.png, 255.png = " in str(told) and told.picture().startswith(b"\x89PNG")


def test_one_file_of_two_is_not_enough(session, monkeypatch):
    monkeypatch.chdir(session.folder.parent)
    with pytest.raises(DataError, match=r"2 images at once, and only '0\.png'"):
        session.query("one('0.png', Y, Z)")
