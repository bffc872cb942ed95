"""Compiles by eliminating one variable after the other: linear in the length of a chain.

The variables are the choices and the gates of a ground program; a factor is the table of a gate's
definition. Summing a variable out of the product of its factors leaves a table over the others, and
the entries of these tables are nodes of a circuit. A gate is a function of what it is defined by,
so the entries that are added exclude each other, and every choice weighs in one factor alone, so
what is multiplied speaks of different choices: the circuit is deterministic and decomposable.
Tables keep only entries that can hold. The width of the order found bounds the work beforehand.

A second pass from the last variable back gives every wanted gate its circuit, all at about twice
the cost of one (as messages in a junction tree: Shafer and Shenoy, 1990).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from groundkit.circuit.ir import FALSE, TRUE, CircuitBuilder
from groundkit.circuit.outcomes import Summer, outcome_classes
from groundkit.program.ground import GroundProgram

_HOPELESS = 1_000_000_000
"""Entries of tables of which most would have to be impossible."""

Table = dict[tuple[int, ...], int]
"""Values of a scope's variables -> a circuit node; what is absent is false."""


class TooWideError(Exception):
    """Raised when the tables hold more entries than allowed."""


@dataclass
class Factor:
    """A table over some variables, in the order of its scope."""

    scope: tuple[int, ...]
    table: Table


@dataclass
class _Bucket:
    """What is multiplied before one variable is summed out."""

    scope: tuple[int, ...]
    parts: list[Factor] = field(default_factory=list)
    parent: int = -1
    children: list[int] = field(default_factory=list)
    up: Factor | None = None
    down: Factor | None = None


