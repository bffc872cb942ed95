"""Compiles with D4 (Lagniez and Marquis, 2017), where its package ``d4Solver`` is installed.

A ground program becomes clauses: a choice of two classes of outcomes is one Boolean, a larger one
is a Boolean per class of which exactly one holds, and every gate is a Boolean equal to what defines
it. D4 answers with a d-DNNF. In it the gates are functions of the choices and no model leaves any
of them open, so they can be left out: what was deterministic with them stays so without. Of a
choice of many classes, the true literals alone are kept; decisions exclude each other by them, for
exactly one holds in every model.

D4 cannot be interrupted and writes to the terminal: call it in a process of its own
(:mod:`groundkit.circuit.attempts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.circuit.outcomes import Summer, outcome_classes
from groundkit.program.ground import GroundProgram

_PAGE = str(1 << 26)
"""Bytes of a page of D4's cache; by default it claims 4 GiB at once."""
_DECOMPOSER = "htd"
"""Who finds the tree decomposition that orders decisions. D4's default, flow-cutter, searches some
three seconds on dense programs, however small; this one's circuits are as small or smaller."""


def available() -> bool:
    """Tells whether D4 is installed: its wheels cover Linux on x86-64."""
    return find_spec("py_d4") is not None


class Clauses:
    """Clauses that say what some references of a ground program are.

    Args:
        program: The ground program.
        reference: The reference that shall hold.

    Attributes:
        clauses: Lists of literals.
        count: Number of Booleans.
        meaning: Boolean -> choice, mask of outcomes where it holds, mask where it does not (0 where
            that says nothing).
    """

    def __init__(self, program: GroundProgram, reference: int) -> None:
        self.program = program
        self.clauses: list[list[int]] = []
        self.count = 0
        self.meaning: dict[int, tuple[int, int, int]] = {}
        nodes = program.reachable([reference])
        self._classes = outcome_classes(program, nodes)
        self._outcomes: dict[int, list[int]] = {}
        for choice, masks in self._classes.items():
            self._add_choice(choice, masks)
        self._of: dict[int, int] = {}
        for index in nodes:
            self._define(index)
        self.clauses.append([self._literal(reference)])

    def _new(self) -> int:
        self.count += 1
        return self.count

    def _add_choice(self, choice: int, masks: Sequence[int]) -> None:
        """Adds the Booleans of a choice, a literal per class."""
        if len(masks) == 2:
            variable = self._new()
            self.meaning[variable] = (choice, masks[0], masks[1])
            self._outcomes[choice] = [variable, -variable]
            return
        variables = [self._new() for _ in masks]
        for variable, mask in zip(variables, masks, strict=True):
            self.meaning[variable] = (choice, mask, 0)
        self._outcomes[choice] = variables
        self.clauses.append(variables)
        self.clauses += [[-a, -b] for i, a in enumerate(variables) for b in variables[i + 1 :]]

    def _literal(self, reference: int) -> int:
        return self._of[reference] if reference >= 0 else -self._of[~reference]

    def _define(self, index: int) -> None:
        """Adds the Boolean of a node and what it is equal to."""
        node = self.program.nodes[index]
        if node.kind == "leaf":
            literals = [
                literal
                for literal, mask in zip(
                    self._outcomes[node.choice], self._classes[node.choice], strict=True
                )
                if mask & node.mask
            ]
            self._of[index] = literals[0] if len(literals) == 1 else self._gate(literals, "or")
        elif node.kind == "true":
            self._of[index] = self._new()
            self.clauses.append([self._of[index]])
        else:
            self._of[index] = self._gate([self._literal(c) for c in node.children], node.kind)

    def _gate(self, literals: Sequence[int], kind: str) -> int:
        gate = self._new()
        sign = 1 if kind == "and" else -1
        self.clauses += [[-sign * gate, sign * literal] for literal in literals]
        self.clauses.append([sign * gate, *(-sign * literal for literal in literals)])
        return gate


def compile_references(
    program: GroundProgram, references: Sequence[int], builder: CircuitBuilder
) -> list[int]:
    """Compiles every reference and returns its circuit node.

    Raises:
        ImportError: D4 is not installed.
    """
    sums = Summer(program, builder)
    found: dict[int, int] = {}
    for reference in references:
        if reference not in found:
            clauses = Clauses(program, reference)
            found[reference] = _Reader(clauses, sums).read(_solve(clauses))
    return [found[reference] for reference in references]


def _solve(clauses: Clauses) -> str:
    """Returns D4's d-DNNF in its text format."""
    import py_d4

    settings: dict[str, Any] = py_d4.dump_options_to_dict(py_d4.OptionDpllStyleMethod())
    settings["cache"]["bucket"].update(sizeFirstPage=_PAGE, sizeAdditionalPage=_PAGE)
    settings["branching"]["partialOrder"]["treeDecompositionerMethod"] = _DECOMPOSER
    options = py_d4.load_options_from_dict(settings)
    return str(py_d4.Solver(clauses.clauses, clauses.count, options).compile().getNNFString())


class _Reader:
    """Makes circuit nodes of a d-DNNF: lines of nodes, and of edges with the literals on them."""

    def __init__(self, clauses: Clauses, sums: Summer) -> None:
        self.meaning = clauses.meaning
        self.sums = sums

    def read(self, text: str) -> int:
        """Returns the node of the d-DNNF's root."""
        kinds: dict[int, str] = {}
        edges: dict[int, list[tuple[int, list[int]]]] = {}
        for line in text.splitlines():
            parts = line.split()
            if not parts:
                continue
            if parts[0].isalpha():
                kinds[int(parts[1])] = parts[0]
            else:
                source, target, *literals = (int(part) for part in parts[:-1])
                edges.setdefault(source, []).append((target, literals))
        done: dict[int, int] = {}
        stack = [1]
        while stack:
            current = stack[-1]
            missing = [t for t, _ in edges.get(current, ()) if t not in done]
            if current not in done and missing:
                stack.extend(missing)
                continue
            stack.pop()
            if current not in done:
                parts_of = [self._edge(done[t], lits) for t, lits in edges.get(current, ())]
                done[current] = self._node(kinds[current], parts_of)
        return done[1]

    def _node(self, kind: str, parts: list[int]) -> int:
        if kind == "t":
            return TRUE
        if kind == "f":
            return FALSE
        return self.sums.builder.conjoin(parts) if kind == "a" else self.sums.disjoin(parts)

    def _edge(self, target: int, literals: Sequence[int]) -> int:
        """Conjoins a node with the choices among the literals of an edge."""
        parts = [target]
        for literal in literals:
            choice, holds, fails = self.meaning.get(abs(literal), (0, 0, 0))
            mask = holds if literal > 0 else fails
            if mask:
                parts.append(self.sums.leaf(choice, mask))
        return self.sums.builder.conjoin(parts)
