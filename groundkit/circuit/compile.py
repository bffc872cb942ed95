"""From a ground program to a circuit, in stages, each chosen by a proof.

(a) A node whose structure is proved is kept as it is; negations are pushed inwards exactly.
(b) A root that cannot be kept is compiled by PySDD.
(c) Where only parts fail, those parts alone are compiled and the rest is kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from groundkit.circuit.analyse import Analysis
from groundkit.circuit.factor import factor
from groundkit.circuit.ir import FALSE, TRUE, Circuit, CircuitBuilder
from groundkit.circuit.sdd import SddCompiler
from groundkit.circuit.simplify import simplify
from groundkit.program import ground
from groundkit.program.ground import GroundProgram, bits


@dataclass(frozen=True)
class Compiled:
    """A circuit and how it came about.

    Attributes:
        circuit: A root per answer, each conjoined with the evidence; the last root is the
            evidence itself when there is any.
        stage: ``a``, ``b`` or ``c``.
        reason: What the stage was chosen for, in words.
        seconds: Time that compiling took.
    """

    circuit: Circuit
    stage: str
    reason: str
    seconds: float


@dataclass
class _Compiler:
    """Compiles references one by one, remembering what was done."""

    program: GroundProgram
    analysis: Analysis
    builder: CircuitBuilder = field(default_factory=CircuitBuilder)
    done: dict[int, int] = field(default_factory=dict)
    failed: list[int] = field(default_factory=list)
    sdd: SddCompiler | None = None

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
            return "kept" if self.analysis.decomposable(children) else "sdd"
        if self.analysis.exclusive(children):
            return "kept"
        return "chain" if self.analysis.decomposable(children) else "sdd"

    def _join(self, reference: int) -> int:
        """Builds the circuit node of a reference whose parts are compiled."""
        form = self._form(reference)
        if form == "terminal":
            return self._terminal(reference)
        if form == "never":
            return FALSE
        if form == "sdd":
            return self._with_sdd(reference)
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

    def _with_sdd(self, reference: int) -> int:
        self.failed.append(reference)
        if self.sdd is None:
            order = list(range(len(self.program.choices)))
            self.sdd = SddCompiler(self.program, order, self.builder)
        return self.sdd.compile(reference, self.analysis.support_of(reference))


def compile_program(program: GroundProgram) -> Compiled:
    """Compiles all answers of a ground program, together with its evidence.

    Args:
        program: The ground program.

    Returns:
        The circuit; its probabilities are exact.
    """
    start = time.perf_counter()
    program, roots = with_evidence(program)
    compiler = _Compiler(program, Analysis(program))
    compiled = [compiler.compile(root) for root in roots]
    circuit = simplify(factor(simplify(compiler.builder.finish(compiled))))
    stage, reason = _stage(compiler, roots)
    return Compiled(circuit, stage, reason, time.perf_counter() - start)


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


def _stage(compiler: _Compiler, roots: list[int]) -> tuple[str, str]:
    """Words which stage was needed."""
    failed = set(compiler.failed)
    if not failed:
        return "a", "every conjunction is decomposable and every disjunction deterministic"
    if failed >= {root for root in roots if compiler._form(root) != "terminal"}:
        return "b", "no answer's structure could be proved, so each is compiled to an SDD"
    return "c", f"{len(failed)} subgraphs could not be proved and are SDDs, the rest is kept"
