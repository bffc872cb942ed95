"""From a ground program to a circuit, in stages, each chosen by a proof.

(a) A node whose structure is proved is kept as it is; negations are pushed inwards exactly.
(b) A root that cannot be kept is compiled (:mod:`groundkit.circuit.choose`).
(c) Where only parts fail, those parts alone are compiled and the rest is kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from groundkit.circuit.analyse import Analysis
from groundkit.circuit.attempts import Attempts, Here
from groundkit.circuit.bounds import compile_bounds
from groundkit.circuit.choose import compile_parts
from groundkit.circuit.factor import factor
from groundkit.circuit.forget import forget
from groundkit.circuit.ir import FALSE, TRUE, Circuit, CircuitBuilder
from groundkit.circuit.simplify import simplify
from groundkit.errors import LimitError
from groundkit.program import ground
from groundkit.program.ground import GroundProgram, bits
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


@dataclass
class _Compiler:
    """Compiles references one by one, remembering what was done."""

    program: GroundProgram
    analysis: Analysis
    builder: CircuitBuilder = field(default_factory=CircuitBuilder)
    done: dict[int, int] = field(default_factory=dict)
    _joined: set[int] = field(default_factory=set)

    def compile(self, reference: int) -> int:
        """Compiles one reference, parts first, without recursion."""
        stack = [reference]
        while stack:
            current = stack[-1]
            if current in self.done:
                stack.pop()
                continue
            parts = self._parts(current)
            missing = [part for part in parts if part not in self.done]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            self.done[current] = self._join(current)
        return self.done[reference]

    def unproved(self, references: Sequence[int]) -> list[int]:
        """Lists what some references need and no structure proves, in the order of the program."""
        seen = set(references)
        stack = list(seen)
        while stack:
            parts = self._parts(stack.pop())
            self._joined.update(parts)
            stack += [part for part in parts if part not in seen]
            seen.update(parts)
        return sorted(reference for reference in seen if self._form(reference) == "unproved")

    def take(self, references: Sequence[int], nodes: Sequence[int]) -> None:
        """Takes over what a compiler made of unproved references.

        What is conjoined with other parts keeps to its own choices: a compiler of many references
        at once may have summed over those of its neighbours.
        """
        for reference, node in zip(references, nodes, strict=True):
            self.done[reference] = node
            if reference in self._joined:
                own = self.analysis.support_of(reference)
                self.done[reference] = forget(self.builder, node, own)

    def _parts(self, reference: int) -> list[int]:
        """Lists the references that must be compiled before this one."""
        form = self._form(reference)
        children = self.analysis.literal_children(reference)
        if form == "kept":
            return children
        if form == "chain":
            return children + [~child for child in children[:-1]]
        return []

    def _form(self, reference: int) -> str:
        """Decides how a reference becomes a circuit; the proof behind every form is structural."""
        found = self._forms.get(reference)
        if found is None:
            found = self._forms[reference] = self._decide(reference)
        return found

    _forms: dict[int, str] = field(default_factory=dict)

    def _decide(self, reference: int) -> str:
        node = self.program.nodes[reference if reference >= 0 else ~reference]
        if node.kind in ("true", "leaf"):
            return "terminal"
        if self.analysis.contradicts(reference):
            return "never"
        children = self.analysis.literal_children(reference)
        if self.analysis.is_conjunction(reference):
            return "kept" if self.analysis.decomposable(children) else "unproved"
        if self.analysis.exclusive(children):
            return "kept"
        return "chain" if self.analysis.decomposable(children) else "unproved"

    def _join(self, reference: int) -> int:
        """Builds the circuit node of a reference whose parts are compiled."""
        form = self._form(reference)
        if form == "terminal":
            return self._terminal(reference)
        if form == "never":
            return FALSE
        children = self.analysis.literal_children(reference)
        parts = [self.done[child] for child in children]
        if form == "chain":
            return self._chain(children)
        if self.analysis.is_conjunction(reference):
            return self.builder.conjoin(parts)
        return self.builder.disjoin(parts)

    def _terminal(self, reference: int) -> int:
        node = self.program.nodes[reference if reference >= 0 else ~reference]
        if node.kind == "true":
            return TRUE if reference >= 0 else FALSE
        full = self.program.choices[node.choice].full
        return self.builder.leaf(
            node.choice, bits(node.mask if reference >= 0 else full & ~node.mask)
        )

    def _chain(self, children: list[int]) -> int:
        """Builds a or b or c over different choices as a, (not a and b), (not a, not b and c)."""
        result = self.done[children[-1]]
        for child in reversed(children[:-1]):
            rest = self.builder.conjoin((self.done[~child], result))
            result = self.builder.disjoin((self.done[child], rest))
        return result


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
    compiler = _Compiler(program, Analysis(program))
    unproved = compiler.unproved(roots)
    words = ""
    if unproved:
        nodes, words = compile_parts(
            program, unproved, compiler.builder, attempts or Here(), seconds
        )
        compiler.take(unproved, nodes)
    compiled = [compiler.compile(root) for root in roots]
    circuit = simplify(factor(simplify(compiler.builder.finish(compiled))))
    stage, reason = _stage(compiler, roots, unproved, words)
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
    compiler: _Compiler, roots: list[int], unproved: list[int], words: str
) -> tuple[str, str]:
    """Words which stage was needed."""
    if not unproved:
        return "a", "every conjunction is decomposable and every disjunction deterministic"
    if {root for root in roots if compiler._form(root) != "terminal"} <= set(unproved):
        return "b", f"no answer's structure could be proved; compiled {words}"
    count = len(unproved)
    return "c", f"structure is proved but for {count} subgraphs, which were compiled {words}"
