"""How likely answers are by chance: against a sum over all combinations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from groundkit.naming.chance import AboveChance, Chance
from groundkit.naming.scorers import Layout, Queries, ReasonerScorer
from tests.identifiability.oracle import relation
from tests.naming.fakes import RowReasoner, predictions

SUM = relation(3, 2, lambda a, b: a + b)
LAYOUT = Layout({"net": 5}, {"net": 3})


def _queries(rng: np.random.Generator) -> Queries:
    logits = torch.as_tensor(rng.normal(size=(40, 2, 5)))
    answers = torch.as_tensor(rng.integers(5, size=40))
    return Queries({"net": torch.log_softmax(logits, -1)}, answers)


def _by_hand(queries: Queries, naming: np.ndarray) -> np.ndarray:
    """Draws both images anew from all of them, and adds up what gives each query's answer."""
    shares = queries.log_probs["net"].exp().mean((0, 1)).numpy()
    chance = np.zeros(5)
    for one, two in itertools.product(range(5), repeat=2):
        chance[naming[one] + naming[two]] += shares[one] * shares[two]
    return np.log(np.maximum(chance, 1e-30))[queries.answers.numpy()]


@pytest.mark.parametrize("rows", [True, False], ids=["rows", "reasoner"])
def test_chance_is_that_of_images_drawn_at_random(rows) -> None:
    rng = np.random.default_rng(0)
    queries = _queries(rng)
    known = (SUM, np.ones(len(SUM))) if rows else ()
    chance = Chance(LAYOUT, queries, RowReasoner(SUM).log_likelihood, *known)
    namings = np.array([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0], [1, 0, 2, 2, 2]])
    expected = np.array([_by_hand(queries, naming) for naming in namings])
    assert chance.scores(namings) == pytest.approx(expected.mean(1))
    for naming, values in zip(namings, expected, strict=True):
        assert chance.of_queries(naming) == pytest.approx(values)


def test_one_name_for_all_says_nothing_however_likely_it_makes_the_answers() -> None:
    whole = relation(4, 3, lambda a, b, c: True if a + b == c else None)
    log_probs, answers = predictions(whole, 300, np.random.default_rng(1))
    layout = Layout({"net": 4}, {"net": 4})
    queries = Queries(log_probs, answers)
    ask = RowReasoner(whole).log_likelihood
    likelihood = ReasonerScorer(ask, layout, queries)
    above = AboveChance(likelihood, Chance(layout, queries, ask, whole, np.ones(len(whole))))
    zeros, right = np.zeros(4, dtype=np.int64), np.arange(4)
    namings = np.array([zeros, right])
    assert np.argmax(likelihood.scores(namings)) == 0
    assert np.argmax(above.scores(namings)) == 1
    assert above.scores(namings)[0] == pytest.approx(0.0, abs=1e-6)
