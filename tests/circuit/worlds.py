"""Circuits and ground programs evaluated world by world, without any of the compilers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from groundkit.circuit.ir import Circuit
from groundkit.program.ground import GroundProgram


def worlds(program: GroundProgram) -> Iterator[tuple[int, ...]]:
    """Yields every joint outcome of the choices."""
    return itertools.product(*(range(choice.size) for choice in program.choices))


def truth_of_nodes(program: GroundProgram, world: tuple[int, ...]) -> list[bool]:
    """Tells which nodes of a ground program hold in a world."""
    holds: list[bool] = []
    for node in program.nodes:
        children = [holds[c] if c >= 0 else not holds[~c] for c in node.children]
        if node.kind == "leaf":
            holds.append(bool(node.mask >> world[node.choice] & 1))
        else:
            holds.append(any(children) if node.kind == "or" else all(children))
    return holds


def truth(program: GroundProgram, reference: int, world: tuple[int, ...]) -> bool:
    """Tells whether a reference holds in a world."""
    holds = truth_of_nodes(program, world)
    return holds[reference] if reference >= 0 else not holds[~reference]


def values(circuit: Circuit, world: tuple[int, ...]) -> list[int]:
    """Counts, for every node of a circuit, the ways in which it holds in a world: 0 or 1."""
    found: list[int] = []
    for index in range(len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            found.append(int(world[items[0]] in items[1:]))
        elif kind == "and":
            found.append(int(np.prod([found[item] for item in items])))
        elif kind == "or":
            found.append(sum(found[item] for item in items))
        else:
            found.append(int(kind == "true"))
    return found


def is_decomposable(circuit: Circuit) -> bool:
    """Tells whether the children of every conjunction speak of different choices."""
    speaks: list[set[int]] = []
    for index in range(len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            speaks.append({items[0]})
            continue
        parts = [speaks[item] for item in items] if kind in ("and", "or") else []
        speaks.append(set().union(*parts))
        if kind == "and" and sum(map(len, parts)) != len(speaks[-1]):
            return False
    return True
