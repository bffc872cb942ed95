"""A start for the search of names: what clusters mean, first softly, by expectation maximisation.

The names are relaxed to W[c, s], the probability that cluster c means symbol s. A call that shows
clusters with probabilities p then shows symbols with q = p W. The probability of an answer is
linear in q of every call, so that

    q[s] * d log P(answer) / d q[s]

is the probability, given the answer, that the call held s, and EM needs no more than that slope:
from a table of the goal's rows where there is one, else from the reasoner's own gradient. Every
step is followed by a few of Sinkhorn's scalings, which keep every symbol equally often meant:
without them EM calls everything by the one name that always has a proof. Where symbols need not be
meant equally often, the slope is divided by that of the answers by chance instead
(:mod:`groundkit.naming.chance`): a fixed point then is one of the gain over chance. From an even W
the first step already sees what kind of place each cluster takes, say that it is often a sum and
never a summand; swaps from a random naming see no such thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from groundkit.identifiability.answer_odds import FloatArray, LogLikelihood
from groundkit.identifiability.relations import IntArray, Relation
from groundkit.naming.scorers import TINY, Layout, Queries

SCALINGS = 4
UNEVEN = 0.05
"""Standard deviation of the log of the first W: enough to leave the saddle of a goal that treats
symbols alike, too little to hide what the even start sees."""

Shown = dict[str, FloatArray]
"""Network -> (B, S, K) of every call."""


class Slopes(Protocol):
    """The slope of log P(answer) in the probability of every symbol of every call."""

    def __call__(self, shown: Mapping[str, FloatArray]) -> Shown:
        """Maps (B, S, K) probabilities to (B, S, K) slopes, by network."""


class RowSlopes:
    """Slopes by summing over the rows of the goal.

    Args:
        relation: The goal's combinations and answers.
        weights: (M,) P(answer | symbols) of every row.
        answers: (B,) answer indices of the queries.
    """

    def __init__(self, relation: Relation, weights: FloatArray, answers: IntArray) -> None:
        self._columns = relation.columns
        self._parts = [
            (
                np.flatnonzero(answers == answer),
                relation.rows[relation.answers == answer],
                weights[relation.answers == answer],
            )
            for answer in np.unique(answers).tolist()
        ]

    def __call__(self, shown: Mapping[str, FloatArray]) -> Shown:
        """Maps (B, S, K) probabilities to (B, S, K) slopes, by network."""
        slopes = {network: np.zeros_like(values) for network, values in shown.items()}
        calls = [self._columns[:place].count(name) for place, name in enumerate(self._columns)]
        for queries, rows, weights in self._parts:
            chance = np.tile(weights, (len(queries), 1))
            for place, network in enumerate(self._columns):
                chance *= shown[network][queries, calls[place]][:, rows[:, place]]
            chance /= np.maximum(chance.sum(axis=1, keepdims=True), TINY)
            for place, network in enumerate(self._columns):
                own = shown[network][queries, calls[place]]
                held = chance @ np.eye(own.shape[1])[rows[:, place]]
                slopes[network][queries, calls[place]] = held / np.maximum(own, TINY)
        return slopes


class ReasonerSlopes:
    """Slopes by the reasoner's gradient, for goals with too many rows.

    Args:
        log_likelihood: The reasoner's.
        answers: (B,) answer indices of the queries.
    """

    def __init__(self, log_likelihood: LogLikelihood, answers: torch.Tensor) -> None:
        self._log_likelihood, self._answers = log_likelihood, answers

    def __call__(self, shown: Mapping[str, FloatArray]) -> Shown:
        """Maps (B, S, K) probabilities to (B, S, K) slopes, by network."""
        device = self._answers.device
        logs = {
            network: torch.from_numpy(np.log(np.maximum(values, TINY))).to(device)
            for network, values in shown.items()
        }
        for values in logs.values():
            values.requires_grad_()
        with torch.enable_grad():
            total = self._log_likelihood(logs, self._answers).sum()
            held = torch.autograd.grad(total, list(logs.values()), allow_unused=True)
        return {
            network: np.zeros_like(shown[network])
            if gradient is None
            else np.maximum(gradient.cpu().numpy(), 0.0) / np.maximum(shown[network], TINY)
            for network, gradient in zip(logs, held, strict=True)
        }


@dataclass(frozen=True)
class Part:
    """The queries of one goal, as EM sees them.

    Attributes:
        queries: Predictions with a floor, and their answers.
        slopes: The slopes of their answers.
        chance: Those of the answers that occur, each once; ``None`` to keep symbols equally often
            meant in place of a comparison with chance.
        weights: (A,) how many queries have each of these answers.
    """

    queries: Queries
    slopes: Slopes
    chance: Slopes | None = None
    weights: FloatArray = field(default_factory=lambda: np.zeros(0))


def soft_naming(
    parts: Sequence[Part],
    layout: Layout,
    rng: np.random.Generator,
    *,
    steps: int,
    uneven: float = UNEVEN,
) -> IntArray:
    """Returns the naming in which EM from an almost even start ends.

    Args:
        parts: The goals' queries.
        layout: The networks to rename.
        rng: Draws how the start differs from an even one.
        steps: Steps of EM.
        uneven: Standard deviation of the log of the start.
    """
    clusters = [
        {
            network: values.detach().double().exp().cpu().numpy()
            for network, values in part.queries.log_probs.items()
        }
        for part in parts
    ]
    soft: Shown = {}
    for network, size in layout.clusters.items():
        shape = (size, layout.symbols[network])
        soft[network] = _balanced(np.exp(uneven * rng.normal(size=shape)))
    by_chance = any(part.chance is not None for part in parts)
    for _ in range(steps):
        held = {network: np.zeros_like(values) for network, values in soft.items()}
        chance = {network: np.zeros(values.shape[1]) for network, values in soft.items()}
        for part, seen in zip(parts, clusters, strict=True):
            found = part.slopes(_shown(seen, soft))
            for network in held.keys() & seen.keys():
                held[network] += np.einsum("bsc,bsk->ck", seen[network], found[network])
            if part.chance is not None:
                drawn = {n: np.broadcast_to(v.mean((0, 1)), v[:1].shape) for n, v in seen.items()}
                expected = part.chance(_repeated(_shown(drawn, soft), len(part.weights)))
                for network in held.keys() & seen.keys():
                    chance[network] += part.weights @ expected[network].sum(1)
        soft = {
            network: _rows(values * held[network] / np.maximum(chance[network], TINY))
            if by_chance
            else _balanced(values * held[network])
            for network, values in soft.items()
        }
    return np.concatenate([_hard(values) for values in soft.values()])


def _shown(seen: Mapping[str, FloatArray], soft: Shown) -> Shown:
    """Turns clusters ``(B, S, C)`` into symbols ``(B, S, K)``."""
    return {n: v @ soft[n] if n in soft else v for n, v in seen.items()}


def _repeated(shown: Shown, count: int) -> Shown:
    """The same calls ``(1, S, K)`` for a number of answers."""
    return {n: np.repeat(v, count, axis=0) for n, v in shown.items()}


def _rows(counts: FloatArray) -> FloatArray:
    """Scales rows to 1."""
    scaled: FloatArray = counts + 1e-12
    return scaled / scaled.sum(axis=1, keepdims=True)


def _balanced(counts: FloatArray) -> FloatArray:
    """Scales columns to an even share and rows to 1 by Sinkhorn's iteration; ends with rows."""
    scaled = counts + 1e-12
    for _ in range(SCALINGS):
        scaled = scaled / scaled.sum(axis=0, keepdims=True)
        scaled = scaled / scaled.sum(axis=1, keepdims=True)
    return scaled


def _hard(soft: FloatArray) -> IntArray:
    """Returns the one-to-one naming of greatest probability, or each cluster's likeliest symbol.

    A symbol that would be left without a cluster takes the one that is likeliest to show it.
    """
    logs = np.log(soft + TINY)
    own, symbols = linear_sum_assignment(-logs)  # a cluster for each symbol
    if len(soft) == soft.shape[1]:
        return np.asarray(symbols, dtype=np.int64)
    naming: IntArray = soft.argmax(axis=1).astype(np.int64)
    if len(np.unique(naming)) < soft.shape[1]:
        naming[own] = symbols
    return naming
