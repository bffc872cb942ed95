"""Compiles what speaks of few worlds by its truth table.

However tangled the gates, a function of a few choices is split by one choice after the other, and
equal rests are built once: a decision diagram over choices, whose branches exclude each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundkit.circuit.eliminate import TooWideError
from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.circuit.outcomes import outcome_classes
from groundkit.program.ground import GroundProgram, bits

WORLDS = 1 << 16
"""Most joint outcomes of the choices."""
_BYTES = 1 << 28
"""Most bytes of all tables."""

_Truth = NDArray[np.bool_]


def compile_references(
    program: GroundProgram, references: Sequence[int], builder: CircuitBuilder
) -> list[int]:
    """Compiles every reference and returns its circuit node.

    Raises:
        TooWideError: There are more worlds than a table may have rows.
    """
    nodes = program.reachable(references)
    classes = outcome_classes(program, nodes)
    shape = tuple(len(masks) for masks in classes.values())
    worlds = 1
    for size in shape:  # in Python's numbers, which do not overflow
        worlds *= size
    if worlds > WORLDS or worlds * len(nodes) > _BYTES:
        raise TooWideError("speaks of too many worlds")
    found = _truths(program, nodes, classes, shape)
    splitter = _Splitter(list(classes.items()), builder)
    return [
        splitter.build(0, found[reference] if reference >= 0 else ~found[~reference])
        for reference in references
    ]


def _truths(
    program: GroundProgram,
    nodes: Sequence[int],
    classes: dict[int, list[int]],
    shape: tuple[int, ...],
) -> dict[int, _Truth]:
    """Tells in which worlds each node holds: an axis per choice."""
    axis = {choice: place for place, choice in enumerate(classes)}
    found: dict[int, _Truth] = {}
    for index in nodes:
        node = program.nodes[index]
        if node.kind == "true":
            found[index] = np.ones(shape, bool)
        elif node.kind == "leaf":
            holds = np.array([bool(mask & node.mask) for mask in classes[node.choice]])
            place = [1] * len(shape)
            place[axis[node.choice]] = len(holds)
            found[index] = np.broadcast_to(holds.reshape(place), shape)
        else:
            parts = [found[c] if c >= 0 else ~found[~c] for c in node.children]
            join = np.logical_and if node.kind == "and" else np.logical_or
            found[index] = join.reduce(parts)
    return found


class _Splitter:
    """Splits truth tables by one choice after the other; equal rests become one node."""

    def __init__(self, choices: Sequence[tuple[int, list[int]]], builder: CircuitBuilder) -> None:
        self.choices = choices
        self.builder = builder
        self._done: dict[tuple[int, bytes], int] = {}

    def build(self, depth: int, truth: _Truth) -> int:
        """Returns the node of a table whose first axis is the choice at ``depth``."""
        if truth.all():
            return TRUE
        if not truth.any():
            return FALSE
        key = depth, np.packbits(truth).tobytes()
        if key not in self._done:
            self._done[key] = self._split(depth, truth)
        return self._done[key]

    def _split(self, depth: int, truth: _Truth) -> int:
        choice, masks = self.choices[depth]
        groups: dict[int, int] = {}
        for mask, rest in zip(masks, truth, strict=True):
            node = self.build(depth + 1, rest)
            groups[node] = groups.get(node, 0) | mask
        if len(groups) == 1:
            return next(iter(groups))
        return self.builder.disjoin(
            self.builder.conjoin((self.builder.leaf(choice, bits(mask)), node))
            for node, mask in groups.items()
            if node != FALSE
        )
