"""Factors circuits: a and b or a and c becomes a and (b or c).

The distributive law keeps a circuit decomposable and deterministic. What it saves are products
and sums, most of all where alternatives share all but a few of their parts, as in the steps of a
recursive program: the inner sums become nodes of their own, shared between alternatives.
"""

from __future__ import annotations

from collections import Counter

from groundkit.circuit.ir import FALSE, TRUE, Circuit, CircuitBuilder

_LARGEST = 300_000
"""Circuits with more edges are left as they are, for factoring takes time too."""

Term = frozenset[int]


def factor(circuit: Circuit) -> Circuit:
    """Returns an equivalent circuit with fewer edges, or the circuit itself.

    Args:
        circuit: A circuit.
    """
    if circuit.edges > _LARGEST:
        return circuit
    builder = CircuitBuilder()
    new = {TRUE: TRUE, FALSE: FALSE}
    for index in range(2, len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            new[index] = builder.leaf(items[0], items[1:])
        elif kind == "and":
            new[index] = builder.conjoin(new[item] for item in items)
        else:
            terms = [_expand(builder, new[item]) for item in items]
            new[index] = _sum(builder, [term for term in terms if FALSE not in term])
    found = builder.finish([new[root] for root in circuit.roots])
    return found if found.edges < circuit.edges else circuit


def _expand(builder: CircuitBuilder, node: int) -> Term:
    """Lists the factors of a conjunction, nested conjunctions included."""
    factors: set[int] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        kind, items = builder.nodes[current]
        if kind == "and":
            stack.extend(items)
        elif current != TRUE:
            factors.add(current)
    return frozenset(factors)


def _sum(builder: CircuitBuilder, terms: list[Term]) -> int:
    """Builds the disjunction of conjunctions that exclude each other, common factors first."""
    parts: list[int] = []
    while terms:
        counts = Counter(factor for term in terms for factor in term)
        # Of equally frequent factors the deepest goes first: what does not wait for it can be
        # evaluated for all of its siblings at once.
        best, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=(TRUE, 0))
        if count < 2:
            parts.extend(builder.conjoin(term) for term in terms)
            break
        shared = [term - {best} for term in terms if best in term]
        terms = [term for term in terms if best not in term]
        parts.append(builder.conjoin([best, _sum(builder, shared)]))
    return builder.disjoin(parts)
