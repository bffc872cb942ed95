"""Constraint propagation: what table and all-different constraints rule out."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundkit.identifiability.constraints import Constraint, Table

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

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values, each table once."""
        tables = {id(one.table): one.table for one in self.constraints}
        numbers = {key: number for number, key in enumerate(tables)}
        return {
            "domains": list(self.domains),
            "tables": [table.rows() for table in tables.values()],
            "constraints": [[numbers[id(one.table)], *one.variables] for one in self.constraints],
            "different": [list(group) for group in self.different],
            "value_classes": [list(labels) for labels in self.value_classes],
            "kinds": list(self.kinds),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Problem:
        """Reads what :meth:`to_dict` returned.

        Raises:
            ValueError: It is something else.
        """
        try:
            tables = [
                Table(np.array(rows, dtype=np.int64).reshape(len(rows), -1))
                for rows in values["tables"]
            ]
            found = cls(
                tuple(map(int, values["domains"])),
                tuple(
                    Constraint(tuple(map(int, variables)), tables[number])
                    for number, *variables in values["constraints"]
                ),
                tuple(tuple(map(int, group)) for group in values["different"]),
                tuple(tuple(map(int, labels)) for labels in values["value_classes"]),
                tuple(map(int, values["kinds"])),
            )
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        found._check()
        return found

    def _check(self) -> None:
        count = len(self.domains)
        if len(self.kinds) != count or len(self.value_classes) != count:
            raise ValueError("kinds and classes are not those of the variables")
        pairs = zip(self.domains, self.value_classes, strict=True)
        if not all(0 <= domain < 1 << len(labels) for domain, labels in pairs):
            raise ValueError("a domain has other values than its classes")
        grouped = [variable for group in self.different for variable in group]
        if len(set(grouped)) < len(grouped) or not set(grouped) <= set(range(count)):
            raise ValueError("a variable is none, or in two groups")
        for one in self.constraints:
            own = set(one.variables)
            fits = len(own) == len(one.variables) == len(one.table.supports)
            if not fits or not own <= set(range(count)):
                raise ValueError("a table does not fit its variables")


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
