"""The condition on a map of symbols, as table constraints over one variable per true symbol.

The variable (network, s) takes the predicted symbol of true symbol s. An observed combination
(x_1, ..., x_n) with answer a demands that (m(x_1), ..., m(x_n)) can still give a. Combinations
share their tables: a table depends on the answer and on which calls hold the same symbol, never
on the symbols themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundkit.identifiability.relations import IntArray, Relation


def bits(domain: int) -> Iterator[int]:
    """Yields the values of a bit set, from the lowest."""
    while domain:
        lowest = domain & -domain
        yield lowest.bit_length() - 1
        domain ^= lowest


class Table:
    """Allowed rows, with a bit set of the rows that hold each value.

    The bit sets are Python integers: one machine word or a thousand, the same code. Filtering
    rows by a domain is one ``&``, as in Compact-Table (Demeulenaere et al., CP 2016).

    Args:
        rows: (T, r) distinct rows.
    """

    def __init__(self, rows: IntArray) -> None:
        self.full = (1 << len(rows)) - 1
        self.supports: tuple[tuple[tuple[int, int], ...], ...] = tuple(
            tuple((int(value), _bits(column == value)) for value in np.unique(column))
            for column in rows.T
        )
        self._holding: dict[tuple[int, int], int] = {}

    def rows(self) -> list[tuple[int, ...]]:
        """Returns the rows."""
        found = [[0] * len(self.supports) for _ in range(self.full.bit_length())]
        for place, support in enumerate(self.supports):
            for value, rows in support:
                for row in bits(rows):
                    found[row][place] = value
        return [tuple(row) for row in found]

    def holding(self, place: int, domain: int) -> int:
        """Returns the rows whose value at ``place`` lies in the bit set ``domain``."""
        key = (place, domain)
        found = self._holding.get(key)
        if found is None:
            found = 0
            for value, rows in self.supports[place]:
                if domain >> value & 1:
                    found |= rows
            self._holding[key] = found
        return found


@dataclass(frozen=True, slots=True)
class Constraint:
    """A table over distinct variables."""

    variables: tuple[int, ...]
    table: Table


@dataclass(frozen=True)
class Variables:
    """Numbers the variables (network, true symbol) of some relations, network after network."""

    networks: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, relations: Sequence[Relation]) -> Variables:
        """Variables of every network that a relation knows."""
        sizes = {name: len(d) for relation in relations for name, d in relation.domains.items()}
        return cls(tuple(sizes), tuple(sizes.values()))

    @property
    def count(self) -> int:
        """Number of variables over all networks."""
        return sum(self.sizes)

    def offset(self, network: str) -> int:
        """Returns the number of the variable of a network's first symbol."""
        return sum(self.sizes[: self.networks.index(network)])

    def slices(self) -> Iterator[tuple[str, slice]]:
        """Yields every network with the range of its variables."""
        start = 0
        for network, size in zip(self.networks, self.sizes, strict=True):
            yield network, slice(start, start + size)
            start += size

    def network_of(self) -> tuple[int, ...]:
        """Returns the index of the network of every variable."""
        return tuple(place for place, size in enumerate(self.sizes) for _ in range(size))

    def column_offsets(self, relation: Relation) -> IntArray:
        """Returns (C,) the first variable of the network of every column."""
        return np.array([self.offset(network) for network in relation.columns], dtype=np.int64)


def build_constraints(
    target: Relation, observed: Relation, variables: Variables
) -> list[Constraint]:
    """Returns one constraint per observed combination of a goal that says something new.

    Args:
        target: Every combination that can give an answer.
        observed: The combinations that must stay possible, with the same answer.
        variables: The numbers of the variables.
    """
    offsets = variables.column_offsets(target)
    by_answer: dict[int, IntArray] = {}
    tables: dict[tuple[int, tuple[int, ...]], Table] = {}
    constraints: list[Constraint] = []
    rows = _without_mirrored(observed, interchangeable_columns(target))
    for row in rows:
        answer = int(row[-1])
        distinct, pattern = _pattern((row[:-1] + offsets).tolist())
        if (answer, pattern) not in tables:
            if answer not in by_answer:
                by_answer[answer] = target.rows[target.answers == answer]
            tables[answer, pattern] = Table(_project(by_answer[answer], pattern))
        constraints.append(Constraint(distinct, tables[answer, pattern]))
    return constraints


def interchangeable_columns(relation: Relation) -> list[list[int]]:
    """Groups columns of one network that can trade places without changing the relation."""
    groups: list[list[int]] = []
    for column, network in enumerate(relation.columns):
        for group in groups:
            if relation.columns[group[0]] == network and _same_after_trade(
                relation, group[0], column
            ):
                group.append(column)
                break
        else:
            groups.append([column])
    return groups


def interchangeable_values(
    relations: Sequence[Relation], *, work: int = 20_000_000
) -> dict[str, list[int]]:
    """Labels the predicted symbols of every network by classes that can trade names.

    Two symbols share a label when swapping them in every column of the network leaves all
    relations as they are. Gives up, with every symbol in a class of its own, when the test would
    touch more than ``work`` cells: the labels only save time.

    Returns:
        Network -> a label per symbol.
    """
    labels: dict[str, list[int]] = {}
    domains = {name: domain for one in relations for name, domain in one.domains.items()}
    for network, domain in domains.items():
        called = [one for one in relations if network in one.columns]
        cells = sum(len(one) * len(one.columns) for one in called)
        if not called or cells * len(domain) ** 2 // 2 > work:
            labels[network] = list(range(len(domain)))
            continue
        labels[network] = _value_classes(called, network, len(domain))
    return labels


def _value_classes(relations: Sequence[Relation], network: str, size: int) -> list[int]:
    labels: list[int] = []
    for value in range(size):
        labels.append(
            next(
                (
                    other
                    for other in sorted(set(labels))
                    if all(_same_after_swap(one, network, value, other) for one in relations)
                ),
                value,
            )
        )
    return labels


def _same_after_swap(relation: Relation, network: str, value: int, other: int) -> bool:
    own = [column for column, name in enumerate(relation.columns) if name == network]
    renamed = relation.rows.copy()
    part = relation.rows[:, own]
    renamed[:, own] = np.where(part == value, other, np.where(part == other, value, part))
    return bool(relation.contains(renamed, relation.answers).all())


def _same_after_trade(relation: Relation, left: int, right: int) -> bool:
    traded = relation.rows.copy()
    traded[:, [left, right]] = traded[:, [right, left]]
    return bool(relation.contains(traded, relation.answers).all())


def _without_mirrored(observed: Relation, groups: Sequence[Sequence[int]]) -> IntArray:
    rows = observed.rows.copy()
    for group in groups:
        rows[:, group] = np.sort(rows[:, group], axis=1)
    return np.unique(np.column_stack([rows, observed.answers]), axis=0)


def _pattern(variables: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the distinct variables and, per column, which of them it holds."""
    places: dict[int, int] = {}
    pattern = tuple(places.setdefault(variable, len(places)) for variable in variables)
    return tuple(places), pattern


def _project(rows: IntArray, pattern: tuple[int, ...]) -> IntArray:
    """Keeps rows that are equal where the pattern is, one column per distinct variable."""
    first = [pattern.index(place) for place in range(max(pattern, default=-1) + 1)]
    keep = np.ones(len(rows), dtype=np.bool_)
    for column, place in enumerate(pattern):
        keep &= rows[:, column] == rows[:, first[place]]
    return rows[keep][:, first]


def _bits(mask: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little")
