"""Readings of independent networks, as a product, against every map of all of them tried."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.errors import DataError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.factored import FactoredPosterior, independent, weigh_parts
from groundkit.identifiability.posterior import MapPosterior
from groundkit.identifiability.relations import Relation

SIZES = {"a": 3, "b": 2, "c": 3}


def goal(columns, answer):
    """All combinations of a goal over some networks, with their answers."""
    rows = list(itertools.product(*(range(SIZES[name]) for name in columns)))
    domains = {name: [str(k) for k in range(SIZES[name])] for name in dict.fromkeys(columns)}
    return Relation.build(domains, columns, rows, [answer(row) for row in rows])


@st.composite
def problems(draw):
    """Goals over one to three networks, what is seen of them, and networks the data connects."""
    calls = [("a",), ("a", "a"), ("b", "b"), ("c", "c"), ("b", "c")]
    chosen = draw(st.lists(st.sampled_from(calls), min_size=1, max_size=3))
    answers = draw(st.sampled_from([lambda row: sum(row) % 2, lambda row: len(set(row)), sum]))
    targets = [goal(columns, answers) for columns in chosen]
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    seen = [one.select(rng.random(len(one)) < 0.4) for one in targets]
    return targets, seen, draw(st.sampled_from([(), (("a", "b"),)])), draw(st.integers(0, 999))


def lists_of(listing):
    """A listing as network after network -> weight."""
    readings, weights = listing
    return {
        tuple((name, tuple(one[name])) for name in sorted(one)): weight
        for one, weight in zip(readings, weights.tolist(), strict=True)
    }


@settings(deadline=None, max_examples=100)
@given(problems(), st.data())
def test_against_every_map_of_all_networks(problem, data):
    targets, seen, together, seed = problem
    maps = AdmittedMaps(targets)
    tables = {
        name: np.random.default_rng([seed, place]).normal(size=(len(maps.domains[name]),) * 2)
        for place, name in enumerate(maps.free)
    }
    # Likelihoods have to be the same for symbols that the goals treat alike, or keep them apart.
    tied = {name for one in together for name in one}

    def score(names, reading):
        total = sum(tables[n][range(len(reading[n])), reading[n]].sum() for n in names)
        if tied and tied <= set(names):
            total += math.sin(sum(reading["a"][k] * reading["b"][0] for k in range(2)))
        return float(total)

    found = weigh_parts(maps, Knowledge(tuple(seen)), score, together=together, apart=maps.free)
    brute = {}
    shapes = [itertools.permutations(range(len(maps.domains[name]))) for name in maps.free]
    for chosen in itertools.product(*shapes):
        reading = dict(zip(maps.free, chosen, strict=True))
        if maps.keeping(maps.join(reading)[None], seen).all():
            key = tuple((name, reading[name]) for name in sorted(reading))
            brute[key] = math.exp(score(maps.free, reading))
    scale = sum(brute.values())
    assert found.total == len(brute)
    ours = lists_of(found.every(10_000))
    assert ours.keys() == brute.keys()
    for key, weight in brute.items():
        assert ours[key] == pytest.approx(weight / scale, abs=1e-9)
    weights = np.array(list(brute.values())) / scale
    assert found.entropy() == pytest.approx(-(weights * np.log(weights)).sum(), abs=1e-9)
    for name, matrix in found.meanings().items():
        expected = np.zeros_like(matrix)
        for key, weight in brute.items():
            expected[range(len(matrix)), dict(key)[name]] += weight / scale
        np.testing.assert_allclose(matrix, expected, atol=1e-9)
    _check_labels(found, brute, data)
    again = FactoredPosterior.from_dict(found.to_dict())
    assert lists_of(again.every(10_000)) == ours
    drawn = found.sample(5, np.random.default_rng(0))
    assert set(lists_of((drawn, np.ones(5)))) <= ours.keys()


def _check_labels(found, brute, data):
    """What is left after a label is what Bayes' rule leaves of the whole list."""
    name = data.draw(st.sampled_from(list(found.domains)))
    size = len(found.domains[name])
    symbol, meant = data.draw(st.tuples(*[st.integers(0, size - 1)] * 2))
    left = {key: weight for key, weight in brute.items() if dict(key)[name][symbol] == meant}
    doubted = {key: weight * (0.8 if key in left else 0.2) for key, weight in brute.items()}
    after = lists_of(found.given(name, symbol, [meant], mistaken=0.2).every(10_000))
    for key, weight in doubted.items():
        assert after[key] == pytest.approx(weight / sum(doubted.values()), abs=1e-9)
    if not left:
        with pytest.raises(DataError):
            found.given(name, symbol, [meant])
        return
    after = lists_of(found.given(name, symbol, [meant]).every(10_000))
    assert after.keys() == left.keys()
    for key, weight in left.items():
        assert after[key] == pytest.approx(weight / sum(left.values()), abs=1e-9)
    truth = dict(max(brute, key=brute.get))
    for network, place in found.ask():
        found = found.given(network, place, [truth[network][place]])
    assert found.total == 1 and found.best() == truth


def test_a_product_is_not_listed_and_what_a_part_cannot_list_is_counted():
    sizes = {f"n{k}": 5 for k in range(4)}
    targets = [
        Relation.build({n: list("01234")}, [n], [[k] for k in range(5)], list(range(5)))
        for n in sizes
    ]
    unseen = Knowledge(tuple(one.select(np.zeros(5, dtype=bool)) for one in targets))
    found = weigh_parts(AdmittedMaps(targets), unseen, lambda names, reading: 0.0)
    assert found.total == found.count == 120**4
    assert sum(len(part.maps) for part in found.parts) == 4 * 120
    assert found.every(10**6) is None and found.representatives(10**6) is None
    asked = found.among(["n1"])
    assert list(asked.domains) == ["n1"] and len(asked.every(1000)[0]) == 120
    assert len(found.ask()) == 16
    tied = [tuple(sizes)[:2]]
    for counted in ({"limit": 100}, {"together": tied}):
        other = weigh_parts(AdmittedMaps(targets), unseen, lambda names, reading: 0.0, **counted)
        assert not other.weighed and other.total == 120**4
        for name, matrix in found.meanings().items():
            np.testing.assert_allclose(other.meanings()[name], matrix, atol=1e-9)


def test_networks_are_parted_where_nothing_connects_them():
    assert independent("abcde", [{"d", "b"}, {"e"}, {"b", "seen"}, {"seen"}]) == [
        ("a",), ("b", "d"), ("c",), ("e",),
    ]  # fmt: skip
    assert independent("abc", [{"a", "b"}, {"b", "c"}]) == [("a", "b", "c")]


def test_a_part_alone_is_written_as_before_and_damage_is_told():
    alone = MapPosterior({"a": ("0", "1")}, np.array([[0, 1]]), np.ones(1), np.array([0, 0]))
    written = alone.to_dict()
    assert FactoredPosterior((alone,)).to_dict() == written
    assert FactoredPosterior.from_dict(written).total == 2
    with pytest.raises(ValueError, match="two parts"):
        FactoredPosterior.from_dict({"parts": [written, written]})
    for damaged in ({"parts": 3}, {"parts": [3]}, {"parts": [{}]}, {}):
        with pytest.raises(ValueError):
            FactoredPosterior.from_dict(damaged)
