"""Compiles what speaks of few worlds by its truth table.

However tangled the gates, a function of a few choices is split by one choice after the other, and
equal rests are built once: a decision diagram over choices, whose branches exclude each other. A
table is a Python number with a bit for every world, so that a gate takes one step for all worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import and_, mul, or_

from groundkit.circuit.eliminate import TooWideError
from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.circuit.outcomes import outcome_classes
from groundkit.program.ground import GroundProgram, bits

WORLDS = 1 << 16
"""Most joint outcomes of the choices."""
_BITS = 1 << 28
"""Most bits of all tables."""


def compile_references(
    program: GroundProgram, references: Sequence[int], builder: CircuitBuilder
) -> list[int]:
    """Compiles every reference and returns its circuit node.

    Raises:
        TooWideError: There are more worlds than a table may have rows.
    """
    nodes = program.reachable(references)
    classes = outcome_classes(program, nodes)
    worlds = 1
    for masks in classes.values():
        worlds *= len(masks)
    if worlds > WORLDS or worlds * len(nodes) > _BITS:
        raise TooWideError("speaks of too many worlds")
    splitter = _Splitter(list(classes.items()), builder)
    found = _truths(program, nodes, splitter)
    return [
        splitter.build(0, found[reference] if reference >= 0 else splitter.all ^ found[~reference])
        for reference in references
    ]


def _truths(program: GroundProgram, nodes: Sequence[int], splitter: _Splitter) -> dict[int, int]:
    """Tells in which worlds each node holds, a bit a world."""
    found: dict[int, int] = {}
    for index in nodes:
        node = program.nodes[index]
        if node.kind == "true":
            found[index] = splitter.all
        elif node.kind == "leaf":
            found[index] = splitter.leaf(node.choice, node.mask)
        else:
            join, truth = (and_, splitter.all) if node.kind == "and" else (or_, 0)
            for child in node.children:
                truth = join(truth, found[child] if child >= 0 else splitter.all ^ found[~child])
            found[index] = truth
    return found


class _Splitter:
    """Splits truth tables by one choice after the other; equal rests become one node.

    Args:
        choices: Every choice with its classes of outcomes; the first is the slowest to change from
            world to world.
        builder: Receives the circuit.

    Attributes:
        all: The table of what always holds.
    """

    def __init__(self, choices: Sequence[tuple[int, list[int]]], builder: CircuitBuilder) -> None:
        self.choices = choices
        self.builder = builder
        sizes = [len(masks) for _, masks in choices]
        self._worlds = list(accumulate(reversed(sizes), mul, initial=1))[::-1]
        self._depth = {choice: depth for depth, (choice, _) in enumerate(choices)}
        self.all = (1 << self._worlds[0]) - 1
        self._done: dict[tuple[int, int], int] = {}

    def leaf(self, choice: int, mask: int) -> int:
        """Returns the table of "``choice`` has an outcome in ``mask``"."""
        depth = self._depth[choice]
        rest, length = self._worlds[depth + 1], self._worlds[depth]
        ones = (1 << rest) - 1
        table = sum(ones << n * rest for n, m in enumerate(self.choices[depth][1]) if m & mask)
        while length < self._worlds[0]:  # the choices before repeat it
            table |= table << length
            length *= 2
        return table & self.all

    def build(self, depth: int, truth: int) -> int:
        """Returns the node of a table over the choices from ``depth`` on."""
        if truth == 0:
            return FALSE
        if truth == (1 << self._worlds[depth]) - 1:
            return TRUE
        key = depth, truth
        if key not in self._done:
            self._done[key] = self._split(depth, truth)
        return self._done[key]

    def _split(self, depth: int, truth: int) -> int:
        choice, masks = self.choices[depth]
        rest = self._worlds[depth + 1]
        groups: dict[int, int] = {}
        for number, mask in enumerate(masks):
            node = self.build(depth + 1, truth >> number * rest & (1 << rest) - 1)
            groups[node] = groups.get(node, 0) | mask
        if len(groups) == 1:
            return next(iter(groups))
        return self.builder.disjoin(
            self.builder.conjoin((self.builder.leaf(choice, bits(mask)), node))
            for node, mask in groups.items()
            if node != FALSE
        )
