"""Evaluates a circuit once, in log space; a program without networks needs no torch for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from groundkit.circuit.ir import Circuit


def evaluate(circuit: Circuit, weights: Sequence[Sequence[float]]) -> list[float]:
    """Returns the log-probabilities of a circuit's roots.

    Args:
        circuit: The circuit.
        weights: Probabilities of every choice's outcomes.
    """
    value: list[float] = []
    for index in range(len(circuit)):
        kind, items = circuit.node(index)
        if kind == "and":
            value.append(sum(value[item] for item in items))
        elif kind == "or":
            value.append(_log_sum([value[item] for item in items]))
        elif kind == "leaf":
            total = math.fsum(weights[items[0]][outcome] for outcome in items[1:])
            value.append(math.log(total) if total > 0.0 else -math.inf)
        else:
            value.append(0.0 if kind == "true" else -math.inf)
    return [value[root] for root in circuit.roots]


def _log_sum(logs: Sequence[float]) -> float:
    highest = max(logs)
    if highest == -math.inf:
        return highest
    return highest + math.log(math.fsum(math.exp(one - highest) for one in logs))
