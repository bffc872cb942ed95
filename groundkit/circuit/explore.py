"""Walks down circuits: drawing worlds and listing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundkit.circuit.ir import FALSE, TRUE, Circuit
from groundkit.errors import LimitError
from groundkit.program.ground import GroundProgram, NeuralSource

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Worlds:
    """Drawn worlds.

    Attributes:
        values: For every network ``(count, S)`` positions in its domain.
        answers: ``(count,)`` root indices that hold.
    """

    values: dict[str, IntArray]
    answers: IntArray


@dataclass(frozen=True)
class Support:
    """Combinations of neural values and answers that are possible.

    Attributes:
        values: For every network ``(M, S)`` positions in its domain.
        answers: ``(M,)`` root indices.
    """

    values: dict[str, IntArray]
    answers: IntArray


Assignment = dict[int, int]
"""Choice to outcome."""


class Explorer:
    """Top-down passes over one circuit.

    Args:
        program: The ground program that was compiled.
        circuit: The circuit.
        row_of: First input row of every choice.
        sizes: Number of outputs of every network.
    """

    def __init__(
        self,
        program: GroundProgram,
        circuit: Circuit,
        row_of: tuple[int, ...],
        sizes: Mapping[str, int],
    ) -> None:
        self.program = program
        self.circuit = circuit
        self.row_of = row_of
        self.sizes = sizes
        self.nodes = [circuit.node(index) for index in range(len(circuit))]
        self.neural = {
            index: choice.source
            for index, choice in enumerate(program.choices)
            if isinstance(choice.source, NeuralSource)
        }

    def values(self, rows: FloatArray) -> FloatArray:
        """Evaluates every node for one example."""
        found = np.full(len(self.nodes), -np.inf)
        found[TRUE] = 0.0
        for index, (kind, items) in enumerate(self.nodes):
            if kind == "leaf":
                parts = rows[self.row_of[items[0]] + np.array(items[1:])]
            elif kind in ("and", "or"):
                parts = found[list(items)]
            else:
                continue
            found[index] = parts.sum() if kind == "and" else np.logaddexp.reduce(parts)
        return found

    def sample(
        self, rows: FloatArray, count: int, rng: np.random.Generator, answers: int
    ) -> Worlds:
        """Draws worlds in proportion to their probability, given that an answer holds.

        A world in which several answers hold is drawn once per answer, and one of them is told.
        """
        values = self.values(rows)
        roots = self.circuit.roots[:answers]
        weights = np.exp(values[roots] - values[roots].max())
        weights /= weights.sum()
        drawn = {name: np.zeros((count, len(calls)), np.int64) for name, calls in self._slots()}
        chosen = rng.choice(answers, size=count, p=weights)
        for position in range(count):
            world = self._draw(int(roots[chosen[position]]), values, rows, rng)
            self._put(world, rng, drawn, position)
        return Worlds(drawn, chosen.astype(np.int64))

    def _slots(self) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
        return list(self.program.slots.items())

    def _draw(
        self, root: int, values: FloatArray, rows: FloatArray, rng: np.random.Generator
    ) -> Assignment:
        """Goes down from a root, one branch of every disjunction."""
        world: Assignment = {}
        stack = [root]
        while stack:
            kind, items = self.nodes[stack.pop()]
            if kind == "and":
                stack.extend(items)
            elif kind == "or":
                stack.append(items[_pick(values[list(items)], rng)])
            elif kind == "leaf":
                first = self.row_of[items[0]]
                world[items[0]] = items[1 + _pick(rows[first + np.array(items[1:])], rng)]
        return world

    def _put(
        self,
        world: Assignment,
        rng: np.random.Generator,
        drawn: Mapping[str, IntArray],
        position: int,
    ) -> None:
        """Writes a world's neural values; choices left open are drawn."""
        seen = {(s.network, s.slot): world[i] for i, s in self.neural.items() if i in world}
        for name, calls in self._slots():
            for slot in range(len(calls)):
                value = seen.get((name, slot))
                drawn[name][position, slot] = (
                    rng.integers(self.sizes[name]) if value is None else value
                )

    def support(self, rows: FloatArray, answers: int, limit: int) -> Support:
        """Lists neural values under which an answer has a positive probability."""
        values = self.values(rows)
        slots = [(name, slot) for name, calls in self._slots() for slot in range(len(calls))]
        found: dict[tuple[int, ...], None] = {}
        for answer, root in enumerate(self.circuit.roots[:answers]):
            for world in self._worlds(int(root), values, rows, limit):
                for row in self._neural_rows(world, slots):
                    found[(*row, answer)] = None
                    if len(found) > limit:
                        raise LimitError(
                            f"more than {limit:,} combinations of symbols are possible",
                            remedy="ask for a smaller shape of the goal",
                        )
        table = np.array(list(found), dtype=np.int64).reshape(len(found), len(slots) + 1)
        columns = {
            name: table[:, [i for i, (n, _) in enumerate(slots) if n == name]]
            for name, _ in self._slots()
        }
        return Support(columns, table[:, -1])

    def _neural_rows(
        self, world: Assignment, slots: list[tuple[str, int]]
    ) -> Iterator[tuple[int, ...]]:
        """Completes a world's neural values by all values of the slots it leaves open."""
        seen = {(s.network, s.slot): world[i] for i, s in self.neural.items() if i in world}
        ranges = [[seen[s]] if s in seen else list(range(self.sizes[s[0]])) for s in slots]
        shape = tuple(len(r) for r in ranges)
        for position in np.ndindex(*shape):
            yield tuple(r[p] for r, p in zip(ranges, position, strict=True))

    def _worlds(
        self, root: int, values: FloatArray, rows: FloatArray, limit: int
    ) -> list[Assignment]:
        """Lists the neural assignments below a node, of positive probability."""
        done: dict[int, list[Assignment]] = {TRUE: [{}], FALSE: []}
        for index in self.below(root):
            kind, items = self.nodes[index]
            if values[index] == -np.inf:
                done[index] = []
            elif kind == "leaf":
                done[index] = self._leaf_worlds(items, rows)
            elif kind == "or":
                done[index] = _unique(world for item in items for world in done[item])
            elif kind == "and":
                product: list[Assignment] = [{}]
                for item in items:
                    product = [{**a, **b} for a in product for b in done[item]]
                    _check_size(product, limit)
                done[index] = product
            _check_size(done[index], limit)
        return done[root]

    def _leaf_worlds(self, items: tuple[int, ...], rows: FloatArray) -> list[Assignment]:
        possible = [o for o in items[1:] if rows[self.row_of[items[0]] + o] > -np.inf]
        if items[0] in self.neural:
            return [{items[0]: outcome} for outcome in possible]
        return [{}] if possible else []

    def below(self, root: int) -> list[int]:
        """Lists the nodes under a root, children first."""
        needed = {root}
        for index in range(root, -1, -1):
            kind, items = self.nodes[index]
            if index in needed and kind in ("and", "or"):
                needed.update(items)
        return sorted(needed)


def _pick(log_weights: FloatArray, rng: np.random.Generator) -> int:
    """Draws a position in proportion to exponentiated weights."""
    cumulative = np.cumsum(np.exp(log_weights - log_weights.max()))
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def _unique(worlds: Iterator[Assignment]) -> list[Assignment]:
    return list({tuple(sorted(world.items())): world for world in worlds}.values())


def _check_size(worlds: list[Assignment], limit: int) -> None:
    if len(worlds) > limit:
        raise LimitError(
            f"more than {limit:,} combinations of symbols are possible",
            remedy="ask for a smaller shape of the goal",
        )
