"""Grounding, clustering and calibration scores against brute force and known values."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from groundkit.evaluate.calibration import reliability
from groundkit.evaluate.clustering import best_matching, confusion, matched_accuracy, score_clusters
from groundkit.evaluate.symbols import collapse, score_grounding

DIGITS = tuple("0123456789")


def one_hot(predicted, k):
    return np.eye(k)[np.asarray(predicted)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31 - 1))
def test_matched_accuracy_is_the_best_of_all_injections(classes, clusters, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 9, (classes, clusters))
    counts[0, 0] += 1
    small, large = sorted((classes, clusters))
    table = counts if classes <= clusters else counts.T
    best = max(
        sum(table[i, j] for i, j in enumerate(chosen))
        for chosen in itertools.permutations(range(large), small)
    )
    assert matched_accuracy(counts) == pytest.approx(best / counts.sum())
    assert len(set(best_matching(counts).values())) == small


def test_renamed_symbols_are_wrong_but_match_perfectly():
    truth = np.repeat(np.arange(10), 5)
    swapped = np.array([0, 1, 2, 5, 4, 3, 6, 7, 8, 9])[truth]
    s = score_grounding(truth, one_hot(swapped, 10), DIGITS)
    assert s.accuracy == pytest.approx(0.8)
    assert s.accuracy_matched == s.nmi == s.ari == 1.0
    assert s.learnt_map["3"] == "5" and s.matching["5"] == "3"
    assert s.per_symbol["3"] == 0.0 and s.per_symbol["4"] == 1.0
    assert s.counts[3, 5] == 5


def test_collapse_counts_symbols_never_predicted():
    truth = np.repeat(np.arange(10), 5)
    s = score_grounding(truth, one_hot(np.zeros(50, int), 10), DIGITS)
    assert s.collapse == pytest.approx(0.9)
    assert s.accuracy == pytest.approx(0.1) and s.nmi == 0.0
    assert collapse([0, 1, 1], 4) == 0.5


def test_without_truth_the_scores_are_null_with_a_reason_and_collapse_remains():
    s = score_grounding(None, one_hot([0, 1, 1], 3), ("a", "b", "c"))
    d = json.loads(json.dumps(s.to_dict()))
    assert d["accuracy"] is None and d["ece"] is None and "no image has" in d["reason"]
    assert d["collapse"] == pytest.approx(1 / 3)
    assert d["predicted_share"]["b"] == pytest.approx(2 / 3)


def test_images_without_truth_do_not_count_as_wrong():
    s = score_grounding([0, -1, 1], one_hot([0, 1, 1], 2), ("a", "b"))
    assert s.accuracy == 1.0 and s.n == 2


def test_symbol_without_images_has_no_recall():
    s = score_grounding([0, 0], one_hot([0, 1], 2), ("a", "b"))
    assert s.per_symbol == {"a": 0.5, "b": None}
    assert s.learnt_map == {"a": "a"}


def test_no_images_at_all():
    s = score_grounding([], np.zeros((0, 2)), ("a", "b"))
    assert s.accuracy is None and s.collapse is None and s.predicted_share == {}
    assert s.reason == "there are no images to score"


@pytest.mark.parametrize("truth", [[0, 5], [0]])
def test_truth_that_does_not_fit_is_refused(truth):
    with pytest.raises(ValueError):
        score_grounding(truth, one_hot([0, 1], 2), ("a", "b"))


def test_nmi_of_random_clusters_over_the_whole_set_is_low():
    rng = np.random.default_rng(0)
    s = score_clusters(rng.integers(0, 100, 10_000), rng.integers(0, 100, 10_000))
    assert s.nmi < 0.15 and abs(s.ari) < 0.01


def test_more_clusters_than_classes_pays_for_the_surplus():
    s = score_clusters([0, 0, 1, 1], [0, 1, 2, 2])
    assert s.accuracy_matched == 0.75 and s.clusters == 3


def test_confusion_keeps_its_orientation():
    assert confusion([0, 0, 1], [1, 1, 0]).tolist() == [[0, 2], [1, 0]]


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(1, 80), st.integers(0, 2**31 - 1))
def test_ece_agrees_with_torchmetrics(k, n, seed):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(k), n).astype(np.float32)
    truth = rng.integers(0, k, n)
    theirs = multiclass_calibration_error(
        torch.from_numpy(probs), torch.from_numpy(truth), num_classes=k, n_bins=15
    )
    assert reliability(truth, probs).ece == pytest.approx(float(theirs), abs=1e-5)


def test_certain_and_right_is_calibrated_certain_and_wrong_is_not():
    truth = np.array([0, 1])
    assert reliability(truth, np.eye(2)).ece == 0.0
    wrong = reliability(truth, np.eye(2)[::-1])
    assert wrong.ece == 1.0 and wrong.count[-1] == 2
    assert json.dumps(wrong.to_dict())


def test_nmi_is_normalised_by_the_mean_of_both_entropies():
    """Three classes in two clusters: what they share is all that the clusters know."""
    found = score_clusters([0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 0, 0, 1, 1, 1, 1]).nmi
    clusters, classes = math.log(2), 0.5 * math.log(4) + 0.5 * math.log(2)
    assert found == pytest.approx(2 * clusters / (clusters + classes))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    found = reliability([0, 0], [[0.5, 0.5], [0.75, 0.25]], bins=4)
    assert found.count.tolist() == [0, 1, 1, 0]


def test_confidence_that_is_too_low_and_too_high_does_not_cancel():
    probs = [[0.6, 0.4]] * 2 + [[0.9, 0.1]] * 2
    found = reliability([0, 0, 1, 1], probs, bins=10)
    assert found.ece == pytest.approx((0.4 + 0.9) / 2)
