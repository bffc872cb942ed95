"""Relations made from plain functions, and counts of maps by trying every one of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from groundkit.identifiability import identify as identification
from groundkit.identifiability.identify import Observable
from groundkit.identifiability.relations import Relation

EVEN_ODD = [(0, 6), (2, 8), (4, 6), (4, 8), (1, 5), (3, 7), (1, 9), (3, 9)]
HALF = [(0, 0), (0, 1), (2, 3), (2, 4)]


def relation(size: int, calls: int, answer: Callable[..., object]) -> Relation:
    """All combinations of one network's symbols; ``None`` means that there is no proof."""
    rows, answers, known = [], [], {}
    for row in itertools.product(range(size), repeat=calls):
        result = answer(*row)
        if result is not None:
            rows.append(row)
            answers.append(known.setdefault(result, len(known)))
    domain = [str(value) for value in range(size)]
    return Relation.build(
        {"net": domain}, ["net"] * calls, rows, answers, answer_names=[str(k) for k in known]
    )


def only(whole: Relation, rows: Iterable[Sequence[int]]) -> Relation:
    """The given combinations of a relation."""
    wanted = {tuple(row) for row in rows}
    return whole.select([tuple(row) in wanted for row in whole.rows.tolist()])


def admitted_by_brute_force(
    target: Relation, observed: Relation, kept: Collection[str] = ()
) -> list[tuple[int, ...]]:
    """Every map, one symbol after the other over all networks, that keeps every observation."""
    proofs = {
        (tuple(row), answer)
        for row, answer in zip(target.rows.tolist(), target.answers.tolist(), strict=True)
    }
    images: list[list[tuple[int, ...]]] = []
    for name, domain in target.domains.items():
        size = len(domain)
        every = itertools.product(range(size), repeat=size)
        images.append([tuple(range(size))] if name in kept else list(every))
    columns = [list(target.domains).index(name) for name in target.columns]
    seen = list(zip(observed.rows.tolist(), observed.answers.tolist(), strict=True))
    found = []
    for maps in itertools.product(*images):
        moved = (
            (tuple(maps[net][value] for net, value in zip(columns, row, strict=True)), answer)
            for row, answer in seen
        )
        if all(row in proofs for row in moved):
            found.append(tuple(itertools.chain(*maps)))
    return found


def is_bijective(image: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether each network's part of a map is a permutation."""
    parts = np.split(np.array(image), np.cumsum(sizes)[:-1])
    return all(len(set(part.tolist())) == len(part) for part in parts)


def identify(support, domains=None, **settings):
    """Counts the groundings of one goal; what is said of the goal goes to `Observable`."""
    own = {
        name: settings.pop(name)
        for name in ("examples", "slots", "answers", "log_likelihood")
        if name in settings
    }
    return identification.identify([Observable(support, **own)], domains, **settings)