class Elimination:
    """The factors of some references of a ground program, and an order to eliminate them in.

    Args:
        program: The ground program.
        references: The wanted references.
        builder: Receives the circuit's nodes.

    Attributes:
        cost: Most table entries that the order can need.

    Raises:
        TooWideError: No order is narrow enough to try.
    """

    def __init__(
        self, program: GroundProgram, references: Sequence[int], builder: CircuitBuilder
    ) -> None:
        self.program = program
        self.references = list(references)
        self.sums = Summer(program, builder)
        self.builder = builder
        nodes = program.reachable(references)
        self.classes = outcome_classes(program, nodes)
        self.sizes: list[int] = []
        self.factors: list[Factor] = []
        self._choice_variable = {c: self._variable(len(m)) for c, m in self.classes.items()}
        for choice, masks in self.classes.items():
            table: Table = {(i,): self.sums.leaf(choice, m) for i, m in enumerate(masks)}
            self.factors.append(Factor((self._choice_variable[choice],), table))
        self._gate: dict[int, int] = {}
        for index in nodes:
            if program.nodes[index].kind in ("and", "or"):
                self._define(index)
        for reference in self.references:
            self._variable_of(reference)
        self.order, self.cost = elimination_order(
            self.sizes, [factor.scope for factor in self.factors]
        )

    def _variable(self, size: int) -> int:
        self.sizes.append(size)
        return len(self.sizes) - 1

    def _variable_of(self, reference: int) -> int:
        """Returns the variable that a wanted reference is a value of; a leaf gets a gate."""
        index = reference if reference >= 0 else ~reference
        if index not in self._gate:
            self._define(index)
        return self._gate[index]

    def _literal(self, reference: int) -> tuple[int, list[bool]]:
        """Returns the variable that a child speaks of, and whether each value makes it hold."""
        index = reference if reference >= 0 else ~reference
        node = self.program.nodes[index]
        if node.kind == "leaf":
            truth = [bool(mask & node.mask) for mask in self.classes[node.choice]]
            variable = self._choice_variable[node.choice]
        else:
            truth, variable = [False, True], self._gate[index]
        return variable, truth if reference >= 0 else [not value for value in truth]

    def _define(self, index: int) -> None:
        """Adds a node's gate, defined by its children two at a time."""
        node = self.program.nodes[index]
        if node.kind in ("true", "leaf"):
            gate = self._gate[index] = self._variable(2)
            if node.kind == "true":
                self.factors.append(Factor((gate,), {(1,): TRUE}))
            else:
                variable, truth = self._literal(index)
                table: Table = {(i, int(holds)): TRUE for i, holds in enumerate(truth)}
                self.factors.append(Factor((variable, gate), table))
            return
        conjunction = node.kind == "and"
        left = self._literal(node.children[0])
        for child in node.children[1:]:
            gate = self._variable(2)
            self.factors.append(_gate_factor(left, self._literal(child), gate, conjunction))
            left = (gate, [False, True])
        if len(node.children) == 1:  # cannot come from the builder, which folds single children
            raise ValueError("a gate of one child")
        self._gate[index] = left[0]

    def compile(self, most: int, deadline: float | None = None) -> list[int]:
        """Returns a circuit node for every reference.

        Args:
            most: Entries that all tables together may have.
            deadline: When to give up, by the monotonic clock.

        Raises:
            TooWideError: There would be more, or it takes longer.
        """
        self._deadline = deadline
        self._left = self._most = most
        self._plant()
        for variable in self.order:
            bucket = self._buckets[variable]
            bucket.up = self._project(self._product(variable, -1), bucket.scope)
        return [self._belief(reference) for reference in self.references]

    def _plant(self) -> None:
        """Puts every factor into the bucket of the first of its variables to be eliminated."""
        position = {variable: i for i, variable in enumerate(self.order)}
        self._buckets = {variable: _Bucket(()) for variable in self.order}
        scopes: dict[int, set[int]] = {variable: set() for variable in self.order}
        for factor in self.factors:
            first = min(factor.scope, key=position.__getitem__)
            self._buckets[first].parts.append(factor)
            scopes[first].update(factor.scope)
        for variable in self.order:
            bucket = self._buckets[variable]
            rest = scopes[variable] - {variable}
            bucket.scope = tuple(sorted(rest))
            if rest:
                bucket.parent = min(rest, key=position.__getitem__)
                self._buckets[bucket.parent].children.append(variable)
                scopes[bucket.parent].update(rest)

    def _product(self, variable: int, without: int) -> Factor:
        """Multiplies what stands in a bucket, what came up to it and what came down.

        Args:
            variable: The bucket.
            without: A child whose own message is left out; -1 for none.
        """
        bucket = self._buckets[variable]
        messages = [self._buckets[c].up for c in bucket.children if c != without]
        factors = [*bucket.parts, *(m for m in messages if m is not None)]
        if bucket.down is not None:
            factors.append(bucket.down)
        factors.sort(key=lambda factor: len(factor.table))
        result = Factor((), {(): TRUE})
        while factors:
            # The next factor shares most variables, so that tables are filtered, not multiplied.
            best = max(
                factors, key=lambda f: (len(set(f.scope) & set(result.scope)), -len(f.table))
            )
            factors.remove(best)
            result = self._join(result, best)
        return result

    def _join(self, left: Factor, right: Factor) -> Factor:
        """Multiplies two tables on the variables they share."""
        shared = [v for v in right.scope if v in left.scope]
        at_left = _picker([left.scope.index(v) for v in shared])
        at_right = _picker([right.scope.index(v) for v in shared])
        rest = _picker([i for i, v in enumerate(right.scope) if v not in left.scope])
        index: dict[tuple[int, ...], list[tuple[tuple[int, ...], int]]] = {}
        for key, node in right.table.items():
            index.setdefault(at_right(key), []).append((rest(key), node))
        table: Table = {}
        for key, node in left.table.items():
            for more, other in index.get(at_left(key), ()):
                if TRUE in (node, other):
                    table[key + more] = node + other  # TRUE is 0
                else:
                    table[key + more] = self.builder.conjoin((node, other))
        self._spend(len(table))
        return Factor(left.scope + rest(right.scope), table)

    def _project(self, factor: Factor, scope: tuple[int, ...]) -> Factor:
        """Sums every variable out that is not in ``scope``."""
        pick = _picker([factor.scope.index(v) for v in scope if v in factor.scope])
        groups: dict[tuple[int, ...], list[int]] = {}
        for key, node in factor.table.items():
            groups.setdefault(pick(key), []).append(node)
        table = {
            key: nodes[0] if len(nodes) == 1 else self.sums.disjoin(nodes)
            for key, nodes in groups.items()
        }
        return Factor(tuple(v for v in scope if v in factor.scope), table)

    def _belief(self, reference: int) -> int:
        """Sums over everything that makes a reference hold."""
        gate = self._variable_of(reference)
        self._descend(gate)
        found = self._project(self._product(gate, -1), (gate,))
        return found.table.get((int(reference >= 0),), FALSE)

    def _descend(self, variable: int) -> None:
        """Sends messages from the last bucket down to that of ``variable``."""
        path = []
        while self._buckets[variable].down is None and self._buckets[variable].parent >= 0:
            path.append(variable)
            variable = self._buckets[variable].parent
        for child in reversed(path):
            parent = self._buckets[child].parent
            bucket = self._buckets[child]
            bucket.down = self._project(self._product(parent, child), bucket.scope)

    def _spend(self, entries: int) -> None:
        self._left -= entries
        if self._left < 0:
            raise TooWideError(f"needs tables of more than {self._most:,} entries")
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TooWideError("ran out of its time")


