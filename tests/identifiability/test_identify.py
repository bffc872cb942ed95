"""Counts of admitted maps: known values, brute force, and what is said about them."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit.build import build_reasoner
from groundkit.errors import DataError, NetworkError, SpecError
from groundkit.identifiability.relations import Relation
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program
from tests.identifiability.oracle import (
    EVEN_ODD,
    HALF,
    admitted_by_brute_force,
    identify,
    is_bijective,
    only,
    relation,
)
from tests.naming.fakes import RowReasoner

KNOWN = {
    "sum": (10, 2, lambda a, b: a + b, 1, 1),
    "product": (10, 2, lambda a, b: a * b, 1, 1),
    "max": (10, 2, max, 1, 1),
    "all-digit addition": (10, 3, lambda a, b, c: True if a + b == c else None, 2, 1),
    "difference": (10, 2, lambda a, b: abs(a - b), 2, 2),
    "sum mod 10": (10, 2, lambda a, b: (a + b) % 10, 2, 2),
    "equality of 4": (4, 2, lambda a, b: a == b, 24, 24),
    "parity of 4": (4, 2, lambda a, b: (a + b) % 2, 32, 8),
    "xor": (2, 2, lambda a, b: a ^ b, 2, 2),
    "conjunction": (2, 2, lambda a, b: a & b, 1, 1),
    "row of a 4x4 sudoku": (4, 4, lambda *r: True if len(set(r)) == 4 else None, 24, 24),
    "equality of 20": (20, 2, lambda a, b: a == b, math.factorial(20), math.factorial(20)),
    "parity of 20": (20, 2, lambda a, b: (a + b) % 2, 2 * 10**20, 2 * math.factorial(10) ** 2),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_counts(name: str) -> None:
    size, calls, answer, count, permutations = KNOWN[name]
    found = identify(relation(size, calls, answer))
    assert (found.count, found.permutations) == (count, permutations)
    assert found.collapses == count - permutations


@pytest.mark.parametrize(
    ("size", "pairs", "count", "permutations"), [(5, HALF, 3, 1), (10, EVEN_ODD, 36, 2)]
)
def test_counts_of_the_rsbench_tasks(size, pairs, count, permutations) -> None:
    whole = relation(size, 2, lambda a, b: a + b)
    found = identify(whole, examples=only(whole, pairs))
    assert found.count == 1
    assert found.examples is not None
    assert (found.examples.count, found.examples.permutations) == (count, permutations)
    if size == 5:
        assert count == len(admitted_by_brute_force(whole, only(whole, pairs)))


def test_even_odd_equals_brute_force_over_its_two_halves() -> None:
    """No pair mixes even and odd digits, so the maps of the two halves multiply."""
    counts = []
    for symbols in ([0, 2, 4, 6, 8], [1, 3, 5, 7, 9]):
        maps = np.stack(np.meshgrid(*[np.arange(10)] * 5, indexing="ij"), axis=-1).reshape(-1, 5)
        kept = np.ones(len(maps), dtype=bool)
        for left, right in EVEN_ODD:
            if left in symbols:
                total = maps[:, symbols.index(left)] + maps[:, symbols.index(right)]
                kept &= total == left + right
        counts.append(int(kept.sum()))
    assert counts[0] * counts[1] == 36


def test_two_networks_are_counted_jointly() -> None:
    rows = [(coin, d, e) for coin in range(2) for d in range(10) for e in range(10)]
    answers = [d + e if coin else d * e + 100 for coin, d, e in rows]
    domains = {"coin": ["heads", "tails"], "digit": [str(d) for d in range(10)]}
    whole = Relation.build(domains, ["coin", "digit", "digit"], rows, answers)
    assert identify(whole).count == 1

    answers = [(coin + d + e) % 2 for coin, d, e in rows]
    whole = Relation.build(domains, ["coin", "digit", "digit"], rows, answers)
    found = identify(whole)
    # Parity of the digits is kept or turned round as a whole; two digits cancel, so never the coin.
    assert found.count == 2 * 5**10
    assert found.permutations == 2 * math.factorial(5) ** 2


def test_observed_symbols_keep_their_meaning() -> None:
    rows = [(d, e, (d + e) % 10) for d in range(10) for e in range(10)]
    domains = {"digit": [str(d) for d in range(10)], "given": [str(d) for d in range(10)]}
    whole = Relation.build(domains, ["digit", "digit", "given"], rows)
    found = identify(whole, kept=["given"])
    assert (found.count, set(found.domains)) == (2, {"digit"})
    assert identify(whole).count == 100  # d -> a*d + b, any a and b, when the sum may move too


@st.composite
def small_relations(draw: st.DrawFn) -> tuple[Relation, Relation, list[str]]:
    sizes = draw(st.sampled_from([(2,), (3,), (4,), (2, 2), (3, 2), (2, 3)]))
    names = [f"net{place}" for place in range(len(sizes))]
    extra = draw(st.lists(st.sampled_from(names), min_size=0, max_size=2))
    columns = [*names, *extra]
    bounds = [sizes[names.index(name)] for name in columns]
    row = st.tuples(*[st.integers(0, bound - 1) for bound in bounds], st.integers(0, 2))
    rows = np.array(draw(st.lists(row, min_size=1, max_size=24)))
    domains = {name: [str(s) for s in range(size)] for name, size in zip(names, sizes, strict=True)}
    target = Relation.build(domains, columns, rows[:, :-1], rows[:, -1])
    chosen = draw(st.lists(st.booleans(), min_size=len(target), max_size=len(target)))
    kept = draw(st.sampled_from([[], [], [names[-1]]])) if len(names) > 1 else []
    return target, target.select(np.array(chosen)), kept


@settings(max_examples=80, deadline=None)
@given(small_relations())
def test_random_relations_equal_brute_force(case: tuple[Relation, Relation, list[str]]) -> None:
    target, observed, kept = case
    sizes = [len(domain) for domain in target.domains.values()]
    expected = admitted_by_brute_force(target, observed, kept)
    bijective = [image for image in expected if is_bijective(image, sizes)]
    found = identify(target, examples=observed, kept=kept).examples
    assert found is not None
    assert found.maps is not None
    assert found.count == len(expected)
    assert found.permutations == len(bijective)
    listed = [tuple(found.maps.join(maps).tolist()) for maps in found.listed]
    assert sorted(listed) == sorted(expected)
    assert listed[0] == tuple(found.maps.identity().tolist())
    assert set(listed[: len(bijective)]) == set(bijective)
    assert listed[1 : len(bijective)] == sorted(listed[1 : len(bijective)])
    assert listed[len(bijective) :] == sorted(listed[len(bijective) :])
    for witness in found.witnesses:
        assert tuple(found.maps.join(witness.maps).tolist()) in expected
        assert found.admitted_index(witness.maps) == witness.number
    labels = found.suggestions[-1] if found.suggestions else None
    assert labels is None or labels.left == 1


@settings(max_examples=60, deadline=None)
@given(small_relations(), st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=4, max_size=4))
def test_the_prior_removes_the_maps_that_change_a_marginal(case, weights) -> None:
    target, observed, kept = case
    name, domain = next(iter(target.domains.items()))
    prior = np.array(weights[: len(domain)]) + ([0.0] * (len(domain) - 1) + [1.0])
    priors = {other: np.ones(len(symbols)) for other, symbols in target.domains.items()}
    priors[name] = prior
    expected = 0
    for image in admitted_by_brute_force(target, observed, kept):
        start, keeps = 0, True
        for share in priors.values():
            part = np.array(image[start : start + len(share)])
            moved = np.bincount(part, weights=share, minlength=len(share))
            keeps &= bool(np.allclose(moved, share))
            start += len(share)
        expected += keeps
    found = identify(target, examples=observed, kept=kept, prior={name: prior.tolist()}).examples
    assert found is not None
    removal = found.removals[0]
    assert (removal.left, removal.removed) == (expected, found.count - expected)


def test_what_training_terms_and_labels_remove() -> None:
    found = identify(relation(10, 2, lambda a, b: abs(a - b)), labelled={"net": [4]})
    left = {removal.by: removal.left for removal in found.removals}
    assert left == {
        "uniform prior": 2,
        "invariance": 2,
        "labels": 1,
        "uniform prior and labels": 1,
    }
    addition = identify(relation(10, 3, lambda a, b, c: True if a + b == c else None))
    assert [removal.left for removal in addition.removals] == [1, 2]


@pytest.mark.parametrize(
    ("size", "calls", "answer", "kind", "words"),
    [
        (10, 3, lambda a, b, c: True if a + b == c else None, "collapse", "everything -> 0"),
        (10, 2, lambda a, b: abs(a - b), "permutation", "d -> 9-d"),
        (10, 2, lambda a, b: (a + b) % 10, "permutation", "d -> (d + 5) mod 10"),
        (4, 2, lambda a, b: a == b, "permutation", "d -> 3-d"),
        (2, 2, lambda a, b: a ^ b, "permutation", "swaps 0 and 1"),
        (12, 2, lambda a, b: a == b, "permutation", "d -> 11-d"),
    ],
)
def test_witnesses_in_words(size, calls, answer, kind, words) -> None:
    found = identify(relation(size, calls, answer))
    assert {witness.kind: witness.words for witness in found.witnesses}[kind] == words
    assert found.witnesses[0].words == "identity"


def test_suggestions_leave_one_map_when_they_are_followed() -> None:
    whole = relation(10, 2, lambda a, b: a + b)
    observed = only(whole, EVEN_ODD)
    found = identify(whole, examples=observed).examples
    assert found is not None
    observations, labels = found.suggestions
    assert len(observations.items) == 1
    extended = observed.joined(whole.select([row for _, row in observations.rows]))
    assert len(extended) == len(observed) + 1
    assert identify(whole, examples=extended).examples.count == 1
    left = {r.by: r.left for r in identify(observed, labelled=labels.labels).removals}
    assert labels.left == 1
    assert left["labels"] >= 1


def test_combinations_are_suggested_with_the_prior_where_they_cannot_do_it_alone() -> None:
    whole = relation(10, 3, lambda a, b, c: True if a + b == c else None)
    rng = np.random.default_rng(0)
    few = whole.select(np.sort(rng.choice(len(whole), 10, replace=False)))
    found = identify(whole, examples=few).examples
    alone, with_prior, labels = found.suggestions
    assert not alone.items
    assert "2 maps remain" in alone.reason
    extended = few.joined(whole.select([row for _, row in with_prior.rows]))
    assert identify(whole, examples=extended).examples.removals[0].left == 1
    assert labels.left == 1


NOISY = """
nn(net, [X], Y, [0,1,2,3]) :: digit(X, Y).
0.2 :: noisy.
1/7::random(0); 1/7::random(1); 1/7::random(2); 1/7::random(3);
1/7::random(4); 1/7::random(5); 1/7::random(6).
sum(X, Y, Z) :- noisy, random(Z).
sum(X, Y, Z) :- \\+ noisy, digit(X, A), digit(Y, B), Z is A+B.
"""


def test_noise_hides_nothing_when_probabilities_have_to_stay() -> None:
    """Every answer is possible for every pair, so that possibility alone admits any map."""
    reasoner = build_reasoner(parse_program(NOISY), parse_goal("sum(X, Y, Z)"), ["X", "Y"])
    support, domains = reasoner.support(), {"net": list("0123")}
    assert identify(support, domains, examples=support).count == 4**4
    ask = reasoner.log_likelihood
    found = identify(support, domains, examples=support, log_likelihood=ask)
    assert (found.count, found.combinations) == (1, 16)
    assert found.examples.count == 1


def test_probabilities_do_not_change_the_count_of_a_program_without_them() -> None:
    whole = relation(4, 2, lambda a, b: (a + b) % 2)
    found = identify(whole, log_likelihood=RowReasoner(whole).log_likelihood)
    assert (found.count, found.permutations) == (32, 8)


def test_huge_counts_still_get_proved_suggestions() -> None:
    found = identify(relation(12, 2, lambda a, b: a == b))
    assert len(found.suggestions[0].items) == 11
    assert found.suggestions[0].left == 1


def test_symbols_in_no_observation_are_named() -> None:
    whole = relation(3, 2, lambda a, b: a + b)
    found = identify(whole, examples=only(whole, [(0, 0), (0, 1)])).examples
    assert found.unseen == {"net": ("2",)}
    assert found.count == 3


def test_time_for_20_symbols_and_100_combinations() -> None:
    whole = relation(20, 2, lambda a, b: a + b)
    rng = np.random.default_rng(1)
    observed = whole.select(rng.choice(len(whole), 100, replace=False))
    start = time.monotonic()
    assert identify(whole, examples=observed).examples.count == 1
    assert time.monotonic() - start < 10


def test_what_cannot_be_counted_in_time_is_null_with_a_reason() -> None:
    whole = relation(20, 3, lambda a, b, c: True if a + b == c else None)
    rng = np.random.default_rng(3)
    few = whole.select(rng.choice(len(whole), 8, replace=False))
    found = identify(whole, examples=few, seconds=0.0).examples
    assert found.count is None
    assert "took more than" in found.reason
    assert json.loads(json.dumps(found.to_dict()))["count"] is None


def test_json_and_words() -> None:
    whole = relation(10, 3, lambda a, b, c: True if a + b == c else None)
    found = identify(whole, examples=whole)
    data = json.loads(json.dumps(found.to_dict()))
    assert (data["count"], data["permutations"], data["collapses"]) == (2, 1, 1)
    assert data["examples"]["count"] == 2
    assert "the identity counts" in data["convention"]
    assert "everything -> 0" in str(found)
    assert "2 groundings are admitted: 1 permutation, 1 collapse" in str(found)


def test_wrong_input_is_refused() -> None:
    whole = relation(3, 2, lambda a, b: True if a == b else None)
    impossible = Relation.build(whole.domains, whole.columns, [(0, 1)])
    with pytest.raises(DataError, match="no proof"):
        identify(whole, examples=impossible)
    with pytest.raises(NetworkError, match="outside the 3 symbols"):
        Relation.build({"net": ["a", "b", "c"]}, ["net"], [(3,)])
    with pytest.raises(NetworkError, match="no domain"):
        Relation.build({"net": ["a"]}, ["other"], [(0,)])
    with pytest.raises(SpecError, match="2 frequencies"):
        identify(whole, prior={"net": [0.5, 0.5]})
