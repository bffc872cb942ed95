"""Search for the naming of clusters with the highest score.

All namings are tried where there are few. Otherwise steepest ascent: every swap of two names (and,
where names may repeat, every change of one name) is scored in one batch, and the best is made, or
the best ones that touch different names together, until none helps. After the given starts the
search goes on from random namings and from the best one with a few names cycled, until its budget
of scored namings is spent. Every symbol keeps a cluster: a name that no cluster has could only be
found again by way of worse namings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from groundkit.identifiability.answer_odds import FloatArray
from groundkit.identifiability.relations import IntArray
from groundkit.naming.scorers import Layout, Scorer

EXHAUSTIVE = math.factorial(7)
"""Up to this many namings, all are tried."""
IMPROVEMENT = 1e-7
"""A step has to gain more than the rounding of the scores."""


@dataclass
class Found:
    """Namings seen, best first.

    Attributes:
        ranked: Distinct namings with their scores, best first.
        exact: Whether all namings were tried.
        scored: Number of namings scored.
    """

    ranked: list[tuple[float, IntArray]] = field(default_factory=list)
    exact: bool = False
    scored: int = 0


def namings_of(layout: Layout) -> int:
    """Returns the number of one-to-one namings, or of all where clusters outnumber symbols."""
    return math.prod(
        math.factorial(size) if size == layout.symbols[network] else layout.symbols[network] ** size
        for network, size in layout.clusters.items()
    )


def try_all(scorer: Scorer, layout: Layout, *, kept: int, at_once: int = 720) -> Found:
    """Scores every naming and returns the best ``kept``."""
    found = Found(exact=True)
    every = _all_namings(layout)
    while batch := list(itertools.islice(every, at_once)):
        namings = np.array(batch, dtype=np.int64)
        scores = scorer.scores(namings)
        found.scored += len(namings)
        for place in np.argsort(-scores, kind="stable")[:kept]:
            found.ranked.append((float(scores[place]), namings[place]))
        found.ranked = sorted(found.ranked, key=lambda pair: -pair[0])[:kept]
    return found


def climb(
    scorer: Scorer,
    layout: Layout,
    starts: Sequence[IntArray],
    *,
    budget: int,
    rng: np.random.Generator,
    kept: int,
) -> Found:
    """Climbs from given namings, then from random and perturbed ones, within a budget.

    Args:
        scorer: What to maximise.
        layout: Networks, clusters and symbols.
        starts: Namings to climb from whatever the budget.
        budget: Namings to score; the climb that reaches it is finished.
        rng: Source of the random starts.
        kept: Number of namings to return.
    """
    best: dict[tuple[int, ...], float] = {}
    found = Found()
    for start in starts:
        found.scored += ascend(scorer, layout, start, best)
    for attempt in itertools.count():
        if found.scored >= budget:
            break
        if attempt % 3 == 0:
            begin = _random_naming(layout, rng)
        else:
            begin = _perturbed(layout, np.array(max(best, key=lambda key: best[key])), rng)
        found.scored += ascend(scorer, layout, begin, best)
    ranked = sorted(best.items(), key=lambda pair: -pair[1])[:kept]
    found.ranked = [(score, np.array(naming)) for naming, score in ranked]
    return found


def ascend(
    scorer: Scorer, layout: Layout, start: IntArray, best: dict[tuple[int, ...], float]
) -> int:
    """Makes the best step until none helps; notes the top and its best rival in ``best``.

    Returns:
        The number of namings scored.
    """
    naming, scored = start, 1
    score = float(scorer.scores(start[None])[0])
    while True:
        steps = neighbours(layout, naming)
        if not len(steps):
            break
        scores = scorer.scores(steps)
        scored += len(steps)
        place = int(scores.argmax())
        if scores[place] <= score + IMPROVEMENT:
            best[tuple(steps[place].tolist())] = float(scores[place])
            break
        leap = _leap(
            naming, steps[scores > score + IMPROVEMENT], scores[scores > score + IMPROVEMENT]
        )
        reached = -math.inf
        if _names_all(layout, leap):
            reached = float(scorer.scores(leap[None])[0])
            scored += 1
        naming, score = (
            (leap, reached)
            if reached > scores[place]
            else (
                steps[place],
                float(scores[place]),
            )
        )
    best[tuple(naming.tolist())] = score
    return scored


def _names_all(layout: Layout, naming: IntArray) -> bool:
    """Whether every symbol has a cluster."""
    return all(
        len(np.unique(naming[place])) == layout.symbols[network]
        for network, place in layout.slices().items()
    )


def _leap(naming: IntArray, steps: IntArray, scores: FloatArray) -> IntArray:
    """Makes all gainful steps at once that touch different names, the best ones first.

    In a wide domain most of the first steps have nothing to do with each other: one leap spares
    scoring every pair again after each of them.
    """
    leap = naming.copy()
    touched = np.zeros(len(naming), dtype=np.bool_)
    for place in np.argsort(-scores, kind="stable"):
        moved = steps[place] != naming
        if not (moved & touched).any():
            leap[moved] = steps[place][moved]
            touched |= moved
    return leap


def neighbours(layout: Layout, naming: IntArray) -> IntArray:
    """Returns (P, V) the namings one step away.

    A step swaps two different names of a network; where clusters outnumber symbols it may also
    change one name that another cluster has too.
    """
    steps: list[IntArray] = []
    for network, place in layout.slices().items():
        own = range(place.start, place.stop)
        for left, right in itertools.combinations(own, 2):
            if naming[left] != naming[right]:
                step = naming.copy()
                step[[left, right]] = naming[[right, left]]
                steps.append(step)
        if layout.clusters[network] > layout.symbols[network]:
            counts = np.bincount(naming[place], minlength=layout.symbols[network])
            spare = [cluster for cluster in own if counts[naming[cluster]] > 1]
            for cluster, symbol in itertools.product(spare, range(layout.symbols[network])):
                if naming[cluster] != symbol:
                    step = naming.copy()
                    step[cluster] = symbol
                    steps.append(step)
    return np.array(steps, dtype=np.int64).reshape(len(steps), layout.width)


def _all_namings(layout: Layout) -> Iterator[tuple[int, ...]]:
    parts = [
        list(itertools.permutations(range(size)))
        if size == layout.symbols[network]
        else [
            names
            for names in itertools.product(range(layout.symbols[network]), repeat=size)
            if len(set(names)) == layout.symbols[network]
        ]
        for network, size in layout.clusters.items()
    ]
    for joined in itertools.product(*parts):
        yield tuple(itertools.chain(*joined))


def _random_naming(layout: Layout, rng: np.random.Generator) -> IntArray:
    parts = [
        rng.permutation(np.arange(size) % layout.symbols[network])
        for network, size in layout.clusters.items()
    ]
    return np.concatenate(parts).astype(np.int64)


def _perturbed(layout: Layout, naming: IntArray, rng: np.random.Generator) -> IntArray:
    """Cycles three or four names of one network, which no single swap undoes."""
    places = [place for place in layout.slices().values() if place.stop - place.start > 2]
    if not places:
        return _random_naming(layout, rng)
    place = places[int(rng.integers(len(places)))]
    size = place.stop - place.start
    chosen = place.start + rng.choice(size, min(size, int(rng.integers(3, 5))), replace=False)
    moved = naming.copy()
    moved[chosen] = naming[np.roll(chosen, 1)]
    return moved
