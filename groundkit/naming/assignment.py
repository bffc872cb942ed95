"""Naming clusters: the search for what every cluster means, at whatever size the program has."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundkit.errors import DataError, LimitError, NetworkError
from groundkit.identifiability.answer_odds import FloatArray, row_probabilities
from groundkit.identifiability.relations import IntArray, Relation, SupportLike
from groundkit.naming.chance import AboveChance, Chance
from groundkit.naming.scorers import (
    Asked,
    JointScorer,
    Layout,
    Queries,
    ReasonerScorer,
    Scorer,
    SparseScorer,
    SumScorer,
    answer_table,
    rename,
)
from groundkit.naming.search import EXHAUSTIVE, ascend, climb, namings_of, try_all
from groundkit.naming.soft_start import ReasonerSlopes, RowSlopes, Slopes, soft_naming

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


MOST_TABLES = 12
"""Goals whose answers are put into tables; more shapes than these are asked at the end only."""


class NamedLike(Protocol):
    """Frozen predictions of the queries of one goal."""

    @property
    def log_probs(self) -> Mapping[str, Tensor]:
        """Network -> (B, S, C) log-probabilities."""

    @property
    def answers(self) -> Tensor:
        """(B,) answer indices."""


class ReasonerLike(Protocol):
    """The part of a reasoner that re-grounding needs."""

    @property
    def slots(self) -> Mapping[str, Sequence[Sequence[str]]]:
        """Network -> the input variables of every call."""

    def log_likelihood(self, log_probs: Mapping[str, Tensor], answers: Tensor) -> Tensor:
        """Returns (B,) log P(answer) from network -> (B, S, K) and (B,) answer indices."""

    def support(self) -> SupportLike:
        """Returns all combinations of symbols with a proof, and their answers."""


@dataclass
class _Goal:
    """One goal and the table of its answers, where it is small enough for one.

    Attributes:
        reasoner: The compiled goal.
        relation: Its combinations, ``None`` where only the reasoner can be asked.
        probabilities: P(answer | symbols) of every combination.
        table: The same as a table.
    """

    reasoner: ReasonerLike
    relation: Relation | None = None
    probabilities: FloatArray = field(default_factory=lambda: np.zeros(0))
    table: FloatArray | None = None

    def fill(self) -> None:
        """Asks for the probabilities, if they are not known or may have changed."""
        if self.relation is not None and (self.table is None or _learns(self.reasoner)):
            ask = self.reasoner.log_likelihood
            self.probabilities = row_probabilities(self.relation, ask, _device_of(self.reasoner))
            self.table = answer_table(self.relation, self.probabilities)

    def cells(self, layout: Layout) -> int:
        """Returns the number of joint clusters of its calls."""
        assert self.relation is not None  # there is a table only where there is a relation
        sizes = {name: len(domain) for name, domain in self.relation.domains.items()}
        sizes |= layout.clusters
        return int(np.prod([float(sizes[name]) for name in self.relation.columns]))


class NameSearch:
    """Searches namings under one program; keeps what is the same for every search.

    Args:
        goals: The compiled goals.
        layout: The networks to rename, their clusters and symbols.
        domains: Network -> its symbols, of all networks of the goals.
        above_chance: Score namings by how much likelier answers are than for images drawn at
            random, see :mod:`groundkit.naming.chance`. Where names may repeat, the likelihood alone
            may be highest where all clusters have one name.

    Raises:
        NetworkError: A network is called by no goal, or has no domain.
    """

    def __init__(
        self,
        goals: Sequence[ReasonerLike],
        layout: Layout,
        domains: Mapping[str, Sequence[str]],
        *,
        above_chance: bool = False,
    ) -> None:
        called = {network for goal in goals for network in goal.slots}
        unknown = set(layout.clusters) - called
        if unknown:
            raise NetworkError(
                f"the goal never calls network '{min(unknown)}'",
                expected=f"one of {', '.join(sorted(called))}",
            )
        self._layout = layout
        self._above_chance = above_chance
        self._goals = [
            _Goal(goal, _relation(goal, domains) if number < MOST_TABLES else None)
            for number, goal in enumerate(goals)
        ]

    def search(
        self, asked: Asked, rng: np.random.Generator, budget: int | None = None
    ) -> tuple[list[IntArray], str, int]:
        """Returns the best namings, best first, how they were found, and how many were scored.

        Goals with a table of their answers decide alone where there are any: the others are asked
        when the best namings are compared.

        Args:
            asked: Predictions with a floor, and their answers.
            rng: Source of the starts.
            budget: Namings scored by climbs from several starts; chosen by the domains if left
                out.
        """
        for goal, _ in asked.parts:
            self._goals[goal].fill()
        tabled = tuple(part for part in asked.parts if self._goals[part[0]].table is not None)
        asked = Asked(tabled) if tabled else asked
        if self._can_try_all(asked):
            scorer = self._scorer(asked, EXACT_CELLS)
            found = try_all(scorer, self._layout, kept=FINALISTS)
            return [naming for _, naming in found.ranked], "all namings", found.scored
        return self._climb(asked, rng, budget or self._budget(), tabled=bool(tabled))

    def ask(self, asked: Asked, naming: IntArray) -> FloatArray:
        """Returns (B,) log P(answer) under a naming, by the reasoners themselves.

        Where names are scored above chance, it is the gain over it.
        """
        found = []
        for goal, queries in asked.parts:
            with torch.no_grad():
                renamed = rename(queries.log_probs, self._layout, naming)
                logs = self._goals[goal].reasoner.log_likelihood(renamed, queries.answers)
            values = logs.double().cpu().numpy()
            if self._above_chance:
                values = values - self._chance(goal, queries).of_queries(naming)
            found.append(values)
        return np.concatenate(found)

    def _chance(self, number: int, queries: Queries) -> Chance:
        goal = self._goals[number]
        goal.fill()
        known = () if goal.relation is None else (goal.relation, goal.probabilities)
        return Chance(self._layout, queries, goal.reasoner.log_likelihood, *known)

    def _climb(
        self, asked: Asked, rng: np.random.Generator, budget: int, *, tabled: bool
    ) -> tuple[list[IntArray], str, int]:
        """Climbs on some of the queries from many starts, then on all from the best tops."""
        first = asked.some(SCREENED if tabled else ASKED_QUERIES)
        scorer = self._scorer(first, JOINT_CELLS)
        found = climb(
            scorer,
            self._layout,
            [self._layout.current(), self._soft_start(asked, rng)],
            budget=budget if tabled else min(budget, ASKED_BUDGET),
            rng=rng,
            kept=FINALISTS,
        )
        kind = {JointScorer: "joint table", SparseScorer: "sparse table"}
        words = kind.get(type(scorer), "tables") if tabled else None
        method = f"climbs from several starts ({words or 'reasoner'})"
        if not tabled:
            return [naming for _, naming in found.ranked], method, found.scored
        best: dict[tuple[int, ...], float] = {}
        scorer, scored = self._scorer(asked, JOINT_CELLS), found.scored
        for _, naming in found.ranked[:2]:
            scored += ascend(scorer, self._layout, naming, best)
        tops = sorted(best, key=lambda naming: -best[naming])[:FINALISTS]
        return [np.array(naming) for naming in tops], method, scored

    def _soft_start(self, asked: Asked, rng: np.random.Generator) -> IntArray:
        """Returns the naming that expectation maximisation ends in."""
        parts: list[tuple[Slopes, Queries]] = []
        share = 1 / len(asked.parts)
        for number, queries in asked.parts:
            goal = self._goals[number]
            if goal.relation is None or goal.table is None:
                some = queries.select(np.arange(min(len(queries), int(ASKED_QUERIES * share) + 1)))
                parts.append((ReasonerSlopes(goal.reasoner.log_likelihood, some.answers), some))
                continue
            most = max(SOFT_QUERIES, SOFT_WORK // max(goal.relation.rows.size, 1))
            some = queries.select(np.arange(min(len(queries), int(most * share) + 1)))
            rows = RowSlopes(goal.relation, goal.probabilities, some.answers.cpu().numpy())
            parts.append((rows, some))
        return soft_naming(parts, self._layout, rng, steps=SOFT_STEPS)

    def _budget(self) -> int:
        swaps = sum(size * (size - 1) // 2 for size in self._layout.clusters.values())
        return int(np.clip(CLIMB_STEPS * swaps, *BUDGET_RANGE))

    def _can_try_all(self, asked: Asked) -> bool:
        number = namings_of(self._layout)
        if number > EXHAUSTIVE:
            return False
        for place, queries in asked.parts:
            goal = self._goals[place]
            if goal.table is None:
                if number * len(queries) > ASKED_AT_ALL:
                    return False
            elif goal.cells(self._layout) > EXACT_CELLS:
                return False
        return True

    def _scorer(self, asked: Asked, cells: int) -> Scorer:
        """Returns the exact scorers up to so many joint clusters, then the sparse ones."""
        scorers = [(len(queries), self._one(goal, queries, cells)) for goal, queries in asked.parts]
        return scorers[0][1] if len(scorers) == 1 else SumScorer(scorers)

    def _one(self, number: int, queries: Queries, cells: int) -> Scorer:
        likelihood = self._likelihood(number, queries, cells)
        if not self._above_chance:
            return likelihood
        return AboveChance(likelihood, self._chance(number, queries))

    def _likelihood(self, number: int, queries: Queries, cells: int) -> Scorer:
        goal = self._goals[number]
        if goal.relation is None or goal.table is None:
            return ReasonerScorer(goal.reasoner.log_likelihood, self._layout, queries)
        make = JointScorer if goal.cells(self._layout) <= cells else SparseScorer
        return make(goal.relation, goal.table, self._layout, queries)


def ask_all(named: Sequence[NamedLike], layout: Layout) -> Asked:
    """Checks the predictions of every goal and puts a floor under them, see :func:`floored`.

    Raises:
        DataError: There are no queries, or shapes do not fit.
    """
    parts = [
        (number, floored(one.log_probs, one.answers, layout))
        for number, one in enumerate(named)
        if len(one.answers)
    ]
    if not parts:
        raise DataError("there are no queries to score names on")
    return Asked(tuple(parts))


def floored(log_probs: Mapping[str, Tensor], answers: Tensor, layout: Layout) -> Queries:
    """Checks the predictions and mixes those to rename with a uniform share of ``FLOOR``.

    Raises:
        DataError: Shapes do not fit.
    """
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
