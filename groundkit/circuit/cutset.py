"""Compiles by cases: for every outcome of the few choices that parts of a program share.

One image in two places of a goal ties together what structure proves to be apart otherwise. Once
its symbol is known, the rest is a circuit as it stands (cutset conditioning: Pearl, "Probabilistic
Reasoning in Intelligent Systems", 1988, section 4.4.2), and parts that do not speak of it are built
once for all cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from groundkit.circuit.analyse import Analysis
from groundkit.circuit.eliminate import TooWideError
from groundkit.circuit.ir import CircuitBuilder
from groundkit.circuit.outcomes import outcome_classes
from groundkit.circuit.structure import Structure
from groundkit.program.ground import GroundProgram, bits

_VISITS = 300_000
"""Most nodes that are built, those of every case counted."""


def compile_references(
    program: GroundProgram, references: Sequence[int], builder: CircuitBuilder
) -> list[int]:
    """Compiles every reference and returns its circuit node.

    Raises:
        TooWideError: So many choices are shared that there are too many cases.
    """
    nodes = program.reachable(references)
    classes = outcome_classes(program, nodes)
    analysis = Analysis(program)
    analysis.find_families()
    structure = Structure(program, analysis, builder)
    while unproved := structure.unproved(references):
        given = structure.given
        for reference in unproved:
            given |= analysis.shared(analysis.literal_children(reference))
        cases = math.prod(len(classes[choice]) for choice in bits(given))
        if cases * len(nodes) > _VISITS:
            raise TooWideError("has too many cases")
        structure = Structure(program, analysis, builder, given)
    choices = list(bits(structure.given))
    found = []
    for masks in product(*(classes[choice] for choice in choices)):
        structure = structure.knowing(dict(zip(choices, masks, strict=True)))
        found.append([structure.compile(reference) for reference in references])
    for choice in reversed(choices):
        found = _joined(choice, classes[choice], found, builder)
    return found[0]


def _joined(
    choice: int, masks: Sequence[int], cases: Sequence[Sequence[int]], builder: CircuitBuilder
) -> list[list[int]]:
    """Puts the cases of a choice together, each reference's equal ones into one."""
    found = []
    for start in range(0, len(cases), len(masks)):
        row = []
        for nodes in zip(*cases[start : start + len(masks)], strict=True):
            outcomes: dict[int, int] = {}
            for node, mask in zip(nodes, masks, strict=True):
                outcomes[node] = outcomes.get(node, 0) | mask
            if len(outcomes) > 1:
                own = ((builder.leaf(choice, bits(mask)), node) for node, mask in outcomes.items())
                row.append(builder.disjoin(builder.conjoin(part) for part in own))
            else:
                row.append(nodes[0])
        found.append(row)
    return found
