"""Readings that are too many to list, counted by what program and data demand of them.

The weight of a listed reading is worked out reading by reading. Where there are too many for that,
all that keep the answers weigh the same, and what is asked of them is a count: the chance that a
predicted symbol stands for another is the share of the readings in which it does. The counter
splits into parts that nothing connects and multiplies their counts
(:mod:`groundkit.identifiability.count`), so that no reading is listed, and none is left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from groundkit.errors import LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.count import MapCounter
from groundkit.identifiability.places import Places
from groundkit.identifiability.posterior import (
    LIGHTEST,
    MOST_LISTED,
    FloatArray,
    MapPosterior,
    nothing_left,
)
from groundkit.identifiability.propagate import Problem
from groundkit.identifiability.relations import IntArray

_DRAWN = 300
"""Readings that are drawn to choose what to ask."""
_TRIED = 200
"""Readings for which it is tried whether what is asked for would settle them."""
_OTHERS = 4
"""Readings that are drawn of those which agree with one of these in what is asked for."""
_MOST_CASES = 1000


@dataclass(frozen=True)
class Case:
    """Readings of one weight.

    Attributes:
        weight: What each of them weighs, against those of the other cases.
        meant: For every variable of the problem, the bit set of symbols that may be meant.
        count: Their number.
    """

    weight: float
    meant: tuple[int, ...]
    count: int


@dataclass(frozen=True, eq=False)
class CountedPosterior:
    """Readings with their weights, as conditions that they keep.

    Attributes:
        domains: Network (or several that read the same images) -> its symbols.
        counter: Counts what keeps the answers. A variable of its problem is a predicted symbol,
            its value the symbol that this stands for.
        variables: (V,) the variable of every predicted symbol, network after network.
        cases: The readings by weight; no reading is in two.
        weighed: Whether each has its weight by the data.
    """

    weighed: ClassVar[bool] = False

    domains: Mapping[str, tuple[str, ...]]
    counter: MapCounter
    variables: tuple[int, ...]
    cases: tuple[Case, ...]

    @classmethod
    def of(cls, maps: AdmittedMaps, known: Knowledge, *, seconds: float = 20.0) -> CountedPosterior:
        """Counts the readings that agree with what is known.

        Args:
            maps: The maps that some goals admit.
            known: Combinations of predicted symbols that have to keep their answers.
            seconds: Time limit of one count, and of finding out what each symbol stands for.

        Raises:
            LimitError: That takes longer.
        """
        counter = MapCounter(maps.problem(known, bijective=True), seconds=seconds)
        free = [v for name, part in maps.variables.slices() if name in maps.free
                for v in range(part.start, part.stop)]  # fmt: skip
        domains = {name: tuple(maps.domains[name]) for name in maps.free}
        whole = Case(1.0, counter.problem.domains, counter.count())
        found = cls(domains, counter, tuple(free), (whole,))
        found.meanings()
        return found

    @property
    def places(self) -> Places:
        """Where the symbols of every network stand."""
        return Places(self.domains)

    @property
    def orbit(self) -> int:
        """Number of readings that a representative stands for: itself."""
        return 1

    @property
    def total(self) -> int:
        """Number of readings that program and data do not rule out."""
        return sum(case.count for case in self.cases)

    @property
    def count(self) -> int:
        """Number of readings left, those aside that weigh next to nothing."""
        heaviest = max(case.weight for case in self.cases)
        return sum(one.count for one in self.cases if one.weight >= LIGHTEST * heaviest)

    @cached_property
    def _shares(self) -> list[float]:
        """Weight of each case, all of its readings together."""
        unit = max(case.weight * case.count for case in self.cases)
        parts = [case.weight * case.count / unit for case in self.cases]
        return [part / math.fsum(parts) for part in parts]

    def meanings(self) -> dict[str, FloatArray]:
        """Returns network -> (K, K) probability that predicted symbol k stands for symbol s."""
        return self._meanings

    @cached_property
    def _meanings(self) -> dict[str, FloatArray]:
        found, begun = {}, time.monotonic()
        for network, part in self.places.slices():
            size = part.stop - part.start
            table = np.zeros((size, size))
            for case, share in zip(self.cases, self._shares, strict=True):
                for k, s in np.ndindex(table.shape):
                    if time.monotonic() - begun > self.counter.seconds:
                        raise LimitError(f"counting them took more than {self.counter.seconds:g} s")
                    kept = self._kept(case, {part.start + k: 1 << s})
                    table[k, s] += share * (self.counter.count(kept) / case.count)
            found[network] = table
        return found

    def _kept(self, case: Case, meant: Mapping[int, int]) -> tuple[int, ...]:
        """Narrows what may be meant in a case by the bit sets of some places."""
        kept = list(case.meant)
        for place, values in meant.items():
            kept[self.variables[place]] &= values
        return tuple(kept)

    def best(self) -> dict[str, tuple[int, ...]]:
        """Returns a heaviest reading, in which symbol after symbol stands for itself if it can."""
        case = max(self.cases, key=lambda one: one.weight)
        meant: dict[int, int] = {}
        for place, own in enumerate(self.places.identity().tolist()):
            wanted = {**meant, place: 1 << own}
            if self.counter.count(self._kept(case, wanted)):
                meant = wanted
        first = next(self.counter.solutions(self._kept(case, meant)))
        return self.places.split(np.array(first)[list(self.variables)])

    def representatives(self, limit: int) -> tuple[IntArray, FloatArray] | None:
        """Lists the readings as :meth:`every` does: each stands for itself."""
        return self.every(limit)

    def every(self, limit: int) -> tuple[IntArray, FloatArray] | None:
        """Lists all readings (N, V) with their weights; ``None`` where there are more."""
        if self.total > limit:
            return None
        listed = [list(self.counter.solutions(case.meant)) for case in self.cases]
        weights = [
            share / case.count
            for case, share in zip(self.cases, self._shares, strict=True)
            for _ in range(case.count)
        ]
        rows = np.array([row for own in listed for row in own], dtype=np.int64)
        return rows[:, list(self.variables)], np.array(weights)

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Draws readings (count, V) by their weights."""
        times = rng.multinomial(count, self._shares)
        rows = [
            self.counter.sample(int(number), rng, case.meant)
            for case, number in zip(self.cases, times, strict=True)
            if number
        ]
        drawn: IntArray = rng.permutation(np.concatenate(rows))[:, list(self.variables)]
        return drawn

    def swaps(self) -> Iterator[tuple[str, int, int]]:
        """Yields nothing: no two symbols are taken to be alike."""
        return iter(())

    def given(
        self, network: str, symbol: int, meant: Collection[int], *, mistaken: float = 0.0
    ) -> CountedPosterior | MapPosterior:
        """Returns what is left once it is known what a predicted symbol stands for.

        Once they are few, they are listed.

        Args:
            network: The network.
            symbol: The symbol that it predicts.
            meant: The symbols of which one is meant.
            mistaken: Probability that the image which says so was given the wrong symbol: readings
                in which none of ``meant`` is meant keep that share of their weight.

        Raises:
            DataError: No reading is left.
            LimitError: The readings are of too many weights.
        """
        place, domain = self.places.of(network, symbol), self.domains[network]
        wanted = sum(1 << one for one in set(meant))
        others = (1 << len(domain)) - 1 & ~wanted
        cases = []
        for case in self.cases:
            for values, chance in ((wanted, 1 - mistaken), (others, mistaken)):
                kept = self._kept(case, {place: values})
                number = self.counter.count(kept) if chance > 0 and values else 0
                if number:
                    cases.append(Case(case.weight * chance, kept, number))
        if not cases:
            raise nothing_left(domain, symbol, meant)
        if len(cases) > _MOST_CASES:
            raise LimitError(
                "too many labels that contradict each other to weigh the readings",
                remedy="correct the labels that contradict others, or leave them out",
            )
        left = replace(self, cases=tuple(cases))
        listed = left.every(MOST_LISTED)
        return left if listed is None else MapPosterior.apart(self.domains, *listed)

    def entropy(self) -> float:
        """Returns how much is unknown, in nats."""
        return math.fsum(
            share * (math.log(case.count) - math.log(share))
            for case, share in zip(self.cases, self._shares, strict=True)
        )

    def ask(self, among: Collection[int] | None = None) -> list[tuple[str, int]]:
        """Finds few predicted symbols of which one has to know what they stand for.

        They are chosen on readings that are drawn. Each set is tried on further ones: where other
        readings agree with one of these in what is asked for, a symbol that tells them apart is
        missing, and they join those that are drawn.

        Args:
            among: Positions, over all networks, of the symbols to choose from; all by default.

        Returns:
            Network and symbol of each.
        """
        rng = np.random.default_rng(0)
        open_ = sorted(range(len(self.variables)) if among is None else among)
        if not open_:
            return []
        rows = self.sample(_DRAWN, rng)
        while True:
            rows, times = np.unique(rows, axis=0, return_counts=True)
            drawn = MapPosterior.apart(self.domains, rows, times / times.sum())
            chosen = drawn.ask(open_)
            confused = self._confused([self.places.of(*one) for one in chosen], open_, rng)
            if confused is None:
                return chosen
            rows = np.concatenate([np.repeat(rows, times, axis=0), confused])

    def _confused(
        self, chosen: Sequence[int], open_: Sequence[int], rng: np.random.Generator
    ) -> IntArray | None:
        """Finds readings that differ in what can be asked for and agree in what is."""
        found: list[IntArray] = []
        for row in self.sample(_TRIED, rng):
            agree = {place: 1 << int(row[place]) for place in chosen}
            for case in self.cases:
                kept = self._kept(case, agree)
                if self.counter.count(kept) > 1:
                    others = self.counter.sample(_OTHERS, rng, kept)[:, list(self.variables)]
                    both = np.concatenate([row[None], others])
                    if len(np.unique(both[:, open_], axis=0)) > 1:
                        found.append(both)
        return np.concatenate(found) if found else None

    def renamed(self, moved: Mapping[str, Sequence[int]]) -> CountedPosterior:
        """Returns the same readings once predicted symbols go by other names.

        Args:
            moved: Network -> the new name of every predicted symbol.
        """
        order = self.places.renamed(moved)
        return replace(self, variables=tuple(self.variables[place] for place in order))

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return {
            "networks": {network: list(domain) for network, domain in self.domains.items()},
            "problem": self.counter.problem.to_dict(),
            "variables": list(self.variables),
            "cases": [{"weight": one.weight, "meant": list(one.meant)} for one in self.cases],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, seconds: float = 60.0) -> CountedPosterior:
        """Reads what :meth:`to_dict` returned.

        Args:
            values: The values.
            seconds: Time limit of one count.

        Raises:
            ValueError: It is something else, or takes too long to count.
        """
        try:
            domains = {str(name): tuple(map(str, own)) for name, own in values["networks"].items()}
            counter = MapCounter(Problem.from_dict(values["problem"]), seconds=seconds)
            variables = tuple(map(int, values["variables"]))
            parts = [
                (float(one["weight"]), tuple(map(int, one["meant"]))) for one in values["cases"]
            ]
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        empty = cls(domains, counter, variables, ())
        empty._check([weight for weight, _ in parts], [meant for _, meant in parts])
        try:
            cases = tuple(Case(w, meant, counter.count(meant)) for w, meant in parts)
        except LimitError as error:
            raise ValueError(error.found) from None
        if not all(case.count for case in cases):
            raise ValueError("a case has no readings")
        return replace(empty, cases=cases)

    def _check(self, weights: Sequence[float], meant: Sequence[tuple[int, ...]]) -> None:
        whole = self.counter.problem.domains
        groups = {frozenset(group) for group in self.counter.problem.different}
        known = set(self.variables) <= set(range(len(whole)))
        if not known or not len(set(self.variables)) == len(self.variables) == len(self.places):
            raise ValueError("the variables are not those of the networks")
        for network, part in self.places.slices():
            most = 1 << len(self.domains[network])
            if not all(whole[v] < most for v in self.variables[part]):
                raise ValueError(f"{network} has no such symbols")
            if frozenset(self.variables[part]) not in groups:
                raise ValueError(f"readings of {network} are no permutations")
        if not weights or not all(0 < weight < math.inf for weight in weights):
            raise ValueError("a weight is none")
        for own in meant:
            if len(own) != len(whole) or any(a & ~b for a, b in zip(own, whole, strict=False)):
                raise ValueError("a case has readings that the problem does not have")
