"""Soft names: slopes by rows and by the reasoner, and where EM ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit.build import build_reasoner
from groundkit.identifiability.relations import Relation
from groundkit.naming.scorers import Layout, Queries
from groundkit.naming.soft_start import Part, ReasonerSlopes, RowSlopes, soft_naming
from groundkit.program.goal import parse_goal
from groundkit.program.source import load_program
from tests.identifiability.oracle import relation
from tests.naming.fakes import RowReasoner, predictions, reground, shuffled

CARRIES = Path(__file__).parents[2] / "programs" / "carry.pl"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_slopes_are_those_of_the_reasoner(seed) -> None:
    rng = np.random.default_rng(seed)
    rows = [(coin, d, e) for coin in range(2) for d in range(3) for e in range(3)]
    answers = [d + e if coin else 10 + d * e for coin, d, e in rows]
    domains = {"coin": ["h", "t"], "digit": list("012")}
    whole = Relation.build(domains, ["coin", "digit", "digit"], rows, answers)
    weights = rng.uniform(0.1, 1.0, len(whole))
    log_probs, targets = predictions(whole, 12, rng)
    shown = {network: values.exp().numpy() for network, values in log_probs.items()}
    by_rows = RowSlopes(whole, weights, targets.numpy())(shown)
    asked = ReasonerSlopes(RowReasoner(whole, weights).log_likelihood, targets)(shown)
    for network, slopes in by_rows.items():
        np.testing.assert_allclose(slopes, asked[network], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("accuracy", [0.95, 0.7])
def test_shuffled_names_of_a_wide_domain_come_back(accuracy) -> None:
    whole = relation(20, 3, lambda a, b, c: True if a + b == c else None)
    rng = np.random.default_rng(0)
    log_probs, answers = predictions(whole, 800, rng, accuracy=accuracy)
    moved, back = shuffled(log_probs, rng)
    layout = Layout({"net": 20}, {"net": 20})
    slopes = RowSlopes(whole, np.ones(len(whole)), answers.numpy())
    naming = soft_naming([Part(Queries(moved, answers), slopes)], layout, rng, steps=60)
    assert np.argsort(naming).tolist() == list(back["net"])


@pytest.mark.parametrize("seed", range(3))
def test_most_clusters_of_unequal_symbols_find_their_names_by_the_gain_over_chance(seed) -> None:
    """Half of the digits are 3; without a comparison with chance all of them would be called 0."""
    whole = relation(6, 3, lambda a, b, c: True if a + b == c else None)
    rng = np.random.default_rng(seed)
    weights = 5.0 ** (whole.rows == 3).sum(1)
    true = whole.rows[rng.choice(len(whole), size=600, p=weights / weights.sum())]
    meaning = rng.permutation(np.array([0, 1, 2, 3, 3, 3, 3, 4, 5]))
    seen = np.array([[rng.choice(np.flatnonzero(meaning == s)) for s in row] for row in true])
    logits = rng.normal(size=(*true.shape, len(meaning))) + 5 * np.eye(len(meaning))[seen]
    log_probs = {"net": torch.log_softmax(torch.as_tensor(logits), -1)}
    layout = Layout({"net": len(meaning)}, {"net": 6})
    ones = np.ones(len(whole))
    part = Part(
        Queries(log_probs, torch.zeros(600, dtype=torch.long)),
        RowSlopes(whole, ones, np.zeros(600, dtype=np.int64)),
        RowSlopes(whole, ones, np.zeros(1, dtype=np.int64)),
        np.array([600.0]),
    )
    namings = [soft_naming([part], layout, rng, steps=60, uneven=u) for u in (0.05, 0.5, 0.5, 0.5)]
    assert max((naming == meaning).mean() for naming in namings) > 0.7


def test_a_circuit_of_too_many_joint_symbols_is_renamed_through_its_gradient() -> None:
    program = load_program(CARRIES)
    goal = parse_goal("addition([A,B], [C,D], [E,F,G])")
    reasoner = build_reasoner(program, goal, list("ABCDEFG"))
    domains = {network: program.networks[network].domain for network in reasoner.slots}
    rng = np.random.default_rng(0)
    worlds = reasoner.sample(300, rng)
    digits = np.asarray(worlds.values["mnist_net"])
    seen = np.where(rng.random(digits.shape) > 0.9, rng.integers(10, size=digits.shape), digits)
    logits = 5 * np.eye(10)[seen] + rng.normal(size=(*digits.shape, 10))
    moved, back = shuffled({"mnist_net": torch.log_softmax(torch.as_tensor(logits), -1)}, rng)
    given_rows = torch.as_tensor(worlds.values["given"])[..., None]
    moved["given"] = torch.full((300, 3, 10), -1e4).double().scatter(2, given_rows, 0.0)
    found = reground(
        reasoner,
        moved,
        torch.zeros(300, dtype=torch.long),
        searchable={"mnist_net": domains["mnist_net"]},
        domains=domains,
        rng=rng,
    )
    assert "reasoner" in found.method
    assert found.permutations == back
