"""Estimates the probability of answers from random worlds, with the choices averaged out in turn.

Of every world drawn, each choice in turn is set to all of its outcomes, weighed by their
probabilities, while the others stay: the mean over choices and worlds is unbiased (Rao-Blackwell),
and so is the derivative with respect to every probability, which the same evaluations give
(IndeCateR: De Smet, Sansone and Zuidberg Dos Martires, 2023). Worlds are bits of machine words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundkit.program.ground import GroundProgram

Floats = NDArray[np.float64]
_Words = NDArray[np.uint8]


@dataclass(frozen=True)
class Estimate:
    """Estimated probabilities of references.

    Attributes:
        mean: ``(R,)`` estimates.
        covariance: ``(R, R)`` covariance of the estimates.
        derivative: For every choice that was set, ``(K, R)`` derivatives with respect to the
            probabilities of its outcomes.
    """

    mean: Floats
    covariance: Floats
    derivative: dict[int, Floats]


class Sampler:
    """Draws worlds of a ground program and tells how often references hold.

    Args:
        program: The ground program.
        references: What is asked.
    """

    def __init__(self, program: GroundProgram, references: Sequence[int]) -> None:
        self.program = program
        self.references = list(references)
        self.order = program.reachable(references)
        self._above: dict[int, list[int]] = {}
        speaks: dict[int, set[int]] = {}
        for index in self.order:
            node = program.nodes[index]
            found = {node.choice} if node.kind == "leaf" else set()
            found = found.union(*(speaks[max(c, ~c)] for c in node.children))
            speaks[index] = found
            for choice in found:
                self._above.setdefault(choice, []).append(index)
        self.choices = sorted(self._above)
        """The choices that matter."""

    def estimate(
        self,
        probabilities: Sequence[Floats],
        count: int,
        rng: np.random.Generator,
        averaged: Sequence[int] | None = None,
    ) -> Estimate:
        """Draws worlds.

        Args:
            probabilities: ``(K,)`` for every choice, each summing to 1.
            count: How many worlds.
            rng: Source of randomness.
            averaged: The choices that are averaged out; by default all that matter.
        """
        averaged = self.choices if averaged is None else averaged
        drawn = {
            choice: rng.choice(len(probabilities[choice]), count, p=probabilities[choice])
            for choice in self.choices
        }
        words: dict[int, _Words] = {}
        for index in self.order:
            words[index] = self._evaluate(index, words, drawn, count)
        roots = [max(reference, ~reference) for reference in self.references]
        base = self._holds(words, roots, count)
        if not averaged:
            return Estimate(base.mean(0), np.atleast_2d(np.cov(base.T)) / count, {})
        total = np.zeros((count, len(roots)))
        derivative: dict[int, Floats] = {}
        for choice in averaged:
            found = [
                self._holds(self._changed(choice, outcome, words, count), roots, count)
                for outcome in range(len(probabilities[choice]))
            ]
            for weight, holds in zip(probabilities[choice], found, strict=True):
                total += weight * holds
            derivative[choice] = np.stack([holds.mean(0) for holds in found])
        values = total / len(averaged)
        return Estimate(values.mean(0), np.atleast_2d(np.cov(values.T)) / count, derivative)

    def _changed(
        self, choice: int, outcome: int, words: dict[int, _Words], count: int
    ) -> dict[int, _Words]:
        """Evaluates the nodes that speak of a choice, with one outcome in all worlds."""
        changed = dict(words)
        fixed = {choice: np.full(count, outcome)}
        for index in self._above[choice]:
            changed[index] = self._evaluate(index, changed, fixed, count)
        return changed

    def _evaluate(
        self,
        index: int,
        words: dict[int, _Words],
        drawn: dict[int, NDArray[np.int64]],
        count: int,
    ) -> _Words:
        """Evaluates one node in all worlds."""
        node = self.program.nodes[index]
        if node.kind == "leaf":
            size = self.program.choices[node.choice].size
            permitted = np.array([bool(node.mask >> outcome & 1) for outcome in range(size)])
            return np.packbits(permitted[drawn[node.choice]])
        if node.kind == "true":
            return np.packbits(np.ones(count, bool))
        parts = [words[c] if c >= 0 else ~words[~c] for c in node.children]
        join = np.bitwise_and if node.kind == "and" else np.bitwise_or
        found: _Words = join.reduce(parts)
        return found

    def _holds(self, words: dict[int, _Words], roots: Sequence[int], count: int) -> Floats:
        """Unpacks the roots: ``(count, R)`` zeros and ones."""
        columns = [
            np.unpackbits(words[root] if reference >= 0 else ~words[root], count=count)
            for root, reference in zip(roots, self.references, strict=True)
        ]
        return np.stack(columns, 1).astype(np.float64)
