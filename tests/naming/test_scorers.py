"""Every scorer against the reasoner on renamed predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.identifiability.answer_odds import row_probabilities
from groundkit.identifiability.relations import Relation
from groundkit.naming.scorers import (
    NOISE,
    Asked,
    JointScorer,
    Layout,
    Queries,
    ReasonerScorer,
    SparseScorer,
    SumScorer,
    _blurred,
    answer_table,
    rename,
)
from tests.identifiability.oracle import relation
from tests.naming.fakes import RowReasoner, predictions


def _two_networks() -> Relation:
    rows = [(coin, d, e) for coin in range(2) for d in range(4) for e in range(4)]
    answers = [d + e if coin else 10 + d * e for coin, d, e in rows]
    domains = {"coin": ["h", "t"], "digit": list("0123")}
    return Relation.build(domains, ["coin", "digit", "digit"], rows, answers)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_exact_scores_equal_the_reasoner(seed) -> None:
    rng = np.random.default_rng(seed)
    whole = _two_networks()
    weights = rng.uniform(0.1, 1.0, len(whole))
    reasoner = RowReasoner(whole, weights)
    queries = Queries(*predictions(whole, 20, rng))
    layout = Layout({"coin": 2, "digit": 4}, {"coin": 2, "digit": 4})
    namings = np.array([np.concatenate([rng.permutation(2), rng.permutation(4)]) for _ in range(6)])
    probabilities = row_probabilities(whole, reasoner.log_likelihood, rows_at_once=7)
    table = answer_table(whole, probabilities)
    expected = [
        float(
            reasoner.log_likelihood(
                rename(queries.log_probs, layout, naming), queries.answers
            ).mean()
        )
        for naming in namings
    ]
    joint = JointScorer(whole, table, layout, queries).scores(namings)
    asked = ReasonerScorer(reasoner.log_likelihood, layout, queries, rows_at_once=50)
    np.testing.assert_allclose(joint, expected, rtol=2e-5)
    np.testing.assert_allclose(asked.scores(namings), expected, rtol=1e-12)


def test_a_network_that_is_not_renamed_keeps_its_symbols() -> None:
    whole = _two_networks()
    reasoner = RowReasoner(whole)
    queries = Queries(*predictions(whole, 50, np.random.default_rng(0)))
    layout = Layout({"digit": 4}, {"digit": 4})
    table = answer_table(whole, row_probabilities(whole, reasoner.log_likelihood))
    scores = JointScorer(whole, table, layout, queries).scores(np.array([[0, 1, 2, 3]]))
    expected = reasoner.log_likelihood(queries.log_probs, queries.answers).mean()
    assert scores[0] == pytest.approx(float(expected), rel=1e-5)


def test_sparse_scores_order_namings_like_exact_ones() -> None:
    whole = relation(10, 3, lambda a, b, c: True if a + b == c else None)
    rng = np.random.default_rng(0)
    queries = Queries(*predictions(whole, 400, rng))
    layout = Layout({"net": 10}, {"net": 10})
    table = answer_table(whole, np.ones(len(whole)))
    swaps = [np.arange(10)] + [rng.permutation(10) for _ in range(40)]
    exact = JointScorer(whole, table, layout, queries).scores(np.array(swaps))
    sparse = SparseScorer(whole, table, layout, queries).scores(np.array(swaps))
    assert sparse.argmax() == exact.argmax() == 0
    assert np.corrcoef(exact, sparse)[0, 1] > 0.8


def test_renaming_follows_the_convention_and_adds_up_merged_clusters() -> None:
    values = torch.log_softmax(torch.randn(3, 2, 4, dtype=torch.float64), dim=-1)
    layout = Layout({"net": 4}, {"net": 4})
    naming = np.array([2, 0, 3, 1])
    renamed = rename({"net": values}, layout, naming)["net"]
    assert torch.equal(renamed, values[..., torch.as_tensor(np.argsort(naming))])
    assert torch.equal(renamed[..., 2], values[..., 0])
    merged = rename({"net": values}, Layout({"net": 4}, {"net": 2}), np.array([0, 1, 1, 0]))
    torch.testing.assert_close(merged["net"].exp().sum(-1), torch.ones(3, 2).double())
    torch.testing.assert_close(
        merged["net"][..., 0].exp(), values[..., 0].exp() + values[..., 3].exp()
    )


def test_near_misses_score_above_far_ones_in_the_sparse_table() -> None:
    """Answer 1 needs both symbols to be 1; a combination with one of them comes next."""
    table = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    none, first, second, both = _blurred(table, [2, 2])[1]
    assert 0 < none < first < both and first == pytest.approx(second)
    assert both == pytest.approx((1 - NOISE / 2) ** 2) and none == pytest.approx((NOISE / 2) ** 2)


def test_a_mean_over_goals_counts_their_queries() -> None:
    class Constant:
        def __init__(self, value: float) -> None:
            self.value = value

        def scores(self, namings: np.ndarray) -> np.ndarray:
            return np.full(len(namings), self.value)

    found = SumScorer([(30, Constant(-1.0)), (10, Constant(-3.0))]).scores(np.zeros((2, 3)))
    assert found.tolist() == [-1.5, -1.5]


def test_queries_of_several_goals_are_numbered_through() -> None:
    def part(first: int) -> Queries:
        return Queries({"net": torch.arange(first, first + 3.0)[:, None, None]}, torch.arange(3))

    found = Asked(((0, part(0)), (4, part(10)))).select(np.array([2, 3, 5]))
    kept = [(goal, own.log_probs["net"].flatten().tolist()) for goal, own in found.parts]
    assert kept == [(0, [2.0]), (4, [10.0, 12.0])]
