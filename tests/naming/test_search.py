"""Steps between namings, and the trial of all of them."""

from __future__ import annotations

import numpy as np

from groundkit.naming.scorers import Layout
from groundkit.naming.search import _leap, _perturbed, neighbours, try_all

ONE = Layout({"net": 4}, {"net": 4})


def test_a_step_swaps_any_two_names_that_differ() -> None:
    steps = neighbours(ONE, np.arange(4)).tolist()
    assert len(steps) == 6 and [3, 1, 2, 0] in steps
    more = neighbours(Layout({"net": 3}, {"net": 2}), np.array([0, 1, 1])).tolist()
    assert sorted(more) == [[0, 0, 1], [0, 1, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]] or len(more) == 5


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


class Count:
    """Likes the naming 2, 0, 1."""

    def scores(self, namings):
        return (namings == np.array([2, 0, 1])).sum(axis=1).astype(float)


def test_all_namings_are_tried_and_the_best_comes_first() -> None:
    found = try_all(Count(), Layout({"net": 3}, {"net": 3}), kept=2, at_once=4)
    assert found.scored == 6 and found.ranked[0][1].tolist() == [2, 0, 1]
    assert [score for score, _ in found.ranked] == [3.0, 1.0]
