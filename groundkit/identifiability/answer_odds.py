"""How likely every answer is when the symbols are certain, for programs with probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.identifiability.relations import Relation

FloatArray = NDArray[np.float64]

NEVER = -100.0
"""Log-probability of what a one-hot row rules out: finite, so that gradients and sums stay so."""
DIGITS = 6
"""Decimals to which probabilities are compared."""


class LogLikelihood(Protocol):
    """The part of a reasoner that scoring needs."""

    def __call__(self, log_probs: Mapping[str, Tensor], answers: Tensor) -> Tensor:
        """Maps network -> (B, S, K) log-probabilities and (B,) answers to (B,) log P."""


def row_probabilities(
    relation: Relation,
    log_likelihood: LogLikelihood,
    device: torch.device | None = None,
    *,
    rows_at_once: int = 4096,
) -> FloatArray:
    """Returns (M,) P(answer | symbols) of every row, asked of the reasoner itself.

    Args:
        relation: The goal's combinations and answers.
        log_likelihood: The reasoner's.
        device: Where the reasoner computes.
        rows_at_once: Rows in one call of the reasoner.
    """
    found = [np.zeros(0)]
    for start in range(0, len(relation), rows_at_once):
        part = relation.select(np.arange(start, min(start + rows_at_once, len(relation))))
        one_hot = {name: logs.to(device) for name, logs in _one_hot(part).items()}
        with torch.no_grad():
            logs = log_likelihood(one_hot, torch.as_tensor(part.answers).to(device))
        found.append(logs.double().exp().cpu().numpy())
    return np.concatenate(found)


def by_probabilities(relation: Relation, probabilities: FloatArray) -> Relation:
    """Joins the answers of every combination into one: the probabilities of all of them.

    In a program with probabilities a combination can give several answers, and which of them are
    possible at all may say nothing: with noise every answer is. What a sound training can tell
    apart is how likely they are, so combinations are alike when all probabilities are.

    Returns:
        A relation with one row per combination; equal answer indices mean equal probabilities.
    """
    classes: dict[tuple[tuple[int, float], ...], int] = {}
    names: list[str] = []
    kept: list[int] = []
    answers: list[int] = []
    order = np.lexsort((relation.answers, *relation.rows.T[::-1])).tolist()
    for _, group in groupby(order, key=lambda row: relation.rows[row].tobytes()):
        rows = list(group)
        key = tuple((int(relation.answers[row]), round(probabilities[row], DIGITS)) for row in rows)
        if key not in classes:
            classes[key] = len(classes)
            names.append(_name(relation, key))
        kept.append(rows[0])
        answers.append(classes[key])
    return replace(
        relation.select(np.array(kept, dtype=np.int64)),
        answers=np.array(answers, dtype=np.int64),
        answer_names=tuple(names),
    )


def like_combinations(whole: Relation, observed: Relation) -> Relation:
    """Returns the rows of ``whole`` whose combination is observed, whatever its answer."""
    seen = {row.tobytes() for row in observed.rows}
    return whole.select(np.array([row.tobytes() in seen for row in whole.rows], dtype=np.bool_))


def _name(relation: Relation, key: tuple[tuple[int, float], ...]) -> str:
    answer, chance = max(key, key=lambda pair: pair[1])
    text = relation.answer_names[answer] if answer < len(relation.answer_names) else ""
    return text if len(key) == 1 else f"{text} with probability {chance:g}".strip()


def _one_hot(relation: Relation) -> dict[str, Tensor]:
    """Returns network -> (M, S, K) log-probabilities that are certain of every row's symbols."""
    arrays: dict[str, Tensor] = {}
    for network in dict.fromkeys(relation.columns):
        own = [place for place, name in enumerate(relation.columns) if name == network]
        symbols = torch.as_tensor(relation.rows[:, own])
        shape = (*symbols.shape, len(relation.domains[network]))
        logs = torch.full(shape, NEVER, dtype=torch.float64)
        arrays[network] = logs.scatter_(2, symbols[..., None], 0.0)
    return arrays
