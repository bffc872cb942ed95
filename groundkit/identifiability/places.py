"""Where the symbols of several networks stand, network after network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundkit.identifiability.relations import IntArray


@dataclass(frozen=True)
class Places:
    """Numbers the symbols of networks from 0.

    Attributes:
        domains: Network (or several that read the same images) -> its symbols.
    """

    domains: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return sum(map(len, self.domains.values()))

    def slices(self) -> Iterator[tuple[str, slice]]:
        """Yields every network with the range of its symbols."""
        start = 0
        for network, domain in self.domains.items():
            yield network, slice(start, start + len(domain))
            start += len(domain)

    def of(self, network: str, symbol: int) -> int:
        """Returns the place of a network's symbol."""
        start: int = dict(self.slices())[network].start
        return start + symbol

    def at(self, place: int) -> tuple[str, int]:
        """Returns the network, and its symbol, that stand in a place."""
        for network, part in self.slices():
            if part.start <= place < part.stop:
                return network, place - part.start
        raise IndexError(place)

    def starts(self) -> IntArray:
        """Returns (V,) the place of the first symbol of the network of every place."""
        return np.concatenate(
            [np.full(part.stop - part.start, part.start) for _, part in self.slices()]
        )

    def identity(self) -> IntArray:
        """Returns (V,) the map under which every symbol stands for itself."""
        return np.concatenate([np.arange(part.stop - part.start) for _, part in self.slices()])

    def split(self, flat: IntArray) -> dict[str, tuple[int, ...]]:
        """Splits (V,) symbols by network."""
        return {network: tuple(flat[part].tolist()) for network, part in self.slices()}

    def renamed(self, moved: Mapping[str, Sequence[int]]) -> IntArray:
        """Returns (V,) which place stands where once symbols go by other names.

        Args:
            moved: Network -> the new name of every symbol.
        """
        return np.concatenate(
            [part.start + np.argsort(moved[network]) for network, part in self.slices()]
        )
