"""Readings that are counted, not listed, against every map tried one by one."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.errors import DataError, LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.counted import CountedPosterior
from groundkit.identifiability.factored import FactoredPosterior, weigh_parts
from groundkit.identifiability.relations import Relation
from tests.identifiability.oracle import only, relation


@st.composite
def problems(draw):
    """A random goal over one or two networks and an observed one, and combinations seen of it."""
    sizes = {"a": draw(st.integers(2, 5)), "seen": 2, "b": draw(st.integers(1, 3))}
    columns = draw(
        st.sampled_from([("a",), ("a", "a"), ("a", "b"), ("a", "a", "b"), ("a", "seen", "b")])
    )
    every = list(itertools.product(*(range(sizes[name]) for name in columns)))
    answers = draw(
        st.one_of(
            st.lists(st.integers(0, 2), min_size=len(every), max_size=len(every)),
            st.just([sum(row) % 2 for row in every]),
            st.just([sum(row) for row in every]),
        )
    )
    domains = {name: [str(k) for k in range(sizes[name])] for name in dict.fromkeys(columns)}
    target = Relation.build(domains, columns, every, answers)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    seen = target.select(rng.random(len(target)) < draw(st.sampled_from([0.0, 0.1, 0.3, 0.6])))
    return AdmittedMaps([target], kept=["seen"]), seen


def every_map(maps, seen):
    """All permutations that keep what is seen, network after network."""
    sizes = [len(maps.domains[name]) for name in maps.free]
    found = []
    for chosen in itertools.product(*(itertools.permutations(range(size)) for size in sizes)):
        reading = dict(zip(maps.free, chosen, strict=True))
        if maps.keeping(maps.join(reading)[None], [seen]).all():
            found.append(tuple(itertools.chain(*chosen)))
    return found


def check(found, weights):
    """The readings, their weights, and what each symbol stands for are those of the list."""
    total = sum(weights.values())
    assert found.total == len(weights)
    heaviest = max(weights.values())
    assert found.count == sum(one >= 1e-3 * heaviest for one in weights.values())
    rows, ours = found.every(10_000)
    listed = dict(zip(map(tuple, rows.tolist()), ours.tolist(), strict=True))
    assert listed.keys() == weights.keys()
    for row, weight in weights.items():
        assert listed[row] == pytest.approx(weight / total, abs=1e-9)
    for name, part in found.places.slices():
        expected = np.zeros((part.stop - part.start,) * 2)
        for row, weight in weights.items():
            expected[range(len(expected)), row[part]] += weight / total
        np.testing.assert_allclose(found.meanings()[name], expected, atol=1e-9)
    shares = np.array(list(weights.values())) / total
    assert found.entropy() == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-9)
    best = tuple(itertools.chain(*found.best().values()))
    assert weights[best] == pytest.approx(heaviest)
    drawn = found.sample(20, np.random.default_rng(0))
    assert {tuple(row) for row in drawn.tolist()} <= weights.keys()


@settings(deadline=None, max_examples=150)
@given(problems(), st.data())
def test_against_every_map(problem, data):
    maps, seen = problem
    found = CountedPosterior.of(maps, Knowledge((seen,)))
    weights = dict.fromkeys(every_map(maps, seen), 1.0)
    check(found, weights)
    for _ in range(data.draw(st.integers(0, 2))):
        name = data.draw(st.sampled_from(maps.free))
        size = len(found.domains[name])
        symbol = data.draw(st.integers(0, size - 1))
        meant = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
        mistaken = data.draw(st.sampled_from([0.0, 0.2]))
        place = found.places.of(name, symbol)
        chances = {row: weight * (1 - mistaken if row[place] in meant else mistaken)
                   for row, weight in weights.items()}  # fmt: skip
        left = {row: weight for row, weight in chances.items() if weight}
        if not left:
            with pytest.raises(DataError, match="no reading is left"):
                found.given(name, symbol, meant, mistaken=mistaken)
            return
        found, weights = found.given(name, symbol, meant, mistaken=mistaken), left
        check(found, weights)
    again = type(found).from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.to_dict() == found.to_dict() and not again.weighed
    check(again, weights)
    moved = {name: data.draw(st.permutations(range(len(d)))) for name, d in found.domains.items()}
    order = found.places.renamed(moved)
    check(found.renamed(moved), {tuple(np.array(row)[order]): w for row, w in weights.items()})


@settings(deadline=None, max_examples=50)
@given(problems())
def test_what_is_asked_for_settles_it_whatever_the_answers_are(problem):
    maps, seen = problem
    found = CountedPosterior.of(maps, Knowledge((seen,)))
    asked = found.ask()
    for truth in every_map(maps, seen)[:20]:
        left = found
        for network, symbol in asked:
            left = left.given(network, symbol, [truth[found.places.of(network, symbol)]])
        assert left.total == 1
        assert tuple(itertools.chain(*left.best().values())) == truth


def sums(size, seen):
    """Sums of two symbols, of which some combinations are seen."""
    target = relation(size, 2, lambda a, b: a + b)
    rng = np.random.default_rng(1)
    chosen = rng.choice(len(target), seen, replace=False)
    return AdmittedMaps([target]), Knowledge((target.select(np.isin(range(len(target)), chosen)),))


def test_readings_that_cannot_be_listed_are_drawn_evenly_and_settled_by_what_is_asked_for():
    maps, known = sums(20, 10)
    found = CountedPosterior.of(maps, known)
    assert found.total == maps.count(known, bijective=True) == 70_560
    assert found.every(10_000) is None
    drawn = found.sample(4000, np.random.default_rng(0))
    for symbol, chances in enumerate(found.meanings()["net"]):
        seen = np.bincount(drawn[:, symbol], minlength=20) / len(drawn)
        np.testing.assert_allclose(seen, chances, atol=0.04)
    asked = found.ask()
    assert len(asked) < 12
    for truth in found.sample(20, np.random.default_rng(1)):
        left = found
        for network, symbol in asked:
            left = left.given(network, symbol, [int(truth[symbol])])
        assert left.total == 1


def test_parts_that_nothing_connects_are_drawn_independently():
    target = relation(4, 2, lambda a, b: a + b)
    known = Knowledge((only(target, [(0, 1), (2, 3)]),))
    found = CountedPosterior.of(AdmittedMaps([target]), known)
    assert found.total == 4
    drawn = found.sample(400, np.random.default_rng(0))
    rows, times = np.unique(drawn, axis=0, return_counts=True)
    assert len(rows) == 4 and times.min() > 60


def test_a_symbol_that_may_mean_nothing_leaves_no_reading():
    target = relation(4, 2, lambda a, b: a + b)
    maps = AdmittedMaps([target])
    found = CountedPosterior.of(maps, Knowledge((only(target, []),)))
    nothing = (0, 15, 15, 15)
    assert found.total == math.factorial(4) and found.counter.count(nothing) == 0
    assert found.counter.sample(3, np.random.default_rng(0), nothing).shape == (0, 4)


def test_only_what_can_be_asked_for_is():
    maps, known = sums(12, 4)
    found = CountedPosterior.of(maps, known)
    assert found.every(1000) is None
    among = [0, 1, 2]
    assert {symbol for _, symbol in found.ask(among)} <= set(among)
    assert found.ask([]) == []


def test_more_than_can_be_weighed_are_counted_by_the_part_they_are_in():
    maps, known = sums(12, 4)
    found = weigh_parts(maps, known, lambda names, reading: 0.0)
    assert not found.weighed
    assert found.total == maps.count(known, bijective=True) > 1000
    again = FactoredPosterior.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_allclose(again.meanings()["net"], found.meanings()["net"])
    assert not again.weighed


def test_too_long_a_count_is_refused():
    maps, known = sums(20, 10)
    with pytest.raises(LimitError, match="took more than"):
        CountedPosterior.of(maps, known, seconds=0.0)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"variables": [0, 0, 1]}, "variables"),
        ({"variables": [0, 1, 9]}, "variables"),
        ({"cases": []}, "weight"),
        ({"cases": [{"weight": -1, "meant": [7, 7, 7]}]}, "weight"),
        ({"cases": [{"weight": math.nan, "meant": [7, 7, 7]}]}, "weight"),
        ({"cases": [{"weight": 1, "meant": [7, 7, 8]}]}, "does not have"),
        ({"cases": [{"weight": 1, "meant": [7, 7]}]}, "does not have"),
        ({"cases": [{"weight": 1, "meant": [1, 1, 1]}]}, "no readings"),
        ({"networks": {"net": ["0", "1"], "other": ["0"]}}, "no such symbols"),
        ({"problem": {}}, "KeyError"),
        ({"problem": {"kinds": [0]}}, "kinds"),
        ({"problem": {"domains": [7, 7, 8]}}, "domain"),
        ({"problem": {"domains": [7, 7, -1]}}, "domain"),
        ({"problem": {"different": []}}, "no permutations"),
        ({"problem": {"different": [[0, 1]]}}, "no permutations"),
        ({"problem": {"different": [[0, 1], [1, 2]]}}, "two groups"),
        ({"problem": {"different": [[0, 5]]}}, "two groups"),
        ({"problem": {"constraints": [[0, 0, 1, 2]]}}, "table"),
        ({"problem": {"constraints": [[0, 7]]}}, "table"),
        ({"problem": {"constraints": [[5, 0, 1]]}}, "IndexError"),
        ({"problem": {"tables": [3]}}, "TypeError"),
    ],
)
def test_damage_is_told(damage, told):
    target = relation(3, 2, lambda a, b: a == b)
    whole = CountedPosterior.of(AdmittedMaps([target]), Knowledge((target,))).to_dict()
    for key, value in damage.items():
        mended = {**whole["problem"], **value} if key == "problem" and value else value
        whole = {**whole, key: mended}
    with pytest.raises(ValueError, match=told):
        CountedPosterior.from_dict(whole)
