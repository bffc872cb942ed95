"""Baselines find well separated groups, and their scores point the right way."""

import numpy as np
import pytest

from groundkit.evaluate.baselines import CLUSTERERS, DETECTORS, library_scores
from groundkit.evaluate.clustering import score_clusters
from groundkit.evaluate.ood import (
    energy_score,
    entropy_score,
    max_softmax_score,
    score_ood,
)


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 180)
    return np.eye(3)[labels] @ rng.normal(size=(3, 12)) * 5 + rng.normal(size=(180, 12)), labels


@pytest.mark.filterwarnings("ignore:Graph is not fully connected")
@pytest.mark.parametrize("name", CLUSTERERS)
def test_clusterers_find_separated_groups(name, groups):
    if name.startswith("UMAP"):
        pytest.importorskip("umap")
    points, labels = groups
    found = CLUSTERERS[name](points[:120], points[120:], 3, 0)
    assert score_clusters(labels[120:], found).accuracy_matched > 0.95


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_score_foreign_images_higher(name, groups):
    points, _ = groups
    train = np.c_[points[:120], np.zeros((120, 60))]
    test = np.c_[points[120:], np.zeros((60, 60))]
    foreign = np.random.default_rng(1).normal(0.0, 4.0, test.shape)
    score = DETECTORS[name](train, 0)
    assert score_ood(score(test), score(foreign)).auroc > 0.95


def test_library_scores_have_our_signs():
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 3
    theirs = library_scores(logits)
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    energies = -np.log(np.exp(logits).sum(1))
    assert np.allclose(theirs["energy (pytorch-ood)"], energy_score(energies))
    assert np.allclose(theirs["max softmax (pytorch-ood)"], max_softmax_score(probs))
    assert np.allclose(theirs["entropy (pytorch-ood)"], entropy_score(probs))
    certain = library_scores(np.array([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]]))
    assert all(s[1] > s[0] for s in certain.values())
