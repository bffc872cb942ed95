"""Held-out scores, also for a user's own images with and without known symbols."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.data import sources
from groundkit.evaluate import generation
from groundkit.perception.foreign import ForeignScore
from groundkit.perception.pixels import to_model
from groundkit.perception.settings import PerceptionSpec
from groundkit.perception.shares import Shares
from groundkit.runs.assess import (
    assess_generation,
    assess_network,
    assess_queries,
    held_out_images,
)
from groundkit.runs.identify import identify_task, learnt
from groundkit.runs.run import run
from groundkit.training.trainer import Trainer

CPU = torch.device("cpu")


class Reading:
    """A model whose embedding already is its logits."""

    def __init__(self, read):
        self.read = read

    def take(self, images):
        return to_model(images)

    def embed(self, images):
        pixels = images.clamp(-1, 1).add(1.0).mul(127.5).round().to(torch.uint8)
        return self.read(pixels) + 0 * images.flatten(1).sum(1, keepdim=True)

    def classify(self, embedding):
        return embedding

    def __call__(self, images):
        return self.classify(self.embed(images))


class Perfect:
    """Reads images like a network that knows every label of a bank."""

    def __init__(self, bank, shift=0):
        symbols = len(bank.classes)
        self.known = {
            image.numpy().tobytes(): (label + shift) % symbols
            for image, label in zip(bank.pixels, bank.labels, strict=True)
        }
        self.symbols = symbols
        self.pool = bank.pixels
        self.model = Reading(self.read)
        self.settings = PerceptionSpec()
        self.shares = Shares(symbols, torch.device("cpu"))

    def read(self, pixels):
        rows = torch.zeros(len(pixels), self.symbols)
        for row, image in zip(rows, pixels, strict=True):
            row[self.known.get(image.numpy().tobytes(), 0)] = 50.0
        return rows

    def embed(self, pixels):
        return self.read(pixels)

    def log_probs(self, pixels):
        return self.read(pixels).log_softmax(-1)


def fitted(learner):
    return ForeignScore.fit(learner.model, learner.pool)[0]


def test_a_perfect_network_scores_one(small):
    task = small()
    learner = Perfect(task.banks(1)["net"])
    found = assess_network(task, "net", learner, fitted(learner), seed=0)
    assert found.scores.accuracy == 1
    queries = assess_queries(task, {"net": learner}, task.held_out)
    assert queries["accuracy"] == 1
    assert queries["nll"] == pytest.approx(0, abs=1e-6)


def test_wrong_names_show_in_accuracy_and_learnt_map_not_in_matching(small):
    task = small()
    learner = Perfect(task.banks(1)["net"], shift=1)
    found = assess_network(task, "net", learner, fitted(learner), seed=0)
    assert (found.scores.accuracy, found.scores.accuracy_matched) == (0, 1)
    assert assess_queries(task, {"net": learner}, task.held_out)["accuracy"] < 0.5
    named = learnt(task, identify_task(task), {"net": found})
    assert not named.admitted
    assert named.maps["net"] == (1, 2, 3, 4, 0)


def test_observed_answers_are_scored_by_the_likeliest(small):
    task = small('query.goal="sum(X, Y, Z)"', 'examples.images=["X","Y"]')
    learner = Perfect(task.banks(1)["net"])
    queries = assess_queries(task, {"net": learner}, task.held_out)
    assert queries["accuracy"] == 1
    assert math.isfinite(queries["nll"])


def test_answers_that_hold_together_are_right_where_they_are_likely(small):
    """Of a small and even digit both answers are certain, so that none is the likeliest."""
    program = small.folder / "add.pl"
    told = """kind(X, even) :- digit(X, A), 0 =:= A mod 2.
kind(X, small) :- digit(X, A), A < 3.
kind(X, any) :- digit(X, A).
"""
    program.write_text(program.read_text() + told)
    task = small('query.goal="kind(X, P)"', 'examples.images=["X"]')
    learner = Perfect(task.banks(1)["net"])
    assert assess_queries(task, {"net": learner}, task.held_out)["accuracy"] == 1
    wrong = Perfect(task.banks(1)["net"], shift=1)
    assert assess_queries(task, {"net": wrong}, task.held_out)["accuracy"] < 0.9


@pytest.fixture
def own_images(small):
    """Writes 8x8 digits as PNG files and a table of additions; returns a writer of the table."""
    bank = sources.load_data("digits8").train
    rng = np.random.default_rng(0)
    by_digit = [np.flatnonzero(bank.labels == k) for k in range(5)]

    def write(truth):
        lines = ["X,Y,Z" + (",X.truth,Y.truth,Z.truth" if truth else "")]
        for _ in range(40):
            a, b = rng.integers(0, 3, 2)
            symbols = (a, b, a + b)
            names = []
            for symbol in symbols:
                place = rng.choice(by_digit[symbol])
                names.append(f"{place}.png")
                Image.fromarray(bank.pixels[place, 0].numpy()).save(small.folder / names[-1])
            lines.append(",".join([*names, *(map(str, symbols) if truth else ())]))
        (small.folder / "own.csv").write_text("\n".join(lines) + "\n")

    return write


def test_own_images_without_truth_train_and_say_what_is_unknown(small, own_images, tmp_path):
    own_images(truth=False)
    found = run(small.folder / "add.pl", out=tmp_path / "out", settings=['examples.file="own.csv"'])
    assert found.metrics["grounding"]["accuracy"] is None
    assert found.metrics["grounding"]["reason"]
    assert found.metrics["generation"]["fid"] is None
    assert found.metrics["generation"]["reason"]
    assert (tmp_path / "out" / "report.html").exists()


def test_own_images_take_the_shape_of_the_spec(small, own_images):
    own_images(truth=False)
    task = small('examples.file="own.csv"', "networks.net.image_shape=[3, 16, 12]")
    assert task.pool("net").shape[1:] == (3, 16, 12)


def test_own_images_with_truth_are_scored(small, own_images):
    own_images(truth=True)
    task = small('examples.file="own.csv"')
    assert task.count + sum(map(len, task.held_out)) == 40
    images = held_out_images(task, "net")
    assert set(images.labels) <= set(range(5))
    trainer = Trainer(task, CPU, 0)
    learner = trainer.learners["net"]
    found = assess_network(task, "net", learner, fitted(learner), seed=0)
    assert found.scores.accuracy is not None
    assert found.scores.n == len(images)


class Sampler(Perfect):
    """Gives images of the pool for samples."""

    def sample(self, start, per_symbol, steps):
        rows = torch.arange(self.symbols * per_symbol) % len(self.pool)
        return to_model(self.pool[rows])


def test_the_judge_of_samples_is_trained_on_training_images_and_scored_on_held_out_ones(
    small, monkeypatch
):
    task = small()
    learner = Sampler(task.banks(1)["net"])
    found = assess_network(task, "net", learner, fitted(learner), seed=0)
    seen = {}

    def train(images, labels, seed):
        seen["train"] = images
        return "judge"

    def score(made, reference, training, extractor, **_):
        seen.update(reference=reference, floor=training)
        return generation.no_generation("enough seen")

    monkeypatch.setattr(generation, "train_extractor", train)
    monkeypatch.setattr(generation, "score_generation", score)
    assess_generation(task, "net", learner, "a start", found)
    training, held_out = (task.banks(split)["net"].floats() for split in (0, 1))
    assert torch.equal(seen["train"], training) and torch.equal(seen["floor"], training)
    assert torch.equal(seen["reference"], held_out)
