"""The readings of trained networks' symbols against every map tried one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.errors import DataError, LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.posterior import weigh_maps
from groundkit.identifiability.relations import Relation
from tests.identifiability.oracle import only, relation

SHAPES = {
    "equality": lambda a, b: a == b,
    "parity": lambda a, b: (a + b) % 2,
    "difference": lambda a, b: abs(a - b),
    "sum": lambda a, b: a + b,
    "modulo": lambda a, b: (a + b) % 4,
}


def bijections(sizes):
    every = itertools.product(*(itertools.permutations(range(size)) for size in sizes))
    return [tuple(itertools.chain(*one)) for one in every]


def log_likelihood(target, predictions, answers, flat, offsets):
    """Sum over examples of log P(answer), by the rows of the relation."""
    total = 0.0
    for rows, answer in zip(predictions, answers, strict=True):
        chance = 0.0
        for row in target.rows[target.answers == answer]:
            part = 1.0
            for column, value in enumerate(row.tolist()):
                predicted = flat[offsets[column]].index(value)
                part *= rows[column][predicted]
            chance += part
        total += math.log(0.9 * chance + 0.1 / 8)
    return total


@st.composite
def problems(draw):
    """A random goal over one or two networks, predictions of some examples, and answers."""
    sizes = {"a": draw(st.integers(2, 4)), "b": draw(st.integers(2, 3))}
    columns = draw(st.sampled_from([("a",), ("a", "a"), ("a", "b"), ("a", "a", "b")]))
    every = list(itertools.product(*(range(sizes[name]) for name in columns)))
    answers = draw(
        st.one_of(
            st.lists(st.integers(0, 2), min_size=len(every), max_size=len(every)),
            st.just([sum(row) % 2 for row in every]),
            st.just([len(set(row)) for row in every]),
        )
    )
    domains = {name: [str(k) for k in range(sizes[name])] for name in dict.fromkeys(columns)}
    target = Relation.build(domains, columns, every, answers)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    seen = target.select(rng.random(len(target)) < draw(st.sampled_from([0.0, 0.2, 0.6])))
    count = draw(st.integers(0, 3))
    predictions = [
        [rng.dirichlet(np.ones(sizes[name])).tolist() for name in columns] for _ in range(count)
    ]
    return target, seen, predictions, rng.choice(target.answers, size=count).tolist()


@settings(deadline=None, max_examples=150)
@given(problems(), st.data())
def test_against_every_map(problem, data):
    target, seen, predictions, answers = problem
    maps = AdmittedMaps([target])
    names, sizes = maps.variables.networks, maps.variables.sizes
    columns = [names.index(name) for name in target.columns]

    def score(by_network):
        flat = [by_network[name] for name in names]
        return log_likelihood(target, predictions, answers, flat, columns)

    found = weigh_maps(maps, Knowledge((seen,)), score)
    brute = []
    for flat in bijections(sizes):
        if maps.keeping(np.array([flat]), [seen]).all():
            by_network = maps.split(flat)
            brute.append((flat, math.exp(score(by_network))))
    assert found.total == len(brute)
    chances = np.array([weight for _, weight in brute])
    chances /= chances.sum()
    flats = np.array([flat for flat, _ in brute])
    listed = found.every(10_000)
    ours = {tuple(row): weight for row, weight in zip(listed[0].tolist(), listed[1], strict=True)}
    for flat, chance in zip(map(tuple, flats.tolist()), chances, strict=True):
        assert ours[flat] == pytest.approx(chance, abs=1e-9)
    for name, part in maps.variables.slices():
        own = flats[:, part]
        matrix = np.zeros((own.shape[1],) * 2)
        for row, chance in zip(own, chances, strict=True):
            matrix[np.arange(len(row)), row] += chance
        np.testing.assert_allclose(found.meanings()[name], matrix, atol=1e-9)
    assert found.entropy() == pytest.approx(-(chances * np.log(chances)).sum(), abs=1e-9)
    places = data.draw(st.lists(st.integers(0, sum(sizes) - 1), unique=True, max_size=3))
    _, which = np.unique(flats[:, places], axis=0, return_inverse=True)
    marginal = np.bincount(which.reshape(-1), chances) if places else np.ones(1)
    expected = -(marginal * np.log(marginal)).sum()
    assert found.entropy(places) == pytest.approx(expected, abs=1e-9)
    assert math.exp(score(found.best())) / np.exp(
        [score(maps.split(f)) for f in flats]
    ).max() == pytest.approx(1, abs=1e-5)
    _check_given(found, flats, chances, maps, data)


def _check_given(found, flats, chances, maps, data):
    """What is left after a label is what Bayes' rule leaves of the whole list."""
    name = data.draw(st.sampled_from(maps.variables.networks))
    part = dict(maps.variables.slices())[name]
    size = part.stop - part.start
    symbol = data.draw(st.integers(0, size - 1))
    meant = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    left = np.isin(flats[:, part.start + symbol], list(meant))
    doubted = found.given(name, symbol, meant, mistaken=0.2)
    expected = chances * np.where(left, 0.8, 0.2)
    _check_listed(doubted, flats, expected / expected.sum())
    if not left.any():
        with pytest.raises(DataError):
            found.given(name, symbol, meant)
        return
    _check_listed(
        found.given(name, symbol, meant), flats[left], chances[left] / chances[left].sum()
    )


