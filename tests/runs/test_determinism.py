"""One seed, one run: weights, metrics and history are the same on the same machine."""

import pytest

from groundkit.runs.run import run
from tests.small import left_behind, write_task


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = write_task(tmp_path_factory.mktemp("seeds"))
    found = {}
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        run(folder / "add.pl", out=folder / name, seed=seed, device="cpu")
        found[name] = left_behind(folder / name)
    return found


def test_the_same_seed_gives_the_same_run_to_the_bit(runs):
    assert runs["one"] == runs["again"]


def test_another_seed_gives_another_run(runs):
    assert runs["one"][0] != runs["other"][0]


def test_metrics_tell_seed_device_and_split(runs):
    metrics = runs["one"][1]
    assert metrics["seed"] == 3
    assert metrics["split"]["seed"] == 0
    images = metrics["split"]["networks"]["net"]
    assert images["train"] > images["held_out"] > 100
