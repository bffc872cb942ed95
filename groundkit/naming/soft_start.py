"""A start for the search of names: what clusters mean, first softly, by expectation maximisation.

The names are relaxed to W[c, s], the probability that cluster c means symbol s. A call that shows
clusters with probabilities p then shows symbols with q = p W. The probability of an answer is
linear in q of every call, so that

    q[s] * d log P(answer) / d q[s]

is the probability, given the answer, that the call held s, and EM needs no more than that slope:
from a table of the goal's rows where there is one, else from the reasoner's own gradient. Every
step is followed by a few of Sinkhorn's scalings, which keep every symbol equally often meant:
without them EM calls everything by the one name that always has a proof. From an even W the first
step already sees what kind of place each cluster takes, say that it is often a sum and never a
summand; swaps from a random naming see no such thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def soft_naming(
    parts: Sequence[tuple[Slopes, Queries]],
    layout: Layout,
    rng: np.random.Generator,
    *,
    steps: int,
) -> IntArray:
    """Returns the naming in which EM from an almost even start ends.

    Args:
        parts: For every goal, the slopes of its queries, and these: predictions with a floor and
            their answers.
        layout: The networks to rename.
        rng: Draws how the start differs from an even one.
        steps: Steps of EM.
    """
    clusters = [
        {
            network: values.detach().double().exp().cpu().numpy()
            for network, values in queries.log_probs.items()
        }
        for _, queries in parts
    ]
    soft: Shown = {}
    for network, size in layout.clusters.items():
        shape = (size, layout.symbols[network])
        soft[network] = _balanced(np.exp(UNEVEN * rng.normal(size=shape)))
    for _ in range(steps):
        held = {network: np.zeros_like(values) for network, values in soft.items()}
        for (slopes, _), seen in zip(parts, clusters, strict=True):
            found = slopes({n: v @ soft[n] if n in soft else v for n, v in seen.items()})
            for network in held.keys() & seen.keys():
                held[network] += np.einsum("bsc,bsk->ck", seen[network], found[network])
        soft = {network: _balanced(values * held[network]) for network, values in soft.items()}
    return np.concatenate([_hard(values) for values in soft.values()])


def _balanced(counts: FloatArray) -> FloatArray:
    """Scales columns to an even share and rows to 1 by Sinkhorn's iteration; ends with rows."""
    scaled = counts + 1e-12
    for _ in range(SCALINGS):
        scaled = scaled / scaled.sum(axis=0, keepdims=True)
        scaled = scaled / scaled.sum(axis=1, keepdims=True)
    return scaled


def _hard(soft: FloatArray) -> IntArray:
    """Returns the one-to-one naming of greatest probability, or each cluster's likeliest symbol."""
    if soft.shape[0] != soft.shape[1]:
        return np.asarray(soft.argmax(axis=1), dtype=np.int64)
    return np.asarray(linear_sum_assignment(-np.log(soft + TINY))[1], dtype=np.int64)
