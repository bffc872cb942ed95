"""A reasoner made from a relation by summing over its rows, and predictions to feed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundkit.errors import LimitError
from groundkit.identifiability.relations import Relation
from groundkit.naming import many_to_one
from groundkit.naming.relabelling import Regrounder
from groundkit.naming.scorers import Queries


@dataclass
class Rows:
    values: dict[str, np.ndarray]
    answers: np.ndarray


class RowReasoner:
    """Exact log P(answer): the sum over all rows of a relation, each with a weight."""

    def __init__(self, relation: Relation, weights=None, *, lists_support: bool = True) -> None:
        self.relation = relation
        self.lists_support = lists_support
        self.weights = torch.as_tensor(np.ones(len(relation)) if weights is None else weights)
        names = dict.fromkeys(relation.columns)
        self.slots = {
            name: tuple((f"{name}{call}",) for call in range(relation.columns.count(name)))
            for name in names
        }
        self.calls = 0

    def support(self) -> Rows:
        if not self.lists_support:
            raise LimitError("too many combinations")
        columns = np.array(self.relation.columns)
        values = {name: self.relation.rows[:, columns == name] for name in self.slots}
        return Rows(values, self.relation.answers)

    def log_likelihood(self, log_probs: Mapping[str, Tensor], answers: Tensor) -> Tensor:
        self.calls += 1
        taken = dict.fromkeys(self.slots, 0)
        total = self.weights.log()[None].repeat(len(answers), 1)
        for place, name in enumerate(self.relation.columns):
            symbols = torch.as_tensor(self.relation.rows[:, place])
            total = total + log_probs[name][:, taken[name]][:, symbols].double()
            taken[name] += 1
        possible = torch.as_tensor(self.relation.answers)[None] == answers[:, None]
        return total.masked_fill(~possible, -1e3).logsumexp(dim=1)


def predictions(
    relation: Relation, count: int, rng: np.random.Generator, *, accuracy=0.9, sharpness=5.0
) -> tuple[dict[str, Tensor], Tensor]:
    """Noisy predictions for rows drawn from a relation, by network (B, S, K), and answers."""
    drawn = rng.integers(len(relation), size=count)
    columns = np.array(relation.columns)
    log_probs = {}
    for name in dict.fromkeys(relation.columns):
        true = relation.rows[drawn][:, columns == name]
        size = len(relation.domains[name])
        wrong = rng.random(true.shape) > accuracy
        seen = np.where(wrong, rng.integers(size, size=true.shape), true)
        logits = rng.normal(size=(*true.shape, size)) + sharpness * np.eye(size)[seen]
        log_probs[name] = torch.log_softmax(torch.as_tensor(logits), dim=-1)
    return log_probs, torch.as_tensor(relation.answers[drawn])


def shuffled(log_probs: dict[str, Tensor], rng: np.random.Generator):
    """Renames every network's symbols at random; returns them with the way back."""
    moved, back = {}, {}
    for name, values in log_probs.items():
        order = rng.permutation(values.shape[-1])
        moved[name] = values[..., torch.as_tensor(order)]
        back[name] = tuple(np.argsort(order).tolist())
    return moved, back


def reground(reasoner, log_probs, answers, *, searchable, rng, domains=None, rivals=(), **settings):
    """Searches once for the names under which the answers of one goal are likeliest."""
    search = Regrounder([reasoner], searchable, domains, rivals)
    return search([Queries(log_probs, answers)], rng=rng, **settings)


def name_clusters(reasoner, log_probs, answers, **settings):
    """Names clusters by one goal."""
    return many_to_one.name_clusters([reasoner], [Queries(log_probs, answers)], **settings)


def find_splits(reasoner, log_probs, answers, **settings):
    """Finds splits by one goal."""
    return many_to_one.find_splits([reasoner], [Queries(log_probs, answers)], **settings)
