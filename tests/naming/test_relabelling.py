"""Re-grounding: the right names, the true optimum, and no change without evidence."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest
import torch

from groundkit.errors import DataError, NetworkError
from groundkit.identifiability.relations import Relation
from groundkit.naming.assignment import FLOOR, NameSearch
from groundkit.naming.relabelling import Regrounder
from groundkit.naming.scorers import Queries
from tests.identifiability.oracle import identify, relation
from tests.naming.fakes import RowReasoner, predictions, reground, shuffled

DIGITS = {"net": [str(d) for d in range(10)]}
ADDITION = relation(10, 3, lambda a, b, c: True if a + b == c else None)


@pytest.mark.parametrize("accuracy", [0.95, 0.6])
@pytest.mark.parametrize("seed", range(4))
def test_shuffled_names_come_back(seed, accuracy) -> None:
    rng = np.random.default_rng(seed)
    log_probs, answers = predictions(ADDITION, 1000, rng, accuracy=accuracy)
    moved, back = shuffled(log_probs, rng)
    found = reground(RowReasoner(ADDITION), moved, answers, searchable=DIGITS, rng=rng)
    assert found.accepted
    assert found.permutations == back
    restored = moved["net"][..., torch.as_tensor(found.permutations["net"])]
    torch.testing.assert_close(restored, log_probs["net"])
    assert found.after > found.before
    assert accuracy < 0.9 or not found.ambiguous


@pytest.mark.parametrize("size", [4, 6, 7])
@pytest.mark.parametrize("seed", range(2))
def test_the_optimum_equals_exhaustive_search(size, seed) -> None:
    """Weak predictions, so that the optimum is not simply the true naming."""
    rng = np.random.default_rng(seed)
    whole = relation(size, 2, lambda a, b: a + b)
    log_probs, answers = predictions(whole, 30, rng, accuracy=0.5, sharpness=1.5)
    reasoner = RowReasoner(whole)
    searchable = {"net": whole.domains["net"]}
    found = reground(reasoner, log_probs, answers, searchable=searchable, rng=rng)
    assert found.method == "all namings"
    floored = (log_probs["net"].exp() * (1 - size * FLOOR) + FLOOR).log()
    scores = {
        perm: float(reasoner.log_likelihood({"net": floored[..., list(perm)]}, answers).mean())
        for perm in itertools.permutations(range(size))
    }
    assert scores[found.best["net"]] == pytest.approx(max(scores.values()), abs=1e-6)


def test_climbing_reaches_the_optimum_of_exhaustive_search() -> None:
    whole = relation(7, 3, lambda a, b, c: True if a + b == c else None)
    searchable = {"net": whole.domains["net"]}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        log_probs, answers = predictions(whole, 200, rng, accuracy=0.5, sharpness=2.0)
        tables = RowReasoner(whole)
        by_all = reground(
            tables, log_probs, answers, searchable=searchable, rng=np.random.default_rng(0)
        )
        by_asking = reground(
            RowReasoner(whole, lists_support=False),
            log_probs,
            answers,
            searchable=searchable,
            rng=np.random.default_rng(0),
        )
        assert by_all.method == "all namings"
        assert "reasoner" in by_asking.method
        assert by_asking.best_log_likelihood >= by_all.best_log_likelihood - 0.05


def test_several_networks_are_renamed_together() -> None:
    rows = [(coin, d, e) for coin in range(2) for d in range(8) for e in range(8)]
    answers = [d + e if coin else 100 + d * e for coin, d, e in rows]
    domains = {"coin": ["h", "t"], "digit": [str(d) for d in range(8)]}
    whole = Relation.build(domains, ["coin", "digit", "digit"], rows, answers)
    rng = np.random.default_rng(1)
    log_probs, targets = predictions(whole, 600, rng)
    moved, back = shuffled(log_probs, rng)
    found = reground(RowReasoner(whole), moved, targets, searchable=domains, rng=rng)
    assert found.permutations == back


def test_observed_networks_are_left_alone() -> None:
    rows = [(d, e, (d + e) % 10) for d in range(10) for e in range(10) if d + e < 10]
    domains = {"digit": DIGITS["net"], "given": DIGITS["net"]}
    whole = Relation.build(domains, ["digit", "digit", "given"], rows)
    rng = np.random.default_rng(2)
    log_probs, answers = predictions(whole, 500, rng)
    certain = torch.full_like(log_probs["given"], -torch.inf)
    log_probs["given"] = certain.scatter(2, log_probs["given"].argmax(2, keepdim=True), 0.0)
    moved, back = shuffled({"digit": log_probs["digit"]}, rng)
    found = reground(
        RowReasoner(whole),
        {**moved, "given": log_probs["given"]},
        answers,
        searchable={"digit": domains["digit"]},
        domains=domains,
        rng=rng,
    )
    assert found.permutations == back


def test_right_names_are_kept() -> None:
    rng = np.random.default_rng(3)
    log_probs, answers = predictions(ADDITION, 300, rng)
    found = reground(RowReasoner(ADDITION), log_probs, answers, searchable=DIGITS, rng=rng)
    assert not found.accepted
    assert found.permutations == {"net": tuple(range(10))}
    assert found.before == found.after == found.best_log_likelihood
    assert found.describe(DIGITS).startswith("kept the names: log-likelihood -")


def test_noise_does_not_move_names() -> None:
    """Predictions that know nothing: the best naming of the seen queries is chance."""
    moved = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        _, answers = predictions(ADDITION, 60, rng)
        logits = torch.as_tensor(rng.normal(size=(60, 3, 10)))
        log_probs = {"net": torch.log_softmax(logits, dim=-1)}
        found = reground(
            RowReasoner(ADDITION), log_probs, answers, searchable=DIGITS, rng=rng, budget=500
        )
        moved += found.accepted
    assert moved <= 2


@pytest.mark.parametrize("seed", range(5))
def test_namings_that_differ_by_rounding_alone_are_a_tie(seed, monkeypatch) -> None:
    """Rounding may favour one of them in every query."""
    ask = NameSearch.ask

    def rounded(self, asked, naming):
        return ask(self, asked, naming) + 1e-13 * naming[0]

    monkeypatch.setattr(NameSearch, "ask", rounded)
    whole, rng = relation(5, 2, lambda a, b: abs(a - b)), np.random.default_rng(seed)
    log_probs, answers = predictions(whole, 200, rng, accuracy=0.8)
    searchable = {"net": whole.domains["net"]}
    for _ in range(2):  # the second time nothing is to be gained but rounding
        found = reground(RowReasoner(whole), log_probs, answers, searchable=searchable, rng=rng)
        assert found.ambiguous
        log_probs = {"net": log_probs["net"][..., torch.as_tensor(found.runner_up["net"])]}
    assert not found.accepted


def test_names_that_the_goal_cannot_tell_apart_are_ambiguous() -> None:
    whole = relation(10, 2, lambda a, b: abs(a - b))
    rng = np.random.default_rng(4)
    log_probs, answers = predictions(whole, 400, rng)
    found = Regrounder([RowReasoner(whole)], DIGITS, rivals=identify(whole).listed)(
        [Queries(log_probs, answers)], rng=rng
    )
    assert found.ambiguous
    assert not found.accepted
    assert {found.best["net"], found.runner_up["net"]} == {
        tuple(range(10)),
        tuple(range(9, -1, -1)),
    }
    assert "ambiguous" in found.describe(DIGITS)


def test_probabilistic_programs_are_scored_with_their_probabilities() -> None:
    """The answer is the sum with probability 0.7, otherwise a neighbour of it."""
    rows, answers, weights = [], [], []
    for a, b in itertools.product(range(5), repeat=2):
        for error, chance in ((0, 0.7), (1, 0.3)):
            rows.append((a, b))
            answers.append(a + b + error)
            weights.append(chance)
    domains = {"net": list("01234")}
    whole = Relation.build(domains, ["net", "net"], rows, answers)
    order = np.lexsort((answers, np.array(rows)[:, 1], np.array(rows)[:, 0]))
    reasoner = RowReasoner(whole, np.array(weights)[order])
    rng = np.random.default_rng(5)
    log_probs, targets = predictions(whole, 800, rng)
    moved, back = shuffled(log_probs, rng)
    found = reground(reasoner, moved, targets, searchable=domains, rng=rng)
    assert found.permutations == back


def test_domain_of_50_symbols() -> None:
    whole = relation(50, 2, lambda a, b: a + b)
    rng = np.random.default_rng(6)
    log_probs, answers = predictions(whole, 1000, rng, sharpness=8.0)
    moved, back = shuffled(log_probs, rng)
    symbols = {"net": whole.domains["net"]}
    found = reground(RowReasoner(whole), moved, answers, searchable=symbols, rng=rng, budget=10_000)
    assert found.permutations == back


def test_the_same_generator_gives_the_same_names_and_time_is_short() -> None:
    rng = np.random.default_rng(7)
    log_probs, answers = predictions(ADDITION, 1000, rng)
    moved, _ = shuffled(log_probs, rng)
    search = Regrounder([RowReasoner(ADDITION)], DIGITS)
    start = time.monotonic()
    first = search([Queries(moved, answers)], rng=np.random.default_rng(0))
    assert time.monotonic() - start < 5  # 0.2 s on an idle machine
    second = search([Queries(moved, answers)], rng=np.random.default_rng(0))
    assert (first.best, first.gain) == (second.best, second.gain)


def test_words_and_json() -> None:
    rng = np.random.default_rng(8)
    log_probs, answers = predictions(ADDITION, 500, rng)
    order = np.array([0, 1, 2, 5, 4, 3, 6, 7, 8, 9])
    moved = {"net": log_probs["net"][..., torch.as_tensor(order)]}
    found = reground(RowReasoner(ADDITION), moved, answers, searchable=DIGITS, rng=rng)
    words = found.describe(DIGITS)
    assert words == f"moved 3->5, 5->3: log-likelihood {found.before:.2f} to {found.after:.2f}"
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["permutations"] == {"net": order.tolist()}
    assert data["gain_interval"][0] > 0


def test_thirty_queries_are_enough_for_good_clusters() -> None:
    right = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        log_probs, answers = predictions(ADDITION, 30, rng, accuracy=1.0)
        moved, back = shuffled(log_probs, rng)
        found = reground(RowReasoner(ADDITION), moved, answers, searchable=DIGITS, rng=rng)
        right += found.permutations == back
        assert found.held_out == 30
    assert right >= 4


@pytest.mark.parametrize("count", [1, 2])
def test_hardly_any_queries_never_move_names(count) -> None:
    rng = np.random.default_rng(9)
    log_probs, answers = predictions(ADDITION, count, rng)
    moved, _ = shuffled(log_probs, rng)
    found = reground(RowReasoner(ADDITION), moved, answers, searchable=DIGITS, rng=rng, budget=200)
    assert not found.accepted
    json.dumps(found.to_dict(), allow_nan=False)


def test_wrong_input_is_refused() -> None:
    rng = np.random.default_rng(0)
    reasoner = RowReasoner(ADDITION)
    log_probs, answers = predictions(ADDITION, 5, rng)
    with pytest.raises(NetworkError, match="never calls network 'other'"):
        reground(reasoner, log_probs, answers, searchable={"other": ["0"]}, rng=rng)
    with pytest.raises(DataError, match="no queries"):
        reground(reasoner, {"net": log_probs["net"][:0]}, answers[:0], searchable=DIGITS, rng=rng)
    with pytest.raises(DataError, match="shape"):
        reground(reasoner, {"net": log_probs["net"][:, 0]}, answers, searchable=DIGITS, rng=rng)
