"""Readings of networks that have nothing to do with each other: a product, never multiplied out.

Where no goal asks about two networks together, neither constraints nor data connect what their
symbols mean: the weight of a reading is the product of the weights of its parts. The number of
readings grows with every part, what has to be listed does not. A part whose readings are too many
to list and weigh is counted instead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundkit.errors import LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.counted import CountedPosterior
from groundkit.identifiability.places import Places
from groundkit.identifiability.posterior import (
    MOST_LISTED,
    FloatArray,
    MapPosterior,
    weigh_maps,
)
from groundkit.identifiability.relations import IntArray

Reading = Mapping[str, Sequence[int]]
"""Network (or several that read the same images) -> what each predicted symbol stands for."""
Listing = tuple[list[Reading], FloatArray]
"""Readings with their weights."""
Part = MapPosterior | CountedPosterior
Score = Callable[[Collection[str], Reading], float]
"""Maps the networks of a part and a reading of them to the log-likelihood of the part's data."""


@dataclass(frozen=True, eq=False)
class FactoredPosterior:
    """Readings as a product of independent parts.

    Attributes:
        parts: Posteriors of different networks.
    """

    parts: tuple[Part, ...]

    @property
    def domains(self) -> dict[str, tuple[str, ...]]:
        """Network (or several that read the same images) -> its symbols."""
        return {name: domain for part in self.parts for name, domain in part.domains.items()}

    @property
    def weighed(self) -> bool:
        """Whether each reading has its weight by the data, in every part."""
        return all(part.weighed for part in self.parts)

    @property
    def total(self) -> int:
        """Number of readings that program and data do not rule out."""
        return math.prod(part.total for part in self.parts)

    @property
    def count(self) -> int:
        """Number of readings left, those aside whose part weighs next to nothing."""
        return math.prod(part.count for part in self.parts)

    @property
    def orbit(self) -> int:
        """Number of readings that a representative stands for."""
        return math.prod(part.orbit for part in self.parts)

    def among(self, networks: Collection[str]) -> FactoredPosterior:
        """Returns the parts that have a say about some networks."""
        kept = [part for part in self.parts if not part.domains.keys().isdisjoint(networks)]
        return FactoredPosterior(tuple(kept))

    def meanings(self) -> dict[str, FloatArray]:
        """Returns network -> (K, K) probability that predicted symbol k stands for symbol s."""
        return {name: own for part in self.parts for name, own in part.meanings().items()}

    def best(self) -> dict[str, tuple[int, ...]]:
        """Returns the heaviest reading; of several, one that leaves the most symbols in place."""
        return {name: own for part in self.parts for name, own in part.best().items()}

    def entropy(self) -> float:
        """Returns how much is unknown, in nats."""
        return math.fsum(part.entropy() for part in self.parts)

    def swaps(self) -> Iterator[tuple[str, int, int]]:
        """Yields trades of two alike symbols that generate all of them."""
        for part in self.parts:
            yield from part.swaps()

    def place(self, network: str, symbol: int) -> int:
        """Returns the position of a network's symbol over all networks."""
        return Places(self.domains).of(network, symbol)

    def representatives(self, limit: int) -> Listing | None:
        """Lists one reading of all that differ by alike symbols; ``None`` where there are more."""
        return self._listed([part.representatives(limit) for part in self.parts], limit)

    def every(self, limit: int) -> Listing | None:
        """Lists all readings; ``None`` where there are more than ``limit``."""
        if self.total > limit:
            return None
        return self._listed([part.every(limit) for part in self.parts], limit)

    def _listed(
        self, parts: Sequence[tuple[IntArray, FloatArray] | None], limit: int
    ) -> Listing | None:
        """Multiplies the lists of the parts; ``None`` where one is missing or there are more."""
        listed = [one for one in parts if one is not None]
        whole = len(listed) == len(parts)
        if not whole or math.prod(len(weights) for _, weights in listed) > limit:
            return None
        return self._product(listed)

    def _product(self, listed: Sequence[tuple[IntArray, FloatArray]]) -> Listing:
        readings: list[Reading] = []
        weights: list[float] = []
        for chosen in itertools.product(*(range(len(own)) for _, own in listed)):
            pairs = list(zip(self.parts, listed, chosen, strict=True))
            readings.append(
                {
                    n: m
                    for part, (maps, _), k in pairs
                    for n, m in part.places.split(maps[k]).items()
                }
            )
            weights.append(math.prod(float(own[k]) for _, (_, own), k in pairs))
        return readings, np.array(weights)

    def sample(self, count: int, rng: np.random.Generator) -> list[Reading]:
        """Draws readings by their weights."""
        drawn = [part.sample(count, rng) for part in self.parts]
        return [
            {
                name: meant
                for part, rows in zip(self.parts, drawn, strict=True)
                for name, meant in part.places.split(rows[number]).items()
            }
            for number in range(count)
        ]

    def given(
        self, network: str, symbol: int, meant: Collection[int], *, mistaken: float = 0.0
    ) -> FactoredPosterior:
        """Returns what is left once it is known what a predicted symbol stands for.

        Args:
            network: The network.
            symbol: The symbol that it predicts.
            meant: The symbols of which one is meant.
            mistaken: Probability that the image which says so was given the wrong symbol.

        Raises:
            DataError: No reading is left.
            LimitError: A part has too many to list.
        """
        return FactoredPosterior(
            tuple(
                part.given(network, symbol, meant, mistaken=mistaken)
                if network in part.domains
                else part
                for part in self.parts
            )
        )

    def ask(self, among: Collection[int] | None = None) -> list[tuple[str, int]]:
        """Finds few predicted symbols of which one has to know what they stand for.

        Args:
            among: Positions, over all networks, of the symbols to choose from; all by default.

        Returns:
            Network and symbol of each.
        """
        chosen: list[tuple[str, int]] = []
        start = 0
        for part in self.parts:
            stop = start + len(part.places)
            own = None if among is None else [one - start for one in among if start <= one < stop]
            chosen += part.ask(own)
            start = stop
        return chosen

    def renamed(self, moved: Mapping[str, Sequence[int]]) -> FactoredPosterior:
        """Returns the same readings once predicted symbols go by other names."""
        return FactoredPosterior(tuple(part.renamed(moved) for part in self.parts))

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values; a single part as it is."""
        if len(self.parts) == 1:
            return self.parts[0].to_dict()
        return {"parts": [part.to_dict() for part in self.parts]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FactoredPosterior:
        """Reads what :meth:`to_dict` returned.

        Raises:
            ValueError: It is something else.
        """
        listed = values.get("parts", [values])
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise ValueError("parts is no list of tables")
        found = cls(
            tuple(
                CountedPosterior.from_dict(one) if "problem" in one else MapPosterior.from_dict(one)
                for one in listed
            )
        )
        if len(found.domains) < sum(len(part.domains) for part in found.parts):
            raise ValueError("a network is in two parts")
        return found


def independent(
    networks: Iterable[str], together: Iterable[Collection[str]]
) -> list[tuple[str, ...]]:
    """Parts networks into sets that nothing connects.

    Args:
        networks: All of them.
        together: Networks that belong together; others in it are left aside.
    """
    parts: list[tuple[str, ...]] = [(name,) for name in networks]
    for tied in map(set, together):
        joined = tuple(name for part in parts if tied & set(part) for name in part)
        parts = [part for part in parts if not tied & set(part)]
        parts += [joined] if joined else []
    order = {name: place for place, name in enumerate(networks)}
    return sorted(
        (tuple(sorted(part, key=order.__getitem__)) for part in parts),
        key=lambda part: order[part[0]],
    )


def weigh_parts(
    maps: AdmittedMaps,
    known: Knowledge,
    log_likelihood: Score,
    *,
    together: Iterable[Collection[str]] = (),
    apart: Collection[str] = (),
    limit: int = MOST_LISTED,
) -> FactoredPosterior:
    """Weighs the readings of every independent part by itself.

    Args:
        maps: The maps that some goals admit.
        known: Combinations of predicted symbols that have to keep their answers.
        log_likelihood: Log-likelihood of a part's data.
        together: Networks that the data asks about together, beside those of a goal.
        apart: Networks of which no two symbols are taken to be interchangeable.
        limit: Most readings of a part that are weighed one by one; more are counted, and weigh
            the same.

    Raises:
        LimitError: It takes too long to count those of a part.
    """
    goals = [set(target.columns) for target in maps.targets]
    parts: list[Part] = []
    for names in independent(maps.free, [*goals, *together]):
        sub, own = maps.among(names, known)

        def score(reading: Reading, names: tuple[str, ...] = names) -> float:
            return log_likelihood(names, reading)

        try:
            parts.append(weigh_maps(sub, own, score, apart=apart, limit=limit))
        except LimitError:
            parts.append(CountedPosterior.of(sub, own))
    return FactoredPosterior(tuple(parts))
