"""Naming clusters: the search for what every cluster means, at whatever size the program has."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundkit.errors import DataError, LimitError, NetworkError
from groundkit.identifiability.answer_odds import FloatArray, row_chances
from groundkit.identifiability.relations import IntArray, Relation, SupportLike
from groundkit.naming.scorers import (
    JointScorer,
    Layout,
    Queries,
    ReasonerScorer,
    Scorer,
    SparseScorer,
    answer_table,
    rename,
)
from groundkit.naming.search import EXHAUSTIVE, ascend, climb, namings_of, try_all
from groundkit.naming.soft_start import ReasonerSlopes, RowSlopes, soft_naming

FLOOR = 1e-4
"""Least probability of a symbol while names are compared.

A trained network is certain of its mistakes: one query with p = 1e-20 would outweigh fifty others
and the search would serve outliers. The floor bounds what a wrong symbol costs to 9.2 nats, well
above the few nats by which right names beat wrong ones, and costs a right symbol 1e-3 nats.
"""
SCREENED = 300
"""Queries that climbs from many starts are scored on; the best tops are then scored on all."""
CLIMB_STEPS, BUDGET_RANGE = 120, (5_000, 20_000)
"""Namings scored by these climbs: steps times the number of swaps, within the range."""
SOFT_STEPS, SOFT_QUERIES, SOFT_WORK = 60, 100, 2_000_000
"""Steps of the soft start; its queries, at least, or more if queries times rows times calls stay
below the work."""
FINALISTS = 4
"""Namings whose likelihood the reasoner itself confirms."""
JOINT_CELLS, EXACT_CELLS = 1_500, 5_000
"""Joint symbols up to which climbs, and the trial of all namings, use the exact scorer."""
SPARSE_CELLS = 4_000_000
"""Joint symbols times answers up to which there is a table at all."""
ASKED_QUERIES, ASKED_BUDGET, ASKED_AT_ALL = 96, 600, 50_000
"""Queries and namings of the climbs where only the reasoner can score them; the number of queries
times namings up to which it is asked for all."""


class ReasonerLike(Protocol):
    """The part of a reasoner that re-grounding needs."""

    @property
    def slots(self) -> Mapping[str, Sequence[Sequence[str]]]:
        """Network -> the input variables of every call."""

    def log_likelihood(self, log_probs: Mapping[str, Tensor], answers: Tensor) -> Tensor:
        """Returns (B,) log P(answer) from network -> (B, S, K) and (B,) answer indices."""

    def support(self) -> SupportLike:
        """Returns all combinations of symbols with a proof, and their answers."""


class NameSearch:
    """Searches namings under one program; keeps what is the same for every search.

    Args:
        reasoner: The compiled program.
        layout: The networks to rename, their clusters and symbols.
        domains: Network -> its symbols, of all networks of the goal.

    Raises:
        NetworkError: A network is not called by the goal, or has no domain.
    """

    def __init__(
        self, reasoner: ReasonerLike, layout: Layout, domains: Mapping[str, Sequence[str]]
    ) -> None:
        unknown = set(layout.clusters) - set(reasoner.slots)
        if unknown:
            raise NetworkError(
                f"the goal never calls network '{min(unknown)}'",
                expected=f"one of {', '.join(sorted(reasoner.slots))}",
            )
        self._reasoner, self._layout = reasoner, layout
        self._relation = _relation(reasoner, domains)
        self._chances = np.zeros(0)
        self._table: FloatArray | None = None

    def search(
        self, queries: Queries, rng: np.random.Generator, budget: int | None = None
    ) -> tuple[list[IntArray], str, int]:
        """Returns the best namings, best first, how they were found, and how many were scored.

        Args:
            queries: Predictions with a floor, and their answers.
            rng: Source of the starts.
            budget: Namings scored by climbs from several starts; chosen by the domains if left
                out.
        """
        if self._relation is not None and (self._table is None or _learns(self._reasoner)):
            ask = self._reasoner.log_likelihood
            self._chances = row_chances(self._relation, ask, _device_of(self._reasoner))
            self._table = answer_table(self._relation, self._chances)
        if self._can_try_all(queries):
            scorer = self._scorer(queries, EXACT_CELLS)
            found = try_all(scorer, self._layout, kept=FINALISTS)
            return [naming for _, naming in found.ranked], "all namings", found.scored
        return self._climb(queries, rng, budget or self._budget())

    def ask(self, queries: Queries, naming: IntArray) -> FloatArray:
        """Returns (B,) log P(answer) under a naming, by the reasoner itself."""
        with torch.no_grad():
            renamed = rename(queries.log_probs, self._layout, naming)
            logs = self._reasoner.log_likelihood(renamed, queries.answers)
        values: FloatArray = logs.double().cpu().numpy()
        return values

    def _climb(
        self, queries: Queries, rng: np.random.Generator, budget: int
    ) -> tuple[list[IntArray], str, int]:
        """Climbs on some of the queries from many starts, then on all from the best tops."""
        asked = self._table is None
        first = queries.select(np.arange(min(len(queries), ASKED_QUERIES if asked else SCREENED)))
        scorer = self._scorer(first, JOINT_CELLS)
        found = climb(
            scorer,
            self._layout,
            [self._layout.current(), self._soft_start(queries, rng)],
            budget=min(budget, ASKED_BUDGET) if asked else budget,
            rng=rng,
            kept=FINALISTS,
        )
        kind = {JointScorer: "joint table", SparseScorer: "sparse table"}.get(type(scorer))
        method = f"climbs from several starts ({kind or 'reasoner'})"
        if asked:
            return [naming for _, naming in found.ranked], method, found.scored
        best: dict[tuple[int, ...], float] = {}
        scorer, scored = self._scorer(queries, JOINT_CELLS), found.scored
        for _, naming in found.ranked[:2]:
            scored += ascend(scorer, self._layout, naming, best)
        tops = sorted(best, key=lambda naming: -best[naming])[:FINALISTS]
        return [np.array(naming) for naming in tops], method, scored

    def _soft_start(self, queries: Queries, rng: np.random.Generator) -> IntArray:
        """Returns the naming that expectation maximisation ends in."""
        if self._relation is None or self._table is None:
            some = queries.select(np.arange(min(len(queries), ASKED_QUERIES)))
            ask = ReasonerSlopes(self._reasoner.log_likelihood, some.answers)
            return soft_naming(ask, self._layout, some, rng, steps=SOFT_STEPS)
        number = max(SOFT_QUERIES, SOFT_WORK // max(self._relation.rows.size, 1))
        some = queries.select(np.arange(min(len(queries), number)))
        rows = RowSlopes(self._relation, self._chances, some.answers.cpu().numpy())
        return soft_naming(rows, self._layout, some, rng, steps=SOFT_STEPS)

    def _budget(self) -> int:
        swaps = sum(size * (size - 1) // 2 for size in self._layout.clusters.values())
        return int(np.clip(CLIMB_STEPS * swaps, *BUDGET_RANGE))

    def _can_try_all(self, queries: Queries) -> bool:
        number = namings_of(self._layout)
        if number > EXHAUSTIVE:
            return False
        if self._table is None:
            return number * len(queries) <= ASKED_AT_ALL
        return self._joint_clusters() <= EXACT_CELLS

    def _joint_clusters(self) -> int:
        assert self._relation is not None  # there is a table only where there is a relation
        sizes = {name: len(domain) for name, domain in self._relation.domains.items()}
        sizes |= self._layout.clusters
        return int(np.prod([float(sizes[name]) for name in self._relation.columns]))

    def _scorer(self, queries: Queries, cells: int) -> Scorer:
        """Returns the exact scorer up to so many joint clusters, then the sparse one."""
        if self._relation is None or self._table is None:
            return ReasonerScorer(self._reasoner.log_likelihood, self._layout, queries)
        make = JointScorer if self._joint_clusters() <= cells else SparseScorer
        return make(self._relation, self._table, self._layout, queries)


def floored(log_probs: Mapping[str, Tensor], answers: Tensor, layout: Layout) -> Queries:
    """Checks the predictions and mixes those to rename with a uniform share of ``FLOOR``.

    Raises:
        DataError: There are no queries, or shapes do not fit.
    """
    if not len(answers):
        raise DataError("there are no queries to score names on")
    floored: dict[str, Tensor] = {}
    for network, given in log_probs.items():
        values = given.detach()
        size = layout.clusters.get(network)
        if values.ndim != 3 or len(values) != len(answers) or size not in (None, values.shape[2]):
            raise DataError(
                f"log-probabilities of shape {tuple(values.shape)} for network '{network}'",
                expected=f"({len(answers)}, calls, {size or 'symbols'})",
            )
        if size is None:
            floored[network] = values
        else:
            probs = values.double().exp() * (1 - size * FLOOR) + FLOOR
            floored[network] = probs.log().to(values.dtype)
    return Queries(floored, answers)


def _relation(reasoner: ReasonerLike, domains: Mapping[str, Sequence[str]]) -> Relation | None:
    """Returns the goal as a relation if a table over its joint symbols is small enough."""
    cells = 1
    for network, calls in reasoner.slots.items():
        if network not in domains:
            raise NetworkError(
                f"no domain is known for network '{network}'",
                remedy="give the domains of all networks of the goal",
            )
        cells *= len(domains[network]) ** len(calls)
    if cells > SPARSE_CELLS:
        return None
    try:
        relation = Relation.from_support(reasoner.support(), domains)
    except LimitError:
        return None
    answers = int(relation.answers.max(initial=0)) + 1
    return relation if cells * answers <= SPARSE_CELLS else None


def _device_of(reasoner: ReasonerLike) -> torch.device:
    """Returns where a reasoner computes."""
    if isinstance(reasoner, torch.nn.Module):
        for tensor in itertools.chain(reasoner.parameters(), reasoner.buffers()):
            return tensor.device
    return torch.device("cpu")


def _learns(reasoner: ReasonerLike) -> bool:
    """Returns whether probabilities of the program change in training."""
    return isinstance(reasoner, torch.nn.Module) and any(True for _ in reasoner.parameters())
