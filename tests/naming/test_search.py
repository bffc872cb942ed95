"""Steps between namings."""

from __future__ import annotations

import numpy as np

from groundkit.naming.scorers import Layout
from groundkit.naming.search import climb, neighbours, try_all

LAYOUT = Layout({"net": 4}, {"net": 3})


class _Prefers:
    """Scores namings by how many clusters have one name."""

    def scores(self, namings):
        return (namings == 0).sum(axis=1).astype(float)


def test_a_step_leaves_every_symbol_a_cluster() -> None:
    naming = np.array([0, 1, 2, 2])
    steps = neighbours(LAYOUT, naming)
    assert all(set(step.tolist()) == {0, 1, 2} for step in steps)
    changed = [step.tolist() for step in steps if (step != naming).sum() == 1]
    assert sorted(changed) == [[0, 1, 0, 2], [0, 1, 1, 2], [0, 1, 2, 0], [0, 1, 2, 1]]


def test_the_best_naming_has_all_names_though_one_would_score_more() -> None:
    rng = np.random.default_rng(0)
    start = np.array([0, 1, 2, 1])
    for found in (
        try_all(_Prefers(), LAYOUT, kept=1),
        climb(_Prefers(), LAYOUT, [start], budget=50, rng=rng, kept=1),
    ):
        assert found.ranked[0][0] == 2
        assert set(found.ranked[0][1].tolist()) == {0, 1, 2}
