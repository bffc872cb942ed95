"""Answers under every reading of the symbols that program and data leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from groundkit.identifiability.factored import FactoredPosterior, Listing, Reading
from groundkit.identifiability.images import joint, members
from groundkit.identifiability.posterior import FloatArray
from groundkit.runs.readings import average, joint_average, joint_symbols, reread

MOST_READINGS = 2000
"""Readings that an answer is averaged over; of more, so many are drawn."""
_AT_ONCE = 256
_MOST_NUMBERS = 1_000_000
_SAME = 1e-9
_SHOWN = 3
_MENTIONED = 0.01

Evaluate = Callable[[Mapping[str, Mapping[str, Tensor]]], Tensor]
"""Maps input -> network -> (B, K) log-probabilities to (B, ...) probabilities of answers."""
Seen = Mapping[str, tuple[str, Mapping[str, Tensor]]]
"""Input -> name of the networks that read it, and their (1, K) log-probabilities."""


@dataclass(frozen=True)
class Doubt:
    """The readings of a run's symbols, to answer under.

    Attributes:
        readings: The readings with their weights.
        averaging: Whether answers are averaged over them, or the learnt one is taken.
        labelled: Whether labels came after training: the heaviest reading is then taken for the
            learnt one.
    """

    readings: FactoredPosterior
    averaging: bool = True
    labelled: bool = False

    @property
    def several(self) -> bool:
        """Whether answers are averaged over several readings."""
        return self.averaging and self.readings.count > 1

    @cached_property
    def _meanings(self) -> dict[str, FloatArray]:
        return self.readings.meanings()

    @cached_property
    def _picked(self) -> Mapping[str, Sequence[int]]:
        if self.labelled:
            return self.readings.best()
        return {name: range(len(domain)) for name, domain in self.readings.domains.items()}

    def group_of(self, network: str) -> str:
        """Returns the name of the networks that read the same images as this one.

        A network that no goal of the training asks about has no readings: it stands by itself.
        """
        return next((name for name in self.readings.domains if network in members(name)), network)

    def symbols(self, network: str, logs: Mapping[str, Tensor]) -> Tensor:
        """Returns ``(N, K)`` probabilities of a network's symbols.

        Args:
            network: The network.
            logs: Predictions of all networks that read the same images.
        """
        group = self.group_of(network)
        if group not in self.readings.domains:
            return logs[network].exp()
        if self.several:
            return average(logs, group, self._meanings[group])[network].exp()
        return reread(logs, group, self._picked[group])[network].exp()

    def words(self, network: str, logs: Mapping[str, Tensor]) -> str:
        """Says what the program cannot tell about one image; empty where it can."""
        group = self.group_of(network)
        if not self.several or group not in self.readings.domains:
            return ""
        meanings, domain = self._meanings[group], self.readings.domains[group]
        meant = meanings[int(joint_symbols(logs, group)[0])]
        # What the image is, the network may not be sure of either: its own shares are given.
        row = joint_average(logs, group, meanings)[0].cpu().numpy()
        options = [k for k in np.argsort(-row, kind="stable").tolist() if meant[k] >= _MENTIONED]
        if len(options) < 2:
            return ""
        shares = [float(row[k]) for k in options]
        names = [f"({domain[k]})" if joint(group) else domain[k] for k in options]
        if len(names) > _SHOWN + 1:
            listed = f"{', '.join(names[:_SHOWN])} or one of {len(names) - _SHOWN} others"
        else:
            listed = f"{', '.join(names[:-1])} or {names[-1]}"
        if max(shares) - min(shares) < _MENTIONED:
            return f"{listed}, {shares[0]:.2g} each: the program cannot tell"
        return f"{listed} ({shares[0]:.0%} the first): the program cannot tell"

    def answer(self, seen: Seen, evaluate: Evaluate) -> tuple[Tensor, str]:
        """Answers a question jointly for all its images.

        Args:
            seen: The question's images as the networks predict them.
            evaluate: Answers it for batches of predictions.

        Returns:
            The probabilities of the answers, averaged, and over what in words.
        """
        asked = self._open(seen)
        if asked is None:
            return evaluate(_under(seen, self._picked))[0], ""
        over = f"the {asked.count:,} readings"
        listed = self._listed(asked, seen, evaluate)
        if listed is not None:
            found, _ = _averaged(seen, listed, evaluate)
        elif self._linear(seen, evaluate):
            found = evaluate(
                {n: average(logs, g, self._meanings[g]) for n, (g, logs) in seen.items()}
            )[0]
        else:
            drawn = _drawn(asked)
            found, deviation = _averaged(seen, drawn, evaluate)
            error = deviation / math.sqrt(MOST_READINGS)
            over = (
                f"{MOST_READINGS:,} readings, with a standard error of {error:.1g}, "
                f"drawn from {over}"
            )
        return found, f"averaged over {over} of the symbols that program and data leave"

    def _open(self, seen: Seen) -> FactoredPosterior | None:
        """Returns the readings of what a question asks; ``None`` where it has one answer."""
        asked = self.readings.among({group for group, _ in seen.values()})
        return asked if self.several and asked.count > 1 else None

    def likeliest(self, seen: Seen, chance: Evaluate) -> dict[str, Mapping[str, Tensor]]:
        """Reads a question's images as the reading says that does most for an answer.

        Args:
            seen: The images.
            chance: Gives the probability of the answer, ``(B,)``.
        """
        asked = self._open(seen)
        if asked is None:
            return _under(seen, self._picked)
        listed = self._listed(asked, seen, chance)
        readings, weights = _drawn(asked) if listed is None else listed
        chances = np.concatenate([own.cpu().numpy() for own in _each(seen, readings, chance)])
        return _under(seen, readings[int(np.argmax(weights * chances))])

    def _listed(self, asked: FactoredPosterior, seen: Seen, evaluate: Evaluate) -> Listing | None:
        """Lists the readings that a question has to be asked under; ``None`` for too many."""
        if asked.orbit == 1 or self._indifferent(seen, evaluate):
            return asked.representatives(MOST_READINGS)
        return asked.every(MOST_READINGS)

    def _linear(self, seen: Seen, evaluate: Evaluate) -> bool:
        """Whether answers are linear in the symbols of one image that one network reads.

        They are then averaged by averaging the symbols. Evidence that speaks of the image makes
        answers quotients; it is tried at random points.
        """
        if len(seen) > 1 or any(joint(group) for group, _ in seen.values()):
            return False
        ((name, (group, logs)),) = seen.items()
        points = np.random.default_rng(0).dirichlet(np.ones(logs[group].shape[1]), 2)
        rows = torch.from_numpy(np.log([*points, points.mean(axis=0)]))
        first, second, middle = evaluate({name: {group: rows}})
        return torch.allclose((first + second) / 2, middle, rtol=_SAME, atol=_SAME)

    def _indifferent(self, seen: Seen, evaluate: Evaluate) -> bool:
        """Whether the question is answered alike whichever alike symbols trade places.

        An answer is a polynomial in the probabilities of the symbols, linear in those of each
        image: two such are the same when they agree at random points.
        """
        if any(joint(group) for group, _ in seen.values()):
            return False
        rng = np.random.default_rng(0)
        points = {
            name: (
                group,
                {
                    n: torch.from_numpy(np.log(rng.dirichlet(np.ones(t.shape[1]), 3)))
                    for n, t in logs.items()
                },
            )
            for name, (group, logs) in seen.items()
        }
        plain = evaluate(_under(points, None))
        groups = {group for group, _ in seen.values()}
        for network, first, second in self.readings.swaps():
            if network not in groups:
                continue
            moved = {g: list(range(len(d))) for g, d in self.readings.domains.items()}
            moved[network][first], moved[network][second] = second, first
            if not torch.allclose(evaluate(_under(points, moved)), plain, rtol=_SAME, atol=_SAME):
                return False
        return True


def _under(
    seen: Seen, reading: Mapping[str, Sequence[int]] | None
) -> dict[str, Mapping[str, Tensor]]:
    """Reads a question's images under one reading."""
    return {
        name: reread(logs, group, reading[group]) if reading and group in reading else logs
        for name, (group, logs) in seen.items()
    }