def _check_listed(after, flats, chances):
    """The readings are those of a list, with its weights."""
    assert after.total == len(flats)
    listed = after.every(10_000)
    ours = {tuple(row): weight for row, weight in zip(listed[0].tolist(), listed[1], strict=True)}
    for flat, chance in zip(map(tuple, flats.tolist()), chances, strict=True):
        assert ours[flat] == pytest.approx(chance, abs=1e-9)
    drawn = after.sample(20, np.random.default_rng(0))
    assert {tuple(row) for row in drawn.tolist()} <= ours.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_asked_for_settles_it_whatever_the_answers_are(name):
    target = relation(4, 2, SHAPES[name])
    found = weigh_maps(AdmittedMaps([target]), Knowledge((target,)))
    asked = found.ask()
    for truth in found.every(1000)[0]:
        left = found
        for network, symbol in asked:
            left = left.given(network, symbol, [int(truth[symbol])])
        assert left.total == 1
        assert left.best()["net"] == tuple(truth.tolist())


def test_many_alike_symbols_are_counted_and_not_listed():
    target = relation(12, 2, lambda a, b: a == b)
    found = weigh_maps(AdmittedMaps([target]), Knowledge((target,)))
    assert found.total == found.count == math.factorial(12) and len(found.maps) == 1
    assert found.every(1000) is None
    np.testing.assert_allclose(found.meanings()["net"], 1 / 12)
    assert len(found.ask()) == 11
    assert found.best()["net"] == tuple(range(12))


def test_too_many_that_differ_in_kind_are_refused_and_not_cut_short():
    target = relation(8, 1, lambda a: a)
    with pytest.raises(LimitError, match="too many"):
        weigh_maps(AdmittedMaps([target]), Knowledge((only(target, []),)))


def test_observed_networks_are_left_out_and_priors_are_kept():
    domains = {"a": ["0", "1", "2"], "seen": ["x", "y"]}
    rows = [(k, s) for k in range(3) for s in range(2)]
    target = Relation.build(domains, ["a", "seen"], rows, [0] * 6)
    maps = AdmittedMaps([target], kept=["seen"])
    found = weigh_maps(maps, Knowledge((target,), prior={"a": [0.5, 0.25, 0.25]}))
    assert found.total == 2 and list(found.domains) == ["a"]
    np.testing.assert_allclose(
        found.meanings()["a"], [[1, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]], atol=1e-12
    )
