"""The maps from true to predicted symbols that a goal and its observations admit."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from groundkit.errors import LimitError, SpecError
from groundkit.identifiability.constraints import (
    Variables,
    build_constraints,
    interchangeable_values,
)
from groundkit.identifiability.count import MapCounter
from groundkit.identifiability.propagate import Problem
from groundkit.identifiability.relations import IntArray, Relation

Maps = dict[str, tuple[int, ...]]
"""Network -> predicted symbol of every true symbol."""

PRIOR_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Knowledge:
    """What is known of the symbols.

    Attributes:
        observed: For every goal, the combinations that are observed, with their answers.
        labelled: Network -> symbols that labels tie to themselves.
        prior: Network -> frequency of every symbol, which a map has to keep.
    """

    observed: tuple[Relation, ...]
    labelled: Mapping[str, Sequence[int]] = field(default_factory=dict)
    prior: Mapping[str, Sequence[float]] = field(default_factory=dict)


class AdmittedMaps:
    """Counts, lists and tests maps under some goals, for any set of observations.

    Args:
        targets: For every goal, every combination of symbols that can give each answer.
        kept: Networks whose symbols are observed: their map is the identity.
        seconds: Time limit of one count.
    """

    def __init__(
        self, targets: Sequence[Relation], *, kept: Collection[str] = (), seconds: float = 20.0
    ) -> None:
        self.targets = tuple(targets)
        self.variables = Variables.of(targets)
        self.domains = {name: d for one in targets for name, d in one.domains.items()}
        self.free = tuple(name for name in self.domains if name not in kept)
        self._kept = frozenset(kept)
        self._seconds = seconds
        self._classes = interchangeable_values(targets)

    def among(self, networks: Collection[str], known: Knowledge) -> tuple[AdmittedMaps, Knowledge]:
        """Returns the maps, and the knowledge, of the goals that ask about some networks.

        Args:
            networks: Networks that no goal asks about together with others that are not observed.
            known: What is known of all.
        """
        chosen = [
            n for n, one in enumerate(self.targets) if not set(networks).isdisjoint(one.columns)
        ]
        maps = AdmittedMaps(
            [self.targets[n] for n in chosen], kept=self._kept, seconds=self._seconds
        )
        own = Knowledge(
            tuple(known.observed[n] for n in chosen),
            {name: one for name, one in known.labelled.items() if name in maps.domains},
            {name: one for name, one in known.prior.items() if name in maps.domains},
        )
        return maps, own

    def count(self, known: Knowledge, *, bijective: bool = False) -> int:
        """Counts the maps that agree with what is known.

        Args:
            known: What is known.
            bijective: Count only maps that are a permutation for every network.

        Raises:
            LimitError: The count takes longer than the time limit.
        """
        return self._counter(known, bijective=bijective).count()

    def solutions(self, known: Knowledge, *, bijective: bool = False) -> Iterator[tuple[int, ...]]:
        """Yields the maps that agree with what is known, by the numbers they hold."""
        yield from self._counter(known, bijective=bijective).solutions()

    def representatives(
        self, known: Knowledge, *, limit: int, apart: Collection[str] = ()
    ) -> tuple[IntArray, IntArray]:
        """Lists permutations, one of all that differ by symbols that the goals treat alike.

        Args:
            known: What is known.
            limit: Most maps that are listed.
            apart: Networks of which no two symbols are taken to be alike.

        Returns:
            (M, V) maps, and (V,) a label for every symbol: within a network, the members of a
            label may trade places in any of the maps.

        Raises:
            LimitError: There are more than ``limit``, or the search takes too long.
        """
        problem = self.problem(known, bijective=True)
        labels: list[tuple[int, ...]] = []
        for name, part in self.variables.slices():
            domains = problem.domains[part]
            alike: dict[tuple[object, ...], int] = {}
            found = []
            for value, label in enumerate(self._classes[name]):
                held = tuple(domain >> value & 1 for domain in domains)
                own = value if name in apart else label
                found.append(alike.setdefault((own, held), value))
            labels += [tuple(found)] * len(domains)
        counter = MapCounter(replace(problem, value_classes=tuple(labels)), seconds=self._seconds)
        listed = list(itertools.islice(counter.solutions(representatives=True), limit + 1))
        if len(listed) > limit:
            raise LimitError(
                "too many maps to list them", expected=f"at most {limit} that differ in kind"
            )
        maps = np.array(listed, dtype=np.int64).reshape(len(listed), self.variables.count)
        starts = {name: part.start for name, part in self.variables.slices()}
        flat = [starts[name] + label for name in starts for label in labels[starts[name]]]
        return maps, np.array(flat, dtype=np.int64)

    def listing(self, known: Knowledge, *, limit: int) -> IntArray:
        """Returns the first ``limit`` maps as (M, V) predicted symbols, in canonical order.

        The order: the identity, permutations, collapses; each by the numbers they hold.
        """
        found = list(itertools.islice(self.solutions(known), limit))
        maps = np.array(found, dtype=np.int64).reshape(len(found), self.variables.count)
        merged = ~self.are_bijective(maps)
        moved = (maps != self.identity()).any(axis=1)
        return maps[np.lexsort((*maps.T[::-1], merged, moved))]

    def identity(self) -> IntArray:
        """Returns (V,) the map that sends every symbol to itself."""
        return np.concatenate([np.arange(size) for size in self.variables.sizes])

    def keeping(self, maps: IntArray, observed: Sequence[Relation]) -> NDArray[np.bool_]:
        """Returns (M, N) whether map m keeps the answer of observation n, goal after goal."""
        parts = [
            self._keeping(maps, target, one)
            for target, one in zip(self.targets, observed, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def _keeping(self, maps: IntArray, target: Relation, observed: Relation) -> NDArray[np.bool_]:
        columns = observed.rows + self.variables.column_offsets(observed)
        kept = np.empty((len(maps), len(columns)), dtype=np.bool_)
        step = max(1, 2_000_000 // max(columns.size, 1))
        for start in range(0, len(maps), step):
            images = maps[start : start + step][:, columns]
            flat = images.reshape(-1, columns.shape[1])
            answers = np.tile(observed.answers, len(images))
            kept[start : start + step] = target.contains(flat, answers).reshape(
                len(images), len(columns)
            )
        return kept

    def are_bijective(self, maps: IntArray) -> NDArray[np.bool_]:
        """Returns (M,) whether each map is a permutation for every network."""
        whole = np.ones(len(maps), dtype=np.bool_)
        for _, part in self.variables.slices():
            whole &= (np.sort(maps[:, part], axis=1) == np.arange(part.stop - part.start)).all(1)
        return whole

    def split(self, image: Sequence[int] | IntArray) -> Maps:
        """Splits (V,) predicted symbols by network, leaving out observed networks."""
        flat = [int(value) for value in image]
        return {
            name: tuple(flat[part]) for name, part in self.variables.slices() if name in self.free
        }

    def join(self, maps: Mapping[str, Sequence[int]]) -> IntArray:
        """Joins maps by network into (V,); networks left out keep their symbols."""
        joined = self.identity()
        for name, part in self.variables.slices():
            if name in maps:
                joined[part] = list(maps[name])
        return joined

    def _counter(self, known: Knowledge, *, bijective: bool) -> MapCounter:
        return MapCounter(self.problem(known, bijective=bijective), seconds=self._seconds)

    def problem(self, known: Knowledge, *, bijective: bool = False) -> Problem:
        """Returns the conditions on maps that agree with what is known.

        Args:
            known: What is known.
            bijective: Only maps that are a permutation for every network.
        """
        domains = self._domains(known.labelled)
        different = self._groups() if bijective else []
        for network, frequencies in known.prior.items():
            group = self._keep_frequencies(network, frequencies, domains)
            if not bijective:
                different.append(group)
        kinds = self.variables.network_of()
        classes = [tuple(self._classes[name]) for name in self.variables.networks]
        return Problem(
            domains=tuple(domains),
            constraints=tuple(
                constraint
                for target, observed in zip(self.targets, known.observed, strict=True)
                for constraint in build_constraints(target, observed, self.variables)
            ),
            different=tuple(different),
            value_classes=tuple(classes[kind] for kind in kinds),
            kinds=kinds,
        )

    def _domains(self, labelled: Mapping[str, Sequence[int]]) -> list[int]:
        domains: list[int] = []
        for name, size in zip(self.variables.networks, self.variables.sizes, strict=True):
            tied = range(size) if name in self._kept else labelled.get(name, ())
            domains += [1 << s if s in tied else (1 << size) - 1 for s in range(size)]
        return domains

    def _groups(self) -> list[tuple[int, ...]]:
        return [
            tuple(range(part.start, part.stop))
            for name, part in self.variables.slices()
            if name in self.free
        ]

    def _keep_frequencies(
        self, network: str, frequencies: Sequence[float], domains: list[int]
    ) -> tuple[int, ...]:
        """Narrows domains to symbols of equal frequency and returns who must differ.

        A map keeps a distribution exactly when it permutes the symbols of positive frequency
        among symbols of the same frequency; symbols that never occur may go anywhere.
        """
        share = np.asarray(frequencies, dtype=np.float64)
        part = dict(self.variables.slices())[network]
        if share.shape != (part.stop - part.start,) or (share < 0).any() or share.sum() <= 0:
            raise SpecError(
                f"{share.size} frequencies for the {part.stop - part.start} symbols of "
                f"network '{network}'",
                expected="one frequency >= 0 per symbol, not all zero",
            )
        share = share / share.sum()
        occurring = [symbol for symbol, value in enumerate(share) if value > PRIOR_TOLERANCE]
        for symbol in occurring:
            alike = np.flatnonzero(np.abs(share - share[symbol]) <= PRIOR_TOLERANCE)
            domains[part.start + symbol] &= sum(1 << int(other) for other in alike)
        return tuple(part.start + symbol for symbol in occurring)
