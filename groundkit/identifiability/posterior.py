"""What the symbols of trained networks may mean: the maps that are left, each with its weight.

A *reading* maps every symbol that a network predicts to the symbol that it stands for. A program
with its observations leaves several readings where it has reasoning shortcuts (Marconato et al.,
"BEARS Make Neuro-Symbolic Models Aware of their Reasoning Shortcuts", UAI 2024, approximates the
doubt between them by an ensemble). Here the readings are counted and weighed exactly: those that
differ only in symbols which the goals treat alike have one weight and are kept as one, times the
number of ways to trade these symbols.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundkit.errors import DataError, LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.places import Places
from groundkit.identifiability.relations import IntArray

FloatArray = NDArray[np.float64]

MOST_LISTED = 1000
"""Readings that are listed and weighed one by one, at most."""
LIGHTEST = 1e-3
"""A reading counts as left when it weighs at least this share of the heaviest one."""
_TIE = 1e-6
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class MapPosterior:
    """Readings with their weights, factored by the symbols that may trade places.

    Attributes:
        domains: Network (or several that read the same images) -> its symbols.
        maps: (M, V) what every predicted symbol stands for, network after network; every row
            stands for all readings that differ from it by symbols of equal label.
        weights: (M,) weight of all these readings together; they sum to 1.
        labels: (V,) a label for every symbol: members of a label may trade places.
        weighed: Whether each has its weight by the data.
    """

    domains: Mapping[str, tuple[str, ...]]
    maps: IntArray
    weights: FloatArray
    labels: IntArray
    weighed: bool = True

    @property
    def orbit(self) -> int:
        """Number of readings that a row stands for."""
        _, sizes = np.unique(self.labels, return_counts=True)
        ways: int = math.prod(math.factorial(int(size)) for size in sizes)
        return ways

    @property
    def total(self) -> int:
        """Number of readings that program and data do not rule out."""
        return len(self.maps) * self.orbit

    @property
    def count(self) -> int:
        """Number of readings left, those aside that weigh next to nothing."""
        heavy: int = int((self.weights >= LIGHTEST * self.weights.max()).sum())
        left: int = heavy * self.orbit
        return left

    @property
    def places(self) -> Places:
        """Where the symbols of every network stand."""
        return Places(self.domains)

    @classmethod
    def apart(
        cls, domains: Mapping[str, tuple[str, ...]], maps: IntArray, weights: FloatArray
    ) -> MapPosterior:
        """Returns readings (M, V), not weighed by the data, of which every row is for itself."""
        return cls(domains, maps, weights, np.arange(maps.shape[1]), weighed=False)

    def meanings(self) -> dict[str, FloatArray]:
        """Returns network -> (K, K) probability that predicted symbol k stands for symbol s."""
        found = {}
        for network, part in self.places.slices():
            own = self.labels[part]
            alike = own[:, None] == own[None, :]
            share = alike / alike.sum(axis=1, keepdims=True)
            found[network] = np.einsum("m,mks->ks", self.weights, share[self.maps[:, part]])
        return found

    def best(self) -> dict[str, tuple[int, ...]]:
        """Returns the heaviest reading; of several, one that leaves the most symbols in place."""
        heaviest = np.flatnonzero(self.weights >= self.weights.max() * (1 - _TIE))
        nearest = [self._nearest(self.maps[row]) for row in heaviest]
        fixed = [int((one == self.places.identity()).sum()) for one in nearest]
        return self.places.split(nearest[int(np.argmax(fixed))])

    def _nearest(self, row: IntArray) -> IntArray:
        """Trades alike symbols so that as many as possible stand for themselves."""
        starts = self.places.starts()
        met = self.labels[starts + row]
        found = np.full(len(row), -1)
        stay = met == self.labels
        found[stay] = self.places.identity()[stay]
        for label in np.unique(met[~stay]):
            open_ = np.flatnonzero(~stay & (met == label))
            members = np.flatnonzero((self.labels == label) & ~stay)
            found[open_] = members - starts[members]
        return found

    def representatives(self, limit: int) -> tuple[IntArray, FloatArray] | None:
        """Lists one reading (M, V) of all that differ by alike symbols, with their weights.

        Those that weigh nothing are left out; ``None`` where there are more than ``limit``.
        """
        kept = self.weights > 0
        return (self.maps[kept], self.weights[kept]) if kept.sum() <= limit else None

    def every(self, limit: int) -> tuple[IntArray, FloatArray] | None:
        """Lists all readings (N, V) with their weights; ``None`` where there are more."""
        if self.total > limit:
            return None
        starts = self.places.starts()
        rows: list[IntArray] = []
        for row in self.maps:
            met = self.labels[starts + row]
            places = [np.flatnonzero(met == label) for label in np.unique(met)]
            orders = [list(itertools.permutations(row[own].tolist())) for own in places]
            for chosen in itertools.product(*orders):
                moved = row.copy()
                for own, values in zip(places, chosen, strict=True):
                    moved[own] = values
                rows.append(moved)
        return np.array(rows), np.repeat(self.weights / self.orbit, self.orbit)

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Draws readings (count, V) by their weights."""
        starts = self.places.starts()
        rows = self.maps[rng.choice(len(self.maps), size=count, p=self.weights)].copy()
        for row in rows:
            met = self.labels[starts + row]
            for label in np.unique(met):
                own = np.flatnonzero(met == label)
                row[own] = rng.permutation(row[own])
        return rows

    def swaps(self) -> Iterator[tuple[str, int, int]]:
        """Yields trades of two alike symbols that generate all of them."""
        for network, part in self.places.slices():
            own = self.labels[part]
            for label in np.unique(own):
                members = np.flatnonzero(own == label).tolist()
                yield from ((network, a, b) for a, b in itertools.pairwise(members))

    def given(
        self, network: str, symbol: int, meant: Collection[int], *, mistaken: float = 0.0
    ) -> MapPosterior:
        """Returns what is left once it is known what a predicted symbol stands for.

        Args:
            network: The network.
            symbol: The symbol that it predicts.
            meant: The symbols of which one is meant.
            mistaken: Probability that the image which says so was given the wrong symbol: readings
                in which none of ``meant`` is meant keep that share of their weight.

        Raises:
            DataError: No reading is left.
            LimitError: There are too many to list.
        """
        place, start = self.places.of(network, symbol), self.places.of(network, 0)
        wanted = {start + one for one in meant}
        labels = self.labels.copy()
        parts: dict[int, tuple[list[int], list[int]]] = {}
        for label in np.unique(self.labels).tolist():
            members = np.flatnonzero(self.labels == label).tolist()
            inside = [one for one in members if one in wanted]
            outside = [one for one in members if one not in wanted]
            if inside and outside:
                parts[label] = (inside, outside)
                labels[inside], labels[outside] = inside[0], outside[0]
        rows: list[IntArray] = []
        weights: list[float] = []
        starts = self.places.starts()
        for row, weight in zip(self.maps, self.weights.tolist(), strict=True):
            if weight > 0:
                for moved, share in _refined(row, self.labels[starts + row], parts, starts):
                    chance = 1 - mistaken if start + moved[place] in wanted else mistaken
                    if chance > 0:
                        rows.append(moved)
                        weights.append(weight * share * chance)
                        if len(rows) > 20 * MOST_LISTED:
                            raise LimitError(
                                "too many readings of the symbols to list them",
                                remedy="correct the labels that contradict others, or leave "
                                "them out",
                            )
        if not rows:
            raise nothing_left(self.domains[network], symbol, meant)
        total = np.array(weights)
        shares = total / total.sum()
        return MapPosterior(self.domains, np.array(rows), shares, labels, self.weighed)

    def entropy(self, places: Sequence[int] | None = None) -> float:
        """Returns how much is unknown, in nats, of what some predicted symbols stand for.

        Args:
            places: Their positions over all networks; all by default.
        """
        chosen = list(range(len(self.labels))) if places is None else list(places)
        met = self.labels[self.places.starts() + self.maps][:, chosen]
        patterns, which = np.unique(met, axis=0, return_inverse=True)
        weights = np.bincount(which.reshape(-1), self.weights, minlength=len(patterns))
        total = -float((weights * np.log(np.maximum(weights, _TINY))).sum())
        size = dict(zip(*np.unique(self.labels, return_counts=True), strict=True))
        if max(size.values(), default=1) == 1:
            return total
        for pattern, weight in zip(patterns, weights.tolist(), strict=True):
            if weight <= 0:
                continue
            ways = sum(
                math.lgamma(size[label] + 1) - math.lgamma(size[label] - met_times + 1)
                for label, met_times in zip(*np.unique(pattern, return_counts=True), strict=True)
            )
            total += weight * ways
        return total

    def ask(self, among: Collection[int] | None = None) -> list[tuple[str, int]]:
        """Finds few predicted symbols of which one has to know what they stand for.

        Greedy by expected information, then without those that the others made needless.

        Args:
            among: Positions, over all networks, of the symbols to choose from; all by default.

        Returns:
            Network and symbol of each; once all are known, one reading is left (as far as these
            symbols can tell).
        """
        open_ = list(range(len(self.labels)) if among is None else sorted(among))
        settled = self.entropy(open_) - 1e-9
        if settled <= 0:
            return []
        chosen: list[int] = []
        known = 0.0
        while known < settled:
            rest = [place for place in open_ if place not in chosen]
            gains = [self.entropy([*chosen, place]) for place in rest]
            chosen.append(rest[int(np.argmax(np.round(gains, 9)))])
            known = max(gains)
        for place in list(chosen[:-1]):
            fewer = [other for other in chosen if other != place]
            if self.entropy(fewer) >= settled:
                chosen = fewer
        return [self.places.at(place) for place in chosen]

    def renamed(self, moved: Mapping[str, Sequence[int]]) -> MapPosterior:
        """Returns the same readings once predicted symbols go by other names.

        Args:
            moved: Network -> the new name of every predicted symbol.
        """
        return replace(self, maps=self.maps[:, self.places.renamed(moved)])

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return {
            "networks": {network: list(domain) for network, domain in self.domains.items()},
            "maps": self.maps.tolist(),
            "weights": self.weights.tolist(),
            "labels": self.labels.tolist(),
            "weighed": self.weighed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MapPosterior:
        """Reads what :meth:`to_dict` returned.

        Raises:
            ValueError: It is something else.
        """
        try:
            domains = {str(name): tuple(map(str, own)) for name, own in values["networks"].items()}
            found = cls(
                domains,
                np.array(values["maps"], dtype=np.int64),
                np.array(values["weights"], dtype=np.float64),
                np.array(values["labels"], dtype=np.int64),
                bool(values.get("weighed", True)),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        found._check()
        return found

    def _check(self) -> None:
        width, count = len(self.places), len(self.weights)
        if self.maps.shape != (count, width) or self.labels.shape != (width,) or not count:
            raise ValueError("maps, weights and labels do not fit the networks")
        if not (self.weights >= 0).all() or abs(self.weights.sum() - 1) > _TIE:
            raise ValueError("the weights are no distribution")
        for _, part in self.places.slices():
            size = part.stop - part.start
            if not (np.sort(self.maps[:, part], axis=1) == np.arange(size)).all():
                raise ValueError("a map is no permutation")
            own = self.labels[part] - part.start
            inside = (own >= 0) & (own <= np.arange(size))
            if not inside.all() or (own[own] != own).any():
                raise ValueError("the labels are not those of symbols")


def nothing_left(domain: Sequence[str], symbol: int, meant: Collection[int]) -> DataError:
    """Returns the error of a label that no reading explains.

    Args:
        domain: The symbols of its network.
        symbol: The predicted symbol.
        meant: The symbols of which the label says that it stands for one.
    """
    return DataError(
        f"no reading is left in which the networks' '{domain[symbol]}' stands for "
        f"{' or '.join(domain[one] for one in meant)}",
        expected="labels that agree with the program and with each other",
        remedy="check the label; if it is right, the network mistakes this image: label "
        "another image of the symbol",
    )


def _refined(
    row: IntArray,
    met: IntArray,
    parts: Mapping[int, tuple[list[int], list[int]]],
    starts: IntArray,
) -> Iterator[tuple[IntArray, float]]:
    """Yields a row by which of its places take which part of a label, each with its share."""
    places = {label: np.flatnonzero(met == label).tolist() for label in parts}
    choices = [
        itertools.combinations(places[label], len(inside)) for label, (inside, _) in parts.items()
    ]
    ways = math.prod(math.comb(len(places[label]), len(parts[label][0])) for label in parts)
    for chosen in itertools.product(*choices):
        moved = row.copy()
        for own, (label, (inside, outside)) in zip(chosen, parts.items(), strict=True):
            rest = [place for place in places[label] if place not in own]
            for open_, values in ((list(own), inside), (rest, outside)):
                moved[open_] = np.array(values) - starts[open_]
        yield moved, 1.0 / ways


def weigh_maps(
    maps: AdmittedMaps,
    known: Knowledge,
    log_likelihood: Callable[[Mapping[str, tuple[int, ...]]], float] | None = None,
    *,
    apart: Collection[str] = (),
    limit: int = MOST_LISTED,
) -> MapPosterior:
    """Weighs the readings that agree with what is known, all alike before the data is seen.

    Args:
        maps: The maps that some goals admit.
        known: Combinations of predicted symbols that have to keep their answers.
        log_likelihood: Log-likelihood of the data under a reading by network; it has to be the
            same for readings that differ by interchangeable symbols. Absent, all weigh the same.
        apart: Networks of which no two symbols are taken to be interchangeable.
        limit: Most readings that are weighed one by one.

    Raises:
        LimitError: There are more.
    """
    rows, labels = maps.representatives(known, limit=limit, apart=apart)
    free = np.concatenate(
        [
            np.full(part.stop - part.start, name in maps.free)
            for name, part in maps.variables.slices()
        ]
    )
    domains = {name: tuple(maps.domains[name]) for name in maps.free}
    moved = np.cumsum(free) - 1  # labels are positions: they move as observed networks are left out
    whole = MapPosterior(domains, rows[:, free], np.ones(len(rows)), moved[labels[free]])
    scores = np.zeros(len(rows))
    if log_likelihood is not None and len(rows) > 1:
        scores = np.array([log_likelihood(whole.places.split(row)) for row in whole.maps])
    weights = np.exp(scores - scores.max())
    return MapPosterior(domains, whole.maps, weights / weights.sum(), whole.labels)
