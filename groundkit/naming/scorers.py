"""Fast scores of many namings of frozen predictions: mean log P(answer) under each of them.

A naming sends the clusters that a network predicts to symbols: ``g[c]`` is the symbol that
cluster ``c`` is taken to mean. It need not be one-to-one, and there may be more clusters than
symbols. Namings of several networks are joined into one vector, network after network.

Three scorers answer the same question at different sizes:

- `JointScorer`, exact: P(answer) = sum over joint clusters c of P(c) T[answer, g(c)], a product of
  two tables, one of them without the naming in it. All namings of a batch are one matrix product.
- `SparseScorer`: the same sum over the most probable joint clusters of every query, the rest of
  the mass spread by a noise channel.
- `ReasonerScorer`: asks the reasoner itself, where the program has too many joint symbols.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundkit.identifiability.answer_odds import NEVER, FloatArray, LogLikelihood
from groundkit.identifiability.relations import IntArray, Relation

TINY = 1e-30
NOISE = 0.02
"""Share of the mass that the sparse scorer spreads over all symbols of a call."""


class Scorer(Protocol):
    """Scores namings on a fixed set of queries."""

    def scores(self, namings: IntArray) -> FloatArray:
        """Returns (P,) mean log P(answer) under each of the (P, V) joined namings."""


@dataclass(frozen=True)
class Queries:
    """Frozen predictions and the answers they should give.

    Attributes:
        log_probs: Network -> (B, S, C) log-probabilities of its calls' clusters.
        answers: (B,) answer indices.
    """

    log_probs: Mapping[str, Tensor]
    answers: Tensor

    def __len__(self) -> int:
        return int(self.answers.shape[0])

    def select(self, rows: IntArray) -> Queries:
        """Returns the chosen queries only."""
        chosen = torch.as_tensor(rows, dtype=torch.long, device=self.answers.device)
        picked = {network: values[chosen] for network, values in self.log_probs.items()}
        return Queries(picked, self.answers[chosen])


@dataclass(frozen=True)
class Asked:
    """Queries of several goals, numbered through.

    Attributes:
        parts: The number of a goal, with its queries.
    """

    parts: tuple[tuple[int, Queries], ...]

    def __len__(self) -> int:
        return sum(len(queries) for _, queries in self.parts)

    def select(self, rows: IntArray) -> Asked:
        """Returns the chosen queries only; goals without any are left out."""
        found = []
        start = 0
        for goal, queries in self.parts:
            own = rows[(rows >= start) & (rows < start + len(queries))] - start
            if len(own):
                found.append((goal, queries.select(own)))
            start += len(queries)
        return Asked(tuple(found))

    def some(self, count: int) -> Asked:
        """Returns at most ``count`` queries, spread over all goals."""
        if len(self.parts) == 1:
            return self.select(np.arange(min(len(self), count)))
        return self.select(np.unique(np.linspace(0, len(self) - 1, count).astype(np.int64)))

    def exchanged(self, sources: Mapping[str, str]) -> Asked:
        """Returns the queries as they read with the outputs of some networks exchanged.

        Args:
            sources: Network -> the network whose outputs it is given.
        """
        return Asked(
            tuple(
                (
                    goal,
                    Queries(
                        {n: queries.log_probs[sources.get(n, n)] for n in queries.log_probs},
                        queries.answers,
                    ),
                )
                for goal, queries in self.parts
            )
        )


@dataclass(frozen=True)
class Layout:
    """Which networks are renamed, with how many clusters and symbols.

    Attributes:
        clusters: Network -> number of clusters, of the networks to rename.
        symbols: Network -> number of symbols of the same networks.
    """

    clusters: Mapping[str, int]
    symbols: Mapping[str, int]

    @property
    def width(self) -> int:
        """Length of a joined naming."""
        return sum(self.clusters.values())

    def slices(self) -> dict[str, slice]:
        """Returns the place of every network in a joined naming."""
        ends = np.cumsum([0, *self.clusters.values()]).tolist()
        pairs = itertools.pairwise(ends)
        return {net: slice(*pair) for net, pair in zip(self.clusters, pairs, strict=True)}

    def current(self) -> IntArray:
        """Returns the naming in which cluster ``c`` means symbol ``c``, as far as there is one."""
        return np.concatenate(
            [np.arange(size) % self.symbols[network] for network, size in self.clusters.items()]
        ).astype(np.int64)

    def column_namings(
        self, columns: Sequence[str], namings: IntArray, sizes: Sequence[int]
    ) -> list[IntArray]:
        """Returns, per column of a relation, the (P, C) symbols its clusters stand for."""
        places = self.slices()
        fixed = [np.tile(np.arange(size), (len(namings), 1)) for size in sizes]
        return [
            namings[:, places[network]] if network in places else same
            for network, same in zip(columns, fixed, strict=True)
        ]


def answer_table(relation: Relation, probabilities: FloatArray) -> FloatArray:
    """Returns P(answer | symbols) as (answers, joint symbols): the table that namings look up.

    Args:
        relation: The goal's combinations and answers.
        probabilities: (M,) P(answer | symbols) of every row; combinations without a proof are 0.
    """
    sizes = [len(relation.domains[network]) for network in relation.columns]
    table = np.zeros((int(relation.answers.max(initial=0)) + 1, *sizes))
    table[(relation.answers, *relation.rows.T)] = probabilities
    return table.reshape(len(table), -1)


def _columns(relation: Relation, queries: Queries) -> list[FloatArray]:
    """Returns (B, C) probabilities for every column of the relation."""
    taken: dict[str, int] = {}
    found: list[FloatArray] = []
    for network in relation.columns:
        call = taken.get(network, 0)
        taken[network] = call + 1
        values = queries.log_probs[network][:, call]
        found.append(values.detach().double().exp().cpu().numpy())
    return found


class JointScorer:
    """Exact scores by table lookup and one matrix product.

    Args:
        relation: The goal's combinations and answers.
        table: P(answer | joint symbols), from `answer_table`.
        layout: The networks to rename.
        queries: What to score on.
    """

    def __init__(
        self, relation: Relation, table: FloatArray, layout: Layout, queries: Queries
    ) -> None:
        self._relation, self._layout = relation, layout
        self._table = table.astype(np.float32)
        columns = _columns(relation, queries)
        joint = columns[0]
        for column in columns[1:]:
            joint = (joint[:, :, None] * column[:, None, :]).reshape(len(joint), -1)
        self._sizes = [column.shape[1] for column in columns]
        answers = queries.answers.cpu().numpy()
        self._parts = [
            (answer, np.ascontiguousarray(joint[answers == answer].T, dtype=np.float32))
            for answer in np.unique(answers).tolist()
        ]
        self._count = len(answers)

    @property
    def cells(self) -> int:
        """Number of joint clusters."""
        return int(np.prod(self._sizes))

    def scores(self, namings: IntArray) -> FloatArray:
        """Returns (P,) mean log P(answer) under each of the (P, V) joined namings."""
        step = max(1, 4_000_000 // max(self.cells, self._count))
        parts = [
            self._score(namings[start : start + step]) for start in range(0, len(namings), step)
        ]
        return np.concatenate(parts)

    def _score(self, namings: IntArray) -> FloatArray:
        symbols = [len(self._relation.domains[network]) for network in self._relation.columns]
        cells = np.zeros((len(namings), 1), dtype=np.int64)
        columns = self._layout.column_namings(self._relation.columns, namings, self._sizes)
        for size, image in zip(symbols, columns, strict=True):
            cells = (cells[:, :, None] * size + image[:, None, :]).reshape(len(namings), -1)
        total = np.zeros(len(namings))
        for answer, joint in self._parts:
            chance = self._table[answer][cells] @ joint
            total += np.log(np.maximum(chance, TINY)).sum(axis=1, dtype=np.float64)
        return total / self._count


class SparseScorer:
    """Scores from the most probable joint clusters of every query.

    Args:
        relation: The goal's combinations and answers.
        table: P(answer | joint symbols), from `answer_table`.
        layout: The networks to rename.
        queries: What to score on.
        kept: Most probable clusters kept per call.
    """

    def __init__(
        self,
        relation: Relation,
        table: FloatArray,
        layout: Layout,
        queries: Queries,
        *,
        kept: int = 2,
    ) -> None:
        self._relation, self._layout = relation, layout
        symbols = [len(relation.domains[network]) for network in relation.columns]
        self._table = _blurred(table, symbols).astype(np.float32).ravel()
        columns = _columns(relation, queries)
        self._sizes = [column.shape[1] for column in columns]
        tops = [np.argsort(-column, axis=1)[:, :kept] for column in columns]
        picks = list(itertools.product(*[range(top.shape[1]) for top in tops]))
        self._clusters = [
            np.stack([top[:, pick[place]] for pick in picks], axis=1)
            for place, top in enumerate(tops)
        ]
        weights = np.ones(self._clusters[0].shape)
        for column, clusters in zip(columns, self._clusters, strict=True):
            weights *= np.take_along_axis(column, clusters, axis=1)
        self._weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        self._answers = queries.answers.cpu().numpy()[:, None]

    def scores(self, namings: IntArray) -> FloatArray:
        """Returns (P,) mean log P(answer) under each of the (P, V) joined namings."""
        step = max(1, 4_000_000 // self._weights.size)
        parts = [
            self._score(namings[start : start + step]) for start in range(0, len(namings), step)
        ]
        return np.concatenate(parts)

    def _score(self, namings: IntArray) -> FloatArray:
        columns = self._layout.column_namings(self._relation.columns, namings, self._sizes)
        cells = np.broadcast_to(self._answers, self._weights.shape)
        for network, image, clusters in zip(
            self._relation.columns, columns, self._clusters, strict=True
        ):
            cells = cells * len(self._relation.domains[network]) + image[:, clusters]
        chance = (self._table[cells] * self._weights).sum(axis=2)
        scores: FloatArray = np.log(np.maximum(chance, TINY)).mean(axis=1, dtype=np.float64)
        return scores


def _blurred(table: FloatArray, symbols: Sequence[int]) -> FloatArray:
    """Mixes every call's symbol with a uniform one, so that near misses score above far ones."""
    shaped = table.reshape(len(table), *symbols)
    for axis in range(1, shaped.ndim):
        mean = shaped.mean(axis=axis, keepdims=True)
        shaped = (1 - NOISE) * shaped + NOISE * mean
    return shaped.reshape(len(table), -1)


