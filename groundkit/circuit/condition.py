"""The part of the evidence that compiles exactly and at once, for bounds to be measured against."""

from __future__ import annotations

import time
from contextlib import suppress

from groundkit.circuit.eliminate import Elimination, TooWideError
from groundkit.circuit.ir import TRUE as CERTAIN
from groundkit.circuit.ir import Circuit, CircuitBuilder
from groundkit.program.ground import TRUE, GraphBuilder, GroundProgram

_ENTRIES = 50_000
"""Entries of the tables of one attempt."""
_ATTEMPTS = 50


def known_part(
    program: GroundProgram, graph: GraphBuilder, seconds: float | None
) -> tuple[int, Circuit]:
    """Finds as much of the evidence as elimination compiles in small tables.

    Args:
        program: The ground program.
        graph: Its nodes; receives what is new.
        seconds: Time for all attempts.

    Returns:
        A reference that the evidence implies, all of the evidence where that works, and its
        circuit.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    kept, circuit = TRUE, CircuitBuilder().finish([CERTAIN])
    parts = [reference for _, reference in program.evidence_parts]
    for part in (program.evidence, *parts[:_ATTEMPTS]):
        if deadline is not None and time.monotonic() > deadline:
            break
        both = graph.conjoin((kept, part))
        builder = CircuitBuilder()
        with suppress(TooWideError):
            extended = program.with_nodes(graph.nodes)
            roots = Elimination(extended, [both], builder).compile(_ENTRIES, deadline)
            kept, circuit = both, builder.finish(roots)
        if kept == program.evidence:
            break
    return kept, circuit
