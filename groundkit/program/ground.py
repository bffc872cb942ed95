"""The ground program: random choices and an AND/OR graph over them, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

TRUE = 0
"""Reference to the constant true; ``~TRUE`` is false."""
FALSE = ~TRUE

NO_HEAD = "(none)"
"""The outcome of a choice that none of its heads holds; no atom is printed like that."""

NodeKind = Literal["true", "leaf", "and", "or"]


@dataclass(frozen=True, slots=True)
class NeuralSource:
    """A choice whose probabilities a network gives: row ``slot`` of ``network``."""

    network: str
    slot: int


@dataclass(frozen=True, slots=True)
class FixedSource:
    """A choice with constant probabilities, which sum to 1."""

    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LearnedSource:
    """A choice with the probabilities of a learnable group, an outcome per head.

    Attributes:
        group: Index into the program's learnable groups; the last outcome is "no head" and is
            always present.
        keys: Printed values of the further arguments of ``t(_, C)``.
    """

    group: int
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A random variable of which exactly one outcome holds.

    Attributes:
        label: What it is, for people: ``digit(X,_)``.
        outcomes: Printed outcomes.
        source: Where its probabilities come from.
    """

    label: str
    outcomes: tuple[str, ...]
    source: NeuralSource | FixedSource | LearnedSource

    @property
    def size(self) -> int:
        """Number of outcomes."""
        return len(self.outcomes)

    @property
    def full(self) -> int:
        """Bit mask of all outcomes."""
        return (1 << len(self.outcomes)) - 1


class Node(NamedTuple):
    """One node of the graph; a tuple, for it is looked up more often than anything else.

    Attributes:
        kind: Leaf, conjunction or disjunction; node 0 is the only ``true``.
        children: References to other nodes; ``~n`` stands for the negation of node ``n``.
        choice: For a leaf, the choice it speaks of.
        mask: For a leaf, the bit mask of the outcomes under which it holds.
    """

    kind: NodeKind
    children: tuple[int, ...] = ()
    choice: int = -1
    mask: int = 0


@dataclass(frozen=True)
class GroundProgram:
    """A grounded query shape: one root per answer, and the evidence.

    Attributes:
        choices: The random variables, in the order in which the program meets them.
        nodes: Children stand before their parents.
        slots: For every network, the printed inputs of each of its distinct calls.
        observed: The goal's observed variables.
        answers: Values of :attr:`observed`, one tuple per root: terms, printed so that they read
            back, by which different terms stay different.
        roots: References, one per answer.
        evidence: Reference to the conjunction of all evidence.
        evidence_parts: The printed literals of the evidence with their references.
        seconds: Time that grounding took, with the start of its process if it had one.
        shared: Calls of a network that several predicates make, such as ``net(X) by a/2, b/2``:
            there DeepProbLog would draw a symbol for each predicate.
    """

    choices: tuple[Choice, ...]
    nodes: tuple[Node, ...]
    slots: dict[str, tuple[tuple[str, ...], ...]]
    observed: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    roots: tuple[int, ...]
    evidence: int = TRUE
    evidence_parts: tuple[tuple[str, int], ...] = ()
    seconds: float = 0.0
    shared: tuple[str, ...] = ()

    def worlds(self) -> int:
        """Counts the joint outcomes of all choices."""
        total = 1
        for choice in self.choices:
            total *= choice.size
        return total

    def with_nodes(self, nodes: Sequence[Node]) -> GroundProgram:
        """Returns the same program with more nodes at the end of its list."""
        return replace(self, nodes=tuple(nodes))

    def reachable(self, references: Sequence[int]) -> list[int]:
        """Lists the nodes under some references, children first."""
        needed = {reference if reference >= 0 else ~reference for reference in references}
        for index in range(len(self.nodes) - 1, -1, -1):
            if index in needed:
                needed.update(r if r >= 0 else ~r for r in self.nodes[index].children)
        return sorted(needed)


@dataclass
class GraphBuilder:
    """Builds the nodes of a :class:`GroundProgram`, sharing equal ones.

    Constants are folded and leaves on one choice inside one node are merged, which is exact.
    """

    choices: list[Choice] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=lambda: [Node("true")])
    _index: dict[Node, int] = field(default_factory=dict)

    @classmethod
    def of(cls, program: GroundProgram) -> GraphBuilder:
        """Starts from the nodes of a ground program, to add some."""
        index = {node: number for number, node in enumerate(program.nodes)}
        return cls(list(program.choices), list(program.nodes), index)

    def leaf(self, choice: int, mask: int) -> int:
        """Returns the leaf "``choice`` has an outcome in ``mask``"."""
        full = self.choices[choice].full
        if mask & full == full:
            return TRUE
        if mask & full == 0:
            return FALSE
        return self._add(Node("leaf", choice=choice, mask=mask & full))

    def negate(self, reference: int) -> int:
        """Returns the negation; that of a leaf is the leaf of the other outcomes."""
        node = self.nodes[reference if reference >= 0 else ~reference]
        if node.kind == "leaf":
            return self.leaf(node.choice, self.choices[node.choice].full & ~node.mask)
        return ~reference

    def conjoin(self, children: Sequence[int]) -> int:
        """Returns the conjunction of some references."""
        return self._compound("and", children, neutral=TRUE)

    def disjoin(self, children: Sequence[int]) -> int:
        """Returns the disjunction of some references."""
        return self._compound("or", children, neutral=FALSE)

    def _compound(self, kind: Literal["and", "or"], children: Sequence[int], neutral: int) -> int:
        masks: dict[int, int] = {}
        others: dict[int, None] = {}
        for child in children:
            if child == ~neutral or ~child in others:
                return ~neutral
            node = self.nodes[child] if child >= 0 else None
            if node is not None and node.kind == "leaf":
                before = masks.get(node.choice)
                if before is None:
                    masks[node.choice] = node.mask
                else:
                    masks[node.choice] = before & node.mask if kind == "and" else before | node.mask
            elif child != neutral:
                others[child] = None
        leaves = [self.leaf(choice, mask) for choice, mask in masks.items()]
        if ~neutral in leaves:
            return ~neutral
        found = [leaf for leaf in leaves if leaf != neutral] + list(others)
        if not found:
            return neutral
        return found[0] if len(found) == 1 else self._add(Node(kind, tuple(sorted(found))))

    def _add(self, node: Node) -> int:
        found = self._index.get(node)
        if found is None:
            found = self._index[node] = len(self.nodes)
            self.nodes.append(node)
        return found


def bits(mask: int) -> Iterator[int]:
    """Yields the positions of the set bits of a mask."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
