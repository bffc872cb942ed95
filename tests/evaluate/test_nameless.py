"""Clusters that nothing has named, and scores of inputs that are no scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.evaluate.calibration import reliability
from groundkit.evaluate.clustering import confusion, score_clusters
from groundkit.evaluate.ood import compare_scores
from groundkit.evaluate.symbols import score_grounding
from groundkit.report.verdict import judge

NAMES = ("a", "b", "c", "d")


def drawn(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """True symbols, some unknown, and probabilities that follow them under other names."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, count)
    shown = rng.permutation(4)[truth]
    probs = 0.8 * np.eye(4)[shown] + 0.2 * rng.dirichlet(np.ones(4), count)
    truth[rng.random(count) < 0.2] = -1
    return truth, probs


@given(st.integers(0, 2**31 - 1), st.permutations(range(4)))
@settings(max_examples=30, deadline=None)
def test_scores_do_not_depend_on_the_arbitrary_names(seed, order):
    truth, probs = drawn(seed)
    one = score_grounding(truth, probs, NAMES, named=False)
    other = score_grounding(truth, probs[:, list(order)], NAMES, named=False)
    assert one.accuracy is None and "no goal" in (one.reason or "")
    assert one.accuracy_matched == pytest.approx(other.accuracy_matched)
    assert one.ece == pytest.approx(other.ece)
    assert np.trace(one.counts) / one.n == pytest.approx(one.accuracy_matched)
    assert sorted(map(str, one.per_symbol.values())) == sorted(map(str, other.per_symbol.values()))


def test_truth_is_renamed_as_the_clusters_are():
    truth, probs = drawn(1)
    found = score_grounding(truth, probs, NAMES, named=False)
    known = truth >= 0
    assert (found.truth[known] == probs.argmax(1)[known]).all() and (
        found.truth[~known] == -1
    ).all()
    assert (found.in_own_names(truth[known]) == found.truth[known]).all()


def test_names_that_a_program_gave_stay():
    truth, probs = drawn(1)
    found = score_grounding(truth, probs, NAMES)
    assert (found.truth == truth).all() and found.accuracy is not None


def test_without_a_goal_the_verdict_counts_after_renaming():
    found = score_grounding(*drawn(1), NAMES, named=False)
    assert judge({"net": found.to_dict()}).status == "grounded"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_probabilities_that_are_no_numbers_have_no_calibration(bad):
    probs = np.full((3, 2), 0.5)
    probs[1, 0] = bad
    with pytest.raises(ValueError, match="1 of 3 images are not finite"):
        reliability([0, 1, 0], probs)
    found = score_grounding([0, 1, 0], probs, ("a", "b"))
    assert found.ece is None and found.accuracy is None and "diverged" in (found.reason or "")


def test_no_held_out_image_is_no_collapse():
    found = score_grounding([], np.zeros((0, 2)), ("a", "b"))
    verdict = judge({"net": found.to_dict()}, {"count": 1}, None)
    assert verdict.status == "unknown" and "no images" in verdict.found


def test_identifiers_may_be_of_any_size_or_kind():
    ids = np.array([10**15, 10**15, 7, 7])
    assert score_clusters([0, 0, 1, 1], ids).accuracy_matched == 1.0
    assert score_clusters(["x", "x", "y", "y"], ids).nmi == pytest.approx(1.0)
    with pytest.raises(ValueError, match="too large"):
        confusion([0, 1], [0, 10**12])


def test_what_an_auroc_does_not_say_is_said_in_words():
    inside, outside = {"energy": np.arange(9.0)}, {"energy": np.arange(9.0) - 20}
    assert "more familiar" in compare_scores("x", inside, outside).to_dict()["note"]
    blind = compare_scores("x", outside, inside, density=False).to_dict()
    assert "without the generative term" in blind["note"]
    assert "note" not in compare_scores("x", outside, inside).to_dict()
