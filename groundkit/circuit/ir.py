"""Circuits as plain arrays: decomposable conjunctions, deterministic disjunctions, positive leaves.

Every node is a function of choices (categorical variables). A leaf "choice c has an outcome in S"
weighs the sum of the probabilities of S, so there are no negative literals and no literal whose
weight has to be guessed. Conjunctions multiply because their children speak of different choices,
disjunctions add because their children exclude each other.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any, Literal

Kind = Literal["true", "false", "leaf", "and", "or"]
KINDS: tuple[Kind, ...] = ("true", "false", "leaf", "and", "or")

TRUE = 0
FALSE = 1

_WIDE = "q"
"""64 bits a number, as numpy and torch take them without a copy."""


@dataclass(frozen=True)
class Circuit:
    """A multi-rooted circuit; children stand before their parents.

    The arrays are Python's own: what compiles and answers a plain program loads no numpy.

    Attributes:
        kinds: ``(N,)`` indices into :data:`KINDS`; nodes 0 and 1 are true and false.
        offsets: ``(N+1,)`` where the items of each node start in :attr:`items`.
        items: For conjunctions and disjunctions the children, for a leaf its choice followed by
            its outcomes.
        roots: ``(R,)`` nodes.
    """

    kinds: array[int]
    offsets: array[int]
    items: array[int]
    roots: array[int]

    @classmethod
    def of(cls, lists: dict[str, Any]) -> Circuit:
        """Makes a circuit of what :meth:`lists` returned.

        Raises:
            TypeError: Something is no number, or an array is missing.
            OverflowError: A number has more than 64 bits.
        """
        return cls(**{name: array(_WIDE, values) for name, values in lists.items()})

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def edges(self) -> int:
        """Number of edges between nodes."""
        least, offsets = KINDS.index("and"), self.offsets
        return sum(
            offsets[i + 1] - offsets[i] for i, kind in enumerate(self.kinds) if kind >= least
        )

    def node(self, index: int) -> tuple[Kind, tuple[int, ...]]:
        """Returns kind and items of a node."""
        low, high = self.offsets[index], self.offsets[index + 1]
        return KINDS[self.kinds[index]], tuple(self.items[low:high])

    def lists(self) -> dict[str, list[int]]:
        """Returns the arrays by name, for storage."""
        return {name: getattr(self, name).tolist() for name in _ARRAYS}


_ARRAYS = ("kinds", "offsets", "items", "roots")


@dataclass
class CircuitBuilder:
    """Builds a circuit, sharing equal nodes and folding constants."""

    nodes: list[tuple[Kind, tuple[int, ...]]] = field(
        default_factory=lambda: [("true", ()), ("false", ())]
    )
    _index: dict[tuple[Kind, tuple[int, ...]], int] = field(default_factory=dict)

    def leaf(self, choice: int, outcomes: Iterable[int]) -> int:
        """Returns the leaf "``choice`` has one of ``outcomes``"; never all of them or none."""
        return self._add("leaf", (choice, *sorted(outcomes)))

    def conjoin(self, children: Iterable[int]) -> int:
        """Returns the conjunction of nodes over different choices."""
        kept = [child for child in children if child != TRUE]
        if FALSE in kept:
            return FALSE
        if len(kept) < 2:
            return kept[0] if kept else TRUE
        return self._add("and", tuple(sorted(kept)))

    def disjoin(self, children: Iterable[int]) -> int:
        """Returns the disjunction of nodes that exclude each other."""
        kept = [child for child in children if child != FALSE]
        if len(kept) < 2:
            return kept[0] if kept else FALSE
        return self._add("or", tuple(sorted(kept)))

    def _add(self, kind: Kind, items: tuple[int, ...]) -> int:
        key = (kind, items)
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(self.nodes)
            self.nodes.append(key)
        return found

    def finish(self, roots: Sequence[int]) -> Circuit:
        """Drops what no root needs and returns the circuit."""
        needed = {TRUE, FALSE, *roots}
        for index in range(len(self.nodes) - 1, 1, -1):
            kind, items = self.nodes[index]
            if index in needed and kind in ("and", "or"):
                needed.update(items)
        order = sorted(needed)
        new = {old: position for position, old in enumerate(order)}
        kept = [self.nodes[index] for index in order]
        parts = [
            tuple(new[item] for item in items) if kind in ("and", "or") else items
            for kind, items in kept
        ]
        number = {kind: place for place, kind in enumerate(KINDS)}
        return Circuit(
            kinds=array(_WIDE, [number[kind] for kind, _ in kept]),
            offsets=array(_WIDE, accumulate(map(len, parts), initial=0)),
            items=array(_WIDE, chain.from_iterable(parts)),
            roots=array(_WIDE, [new[root] for root in roots]),
        )
