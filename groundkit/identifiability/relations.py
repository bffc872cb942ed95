"""Relations: which combinations of symbols give which observed answer.

A relation is the support of a goal as a plain table: a row per combination of symbols, a column
per ground call of a network, and the index of the answer that the row gives. Identification,
re-grounding and the naming of learnt maps all read the program through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundkit.errors import DataError, NetworkError

IntArray = NDArray[np.int64]


class SupportLike(Protocol):
    """What a relation is built from: combinations of symbol indices and their answers."""

    @property
    def values(self) -> Mapping[str, ArrayLike]:
        """Network -> (M, S) symbol indices, a column per call."""

    @property
    def answers(self) -> ArrayLike:
        """(M,) answer indices."""


class RowIndex:
    """Exact membership of integer rows, without hashing and without overflow.

    Rows are folded column by column into the rank of their prefix, so that codes stay below the
    number of rows times the largest domain, however many columns there are.

    Args:
        rows: (M, C) integers >= 0.
        bounds: (C,) exclusive upper bound of each column.
    """

    def __init__(self, rows: IntArray, bounds: Sequence[int]) -> None:
        self._bounds = tuple(bounds)
        self._levels: list[IntArray] = []
        codes = np.zeros(len(rows), dtype=np.int64)
        for column, bound in enumerate(self._bounds):
            level, codes = np.unique(codes * bound + rows[:, column], return_inverse=True)
            self._levels.append(level)

    def contains(self, rows: IntArray) -> NDArray[np.bool_]:
        """Returns (N,) whether each of the (N, C) rows is in the table."""
        codes = np.zeros(len(rows), dtype=np.int64)
        known = np.ones(len(rows), dtype=np.bool_)
        if self._levels and not len(self._levels[0]):
            return np.zeros(len(rows), dtype=np.bool_)
        for column, bound in enumerate(self._bounds):
            level = self._levels[column]
            keys = codes * bound + rows[:, column]
            codes = np.minimum(np.searchsorted(level, keys), len(level) - 1)
            known &= level[codes] == keys
        return known


@dataclass(frozen=True, eq=False)
class Relation:
    """Combinations of symbols and the answer each of them gives, without repeats.

    Attributes:
        domains: Network -> its symbols as printed text; a symbol is named by its place there.
        columns: (C,) the network of every column.
        rows: (M, C) symbol indices.
        answers: (M,) index of the answer; a combination stands once for every answer it can give.
        names: (C,) a name for every column, such as the goal's variable.
        answer_names: Printed answers by index; empty if there is nothing to print.
    """

    domains: Mapping[str, tuple[str, ...]]
    columns: tuple[str, ...]
    rows: IntArray
    answers: IntArray
    names: tuple[str, ...] = ()
    answer_names: tuple[str, ...] = field(default=())

    @classmethod
    def build(
        cls,
        domains: Mapping[str, Sequence[str]],
        columns: Sequence[str],
        rows: ArrayLike,
        answers: ArrayLike | None = None,
        *,
        names: Sequence[str] = (),
        answer_names: Sequence[str] = (),
    ) -> Relation:
        """Checks plain arrays, drops repeated rows and sorts what remains.

        Raises:
            NetworkError: A column names a network without a domain, or holds a symbol outside it.
            DataError: The shapes do not fit.
        """
        table = np.asarray(rows, dtype=np.int64).reshape(-1, len(columns))
        given = np.zeros(len(table)) if answers is None else np.asarray(answers)
        if given.shape != (len(table),):
            raise DataError(
                f"{given.shape} answers for {len(table)} combinations of symbols",
                expected="one answer index per combination",
            )
        for column, network in enumerate(columns):
            _check_column(network, table[:, column], domains)
        joined = np.unique(np.column_stack([table, given.astype(np.int64)]), axis=0)
        return cls(
            domains={network: tuple(domain) for network, domain in domains.items()},
            columns=tuple(columns),
            rows=joined[:, :-1],
            answers=joined[:, -1],
            names=tuple(names) or tuple(f"#{column + 1}" for column in range(len(columns))),
            answer_names=tuple(answer_names),
        )

    @classmethod
    def from_support(
        cls,
        support: SupportLike,
        domains: Mapping[str, Sequence[str]],
        *,
        slots: Mapping[str, Sequence[Sequence[str]]] | None = None,
        answer_names: Sequence[Sequence[str]] = (),
    ) -> Relation:
        """Builds a relation from what a reasoner calls its support (or its sampled worlds).

        Columns come network by network in the order of their names, so that two relations of
        one goal fit each other; networks that the goal never calls are left out.

        Args:
            support: ``values`` by network, each (M, S), and ``answers`` (M,).
            domains: Network -> its symbols.
            slots: Network -> the input variables of every call, to name the columns.
            answer_names: Answer index -> the printed values of the observed variables.
        """
        called = {name: np.asarray(value) for name, value in support.values.items()}
        arrays = {name: called[name] for name in sorted(called) if called[name].shape[1]}
        columns = [network for network, value in arrays.items() for _ in range(value.shape[1])]
        names = [
            ",".join(slots[network][call]) if slots is not None else f"{network}#{call + 1}"
            for network, value in arrays.items()
            for call in range(value.shape[1])
        ]
        answers = np.asarray(support.answers)
        rows = np.concatenate([*arrays.values(), np.zeros((len(answers), 0))], axis=1)
        domains = {name: domains[name] for name in arrays if name in domains}
        printed = [", ".join(values) for values in answer_names]
        return cls.build(domains, columns, rows, answers, names=names, answer_names=printed)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def index(self) -> RowIndex:
        """Membership of (symbols..., answer) rows."""
        bounds = [len(self.domains[network]) for network in self.columns]
        answer_bound = int(self.answers.max(initial=0)) + 1
        return RowIndex(np.column_stack([self.rows, self.answers]), [*bounds, answer_bound])

    def contains(self, rows: IntArray, answers: IntArray) -> NDArray[np.bool_]:
        """Returns (N,) whether each combination (N, C) can give its answer (N,)."""
        last = int(self.answers.max(initial=0))
        inside = (answers >= 0) & (answers <= last)
        joined = np.column_stack([rows, np.where(inside, answers, 0)])
        return inside & self.index.contains(joined)

    def select(self, rows: ArrayLike) -> Relation:
        """Returns the relation of the chosen rows only (indices or a mask, (M,))."""
        chosen = np.asarray(rows)
        return replace(self, rows=self.rows[chosen], answers=self.answers[chosen])

    def joined(self, other: Relation) -> Relation:
        """Returns the rows of both, for two parts of one relation that share no row."""
        return replace(
            self,
            rows=np.concatenate([self.rows, other.rows]),
            answers=np.concatenate([self.answers, other.answers]),
        )

    def require_subset(self, observed: Relation) -> None:
        """Checks that every observed combination has a proof.

        Raises:
            DataError: The columns differ, or an observed combination cannot give its answer.
        """
        if observed.columns != self.columns:
            raise DataError(
                f"observations of {observed.columns} for a goal over {self.columns}",
                expected="the same calls in the same order",
            )
        known = self.contains(observed.rows, observed.answers)
        if not known.all():
            first = int(np.flatnonzero(~known)[0])
            raise DataError(
                f"the observed combination {observed.describe(first)} has no proof",
                expected="combinations of symbols for which the goal can hold",
                remedy="check the labels of the examples against the program",
            )

    def describe(self, row: int) -> str:
        """Words a row: ``X = 3, Y = 5 gives 8``."""
        parts = [
            f"{name} = {self.domains[network][value]}"
            for name, network, value in zip(
                self.names, self.columns, self.rows[row].tolist(), strict=True
            )
        ]
        answer = int(self.answers[row])
        if answer < len(self.answer_names) and self.answer_names[answer]:
            return f"{', '.join(parts)} gives {self.answer_names[answer]}"
        return ", ".join(parts)


def _check_column(network: str, values: IntArray, domains: Mapping[str, Sequence[str]]) -> None:
    if network not in domains:
        raise NetworkError(
            f"no domain is known for network '{network}'",
            expected="a finite domain for every network of the goal",
        )
    size = len(domains[network])
    if len(values) and (values.min() < 0 or values.max() >= size):
        raise NetworkError(
            f"a symbol index outside the {size} symbols of network '{network}'",
            expected=f"0 to {size - 1}",
        )