def _picker(places: Sequence[int]) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    """Returns a function that picks some places of a tuple, as a tuple."""
    if not places:
        return lambda key: ()
    if len(places) == 1:
        place = places[0]
        return lambda key: (key[place],)
    return itemgetter(*places)


def _gate_factor(
    left: tuple[int, list[bool]], right: tuple[int, list[bool]], gate: int, conjunction: bool
) -> Factor:
    """Tabulates a gate of two children, which may speak of the same variable."""
    table: Table = {}
    if left[0] == right[0]:
        for value, (a, b) in enumerate(zip(left[1], right[1], strict=True)):
            table[(value, int(a and b if conjunction else a or b))] = TRUE
        return Factor((left[0], gate), table)
    for i, a in enumerate(left[1]):
        for j, b in enumerate(right[1]):
            table[(i, j, int(a and b if conjunction else a or b))] = TRUE
    return Factor((left[0], right[0], gate), table)


def elimination_order(
    sizes: Sequence[int], scopes: Iterable[Sequence[int]]
) -> tuple[list[int], int]:
    """Finds an order by always eliminating the variable whose table is smallest.

    Args:
        sizes: Number of values of every variable.
        scopes: Variables of every factor.

    Returns:
        The order, and the number of entries of all its tables.

    Raises:
        TooWideError: Even with few entries that can hold, such tables would be hopeless.
    """
    near: list[set[int]] = [set() for _ in sizes]
    for scope in scopes:
        for variable in scope:
            near[variable].update(scope)
    for variable, others in enumerate(near):
        others.discard(variable)

    def weight(variable: int) -> tuple[int, int]:
        total = sizes[variable]
        for other in near[variable]:
            total *= sizes[other]
        return total, len(near[variable])

    heap = [(*weight(v), v) for v in range(len(sizes))]
    heapq.heapify(heap)
    done = [False] * len(sizes)
    order, cost = [], 0
    while heap:
        total, degree, variable = heapq.heappop(heap)
        if done[variable]:
            continue
        if (total, degree) != weight(variable):
            heapq.heappush(heap, (*weight(variable), variable))
            continue
        done[variable] = True
        order.append(variable)
        cost += total
        if cost > _HOPELESS:
            raise TooWideError("finds no order with narrow tables")
        others = near[variable]
        for other in others:
            near[other] |= others
            near[other] -= {other, variable}
    return order, cost
