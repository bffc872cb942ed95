"""Constraint propagation: what table and all-different constraints rule out."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from groundkit.identifiability.constraints import Constraint

Domains = dict[int, int]
"""Variable -> bit set of the values it may still take; variables without a choice left out."""
Rows = dict[int, int]
"""Constraint -> bit set of its rows that are still possible."""


@dataclass(frozen=True)
class Problem:
    """Variables, their domains and the constraints between them.

    Attributes:
        domains: Bit set of admitted values per variable.
        constraints: Table constraints.
        different: Groups of variables whose values must all differ; a variable is in one at most.
        value_classes: Per variable, a label per value: equal labels may trade names.
        kinds: Per variable, the network it belongs to.
    """

    domains: tuple[int, ...]
    constraints: tuple[Constraint, ...]
    different: tuple[tuple[int, ...], ...]
    value_classes: tuple[tuple[int, ...], ...]
    kinds: tuple[int, ...]

    def start(self) -> tuple[Domains, Rows]:
        """Returns the state in which nothing is decided yet."""
        rows = {n: constraint.table.full for n, constraint in enumerate(self.constraints)}
        return dict(enumerate(self.domains)), rows


class Propagator:
    """Makes states of a problem arc consistent.

    Args:
        problem: Whose states they are.
    """

    def __init__(self, problem: Problem) -> None:
        self.constraints = problem.constraints
        self.touching: list[list[int]] = [[] for _ in problem.domains]
        for number, constraint in enumerate(problem.constraints):
            for variable in constraint.variables:
                self.touching[variable].append(number)
        self.group = {variable: group for group in problem.different for variable in group}

    def settle(self, domains: Domains, rows: Rows, moved: int | None = None) -> bool:
        """Narrows ``domains`` and ``rows`` in place until nothing more follows.

        Args:
            domains: Values that are left.
            rows: Rows that are left, of the constraints to look at.
            moved: The only variable whose domain changed since the state was last settled.

        Returns:
            Whether every domain and constraint has something left.
        """
        wave = _Wave(self, domains, rows)
        if moved is None:
            wave.wake(rows)
            wave.moved.extend(domains)
        else:
            wave.move(moved)
        return wave.run()


class _Wave:
    """One propagation: the constraints to look at again, small ones first."""

    def __init__(self, owner: Propagator, domains: Domains, rows: Rows) -> None:
        self._owner, self._domains, self._rows = owner, domains, rows
        self._queue: list[tuple[int, int]] = []
        self._queued: set[int] = set()
        self.moved: list[int] = []

    def wake(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number in self._rows and number not in self._queued:
                self._queued.add(number)
                size = len(self._owner.constraints[number].variables)
                heapq.heappush(self._queue, (size, number))

    def move(self, variable: int) -> None:
        self.moved.append(variable)
        self.wake(self._owner.touching[variable])

    def run(self) -> bool:
        while self.moved or self._queue:
            if self.moved:
                if not self._part(self.moved.pop()):
                    return False
                continue
            number = heapq.heappop(self._queue)[1]
            self._queued.discard(number)
            if not self._revise(number):
                return False
        return True

    def _revise(self, number: int) -> bool:
        """Drops rows that left the domains, then values that are in no row."""
        constraint = self._owner.constraints[number]
        table, left = constraint.table, self._rows[number]
        open_ = [
            (place, variable, self._domains[variable])
            for place, variable in enumerate(constraint.variables)
            if variable in self._domains
        ]
        for place, _, domain in open_:
            left &= table.holding(place, domain)
        if left == 0:
            return False
        self._rows[number] = left
        for place, variable, domain in open_:
            kept = 0
            for value, holding in table.supports[place]:
                if holding & left:
                    kept |= 1 << value
            if kept != domain:
                self._domains[variable] = kept
                self.move(variable)
        return True

    def _part(self, variable: int) -> bool:
        """Takes a decided value from the rest of its group; checks that the group has enough."""
        group = self._owner.group.get(variable)
        if group is None:
            return True
        open_ = [other for other in group if other in self._domains]
        own = self._domains[variable]
        if own & (own - 1) == 0:
            for other in open_:
                if other != variable and self._domains[other] & own:
                    self._domains[other] &= ~own
                    if self._domains[other] == 0:
                        return False
                    self.move(other)
        union = 0
        for other in open_:
            union |= self._domains[other]
        return union.bit_count() >= len(open_)


def bits(domain: int) -> Iterator[int]:
    """Yields the values of a bit set, from the lowest."""
    while domain:
        lowest = domain & -domain
        yield lowest.bit_length() - 1
        domain ^= lowest
