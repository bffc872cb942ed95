"""The fewest extra observations that leave one map: found greedily, proved by recount."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundkit.errors import LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.relations import IntArray, Relation

RIVALS_LISTED = 5_000
"""With at most this many maps left, they are listed and every candidate is tested on all."""
CELLS_TESTED = 4_000_000
"""Bound on maps times candidates in one test."""
RECOUNTS = 10
"""Candidates recounted for one choice while there are too many maps to list."""


@dataclass(frozen=True)
class Suggestion:
    """Extra knowledge that pins the symbols down.

    Attributes:
        kind: ``observations`` (combinations and their answers), ``observations with the prior``,
            ``labels`` (a labelled image of each named symbol) or ``goals`` (another goal of the
            program, asked as well).
        items: What to add, in words; empty with a ``reason`` if there is no such set.
        left: Number of maps that remain with the items, by recount; ``None`` if not recounted.
        reason: Why there is no such set, or why it was not proved.
        rows: For observations, the goals and rows of their full relations that are chosen.
        labels: For labels, network -> the symbols to label, by index.
    """

    kind: str
    items: tuple[str, ...]
    left: int | None
    reason: str | None = None
    rows: tuple[tuple[int, int], ...] = ()
    labels: dict[str, tuple[int, ...]] | None = None

    def to_dict(self) -> dict[str, object]:
        """Returns the suggestion as JSON-able values."""
        return {
            "kind": self.kind,
            "items": list(self.items),
            "left": self.left,
            "reason": self.reason,
        }


class Candidates(Protocol):
    """Things that could be observed, numbered from 0."""

    def __len__(self) -> int:
        """Returns how many there are."""

    def count(self, chosen: Sequence[int]) -> int:
        """Counts the maps left when the chosen things are observed too."""

    def listing(self, chosen: Sequence[int]) -> IntArray:
        """Lists those maps, the identity first: (M, V)."""

    def keeping(self, maps: IntArray, places: IntArray) -> NDArray[np.bool_]:
        """Returns (M, P) whether map m survives observing candidate p alone."""


class LabelCandidates:
    """Every symbol of every network as something to label."""

    def __init__(self, maps: AdmittedMaps, known: Knowledge) -> None:
        self._maps, self._known = maps, known
        domains = maps.domains
        self.pairs = [(name, s) for name in maps.free for s in range(len(domains[name]))]
        starts = {name: part.start for name, part in maps.variables.slices()}
        self._columns = np.array([starts[name] + s for name, s in self.pairs], dtype=np.int64)
        self._symbols = np.array([s for _, s in self.pairs], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.pairs)

    def labelled(self, chosen: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Returns the chosen symbols by network."""
        by_network: dict[str, tuple[int, ...]] = {}
        for place in chosen:
            name, symbol = self.pairs[place]
            by_network[name] = (*by_network.get(name, ()), symbol)
        return by_network

    def count(self, chosen: Sequence[int]) -> int:
        """Counts the maps left when the chosen symbols are labelled."""
        return self._maps.count(replace(self._known, labelled=self.labelled(chosen)))

    def listing(self, chosen: Sequence[int]) -> IntArray:
        """Lists the maps left when the chosen symbols are labelled."""
        known = replace(self._known, labelled=self.labelled(chosen))
        return self._maps.listing(known, limit=RIVALS_LISTED)

    def keeping(self, maps: IntArray, places: IntArray) -> NDArray[np.bool_]:
        """Returns which maps leave each of the candidate symbols where it is."""
        kept: NDArray[np.bool_] = maps[:, self._columns[places]] == self._symbols[places]
        return kept


