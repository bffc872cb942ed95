"""Names that are not one-to-one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundkit.errors import NetworkError
from groundkit.identifiability.answer_odds import NEVER
from tests.identifiability.oracle import relation
from tests.naming.fakes import RowReasoner, find_splits, name_clusters, predictions

SUM = relation(6, 2, lambda a, b: a + b)
SYMBOLS = {"net": SUM.domains["net"]}


def _over_clustered(count: int, meaning: np.ndarray, rng: np.random.Generator):
    """Predictions over clusters, each of which stands for the symbol that ``meaning`` gives."""
    drawn = rng.integers(len(SUM), size=count)
    true = SUM.rows[drawn]
    seen = np.array([[rng.choice(np.flatnonzero(meaning == s)) for s in row] for row in true])
    logits = rng.normal(size=(*true.shape, len(meaning))) + 5 * np.eye(len(meaning))[seen]
    return {"net": torch.log_softmax(torch.as_tensor(logits), -1)}, torch.as_tensor(
        SUM.answers[drawn]
    )


@pytest.mark.parametrize("seed", range(3))
def test_several_clusters_may_mean_one_symbol(seed) -> None:
    rng = np.random.default_rng(seed)
    meaning = rng.permutation(np.array([0, 1, 2, 3, 4, 5, 1, 4, 4]))
    log_probs, answers = _over_clustered(600, meaning, rng)
    found = name_clusters(RowReasoner(SUM), log_probs, answers, symbols=SYMBOLS, rng=rng)
    assert found.names == {"net": tuple(meaning.tolist())}
    assert not found.unnamed
    assert not found.ambiguous


@pytest.mark.parametrize("seed", range(3))
def test_the_names_of_clusters_do_not_collapse_where_the_goal_rewards_it(seed) -> None:
    """All zeros satisfy the addition of three images; half of the images are zeros besides."""
    whole = relation(5, 3, lambda a, b, c: True if a + b == c else None)
    rng = np.random.default_rng(seed)
    weights = 4.0 ** (whole.rows == 0).sum(1)
    true = whole.rows[rng.choice(len(whole), size=600, p=weights / weights.sum())]
    meaning = rng.permutation(np.array([0, 0, 0, 0, 1, 2, 3, 3, 4, 0]))
    seen = np.array([[rng.choice(np.flatnonzero(meaning == s)) for s in row] for row in true])
    logits = rng.normal(size=(*true.shape, len(meaning))) + 5 * np.eye(len(meaning))[seen]
    log_probs = {"net": torch.log_softmax(torch.as_tensor(logits), -1)}
    answers = torch.zeros(len(true), dtype=torch.long)
    symbols = {"net": whole.domains["net"]}
    found = name_clusters(RowReasoner(whole), log_probs, answers, symbols=symbols, rng=rng)
    assert found.names == {"net": tuple(meaning.tolist())}
    collapsed = torch.zeros(10, dtype=torch.long)
    by_likelihood = RowReasoner(whole).log_likelihood(
        {"net": torch.where(torch.arange(5) == collapsed[0], 0.0, NEVER).expand(600, 3, 5)}, answers
    )
    assert float(by_likelihood.mean()) == pytest.approx(0.0, abs=1e-6)  # the likeliest of all


def test_finer_clusters_are_better_only_where_held_out_answers_say_so() -> None:
    rng = np.random.default_rng(0)
    meaning = np.array([0, 1, 2, 3, 4, 5, 1, 4, 4])
    log_probs, answers = _over_clustered(600, meaning, rng)

    def named(values, seed=1):
        given = {"net": torch.as_tensor(values)}
        rng = np.random.default_rng(seed)
        return name_clusters(RowReasoner(SUM), given, answers, symbols=SYMBOLS, rng=rng)

    fine = named(log_probs["net"])
    groups = [[0], [1, 6], [2], [3], [4, 7, 8], [5]]
    whole = torch.stack([log_probs["net"][..., g].logsumexp(-1) for g in groups], -1)
    merged = torch.stack([log_probs["net"][..., g].logsumexp(-1) for g in _MERGED], -1)
    assert fine.better_than(named(merged))
    assert not fine.better_than(named(whole))
    assert not fine.better_than(fine)


_MERGED = [[0, 1], [2], [3, 5], [4], [6], [7, 8]]
"""Six clusters of the nine that mix symbols."""


def test_fewer_clusters_than_symbols_are_refused() -> None:
    rng = np.random.default_rng(0)
    log_probs, answers = predictions(SUM, 20, rng)
    few = {"net": log_probs["net"][..., :5]}
    with pytest.raises(NetworkError, match="5 clusters for the 6 symbols"):
        name_clusters(RowReasoner(SUM), few, answers, symbols=SYMBOLS, rng=rng)


def test_a_crowded_symbol_is_split_with_the_dead_one_that_it_holds() -> None:
    rng = np.random.default_rng(1)
    log_probs, answers = predictions(SUM, 600, rng, accuracy=0.98)
    values = log_probs["net"].clone()
    merged = torch.logaddexp(values[..., 2], values[..., 4])
    values[..., 2], values[..., 4] = merged, -20.0
    values = torch.log_softmax(values, dim=-1)
    splits = find_splits(RowReasoner(SUM), {"net": values}, answers, searchable=SYMBOLS, rng=rng)
    assert [(split.unused, split.source) for split in splits] == [(4, 2)]
    assert splits[0].interval[0] > 0


def test_nothing_is_split_where_every_symbol_is_used() -> None:
    rng = np.random.default_rng(2)
    log_probs, answers = predictions(SUM, 300, rng)
    assert not find_splits(RowReasoner(SUM), log_probs, answers, searchable=SYMBOLS, rng=rng)


def test_a_collapse_that_the_goal_rewards_is_not_broken_by_likelihood() -> None:
    """All zeros satisfy the addition of three images: only the prior objects to it."""
    whole = relation(6, 3, lambda a, b, c: True if a + b == c else None)
    zeros = torch.full((200, 3, 6), -9.0, dtype=torch.float64)
    zeros[..., 0] = 0.0
    log_probs = {"net": torch.log_softmax(zeros, dim=-1)}
    found = find_splits(
        RowReasoner(whole),
        log_probs,
        torch.zeros(200, dtype=torch.long),
        searchable={"net": whole.domains["net"]},
        rng=np.random.default_rng(0),
    )
    assert not found


def test_a_gain_that_chance_explains_splits_nothing() -> None:
    """A symbol that is seldom shown and never read: few queries gain, too few to be sure."""
    rng = np.random.default_rng(5)
    log_probs, answers = predictions(SUM, 24, rng, accuracy=1.0)
    values = log_probs["net"].clone()
    values[..., 4] = -20.0
    values = torch.log_softmax(values, dim=-1)

    def splits(level):
        return find_splits(
            RowReasoner(SUM),
            {"net": values},
            answers,
            searchable=SYMBOLS,
            rng=np.random.default_rng(0),
            level=level,
        )

    assert splits(0.01) and not splits(0.999)


def test_only_a_symbol_that_is_shown_often_is_split() -> None:
    rng = np.random.default_rng(1)
    log_probs, answers = predictions(SUM, 600, rng, accuracy=0.98)
    values = log_probs["net"].clone()
    merged = torch.logaddexp(values[..., 2], values[..., 4])
    values[..., 2], values[..., 4] = merged, -20.0
    seen = torch.log_softmax(values, dim=-1)
    (split,) = find_splits(RowReasoner(SUM), {"net": seen}, answers, searchable=SYMBOLS, rng=rng)
    shared = RowReasoner(SUM).log_likelihood
    both = seen.clone()
    both[..., 2] = both[..., 4] = torch.logaddexp(seen[..., 2], seen[..., 4]) - np.log(2.0)
    gained = (shared({"net": both}, answers) - shared({"net": seen}, answers)).mean()
    assert abs(split.gain - float(gained)) < 0.5 * float(gained)
