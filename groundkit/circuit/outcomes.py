"""What a compiler has to tell apart: classes of outcomes that a ground program's nodes never split.

A choice of a hundred outcomes of which a question only asks whether the first one holds has two
classes. Every compiler works on classes, and a leaf of the circuit names the outcomes of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.program.ground import Choice, GroundProgram, bits


def outcome_classes(program: GroundProgram, nodes: Iterable[int]) -> dict[int, list[int]]:
    """Groups the outcomes of every choice that ``nodes`` speak of.

    Args:
        program: The ground program.
        nodes: Indices of the nodes that matter.

    Returns:
        Choice -> bit masks of its classes, which partition its outcomes; at least two.
    """
    masks: dict[int, set[int]] = {}
    for index in nodes:
        node = program.nodes[index]
        if node.kind == "leaf":
            masks.setdefault(node.choice, set()).add(node.mask)
    return {
        choice: _split(program.choices[choice], sorted(found))
        for choice, found in sorted(masks.items())
    }


def _split(choice: Choice, masks: Sequence[int]) -> list[int]:
    """Refines the set of all outcomes by every mask."""
    classes = [choice.full]
    for mask in masks:
        classes = [part for c in classes for part in (c & mask, c & ~mask) if part]
    return sorted(classes)


class Summer:
    """Disjunctions of a circuit in which leaves of one choice unite, and all outcomes are true.

    Args:
        program: The ground program that the circuit's choices belong to.
        builder: Receives the nodes.
    """

    def __init__(self, program: GroundProgram, builder: CircuitBuilder) -> None:
        self.program = program
        self.builder = builder

    def leaf(self, choice: int, mask: int) -> int:
        """Returns the leaf of a bit mask of outcomes, or a constant."""
        if mask == self.program.choices[choice].full:
            return TRUE
        return self.builder.leaf(choice, bits(mask)) if mask else FALSE

    def disjoin(self, children: Iterable[int]) -> int:
        """Returns the disjunction of nodes that exclude each other."""
        masks: dict[int, int] = {}
        others: list[int] = []
        for child in children:
            kind, items = self.builder.nodes[child]
            if kind == "leaf":
                mask = sum(1 << outcome for outcome in items[1:])
                masks[items[0]] = masks.get(items[0], 0) | mask
            else:
                others.append(child)
        leaves = [self.leaf(choice, mask) for choice, mask in masks.items()]
        # Of children that exclude each other, one that is always true is the only one.
        return TRUE if TRUE in leaves else self.builder.disjoin([*leaves, *others])
