"""Distances against torchmetrics and closed forms; the extractor on real digits."""

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from groundkit.evaluate.generation import (
    FeatureExtractor,
    frechet_distance,
    kernel_distance,
    nearest,
    score_generation,
    train_extractor,
)


@pytest.fixture(scope="module")
def digits():
    d = load_digits()
    images = torch.from_numpy(d.images / 8.0 - 1.0).float().unsqueeze(1)
    order = np.random.default_rng(0).permutation(len(images))
    return images[order], d.target[order]


@pytest.fixture(scope="module")
def extractor(digits):
    return train_extractor(digits[0][:1000], digits[1][:1000], seed=0)


def test_frechet_distance_agrees_with_torchmetrics():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 6)), rng.normal(1.0, 2.0, size=(150, 6))
    theirs = _compute_fid(
        torch.from_numpy(a.mean(0)),
        torch.from_numpy(np.cov(a, rowvar=False)),
        torch.from_numpy(b.mean(0)),
        torch.from_numpy(np.cov(b, rowvar=False)),
    )
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-9)


def test_frechet_distance_of_one_dimension_in_closed_form():
    a, b = np.array([[0.0], [2.0]]), np.array([[5.0], [9.0]])
    spread = (np.sqrt(2) - np.sqrt(8)) ** 2
    assert frechet_distance(a, b) == pytest.approx(36.0 + spread)


def test_frechet_distance_stays_finite_with_fewer_images_than_features():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 64)), rng.normal(size=(4, 64))
    assert np.isfinite(frechet_distance(a, b))
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(np.ones((5, 64)), np.ones((5, 64))) == 0.0


def test_kernel_distance_agrees_with_torchmetrics_and_vanishes_for_one_distribution():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 8)), rng.normal(0.5, size=(50, 8))
    theirs = poly_mmd(torch.from_numpy(a), torch.from_numpy(b))
    assert kernel_distance(a, b) == pytest.approx(float(theirs), rel=1e-9)
    big = rng.normal(size=(1000, 8))
    assert abs(kernel_distance(big[:500], big[500:])) < 0.02


def test_nearest_finds_copies():
    training = np.eye(4)
    assert nearest(training[[2, 0]] + 0.01, training, k=2)[:, 0].tolist() == [2, 0]


def test_extractor_learns_and_leaves_the_global_generator_alone(digits, extractor):
    images, labels = digits
    held_out = extractor.classes(extractor.features(images[1000:]))
    assert (held_out == labels[1000:]).mean() > 0.9
    before = torch.random.get_rng_state()
    train_extractor(images[:64], labels[:64], epochs=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_extractor_is_the_same_for_the_same_seed(digits):
    images, labels = digits
    a, b = (train_extractor(images[:100], labels[:100], 3, epochs=1) for _ in range(2))
    assert np.array_equal(a.features(images[:5]), b.features(images[:5]))


def test_real_digits_score_better_than_noise_and_agree_with_their_symbol(digits, extractor):
    images, labels = digits
    symbols = tuple("0123456789")
    real = score_generation(
        images[1000:1300],
        images[1300:],
        images[:1000],
        extractor,
        asked=labels[1000:1300],
        symbols=symbols,
    )
    noise = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    bad = score_generation(noise, images[1300:], images[:1000], extractor)
    assert real.agreement > 0.9 and set(real.agreement_per_symbol) == set(symbols)
    assert real.fid < bad.fid / 10 and real.kid < bad.kid
    assert real.n == 300 and "1000 labelled" in real.extractor
    assert real.fid_floor == pytest.approx(real.fid, abs=3 * real.fid_floor)
    assert real.fid_floor < real.fid_mixture < bad.fid
    assert json.dumps(real.to_dict())


def test_samples_in_order_of_their_symbol_are_judged_as_in_any_order(digits, extractor):
    images, labels = digits
    ordered = images[1000:1400][np.argsort(labels[1000:1400])]
    few = images[1400:1600]
    by_symbol = score_generation(ordered, few, images[:1000], extractor)
    mixed = score_generation(images[1000:1400], few, images[:1000], extractor)
    assert by_symbol.fid == pytest.approx(mixed.fid, rel=0.5)


def test_nothing_to_judge_is_null_with_a_reason(digits, extractor):
    images, _ = digits
    assert "few" in score_generation(images[:1], images, images, extractor).reason
    broken = torch.full((4, 1, 8, 8), float("nan"))
    assert "diverged" in score_generation(broken, images, images, extractor).reason


def test_any_callable_is_an_extractor(digits):
    pixels = FeatureExtractor("pixels", lambda x: x.flatten(1))
    s = score_generation(digits[0][:50], digits[0][50:200], digits[0][200:], pixels)
    assert s.extractor == "pixels" and s.agreement is None
    with pytest.raises(ValueError, match="no classifier"):
        pixels.classes(np.zeros((1, 64)))
