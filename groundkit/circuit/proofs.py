"""The most probable proofs of an answer: partial worlds that make it hold, best first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundkit.circuit.explore import Explorer
from groundkit.circuit.ir import TRUE

_Ranked = list[tuple[float, dict[int, int]]]


@dataclass(frozen=True)
class Proof:
    """Outcomes of some choices that make an answer hold whatever the others are.

    Attributes:
        log_probability: Sum of the outcomes' log-probabilities.
        choices: Choice -> outcome.
        nodes: Nodes of the circuit that the proof uses.
    """

    log_probability: float
    choices: dict[int, int]
    nodes: frozenset[int]


def best_proofs(
    explorer: Explorer, rows: NDArray[np.float64], root: int, count: int
) -> list[Proof]:
    """Finds the ``count`` most probable proofs below a node; they exclude each other.

    A circuit's disjunctions are deterministic and its conjunctions decomposable, so the best of a
    disjunction are among the best of its children, and those of a conjunction among the sums of
    the best of its children.

    Args:
        explorer: Walks the circuit.
        rows: ``(inputs,)`` log-probabilities of one example.
        root: The answer's node.
        count: How many proofs at most.
    """
    found: dict[int, _Ranked] = {TRUE: [(0.0, {})]}
    for index in explorer.below(root):
        kind, items = explorer.nodes[index]
        if kind == "leaf":
            first = explorer.row_of[items[0]]
            each = [(float(rows[first + o]), {items[0]: o}) for o in items[1:]]
            found[index] = _best(each, count)
        elif kind == "or":
            found[index] = _best((one for item in items for one in found[item]), count)
        elif kind == "and":
            found[index] = _conjoin([found[item] for item in items], count)
        else:
            found.setdefault(index, [])
    return [Proof(p, c, _used(explorer, root, c)) for p, c in found[root][:count]]


def _best(ranked: Iterable[tuple[float, dict[int, int]]], count: int) -> _Ranked:
    possible = [one for one in ranked if one[0] > -np.inf]
    return sorted(possible, key=lambda one: -one[0])[:count]


def _conjoin(parts: list[_Ranked], count: int) -> _Ranked:
    joined: _Ranked = [(0.0, {})]
    for part in parts:
        joined = _best(((p + q, {**a, **b}) for p, a in joined for q, b in part), count)
    return joined


def _used(explorer: Explorer, root: int, choices: dict[int, int]) -> frozenset[int]:
    """Lists the nodes under a root that hold in a proof."""
    holds = {TRUE: True}
    for index in explorer.below(root):
        kind, items = explorer.nodes[index]
        if kind == "leaf":
            holds[index] = choices.get(items[0]) in items[1:]
        elif kind == "and":
            holds[index] = all(holds[item] for item in items)
        elif kind == "or":
            holds[index] = any(holds[item] for item in items)
        else:
            holds[index] = index == TRUE
    used, stack = set(), [root]
    while stack:
        index = stack.pop()
        if not holds[index] or index in used:
            continue
        used.add(index)
        kind, items = explorer.nodes[index]
        if kind in ("and", "or"):
            stack.extend(items)
    return frozenset(used)
