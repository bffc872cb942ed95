"""A circuit as a KLay circuit: for its structural checks, and to compare speed.

Every outcome of a choice with more than two becomes a variable of its own, whose negative literal
weighs 1: the circuit never needs it, and KLay's default of 1 - p would be wrong for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import klay

from groundkit.circuit.ir import Circuit
from groundkit.errors import RunError


def to_klay(circuit: Circuit, sizes: Sequence[int]) -> tuple[Any, list[tuple[int, int]]]:
    """Copies a circuit into KLay.

    Args:
        circuit: The circuit.
        sizes: Number of outcomes of every choice.

    Returns:
        KLay's circuit, its roots in our order, and for every variable the (choice, outcome) whose
        probability is its positive weight. A variable of a two-outcome choice has the other
        outcome's probability as negative weight, every other variable has 1.

    Raises:
        RunError: The circuit has no root, which KLay answers by a crash of the process.
    """
    if len(circuit.roots) == 0:
        raise RunError("a circuit without roots cannot go to KLay")
    target = klay.Circuit()
    variables: list[tuple[int, int]] = []
    first: list[int] = []
    for choice, size in enumerate(sizes):
        first.append(len(variables) + 1)
        variables.extend((choice, outcome) for outcome in range(1 if size == 2 else size))
    nodes: list[Any] = [target.true_node(), target.false_node()]
    for index in range(2, len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            literals = [_literal(first[items[0]], sizes[items[0]], o) for o in items[1:]]
            parts = [target.literal_node(literal) for literal in literals]
            nodes.append(parts[0] if len(parts) == 1 else target.or_node(parts))
        else:
            join = target.and_node if kind == "and" else target.or_node
            nodes.append(join([nodes[item] for item in items]))
    for root in circuit.roots:
        target.set_root(nodes[int(root)])
    return target, variables


def _literal(first: int, size: int, outcome: int) -> int:
    """Returns the literal of an outcome: of two, the second is the negation of the first."""
    if size == 2:
        return first if outcome == 0 else -first
    return first + outcome
