"""Makes a circuit smaller without changing a single probability."""

from __future__ import annotations

from collections import Counter

from groundkit.circuit.ir import FALSE, TRUE, Circuit, CircuitBuilder


def simplify(circuit: Circuit) -> Circuit:
    """Merges nested nodes of one kind, and leaves of one choice under a disjunction.

    A nested node is merged into its only parent. Leaves on one choice under a deterministic
    disjunction have disjoint outcomes, so their union weighs their sum.
    """
    parents: Counter[int] = Counter(circuit.roots)
    for index in range(len(circuit)):
        kind, items = circuit.node(index)
        if kind in ("and", "or"):
            parents.update(items)
    builder = CircuitBuilder()
    new = {TRUE: TRUE, FALSE: FALSE}
    for index in range(2, len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            new[index] = builder.leaf(items[0], items[1:])
            continue
        children: list[int] = []
        for item in items:
            child = new[item]
            inner_kind, inner = builder.nodes[child]
            children.extend(inner if inner_kind == kind and parents[item] == 1 else (child,))
        if kind == "and":
            new[index] = builder.conjoin(children)
        else:
            new[index] = builder.disjoin(_merge_leaves(builder, children))
    return builder.finish([new[root] for root in circuit.roots])


def _merge_leaves(builder: CircuitBuilder, children: list[int]) -> list[int]:
    """Unites leaves on one choice into one leaf."""
    outcomes: dict[int, set[int]] = {}
    others: list[int] = []
    for child in children:
        kind, items = builder.nodes[child]
        if kind == "leaf":
            outcomes.setdefault(items[0], set()).update(items[1:])
        else:
            others.append(child)
    return [builder.leaf(choice, found) for choice, found in outcomes.items()] + others
