"""Chooses a compiler for what structure does not prove, and tries the next one when one gives up.

First comes elimination as long as it stays linear in the size of the program, as for chains and
trees; then the truth table, where there are few worlds; then cases, where parts share few choices;
then D4, which finds structure where elimination sees none; then elimination with larger tables, and
last PySDD in two variable orders.
Each has its share of the time that is left. A large circuit is a reason to try the next one: every
training step walks through it; the smaller is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from groundkit.circuit import cutset, d4, table
from groundkit.circuit.attempts import Attempts, GaveUpError
from groundkit.circuit.eliminate import Elimination, TooWideError
from groundkit.circuit.ir import Circuit, CircuitBuilder
from groundkit.errors import LimitError
from groundkit.program.ground import GroundProgram
from groundkit.program.limits import RAISE_MEMORY, RAISE_SECONDS

_ENTRIES_A_NODE = 80
_FEW_ENTRIES = 20_000
"""Table entries that elimination may make for a node of the program, and for all programs."""
_MANY_ENTRIES = 1_500_000
_SMALL = 50_000
_SMALL_A_NODE = 8
"""Nodes of a circuit, in all or for a node of the program, that make looking further idle."""
_SECONDS_FOR_SMALLER = 10.0
"""Time that a search for something smaller may take."""


def compile_parts(
    program: GroundProgram,
    references: Sequence[int],
    builder: CircuitBuilder,
    attempts: Attempts,
    seconds: float | None,
) -> tuple[list[int], str]:
    """Compiles references of a ground program by the first compilers that succeed.

    Args:
        program: The ground program.
        references: What to compile.
        builder: Receives the nodes.
        attempts: Where compilers are run.
        seconds: Time for all of them.

    Returns:
        A node for every reference, and how they came about, in words.

    Raises:
        LimitError: No compiler found a circuit.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    gave_up: list[str] = []
    best: tuple[Circuit, str] | None = None
    candidates = _candidates(program, references, attempts)
    for position, (name, compiler) in enumerate(candidates):
        share = _share(deadline, len(candidates) - position, found=best is not None)
        try:
            circuit = compiler(share)
        except (GaveUpError, TooWideError) as error:
            gave_up.append(f"{name} {error}")
            continue
        if best is None or circuit.edges < best[0].edges:
            best = circuit, name
        if len(circuit) <= max(_SMALL, _SMALL_A_NODE * len(program.nodes)):
            break
    if best is None:
        raise LimitError(
            f"no compiler found a circuit: {'; '.join(gave_up)}",
            remedy=f"{RAISE_SECONDS}, {RAISE_MEMORY}, or allow "
            'approximate reasoning: [reasoning] mode = "auto"',
        )
    words = f" ({'; '.join(gave_up)})" if gave_up else ""
    return graft(best[0], builder), f"by {best[1]}{words}"


def _candidates(
    program: GroundProgram, references: Sequence[int], attempts: Attempts
) -> list[tuple[str, Callable[[float | None], Circuit]]]:
    """Lists compilers in the order of trying; each takes its share of seconds."""

    def eliminate(entries: int) -> Callable[[float | None], Circuit]:
        return lambda seconds: _eliminate(program, references, entries, seconds)

    def run(name: str) -> tuple[str, Callable[[float | None], Circuit]]:
        return name, lambda seconds: attempts.run(name, program, references, seconds)

    linear = _FEW_ENTRIES + _ENTRIES_A_NODE * len(program.nodes)
    found = [
        ("elimination", eliminate(linear)),
        ("a truth table", lambda _: _direct(table.compile_references, program, references)),
        ("cases", lambda _: _direct(cutset.compile_references, program, references)),
    ]
    if d4.available():
        found.append(run("D4"))
    if linear < _MANY_ENTRIES:
        found.append(("elimination with large tables", eliminate(_MANY_ENTRIES)))
    return [*found, run("PySDD"), run("PySDD, balanced")]


def _direct(
    compiler: Callable[[GroundProgram, Sequence[int], CircuitBuilder], list[int]],
    program: GroundProgram,
    references: Sequence[int],
) -> Circuit:
    builder = CircuitBuilder()
    return builder.finish(compiler(program, references, builder))


def _share(deadline: float | None, waiting: int, *, found: bool) -> float | None:
    """Returns the seconds of the next compiler; half of what is left while others wait."""
    if deadline is None:
        return _SECONDS_FOR_SMALLER if found else None
    left = max(deadline - time.monotonic(), 0.1)
    share = left / 2 if waiting > 1 else 0.9 * left
    return min(share, _SECONDS_FOR_SMALLER) if found else share


def _eliminate(
    program: GroundProgram, references: Sequence[int], entries: int, seconds: float | None
) -> Circuit:
    deadline = None if seconds is None else time.monotonic() + seconds
    builder = CircuitBuilder()
    elimination = Elimination(program, references, builder)
    return builder.finish(elimination.compile(entries, deadline))


def graft(circuit: Circuit, builder: CircuitBuilder) -> list[int]:
    """Copies a circuit into a builder and returns the nodes of its roots."""
    new: list[int] = []
    for index in range(len(circuit)):
        kind, items = circuit.node(index)
        if kind == "and":
            new.append(builder.conjoin(new[item] for item in items))
        elif kind == "or":
            new.append(builder.disjoin(new[item] for item in items))
        else:
            new.append(builder.leaf(items[0], items[1:]) if kind == "leaf" else index)
    return [new[root] for root in circuit.roots]
