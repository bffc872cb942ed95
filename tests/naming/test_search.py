"""Steps between namings, and the trial of all of them."""

from __future__ import annotations

import numpy as np

from groundkit.naming.scorers import Layout
from groundkit.naming.search import _leap, _perturbed, climb, neighbours, try_all

ONE = Layout({"net": 4}, {"net": 4})
SPLIT = Layout({"net": 4}, {"net": 3})
"""Four clusters for three symbols."""


def test_a_step_swaps_any_two_names_that_differ() -> None:
    steps = neighbours(ONE, np.arange(4)).tolist()
    assert len(steps) == 6 and [3, 1, 2, 0] in steps
    more = neighbours(Layout({"net": 3}, {"net": 2}), np.array([0, 1, 1])).tolist()
    assert sorted(more) == [[0, 0, 1], [0, 1, 0], [1, 0, 1], [1, 1, 0]]


def test_a_step_leaves_every_symbol_a_cluster() -> None:
    naming = np.array([0, 1, 2, 2])
    steps = neighbours(SPLIT, naming)
    assert all(set(step.tolist()) == {0, 1, 2} for step in steps)
    changed = [step.tolist() for step in steps if (step != naming).sum() == 1]
    assert sorted(changed) == [[0, 1, 0, 2], [0, 1, 1, 2], [0, 1, 2, 0], [0, 1, 2, 1]]


def test_a_leap_makes_the_best_step_and_those_that_touch_none_of_its_names() -> None:
    steps = np.array([[1, 0, 2, 3], [0, 2, 1, 3], [0, 1, 3, 2]])
    found = _leap(np.arange(4), steps, np.array([3.0, 2.0, 1.0]))
    assert found.tolist() == [1, 0, 3, 2]


def test_a_perturbation_cycles_three_or_four_names() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = _perturbed(ONE, np.arange(4), rng)
        assert sorted(moved.tolist()) == [0, 1, 2, 3]
        assert (moved != np.arange(4)).sum() in (3, 4)


class _Likes:
    """Likes the naming 2, 0, 1."""

    def scores(self, namings):
        return (namings == np.array([2, 0, 1])).sum(axis=1).astype(float)


class _LikesOneName:
    """Scores namings by how many clusters have one name."""

    def scores(self, namings):
        return (namings == 0).sum(axis=1).astype(float)


def test_all_namings_are_tried_and_the_best_comes_first() -> None:
    found = try_all(_Likes(), Layout({"net": 3}, {"net": 3}), kept=2, at_once=4)
    assert found.scored == 6 and found.ranked[0][1].tolist() == [2, 0, 1]
    assert [score for score, _ in found.ranked] == [3.0, 1.0]


def test_the_best_naming_has_all_names_though_one_would_score_more() -> None:
    rng = np.random.default_rng(0)
    start = np.array([0, 1, 2, 1])
    for found in (
        try_all(_LikesOneName(), SPLIT, kept=1),
        climb(_LikesOneName(), SPLIT, [start], budget=50, rng=rng, kept=1),
    ):
        assert found.ranked[0][0] == 2
        assert set(found.ranked[0][1].tolist()) == {0, 1, 2}
