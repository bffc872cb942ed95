"""Signs, edge cases and values of the out-of-distribution scores."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.evaluate.ood import (
    compare_scores,
    energy_score,
    entropy_score,
    gradient_score,
    max_softmax_score,
    model_scores,
    score_ood,
    unavailable,
)


def test_higher_score_means_more_foreign():
    good, inverted = score_ood([0, 1, 2], [3, 4, 5]), score_ood([3, 4, 5], [0, 1, 2])
    assert (good.auroc, good.fpr95, good.aupr) == (1.0, 0.0, 1.0)
    assert inverted.auroc == 0.0 and inverted.fpr95 == 1.0


def test_signs_of_the_scores_of_logits():
    familiar, foreign = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.1, 0.0]])
    for score in (
        lambda f: energy_score(-f.logsumexp(1)),
        lambda f: max_softmax_score(f.softmax(1)),
        lambda f: entropy_score(f.softmax(1)),
    ):
        assert score(foreign)[0] > score(familiar)[0]


def test_gradient_score_is_the_slope_of_the_energy_and_higher_far_from_the_data():
    images = torch.tensor([[[[0.0, 0.0]]], [[[3.0, 4.0]]]])
    score = gradient_score(lambda x: 0.5 * (x**2).flatten(1).sum(1), images, batch=1)
    assert score == pytest.approx([0.0, 5.0])
    assert len(gradient_score(lambda x: x.sum(1), torch.zeros(0, 2))) == 0


def test_entropy_of_a_certain_and_a_uniform_answer():
    assert entropy_score([[1.0, 0.0], [0.5, 0.5]]) == pytest.approx([0.0, np.log(2)])


def test_constant_score_is_chance():
    s = score_ood(np.zeros(30), np.zeros(10))
    assert s.auroc == 0.5 and s.fpr95 == 1.0 and s.aupr == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("inside", "outside", "word"), [([], [1], "in-distribution"), ([1], [], "out-of-distribution")]
)
def test_empty_sides_are_null_with_a_reason(inside, outside, word):
    s = score_ood(inside, outside)
    assert s.auroc is None and word in str(s.reason)


def test_scores_that_are_not_numbers_are_null_and_infinite_ones_are_not():
    assert "not a number" in str(score_ood([0.0, np.nan], [1.0]).reason)
    assert score_ood([0.0, -np.inf], [np.inf, 1.0]).auroc == 1.0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=12),
    st.lists(st.integers(-4, 4), min_size=1, max_size=12),
)
def test_auroc_and_fpr95_by_counting(inside, outside):
    s = score_ood(inside, outside)
    pairs = [(o > i) + 0.5 * (o == i) for i in inside for o in outside]
    assert s.auroc == pytest.approx(np.mean(pairs))
    thresholds = [t for t in outside if np.mean(np.array(outside) >= t) >= 0.95]
    assert s.fpr95 == pytest.approx(min(np.mean(np.array(inside) >= t) for t in thresholds))


def test_report_has_the_keys_of_metrics_json():
    r = compare_scores(
        "noise", {"energy": [0, 1], "max_softmax": [1, 1]}, {"energy": [2, 3], "max_softmax": [1]}
    )
    d = json.loads(json.dumps(r.to_dict()))
    assert d["auroc"] == 1.0 and d["score"] == "energy"
    assert d["scores"]["max_softmax"]["auroc"] == 0.5


def test_missing_set_says_why():
    d = unavailable("fashion-mnist", "not on this machine").to_dict()
    assert d["auroc"] is None and d["reason"] == "not on this machine"


def test_scores_of_a_model_are_those_of_its_logits():
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 3)
    images = torch.randn(7, 1, 2, 3)

    def logits(x):
        return layer(x.flatten(1))

    found = model_scores(logits, images, batch=4)
    rows = logits(images).detach()
    assert np.allclose(found["energy"], -rows.logsumexp(1), atol=1e-6)
    assert np.allclose(found["max_softmax"], -rows.softmax(1).max(1).values, atol=1e-6)
    assert np.allclose(found["entropy"], entropy_score(rows.softmax(1)), atol=1e-6)
    slope = rows.softmax(1) @ layer.weight.detach()
    assert np.allclose(found["gradient"], slope.norm(dim=1), atol=1e-6)


def test_fpr95_flags_nineteen_of_twenty():
    outside = [10.0] * 18 + [5.0, 1.0]
    assert score_ood([0.0, 2.0, 6.0, 7.0], outside).fpr95 == 0.5


def test_images_that_look_too_familiar_are_noted():
    assert "more familiar" in str(
        compare_scores("odd", {"energy": [2, 3]}, {"energy": [0, 1]}).note
    )
    assert compare_scores("odd", {"energy": [0, 1]}, {"energy": [2, 3]}).note is None
