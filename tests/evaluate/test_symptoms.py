"""Signs of why symbols are wrong, on images made to show them."""

import numpy as np
import pytest

from groundkit.evaluate.symptoms import colour_agreement, embedding_accuracy

RNG = np.random.default_rng(0)


def coloured(count=300):
    colours = RNG.integers(0, 3, count)
    images = RNG.normal(0, 0.05, (count, 3, 6, 6))
    images[np.arange(count), colours] += 0.8
    return images, colours


def test_clusters_of_colour_agree_with_colour():
    images, colours = coloured()
    assert colour_agreement(images, colours, 3) == pytest.approx(1.0)
    by_chance = colour_agreement(images, RNG.integers(0, 3, len(images)), 3)
    assert by_chance is not None and by_chance < 0.1


def test_grey_images_have_no_colour():
    grey = RNG.random((100, 1, 6, 6))
    assert colour_agreement(grey, np.zeros(100), 3) is None
    assert colour_agreement(np.repeat(grey, 3, axis=1), np.zeros(100), 3) is None
    assert colour_agreement(coloured(4)[0], np.zeros(4), 3) is None


def test_an_embedding_tells_what_labels_could():
    truth = RNG.integers(0, 4, 400)
    apart = np.eye(4)[truth] * 5 + RNG.normal(0, 0.5, (400, 4))
    assert embedding_accuracy(apart, truth) == pytest.approx(1, abs=0.05)
    by_chance = embedding_accuracy(RNG.normal(size=(400, 4)), truth)
    assert by_chance is not None and by_chance < 0.45
    assert embedding_accuracy(apart, np.full(400, -1)) is None
    assert embedding_accuracy(apart, np.zeros(400)) is None