def _drawn(asked: FactoredPosterior) -> Listing:
    """Draws readings, which weigh the same."""
    drawn = asked.sample(MOST_READINGS, np.random.default_rng(0))
    return drawn, np.full(len(drawn), 1 / len(drawn))


def _averaged(seen: Seen, listing: Listing, evaluate: Evaluate) -> tuple[Tensor, float]:
    """Averages answers over readings; the second is the largest of their standard deviations."""
    readings, weights = listing
    mean, square, done = torch.zeros(()), torch.zeros(()), 0
    for found in _each(seen, readings, evaluate):
        share = torch.from_numpy(weights[done : done + len(found)]).to(found)
        mean = mean + torch.tensordot(share, found, 1)
        square = square + torch.tensordot(share, found**2, 1)
        done += len(found)
    return mean, float((square - mean**2).clamp_min(0).max().sqrt())


def _each(seen: Seen, readings: Sequence[Reading], evaluate: Evaluate) -> Iterator[Tensor]:
    """Yields the answers ``(n, ...)`` under readings, so many at once as memory holds."""
    step, start = 1, 0
    while start < len(readings):
        under = [_under(seen, reading) for reading in readings[start : start + step]]
        found = evaluate(
            {
                name: {n: torch.cat([one[name][n] for one in under]) for n in logs}
                for name, logs in under[0].items()
            }
        )
        yield found
        start += step
        step = max(1, min(_AT_ONCE, _MOST_NUMBERS // found[0].numel()))
