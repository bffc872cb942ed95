"""Energies of held-out images can be read beside sets that lie far away or in one spot."""

import numpy as np
import pytest

from groundkit.report.axes import BINS, REACH, TALLEST, energy_axes

RNG = np.random.default_rng(0)
INSIDE = RNG.normal(-8, 1, 1000)


def bins_of(values, edges):
    return int((np.histogram(values, edges)[0] > 0).sum())


def test_a_distant_spike_neither_squeezes_nor_flattens_the_others():
    alone, _ = energy_axes([INSIDE])
    edges, top = energy_axes([INSIDE, np.full(1000, 400.0)])
    assert bins_of(INSIDE, edges) >= bins_of(INSIDE, alone) / (1 + REACH) - 1
    peak = np.histogram(INSIDE, edges)[0].max() / len(INSIDE)
    assert top == pytest.approx(1.05 * TALLEST * peak) and top < 1


def test_sets_that_are_near_are_seen_as_a_whole():
    near = RNG.normal(-5, 1, 1000)
    edges, top = energy_axes([INSIDE, near])
    assert edges[0] < np.percentile(INSIDE, 1) and edges[-1] > np.percentile(near, 99)
    for values in (INSIDE, near):
        assert np.histogram(values, edges)[0].max() / len(values) < top


@pytest.mark.parametrize(
    "groups",
    [
        [np.zeros(0)],
        [np.zeros(0), np.ones(5)],
        [np.full(9, 3.0)],
        [np.full(9, 3.0), RNG.normal(0, 1, 5000)],
        [np.array([5.0]), np.zeros(3)],
        [np.array([1e30, -1e30]), np.zeros(3)],
    ],
)
def test_odd_sets_still_have_axes(groups):
    edges, top = energy_axes(groups)
    assert len(edges) == BINS + 1 and (np.diff(edges) > 0).all() and 0 < top < 3
