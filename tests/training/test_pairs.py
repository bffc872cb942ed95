"""A neural call that reads two images: they are stacked along channels, wherever they come from."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.errors import DataError, NetworkError
from groundkit.estimators.grounder import Grounder
from groundkit.training.trainer import Trainer
from tests.loaded import load_task
from tests.small import LEVELS, write_pairs

PROGRAM = """nn(net, [X,Y], Z, [same,different]) :: pair(X, Y, Z).
one(X, Y, Z) :- pair(X, Y, Z).
agree(X, Y, U, V, yes) :- pair(X, Y, S), pair(U, V, S).
agree(X, Y, U, V, no) :- pair(X, Y, S), pair(U, V, T), S \\= T.
chain(X, Y, U, Z) :- pair(X, Y, Z), pair(Y, U, Z).
odd(X, Z) :- pair(X, 3, Z).
"""
SPEC = """[query]
goal = "agree(X, Y, U, V, A)"
[examples]
images = ["X", "Y", "U", "V"]
data = "pairs.npz"
count = 20
held_out = 10
[networks.net]
backbone = "mlp"
perception = {augmentation = "none", generative = 0.0}
[train]
epochs = 1
min_steps = 3
batch = 4
pool_batch = 4
cluster_steps = 2
cluster_batch = 8
"""


@pytest.fixture
def folder(tmp_path):
    write_pairs(tmp_path, PROGRAM, SPEC)
    return tmp_path


def from_file(folder, header, rows, *settings):
    with (folder / "own.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    shape = ("examples.file=own.csv", "networks.net.image_shape=[1,8,8]")
    return load_task(folder / "pair.pl", settings=(*shape, *settings))


def test_a_data_set_of_stacked_images_is_drawn_from(folder):
    task = load_task(folder / "pair.pl")
    assert task.goals[0].roles.images == {"X,Y": ("net",), "U,V": ("net",)}
    assert task.pool("net").shape[1:] == (2, 8, 8)
    examples, pixels = task.examples[0].examples, task.banks(0)["net"].pixels[:, :, 0, 0].numpy()
    for name in ("X,Y", "U,V"):
        shown = pixels[examples.images[name]]
        assert ((shown[:, 0] == shown[:, 1]) == (examples.truth["net", name] == 0)).all()
    same = examples.truth["net", "X,Y"] == examples.truth["net", "U,V"]
    assert [symbol == "yes" for symbol in examples.symbols["A"]] == same.tolist()


def test_training_reads_both_images(folder):
    task = load_task(folder / "pair.pl")
    trainer = Trainer(task, torch.device("cpu"), 0)
    trainer.train()
    assert trainer._symbolic.read(trainer.learners)[0].log_probs["net"].shape == (20, 2, 2)


def test_files_are_stacked_in_the_order_of_the_call(folder):
    header = ["X", "Y", "U", "V", "A", "X,Y.truth"]
    rows = [["0.png", "255.png", "0.png", "0.png", "no", "different"]] * 5
    examples = from_file(folder, header, rows).examples[0].examples
    pixels = examples.banks["net"].pixels[:, :, 0, 0]
    assert pixels[examples.images["X,Y"][0]].tolist() == [0, 255]
    assert pixels[examples.images["X,X"][0]].tolist() == [0, 0]
    assert (examples.truth["net", "X,Y"] == 1).all()


def test_one_image_in_two_calls_needs_files(folder):
    goal = ('query.goal="chain(X, Y, U, Z)"', 'examples.images=["X","Y","U"]')
    with pytest.raises(NetworkError, match="Y is part of several calls") as info:
        _ = load_task(folder / "pair.pl", settings=goal).examples
    assert "examples of your own" in str(info.value)
    Image.fromarray(np.full((8, 8), 127, np.uint8)).save(folder / "127.png")
    rows = [["0.png", "255.png", "127.png", "same"]] * 5
    examples = from_file(folder, ["X", "Y", "U", "Z"], rows, *goal).examples[0].examples
    assert set(examples.images) == {"X,Y", "Y,U"}


def test_a_data_set_of_single_images_is_refused(folder):
    with pytest.raises(
        NetworkError, match=r"reads 2 images at once, those of .* 1 channel"
    ) as info:
        _ = load_task(folder / "pair.pl", settings=("examples.data=digits8",)).examples
    assert "stacked along channels" in str(info.value)


def test_an_input_that_is_no_image_is_named(folder):
    goal = ('query.goal="odd(X, Z)"', 'examples.images=["X"]')
    with pytest.raises(NetworkError, match="reads '3', which is no image"):
        _ = load_task(folder / "pair.pl", settings=goal).examples


def test_arrays_are_stacked_and_their_shapes_agree(folder):
    grounder = Grounder(
        folder / "pair.pl", device="cpu",
        **{"query__goal": "one(X, Y, Z)", "examples__images": ["X", "Y"],
           "examples__data": "digits8"},
    )  # fmt: skip
    images = np.tile((LEVELS * 1.0)[:, :, None, None, None], (1, 1, 1, 8, 8))
    columns = {"X": images[:, 0], "Y": images[:, 1], "Z": np.array(["same"] * len(images))}
    assert grounder.fit(columns).query_proba(columns).shape == (len(images), 2)
    with pytest.raises(DataError, match="one shape"):
        grounder.fit({**columns, "Y": images[:, 1, :, :4, :4]})
