"""How likely answers are by chance, under each naming: what is left is what images say.

A naming that calls every image by one name may explain all answers: three zeros are an addition.
By likelihood alone it is the best of all, yet it says nothing, for images drawn at random would
explain the answers as well. Where queries hold, the images of one are as likely as

    p(images | query) = p(x_1) ... p(x_n) P(query | images) / P(query | images drawn at random)

and the quotient, in logarithms averaged over the queries, is the information that images have of
each other by the program. It is 0 for any collapse, and needs no assumption of how often symbols
occur: the shares under a naming are those of the clusters it gives each name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from groundkit.identifiability.answer_odds import FloatArray, LogLikelihood
from groundkit.identifiability.relations import IntArray, Relation
from groundkit.naming.scorers import TINY, Layout, Queries, Scorer

_CELLS = 2_000_000


class Chance:
    """Log P(answer) of images drawn at random, for the queries of one goal.

    Args:
        layout: The networks to rename.
        queries: Whose answers, and whose images.
        log_likelihood: The reasoner's, asked where there are no rows.
        relation: The goal's combinations of symbols, where they are known.
        probabilities: (M,) P(answer | symbols) of every row of it.
    """

    def __init__(
        self,
        layout: Layout,
        queries: Queries,
        log_likelihood: LogLikelihood,
        relation: Relation | None = None,
        probabilities: FloatArray | None = None,
    ) -> None:
        self._layout, self._log_likelihood = layout, log_likelihood
        self._calls = {name: values.shape[1] for name, values in queries.log_probs.items()}
        self._like = next(iter(queries.log_probs.values()))
        self._shares = {
            name: values.detach().double().exp().flatten(0, 1).mean(0).cpu().numpy()
            for name, values in queries.log_probs.items()
        }
        answers = queries.answers.cpu().numpy()
        self._answers, self._place, counts = np.unique(
            answers, return_inverse=True, return_counts=True
        )
        self._weights: FloatArray = counts / len(answers)
        self._rows: list[tuple[IntArray, FloatArray]] | None = None
        if relation is not None and probabilities is not None:
            self._columns = relation.columns
            parts = [relation.answers == answer for answer in self._answers.tolist()]
            self._rows = [(relation.rows[part], probabilities[part]) for part in parts]

    def scores(self, namings: IntArray) -> FloatArray:
        """Returns (P,) the mean over the queries under each of the (P, V) joined namings."""
        found: FloatArray = self._logs(namings) @ self._weights
        return found

    def of_queries(self, naming: IntArray) -> FloatArray:
        """Returns (B,) every query's value under a joined naming ``(V,)``."""
        found: FloatArray = self._logs(naming[None])[0][self._place]
        return found

    def _logs(self, namings: IntArray) -> FloatArray:
        """Log P(answer) by chance, ``(P, A)`` for the A answers that occur."""
        shown = self._shown(namings)
        if self._rows is None:
            return self._asked(shown, len(namings))
        return np.stack([self._added(shown, *part) for part in self._rows], axis=1)

    def _shown(self, namings: IntArray) -> dict[str, FloatArray]:
        """How often every symbol is shown, network -> ``(P, K)`` or ``(1, K)``."""
        shown = {name: shares[None] for name, shares in self._shares.items()}
        for name, place in self._layout.slices().items():
            if name in shown:
                total = np.zeros((len(namings), self._layout.symbols[name]))
                each = np.arange(len(namings))[:, None]
                np.add.at(total, (each, namings[:, place]), shown[name])
                shown[name] = total
        return shown

    def _added(
        self, shown: Mapping[str, FloatArray], rows: IntArray, weights: FloatArray
    ) -> FloatArray:
        """Adds up the rows of one answer: log of ``(P,)``."""
        count = max(len(values) for values in shown.values())
        total = np.zeros(count)
        step = max(1, _CELLS // max(count, 1))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            chance = np.broadcast_to(weights[start : start + step], (count, len(some)))
            for column, name in enumerate(self._columns):
                chance = chance * shown[name][:, some[:, column]]
            total += chance.sum(1)
        logs: FloatArray = np.log(np.maximum(total, TINY))
        return logs

    def _asked(self, shown: Mapping[str, FloatArray], count: int) -> FloatArray:
        """Asks the reasoner for every answer under every naming."""
        answers = torch.as_tensor(self._answers, device=self._like.device)
        found = []
        for number in range(count):
            rows = {name: self._row(shown[name], number, name) for name in shown}
            repeated = {name: row.expand(len(answers), -1, -1) for name, row in rows.items()}
            with torch.no_grad():
                found.append(self._log_likelihood(repeated, answers).double().cpu().numpy())
        logs: FloatArray = np.maximum(np.stack(found), np.log(TINY))
        return logs

    def _row(self, shares: FloatArray, number: int, name: str) -> Tensor:
        """Log-shares of all calls of a network under one naming, ``(1, S, K)``."""
        logs = np.log(np.maximum(shares[min(number, len(shares) - 1)], TINY))
        return torch.as_tensor(logs).to(self._like).expand(1, self._calls[name], -1)


class AboveChance:
    """Scores namings by how much likelier answers are than by chance.

    Args:
        likelihood: Scores by mean log P(answer).
        chance: What the answers have by chance.
    """

    def __init__(self, likelihood: Scorer, chance: Chance) -> None:
        self._likelihood, self._chance = likelihood, chance

    def scores(self, namings: IntArray) -> FloatArray:
        """Returns (P,) the mean gain over chance under each of the (P, V) joined namings."""
        return self._likelihood.scores(namings) - self._chance.scores(namings)
