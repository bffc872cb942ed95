"""Exact counting, listing and drawing of the maps of symbols that a relation admits.

The counter is a #CSP solver in the manner of the component-caching model counters (Bayardo and
Pehoushek 2000; sharpSAT, Thurley 2006), over many-valued variables with table constraints:

- every constraint is kept arc consistent; a constraint that allows every combination of what is
  left of its variables is dropped,
- what remains falls into components that share no constraint; their counts multiply and are kept
  for when the same component comes back,
- values that can trade names (`interchangeable_values`) and have not been used are counted once,
- an all-different group, for permutations, is a matching count once its tables are spent.

Maps are drawn down the same tree, every branch as often as it has maps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundkit.errors import LimitError
from groundkit.identifiability.constraints import bits
from groundkit.identifiability.matching import count_matchings
from groundkit.identifiability.propagate import Domains, Problem, Propagator, Rows
from groundkit.identifiability.relations import IntArray


@dataclass(frozen=True)
class _Draws:
    """Solutions (N, V) that are being drawn, and where chance comes from."""

    rows: IntArray
    rng: np.random.Generator


class MapCounter:
    """Counts, lists or draws the solutions of one problem.

    Attributes:
        problem: What to solve.
        seconds: Time limit for each call.

    Raises:
        LimitError: From `count`, `solutions` and `sample`, when the time limit is reached.
    """

    def __init__(self, problem: Problem, *, seconds: float = 60.0) -> None:
        self.problem = problem
        self.seconds = seconds
        self._deadline = float("inf")
        self._cache: dict[tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]], int] = {}
        self._propagator = Propagator(problem)

    def count(self, narrowed: Sequence[int] | None = None) -> int:
        """Returns the number of solutions.

        Args:
            narrowed: Bit set of values per variable to keep to; those of the problem by default.
        """
        started = self._start(narrowed)
        return 0 if started is None else self._count_parts(*started, self._spend(started[0], {}))

    def solutions(
        self, narrowed: Sequence[int] | None = None, *, representatives: bool = False
    ) -> Iterator[tuple[int, ...]]:
        """Yields every solution as a value per variable, in lexicographic order.

        Args:
            narrowed: Bit set of values per variable to keep to; those of the problem by default.
            representatives: Of solutions that differ in the names of interchangeable values only,
                yield the one that uses them in rising order. Every solution has one where all
                variables of a network differ and every domain holds all or none of the unused
                values of a class.
        """
        started = self._start(narrowed)
        if started is not None:
            yield from self._list(*started, 0, representatives=representatives)

    def sample(
        self, count: int, rng: np.random.Generator, narrowed: Sequence[int] | None = None
    ) -> IntArray:
        """Draws ``(count, V)`` solutions, each as likely as any other.

        Args:
            count: How many; none where the problem has no solution.
            rng: Where chance comes from.
            narrowed: Bit set of values per variable to keep to; those of the problem by default.
        """
        started = self._start(narrowed)
        if started is None or not self.count(narrowed):
            return np.empty((0, len(self.problem.domains)), dtype=np.int64)
        draws = _Draws(np.empty((count, len(self.problem.domains)), dtype=np.int64), rng)
        self._draw_parts(*started, {}, np.arange(count), draws)
        return draws.rows

    def _start(self, narrowed: Sequence[int] | None) -> tuple[Domains, Rows] | None:
        """Returns the state in which nothing is decided; ``None`` where nothing is possible."""
        self._deadline = time.monotonic() + self.seconds
        domains, rows = self.problem.start()
        if narrowed is not None:
            domains = dict(enumerate(narrowed))
        if not all(domains.values()):
            return None
        return (domains, rows) if self._propagator.settle(domains, rows) else None

    def _spend(self, domains: Domains, used: Mapping[int, int]) -> dict[int, int]:
        """Takes decided variables out of ``domains`` and returns the values used by network."""
        spent = dict(used)
        decided = [variable for variable, domain in domains.items() if domain & (domain - 1) == 0]
        for variable in decided:
            kind = self.problem.kinds[variable]
            spent[kind] = spent.get(kind, 0) | domains.pop(variable)
        return spent

    def _count_parts(self, domains: Domains, rows: Rows, used: dict[int, int]) -> int:
        active = self._active(domains, rows)
        total = 1
        for variables, numbers in self._components(domains, active):
            part = {variable: domains[variable] for variable in variables}
            total *= self._count_component(part, {n: rows[n] for n in numbers}, used)
            if total == 0:
                return 0
        return total

    def _count_component(self, domains: Domains, rows: Rows, used: dict[int, int]) -> int:
        if not rows:
            if len(domains) == 1:
                return next(iter(domains.values())).bit_count()
            return count_matchings(list(domains.values()))
        key = (tuple(domains.items()), tuple(rows.items()))
        known = self._cache.get(key)
        if known is not None:
            return known
        self._check_time()
        variable = self._choose(domains, rows)
        total = 0
        for value, times in self._branches(variable, domains, used):
            branch, left = dict(domains), dict(rows)
            branch[variable] = 1 << value
            if self._propagator.settle(branch, left, variable):
                total += times * self._count_parts(branch, left, self._spend(branch, used))
        self._cache[key] = total
        return total

    def _draw_parts(
        self,
        domains: Domains,
        rows: Rows,
        used: Mapping[int, int],
        places: IntArray,
        draws: _Draws,
    ) -> None:
        """Draws what is open in some places of ``draws``; ``used`` as in counting."""
        for variable, domain in domains.items():
            if domain & (domain - 1) == 0:
                draws.rows[places, variable] = domain.bit_length() - 1
        spent = self._spend(domains, used)
        for variables, numbers in self._components(domains, self._active(domains, rows)):
            part = {variable: domains[variable] for variable in variables}
            # Parts have nothing to do with each other: which draws they share is chance.
            own = draws.rng.permutation(places)
            self._draw_component(part, {n: rows[n] for n in numbers}, spent, own, draws)

    def _draw_component(
        self,
        domains: Domains,
        rows: Rows,
        used: dict[int, int],
        places: IntArray,
        draws: _Draws,
    ) -> None:
        self._check_time()
        variable = self._choose(domains, rows) if rows else next(iter(domains))
        branches: list[tuple[Domains, Rows]] = []
        counts: list[int] = []
        for value in bits(domains[variable]):
            branch, left = {**domains, variable: 1 << value}, dict(rows)
            if self._propagator.settle(branch, left, variable):
                open_ = dict(branch)
                counts.append(self._count_parts(open_, left, self._spend(open_, used)))
                branches.append((branch, left))
        total = sum(counts)
        times = draws.rng.multinomial(len(places), [number / total for number in counts])
        ends = np.cumsum(times)
        for (branch, left), start, end in zip(branches, ends - times, ends, strict=True):
            if start < end:
                self._draw_parts(branch, left, used, places[start:end], draws)

    def _list(
        self, domains: Domains, rows: Rows, variable: int, *, representatives: bool
    ) -> Iterator[tuple[int, ...]]:
        self._check_time()
        if variable == len(domains):
            yield tuple(domains[v].bit_length() - 1 for v in range(len(domains)))
            return
        met: set[int] = set()
        for value in bits(domains[variable]):
            label = self.problem.value_classes[variable][value]
            if representatives and label in met:
                continue
            met.add(label)
            branch, left = dict(domains), dict(rows)
            branch[variable] = 1 << value
            if self._propagator.settle(branch, left, variable):
                yield from self._list(branch, left, variable + 1, representatives=representatives)

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise LimitError(
                f"counting the maps of symbols took more than {self.seconds:g} s",
                remedy="raise the time limit, or observe more combinations",
            )

    def _active(self, domains: Domains, rows: Rows) -> Rows:
        """Drops constraints that no longer forbid anything."""
        constraints = self.problem.constraints
        active: Rows = {}
        for number, left in rows.items():
            choices, free = 1, 0
            for variable in constraints[number].variables:
                domain = domains.get(variable)
                if domain is not None:
                    choices *= domain.bit_count()
                    free += 1
            if free > 1 and left.bit_count() < choices:
                active[number] = left
        return active

    def _components(self, domains: Domains, active: Rows) -> Iterator[tuple[list[int], list[int]]]:
        """Yields variables and constraints that hang together, in a fixed order."""
        leader = {variable: variable for variable in domains}

        def find(variable: int) -> int:
            while leader[variable] != variable:
                leader[variable] = leader[leader[variable]]
                variable = leader[variable]
            return variable

        for number in active:
            free = [v for v in self.problem.constraints[number].variables if v in domains]
            for variable in free[1:]:
                leader[find(variable)] = find(free[0])
        for group in self.problem.different:
            self._join_overlapping(group, domains, leader, find)
        parts: dict[int, tuple[list[int], list[int]]] = {}
        for variable in domains:
            parts.setdefault(find(variable), ([], []))[0].append(variable)
        for number in active:
            first = next(v for v in self.problem.constraints[number].variables if v in domains)
            parts[find(first)][1].append(number)
        yield from parts.values()

    @staticmethod
    def _join_overlapping(
        group: Sequence[int],
        domains: Domains,
        leader: dict[int, int],
        find: Callable[[int], int],
    ) -> None:
        holder: dict[int, int] = {}
        for variable in group:
            for value in bits(domains.get(variable, 0)):
                other = holder.setdefault(value, variable)
                leader[find(variable)] = find(other)

    def _choose(self, domains: Domains, rows: Rows) -> int:
        """Picks the variable with the fewest values, then the most constraints."""
        degree = dict.fromkeys(domains, 0)
        for number in rows:
            for variable in self.problem.constraints[number].variables:
                if variable in degree:
                    degree[variable] += 1
        return min(
            (variable for variable in domains if degree[variable]),
            key=lambda variable: (domains[variable].bit_count(), -degree[variable], variable),
        )

    def _branches(
        self, variable: int, domains: Domains, used: Mapping[int, int]
    ) -> list[tuple[int, int]]:
        """Returns one value of each set of interchangeable ones, with how many it stands for."""
        kind = self.problem.kinds[variable]
        classes = self.problem.value_classes[variable]
        peers = [domain for v, domain in domains.items() if self.problem.kinds[v] == kind]
        taken = used.get(kind, 0)
        groups: dict[tuple[object, ...], list[int]] = {}
        for value in bits(domains[variable]):
            if taken >> value & 1:
                groups[("used", value)] = [value]
            else:
                held = tuple(domain >> value & 1 for domain in peers)
                groups.setdefault((classes[value], held), []).append(value)
        return [(values[0], len(values)) for values in groups.values()]
