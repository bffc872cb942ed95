"""Frees a circuit from choices that its value does not depend on."""

from __future__ import annotations

from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder


def forget(builder: CircuitBuilder, node: int, kept: int) -> int:
    """Returns a node of the same value that speaks of some choices only.

    A sum over all outcomes of a choice weighs 1, so it goes unnoticed in probabilities; but
    derivatives, most probable worlds and samples go wrong where such a node is conjoined with
    another that speaks of that choice. The value is the same whichever outcome a forgotten choice
    has, so it is given its first.

    Args:
        builder: Holds the node, receives the new ones.
        node: A deterministic and decomposable node whose value depends on nothing else.
        kept: Bit mask of the choices that it may speak of.
    """
    new = {TRUE: TRUE, FALSE: FALSE}
    stack = [node]
    while stack:
        current = stack[-1]
        if current in new:
            stack.pop()
            continue
        kind, items = builder.nodes[current]
        if kind == "leaf":
            new[current] = current
            if not kept >> items[0] & 1:
                new[current] = TRUE if 0 in items[1:] else FALSE
            continue
        missing = [item for item in items if item not in new]
        if missing:
            stack += missing
        elif kind == "and":
            new[current] = builder.conjoin(new[item] for item in items)
        else:
            new[current] = builder.disjoin(new[item] for item in items)
    return new[node]
