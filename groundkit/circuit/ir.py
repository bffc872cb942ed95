"""Circuits as plain arrays: decomposable conjunctions, deterministic disjunctions, positive leaves.

Every node is a function of choices (categorical variables). A leaf "choice c has an outcome in S"
weighs the sum of the probabilities of S, so there are no negative literals and no literal whose
weight has to be guessed. Conjunctions multiply because their children speak of different choices,
disjunctions add because their children exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["true", "false", "leaf", "and", "or"]
KINDS: tuple[Kind, ...] = ("true", "false", "leaf", "and", "or")

TRUE = 0
FALSE = 1

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Circuit:
    """A multi-rooted circuit; children stand before their parents.

    Attributes:
        kinds: ``(N,)`` indices into :data:`KINDS`; nodes 0 and 1 are true and false.
        offsets: ``(N+1,)`` where the items of each node start in :attr:`items`.
        items: For conjunctions and disjunctions the children, for a leaf its choice followed by
            its outcomes.
        roots: ``(R,)`` nodes.
    """

    kinds: IntArray
    offsets: IntArray
    items: IntArray
    roots: IntArray

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def edges(self) -> int:
        """Number of edges between nodes."""
        inner = self.kinds >= KINDS.index("and")
        return int(np.diff(self.offsets)[inner].sum())

    def node(self, index: int) -> tuple[Kind, tuple[int, ...]]:
        """Returns kind and items of a node."""
        low, high = self.offsets[index], self.offsets[index + 1]
        return KINDS[self.kinds[index]], tuple(int(i) for i in self.items[low:high])

    def arrays(self) -> dict[str, IntArray]:
        """Returns the arrays by name, for storage."""
        return {name: getattr(self, name) for name in ("kinds", "offsets", "items", "roots")}


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
        offsets = np.cumsum([0, *(len(part) for part in parts)])
        return Circuit(
            kinds=np.array([KINDS.index(kind) for kind, _ in kept], dtype=np.int64),
            offsets=offsets.astype(np.int64),
            items=np.array([item for part in parts for item in part], dtype=np.int64),
            roots=np.array([new[root] for root in roots], dtype=np.int64),
        )
