"""From a ground program to a circuit, in stages, each chosen by a proof.

(a) A node whose structure is proved is kept as it is; negations are pushed inwards exactly.
(b) A root that cannot be kept is compiled (:mod:`groundkit.circuit.choose`).
(c) Where only parts fail, those parts alone are compiled and the rest is kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundkit.circuit.analyse import Analysis
from groundkit.circuit.attempts import Attempts, Here
from groundkit.circuit.choose import compile_parts
from groundkit.circuit.factor import factor
from groundkit.circuit.ir import FALSE, Circuit, CircuitBuilder
from groundkit.circuit.simplify import simplify
from groundkit.circuit.structure import Structure
from groundkit.errors import LimitError
from groundkit.program import ground
from groundkit.program.ground import GroundProgram
from groundkit.program.limits import Mode

_WIDEST = 0.1
"""The gap between bounds above which ``auto`` prefers estimates."""


@dataclass(frozen=True)
class Compiled:
    """A circuit and how it came about.

    Attributes:
        circuit: A root per answer, each conjoined with the evidence; the last root is the
            evidence itself when there is any. Of bounds, what
            :func:`~groundkit.circuit.bounds.parts_of` reads; without evidence, lower bounds of the
            answers and of their contraries.
        stage: ``a``, ``b`` or ``c``; ``bounds``, or ``sample`` where there is no circuit.
        reason: What the stage was chosen for, in words.
        seconds: Time that compiling took.
    """

    circuit: Circuit
    stage: str
    reason: str
    seconds: float

    @property
    def exact(self) -> bool:
        """Whether the circuit's probabilities are those of the answers."""
        return self.stage in ("a", "b", "c")


def compile_program(
    program: GroundProgram, seconds: float | None = None, attempts: Attempts | None = None
) -> Compiled:
    """Compiles all answers of a ground program, together with its evidence.

    Args:
        program: The ground program.
        seconds: Time that compilers may take where structure proves nothing.
        attempts: Where they are run; by default in processes forked from this one.

    Returns:
        The circuit; its probabilities are exact.

    Raises:
        LimitError: No compiler found a circuit.
    """
    start = time.perf_counter()
    program, roots = with_evidence(program)
    structure = Structure(program, Analysis(program))
    unproved = structure.unproved(roots)
    if unproved:
        structure.analysis.find_families()
        further = Structure(program, structure.analysis)
        # Compilers take a few large parts better than many small ones.
        if len(left := further.unproved(roots)) < len(unproved):
            structure, unproved = further, left
    words = ""
    if unproved:
        nodes, words = compile_parts(
            program, unproved, structure.builder, attempts or Here(), seconds
        )
        structure.take(unproved, nodes)
    compiled = [structure.compile(root) for root in roots]
    circuit = simplify(factor(simplify(structure.builder.finish(compiled))))
    stage, reason = _stage(structure, roots, unproved, words)
    return Compiled(circuit, stage, reason, time.perf_counter() - start)


def compile_within(
    program: GroundProgram, seconds: float | None, attempts: Attempts, mode: Mode
) -> Compiled:
    """Compiles a ground program exactly, or as closely as the mode permits.

    Args:
        program: The ground program.
        seconds: Time for all of it.
        attempts: Where compilers are run.
        mode: See :class:`~groundkit.program.limits.Limits`.

    Raises:
        LimitError: The mode is ``exact`` and no circuit was found, or ``bounds`` and no bounds.
    """
    start = time.perf_counter()
    reasons: list[str] = []
    if mode in ("exact", "auto"):
        try:
            half = seconds / 2 if seconds is not None and mode == "auto" else seconds
            return compile_program(program, half, attempts)
        except LimitError as error:
            if mode == "exact":
                raise
            reasons.append(f"no exact circuit ({error.found})")
    if mode in ("bounds", "auto"):
        from groundkit.circuit.bounds import compile_bounds

        left = None if seconds is None else 0.8 * (seconds - (time.perf_counter() - start))
        try:
            circuit, words, gap = compile_bounds(program, attempts, left)
            if mode == "bounds" or gap <= _WIDEST:
                reason = "; ".join([*reasons, f"bounds from {words}"])
                return Compiled(circuit, "bounds", reason, time.perf_counter() - start)
            reasons.append(f"bounds were too wide ({words})")
        except LimitError as error:
            if mode == "bounds":
                raise
            reasons.append(error.found)
    builder = CircuitBuilder()
    circuit = builder.finish([FALSE] * (len(program.roots) + (program.evidence != ground.TRUE)))
    reason = "; ".join([*reasons, "random worlds are drawn for every question"])
    return Compiled(circuit, "sample", reason, time.perf_counter() - start)


def with_evidence(program: GroundProgram) -> tuple[GroundProgram, list[int]]:
    """Conjoins every root with the evidence and adds the evidence as the last root."""
    if program.evidence == ground.TRUE:
        return program, list(program.roots)
    builder = ground.GraphBuilder.of(program)
    roots = [builder.conjoin((root, program.evidence)) for root in program.roots]
    extended = program.with_nodes(builder.nodes)
    return extended, [*roots, program.evidence]


def compile_conjunction(program: GroundProgram, references: Sequence[int]) -> Compiled:
    """Compiles the conjunction of some references alone, for finding conflicts in evidence."""
    builder = ground.GraphBuilder.of(program)
    root = builder.conjoin(references)
    return compile_program(replace(program.with_nodes(builder.nodes), roots=(root,), evidence=0))


def _stage(
    structure: Structure, roots: list[int], unproved: list[int], words: str
) -> tuple[str, str]:
    """Words which stage was needed."""
    if not unproved:
        return "a", "every conjunction is decomposable and every disjunction deterministic"
    if {root for root in roots if structure.form(root) != "terminal"} <= set(unproved):
        return "b", f"no answer's structure could be proved; compiled {words}"
    count = len(unproved)
    return "c", f"structure is proved but for {count} subgraphs, which were compiled {words}"
