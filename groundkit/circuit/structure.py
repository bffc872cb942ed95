"""What structure proves becomes a circuit as it stands.

Negations are pushed inwards exactly; what no proof covers is left to other compilers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from groundkit.circuit.analyse import Analysis
from groundkit.circuit.forget import forget
from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.program.ground import GroundProgram, bits


@dataclass
class Structure:
    """Compiles references one by one, remembering what was done.

    Attributes:
        program: The ground program.
        analysis: Its proofs.
        builder: Receives the nodes.
        given: Choices whose outcome is taken for known, as a bit mask: parts may share them.
        known: Their outcomes, each a bit mask, once something is compiled.
        done: Reference -> circuit node.
    """

    program: GroundProgram
    analysis: Analysis
    builder: CircuitBuilder = field(default_factory=CircuitBuilder)
    given: int = 0
    known: Mapping[int, int] = field(default_factory=dict)
    done: dict[int, int] = field(default_factory=dict)
    _joined: set[int] = field(default_factory=set)
    _forms: dict[int, str] = field(default_factory=dict)

    def knowing(self, known: Mapping[int, int]) -> Structure:
        """Returns the same with other outcomes of the given choices; what they leave is kept."""
        apart = {
            reference: node
            for reference, node in self.done.items()
            if not self.analysis.support_of(reference) & self.given
        }
        return replace(self, known=known, done=apart)

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
        return sorted(reference for reference in seen if self.form(reference) == "unproved")

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
        form = self.form(reference)
        children = self.analysis.literal_children(reference)
        if form == "kept":
            return children
        if form == "chain":
            return children + [~child for child in children[:-1]]
        return []

    def form(self, reference: int) -> str:
        """Decides how a reference becomes a circuit; the proof behind every form is structural."""
        found = self._forms.get(reference)
        if found is None:
            found = self._forms[reference] = self._decide(reference)
        return found

    def _decide(self, reference: int) -> str:
        node = self.program.nodes[reference if reference >= 0 else ~reference]
        if node.kind in ("true", "leaf"):
            return "terminal"
        if self.analysis.contradicts(reference):
            return "never"
        children = self.analysis.literal_children(reference)
        if self.analysis.is_conjunction(reference):
            return "kept" if self.analysis.decomposable(children, self.given) else "unproved"
        if self.analysis.exclusive(children):
            return "kept"
        return "chain" if self.analysis.decomposable(children, self.given) else "unproved"

    def _join(self, reference: int) -> int:
        """Builds the circuit node of a reference whose parts are compiled."""
        form = self.form(reference)
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
        mask = node.mask if reference >= 0 else full & ~node.mask
        if node.choice in self.known:
            return TRUE if mask & self.known[node.choice] else FALSE
        return self.builder.leaf(node.choice, bits(mask))

    def _chain(self, children: list[int]) -> int:
        """Builds a or b or c over different choices as a, (not a and b), (not a, not b and c)."""
        result = self.done[children[-1]]
        for child in reversed(children[:-1]):
            rest = self.builder.conjoin((self.done[~child], result))
            result = self.builder.disjoin((self.done[child], rest))
        return result
