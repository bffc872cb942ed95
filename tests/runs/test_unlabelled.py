"""Images of one's own without labels and without a goal: clustered, reported, asked about."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from groundkit.cli.terminal import headlines
from groundkit.errors import DataError
from groundkit.runs.check import check_program
from groundkit.runs.commands import evaluate
from groundkit.runs.run import run

PROGRAM = "nn(net, [X], Y, [a,b,c]) :: kind(X, Y).\n"
SPEC = """[examples]
data = "images"
[networks.net]
backbone = "mlp"
[networks.net.perception.sampler]
steps = 2
[train]
epochs = 1
min_steps = 6
pool_batch = 16
cluster_steps = 4
cluster_batch = 16
[evaluate]
ood = ["noise", "rotated"]
ood_count = 20
samples = 1
sample_steps = 2
"""


def write(folder, *, count=40, size=(28, 28)):
    """Writes a program, its spec and a folder of images without labels."""
    (folder / "kinds.pl").write_text(PROGRAM)
    (folder / "kinds.toml").write_text(SPEC)
    (folder / "images").mkdir()
    for number, pixels in enumerate(load_digits().images[:count]):
        picture = Image.fromarray(np.round(pixels * 255 / 16).astype(np.uint8)).resize(size)
        picture.save(folder / "images" / f"{number}.png")
    return folder / "kinds.pl"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unlabelled")
    return run(write(folder), out=folder / "run")


def test_it_ends_with_a_report_and_says_why_nothing_is_scored(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics["grounding"]["accuracy"] is None and metrics["grounding"]["reason"]
    assert metrics["generation"]["fid"] is None and "no labels" in metrics["generation"]["reason"]
    assert metrics["networks"]["net"]["augmentation"]
    assert set(metrics["ood"]["noise"]["scores"]) >= {"energy", "foreign"}
    assert result.verdict.status in {"unknown", "collapsed"}
    assert "Not scored" in (result.folder / "report.html").read_text() or (
        result.verdict.status == "collapsed"
    )


def test_it_can_be_evaluated_again(result):
    assert evaluate(result.folder, settings=["evaluate.samples=0"])["grounding"]


def test_check_says_which_augmentation_was_chosen(tmp_path):
    found = check_program(write(tmp_path))
    assert found.networks["net"]["augmentation"] in str(found)


def test_fewer_images_than_symbols_are_refused_before_training(tmp_path):
    program = write(tmp_path, count=3)
    for use in (check_program, run):
        with pytest.raises(DataError, match="2 training images for 3 symbols"):
            use(program)


def test_evaluate_says_that_nothing_is_scored(result):
    first = next(headlines(evaluate(result.folder)))
    assert "symbols are not scored: no image has a known true symbol" in first