class ReasonerScorer:
    """Scores by asking the reasoner for every query under every naming.

    Args:
        log_likelihood: The reasoner's.
        layout: The networks to rename.
        queries: What to score on.
        rows_at_once: Queries in one call of the reasoner.
    """

    def __init__(
        self,
        log_likelihood: LogLikelihood,
        layout: Layout,
        queries: Queries,
        *,
        rows_at_once: int = 4096,
    ) -> None:
        self._log_likelihood, self._layout, self._queries = log_likelihood, layout, queries
        self._step = max(1, rows_at_once // max(len(queries), 1))

    def scores(self, namings: IntArray) -> FloatArray:
        """Returns (P,) mean log P(answer) under each of the (P, V) joined namings."""
        parts = [
            self._score(namings[start : start + self._step])
            for start in range(0, len(namings), self._step)
        ]
        return np.concatenate(parts)

    def _score(self, namings: IntArray) -> FloatArray:
        renamed = [rename(self._queries.log_probs, self._layout, naming) for naming in namings]
        stacked = {network: torch.cat([one[network] for one in renamed]) for network in renamed[0]}
        answers = self._queries.answers.repeat(len(namings))
        with torch.no_grad():
            logs = self._log_likelihood(stacked, answers)
        means: FloatArray = logs.double().reshape(len(namings), -1).mean(dim=1).cpu().numpy()
        return means


class SumScorer:
    """The mean over the queries of several goals, each scored by a scorer of its own.

    Args:
        scorers: Number of queries, and their scorer.
    """

    def __init__(self, scorers: Sequence[tuple[int, Scorer]]) -> None:
        self._scorers = scorers
        self._total = sum(count for count, _ in scorers)

    def scores(self, namings: IntArray) -> FloatArray:
        """Returns (P,) mean log P(answer) under each of the (P, V) joined namings."""
        parts = [count / self._total * one.scores(namings) for count, one in self._scorers]
        total: FloatArray = np.sum(parts, axis=0)
        return total


def rename(log_probs: Mapping[str, Tensor], layout: Layout, naming: IntArray) -> dict[str, Tensor]:
    """Returns log-probabilities of symbols, (B, S, K), from those of clusters and their names.

    A symbol that no cluster means has log-probability ``NEVER``.
    """
    renamed = dict(log_probs)
    for network, place in layout.slices().items():
        if network not in log_probs:
            continue
        values, names = log_probs[network], torch.as_tensor(naming[place])
        shape = (*values.shape[:-1], layout.symbols[network])
        if len(set(names.tolist())) == len(names) == shape[-1]:
            renamed[network] = values[..., torch.argsort(names).to(values.device)]
            continue
        groups = [torch.nonzero(names == symbol).flatten() for symbol in range(shape[-1])]
        named = [
            values[..., own].logsumexp(dim=-1)
            if len(own)
            else torch.full(shape[:-1], NEVER, dtype=values.dtype, device=values.device)
            for own in (group.to(values.device) for group in groups)
        ]
        renamed[network] = torch.stack(named, dim=-1)
    return renamed