class CombinationCandidates:
    """Every combination of the full relations that is not observed yet."""

    def __init__(self, maps: AdmittedMaps, known: Knowledge) -> None:
        self._maps, self._known = maps, known
        goals: list[IntArray] = []
        rows: list[IntArray] = []
        for goal, (target, seen) in enumerate(zip(maps.targets, known.observed, strict=True)):
            unseen = np.flatnonzero(~seen.contains(target.rows, target.answers))
            goals.append(np.full(len(unseen), goal))
            rows.append(unseen)
        self.goals, self.rows = np.concatenate(goals), np.concatenate(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def count(self, chosen: Sequence[int]) -> int:
        """Counts the maps left when the chosen combinations are observed too."""
        return self._maps.count(self._extended(chosen))

    def listing(self, chosen: Sequence[int]) -> IntArray:
        """Lists the maps left when the chosen combinations are observed too."""
        return self._maps.listing(self._extended(chosen), limit=RIVALS_LISTED)

    def keeping(self, maps: IntArray, places: IntArray) -> NDArray[np.bool_]:
        """Returns which maps keep the answer of each candidate combination."""
        kept = np.empty((len(maps), len(places)), dtype=np.bool_)
        order = np.argsort(self.goals[places], kind="stable")
        kept[:, order] = self._maps.keeping(maps, self._picked(places[order]))
        return kept

    def describe(self, place: int) -> str:
        """Words a candidate."""
        target: Relation = self._maps.targets[int(self.goals[place])]
        return target.describe(int(self.rows[place]))

    def _picked(self, places: IntArray) -> list[Relation]:
        """Returns the chosen combinations by goal."""
        return [
            target.select(self.rows[places[self.goals[places] == goal]])
            for goal, target in enumerate(self._maps.targets)
        ]

    def _extended(self, chosen: Sequence[int]) -> Knowledge:
        extra = self._picked(np.array(chosen, dtype=np.int64))
        pairs = zip(self._known.observed, extra, strict=True)
        return replace(self._known, observed=tuple(old.joined(new) for old, new in pairs))


def suggest_labels(
    maps: AdmittedMaps, known: Knowledge, count: int | None, *, seconds: float
) -> Suggestion:
    """Finds symbols which, once labelled, leave one map.

    Args:
        maps: The admitted maps of the goal.
        known: What is known already.
        count: Number of maps it leaves; ``None`` if that could not be counted.
        seconds: Time limit of the search.
    """
    candidates = LabelCandidates(maps, known)
    chosen, left, reason = _greedy(candidates, count, seconds)
    domains, several = maps.domains, len(maps.free) > 1
    items = tuple(
        f"{name}: {domains[name][symbol]}" if several else domains[name][symbol]
        for name, symbol in (candidates.pairs[place] for place in chosen)
    )
    return Suggestion("labels", items, left, reason, labels=candidates.labelled(chosen))


def suggest_observations(
    maps: AdmittedMaps,
    known: Knowledge,
    count: int | None,
    full_count: int | None,
    *,
    seconds: float,
) -> Suggestion:
    """Finds unobserved combinations which, observed with their answers, leave one map.

    Args:
        maps: The admitted maps of the goal.
        known: What is known already; a prior in it counts as known throughout.
        count: Number of maps it leaves; ``None`` if that could not be counted.
        full_count: Number of maps left when every combination is observed.
        seconds: Time limit of the search.
    """
    kind = "observations with the prior" if known.prior else "observations"
    if full_count != 1:
        number = "an unknown number of" if full_count is None else f"{full_count}"
        why = f"with every combination observed, {number} maps remain"
        return Suggestion(kind, (), None, why)
    candidates = CombinationCandidates(maps, known)
    chosen, left, reason = _greedy(candidates, count, seconds)
    rows = tuple((int(candidates.goals[n]), int(candidates.rows[n])) for n in chosen)
    items = tuple(candidates.describe(place) for place in chosen)
    return Suggestion(kind, items, left, reason, rows=rows)


def _greedy(
    candidates: Candidates, count: int | None, seconds: float
) -> tuple[list[int], int | None, str | None]:
    """Returns the chosen candidates, the proved number of maps left, and what went wrong."""
    deadline = time.monotonic() + seconds
    chosen: list[int] = []
    rivals: IntArray | None = None
    try:
        while count != 1:
            if count is None or count > RIVALS_LISTED:
                place, count = _best_by_recount(candidates, chosen, deadline)
            else:
                rivals = candidates.listing(chosen) if rivals is None else rivals
                place, rivals = _best_on_list(candidates, chosen, rivals)
                count = len(rivals)
            chosen.append(place)
        chosen = _without_needless(candidates, chosen)
        return sorted(chosen), candidates.count(chosen), None
    except LimitError as error:
        return sorted(chosen), None, f"not proved: {error.found}"


def _best_by_recount(
    candidates: Candidates, chosen: Sequence[int], deadline: float
) -> tuple[int, int]:
    """Returns the candidate that leaves the fewest maps, of some spread over all, and the count."""
    unused = [place for place in range(len(candidates)) if place not in set(chosen)]
    best: tuple[int, int] | None = None
    for place in unused[:: max(1, len(unused) // RECOUNTS)]:
        if time.monotonic() > deadline:
            raise LimitError("the search for extra observations ran out of time")
        left = candidates.count([*chosen, place])
        if best is None or left < best[0]:
            best = left, place
    if best is None:
        raise LimitError("every candidate is used up and several maps remain")
    return best[1], best[0]


def _best_on_list(
    candidates: Candidates, chosen: Sequence[int], rivals: IntArray
) -> tuple[int, IntArray]:
    """Returns the candidate that most of the listed maps fail, and the maps that pass it."""
    unused = np.setdiff1d(np.arange(len(candidates)), np.array(chosen, dtype=np.int64))
    places = unused[:: 1 + len(rivals) * len(unused) // CELLS_TESTED]
    left = candidates.keeping(rivals, places).sum(axis=0)
    place = int(places[left.argmin()])
    if left.min() == len(rivals):  # none of those tried tells the maps apart: find one that does
        place = int(unused[candidates.keeping(rivals[1:2], unused)[0].argmin()])
    passing = candidates.keeping(rivals, np.array([place]))[:, 0]
    return place, rivals[passing]


def _without_needless(candidates: Candidates, chosen: Sequence[int]) -> list[int]:
    """Drops every choice that the later ones made needless."""
    kept = list(chosen)
    for place in chosen[:-1]:
        fewer = [other for other in kept if other != place]
        if candidates.count(fewer) == 1:
            kept = fewer
    return kept
