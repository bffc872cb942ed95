"""Compiles parts of a ground program with PySDD, where structure alone proves nothing.

A choice with two classes of outcomes is one Boolean. A larger choice is one Boolean per class,
adjacent in the variable order, with the constraint that exactly one is true; its negative literals
then weigh 1 and vanish. The order of choices is that of the ground program.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal

from pysdd.sdd import SddManager, Vtree

from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.circuit.outcomes import Summer, outcome_classes
from groundkit.program.ground import GroundProgram

Shape = Literal["right", "balanced"]

_STACK = 512 << 20
"""Bytes of stack: PySDD recurses down the variable order, and C does not ask before it overflows.
The usual 8 MiB end at some 200 variables."""


def compile_references(
    program: GroundProgram, references: Sequence[int], builder: CircuitBuilder, shape: Shape
) -> list[int]:
    """Compiles every reference and returns its circuit node.

    Args:
        program: The ground program.
        references: What to compile.
        builder: Receives the nodes.
        shape: The tree of variables: ``right`` makes decision diagrams of an order.
    """
    found: list[int] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            compiler = SddCompiler(program, references, builder, shape)
            found.extend(compiler.compile(reference) for reference in references)
        except BaseException as error:
            failed.append(error)

    before = threading.stack_size(_STACK)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if failed:
        raise failed[0]
    return found


class SddCompiler:
    """Compiles references of one ground program with one variable order.

    Args:
        program: The ground program.
        references: What will be compiled.
        builder: Receives the compiled nodes.
        shape: The tree of variables.
    """

    def __init__(
        self,
        program: GroundProgram,
        references: Sequence[int],
        builder: CircuitBuilder,
        shape: Shape = "right",
    ) -> None:
        self.program = program
        self.sums = Summer(program, builder)
        self.builder = builder
        self.classes = outcome_classes(program, program.reachable(references))
        self.meaning: list[tuple[int, int]] = [(-1, -1)]
        self.variables: dict[int, list[int]] = {}
        for choice, masks in self.classes.items():
            count = 1 if len(masks) == 2 else len(masks)
            first = len(self.meaning)
            self.variables[choice] = list(range(first, first + count))
            self.meaning.extend((choice, number) for number in range(count))
        count = max(1, len(self.meaning) - 1)
        self.manager: Any = SddManager.from_vtree(Vtree(count, list(range(1, count + 1)), shape))
        self._compiled: dict[int, Any] = {}
        self._exactly: dict[int, Any] = {}
        self._converted: dict[int, int] = {}

    def compile(self, reference: int) -> int:
        """Compiles one reference into the circuit."""
        sdd = self._build(reference)
        for choice in self._choices_of(reference):
            if len(self.classes[choice]) > 2:
                sdd = sdd & self._exactly_one(choice)
        return self._convert(sdd)

    def _choices_of(self, reference: int) -> list[int]:
        """Lists the choices that a reference speaks of."""
        nodes = (self.program.nodes[index] for index in self.program.reachable([reference]))
        return sorted({node.choice for node in nodes if node.kind == "leaf"})

    def _build(self, reference: int) -> Any:
        """Builds the SDD of a reference, children first, without recursion."""
        stack = [reference if reference >= 0 else ~reference]
        while stack:
            index = stack[-1]
            node = self.program.nodes[index]
            below = [r if r >= 0 else ~r for r in node.children]
            missing = [i for i in below if i not in self._compiled]
            if index not in self._compiled and missing:
                stack.extend(missing)
                continue
            stack.pop()
            if index not in self._compiled:
                self._compiled[index] = self._combine(index)
        return self._literal(reference)

    def _literal(self, reference: int) -> Any:
        if reference >= 0:
            return self._compiled[reference]
        return self.manager.negate(self._compiled[~reference])

    def _combine(self, index: int) -> Any:
        node = self.program.nodes[index]
        if node.kind == "true":
            return self.manager.true()
        if node.kind == "leaf":
            return self._leaf(node.choice, node.mask)
        parts = [self._literal(child) for child in node.children]
        conjunction = node.kind == "and"
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=False)
            joined = [a & b if conjunction else a | b for a, b in pairs]
            parts = joined + parts[2 * len(joined) :]
        return parts[0]

    def _leaf(self, choice: int, mask: int) -> Any:
        variables, masks = self.variables[choice], self.classes[choice]
        if len(variables) == 1:
            return self.manager.literal(variables[0] if mask & masks[0] else -variables[0])
        result = self.manager.false()
        for variable, one in zip(variables, masks, strict=True):
            if one & mask:
                result = result | self.manager.literal(variable)
        return result & self._exactly_one(choice)

    def _exactly_one(self, choice: int) -> Any:
        found = self._exactly.get(choice)
        if found is None:
            none, one = self.manager.true(), self.manager.false()
            for variable in reversed(self.variables[choice]):
                yes, no = self.manager.literal(variable), self.manager.literal(-variable)
                none, one = no & none, (yes & none) | (no & one)
            found = self._exactly[choice] = one
        return found

    def _convert(self, sdd: Any) -> int:
        """Copies an SDD into the circuit, children first, without recursion."""
        stack = [sdd]
        while stack:
            node = stack[-1]
            if node.id in self._converted:
                stack.pop()
                continue
            if not node.is_decision():
                stack.pop()
                self._converted[node.id] = self._terminal(node)
                continue
            elements = list(node.elements())
            missing = [n for e in elements for n in e if n.id not in self._converted]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            self._converted[node.id] = self.sums.disjoin(
                self.builder.conjoin((self._converted[p.id], self._converted[s.id]))
                for p, s in elements
            )
        return self._converted[sdd.id]

    def _terminal(self, node: Any) -> int:
        if node.is_true():
            return TRUE
        if node.is_false():
            return FALSE
        choice, number = self.meaning[abs(node.literal)]
        masks = self.classes[choice]
        if len(masks) == 2:
            return self.sums.leaf(choice, masks[0 if node.literal > 0 else 1])
        return self.sums.leaf(choice, masks[number]) if node.literal > 0 else TRUE
