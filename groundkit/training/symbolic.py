"""The program's part of training: which images it asks about, and how likely it finds them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Generator, Tensor, nn

from groundkit.circuit.reasoner import Reasoner
from groundkit.perception.augment import Rows
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.learner import Learner
from groundkit.perception.phases import Queried, Views
from groundkit.perception.readback import send
from groundkit.task.shaped import ShapedExamples
from groundkit.task.task import Task

_SURE = 1e-12
SOFTEST = 4.0
"""Temperature at which the tempered schedule starts."""
MOST_SHAPES = 4
"""Shapes of a query that one step asks in: each costs a pass through a circuit of its own."""


@dataclass(frozen=True)
class Moment:
    """How the symbolic term stands at a moment of joint training.

    Attributes:
        weight: Factor of its weight.
        temperature: Divides the symbols' log-probabilities that the program reads.
    """

    weight: float = 1.0
    temperature: float = 1.0


def moment(schedule: str, progress: float) -> Moment:
    """Returns where a schedule stands.

    Names that are learnt while clusters are still poor stay, right or wrong: all schedules but the
    constant one give clusters, and the searches for their names, time before that.

    Args:
        schedule: ``constant``, ``annealed``, ``clusters-first`` or ``tempered``.
        progress: Share of the schedule's steps that are done; from 1 on it is over.
    """
    if progress >= 1 or schedule == "constant":
        return Moment()
    if schedule == "annealed":
        return Moment(weight=progress)
    if schedule == "clusters-first":
        return Moment(weight=0.0)
    return Moment(temperature=SOFTEST + (1 - SOFTEST) * progress)


def cross_entropy(log_p: Tensor, targets: Tensor | None) -> Tensor:
    """Log-likelihood ``(n,)`` of queries that are to hold with given probabilities.

    With log-probabilities ``log_p`` and targets ``t``, ``(n,)`` each, or all targets 1, it is
    ``t log P + (1 - t) log(1 - P)``; its second part is computed without cancellation (Maechler,
    "Accurately computing log(1 - exp(-|a|))", 2012) and is finite at P = 1.
    """
    if targets is None:
        return log_p
    below = log_p.clamp_max(-_SURE)
    small = torch.log1p(-below.exp())
    large = torch.log(-torch.expm1(below))
    complement = torch.where(below < -math.log(2), small, large)
    # A query that cannot hold has log P of minus infinity, and 0 times that is no number.
    return torch.where(targets > 0, targets * log_p, 0.0) + (1 - targets) * complement


class ShapePart:
    """The training examples of one shape, on a device.

    Args:
        task: The task.
        shaped: The examples.
        device: Where to compute.

    Attributes:
        reasoner: The compiled goal.
        query: Position of its query.
        holds: Which examples hold a query that holds rather than not.
    """

    def __init__(self, task: Task, shaped: ShapedExamples, device: torch.device) -> None:
        self.reasoner: Reasoner = shaped.goal.reasoner.to(device)
        self.query = shaped.goal.query.number
        self.answers = shaped.answers.to(device)
        targets = shaped.examples.targets
        self.targets = None if targets is None else torch.from_numpy(targets).to(device)
        everything = torch.arange(len(self.answers), device=device)
        self.holds = everything if self.targets is None else everything[self.targets > 0.5]
        self.observed = {n: rows.to(device) for n, rows in shaped.observed_log_probs().items()}
        self.slots = {
            name: torch.from_numpy(task.pool_places(name, places)).to(device)
            for name, places in shaped.slots.items()
        }

    def __len__(self) -> int:
        return len(self.answers)

    def likelihood(self, chosen: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        """Log-likelihood ``(n,)`` of examples ``(n,)`` from network -> ``(n, S, K)`` rows."""
        observed = {name: given[chosen].double() for name, given in self.observed.items()}
        found = self.reasoner.log_likelihood({**rows, **observed}, self.answers[chosen])
        return cross_entropy(found, None if self.targets is None else self.targets[chosen])


@dataclass(frozen=True)
class Named:
    """Frozen predictions of the examples of one shape, and the answers they should give.

    Attributes:
        reasoner: The compiled goal.
        log_probs: Network -> ``(m, S, C)``.
        answers: ``(m,)``.
    """

    reasoner: Reasoner
    log_probs: dict[str, Tensor]
    answers: Tensor


@dataclass(frozen=True)
class Bucket:
    """Examples of one shape in a step's batch.

    Attributes:
        part: Position of the shape.
        chosen: The examples ``(b,)`` of it, of all processes.
        places: Their places ``(b,)`` in the batch.
    """

    part: int
    chosen: Tensor
    places: Tensor


class SymbolicTerm:
    """What training may see of a task's examples, and the exact likelihood of their queries.

    Args:
        task: Program, spec and examples.
        device: Where to compute.
        processes: The processes that share every batch.

    Attributes:
        parts: The examples by shape.
        seeing: Those in which networks see images, the largest first: names are searched by these.
        learnt: The program's learnable probabilities.
    """

    def __init__(self, task: Task, device: torch.device, processes: ProcessGroup) -> None:
        self.parts = [ShapePart(task, shaped, device) for shaped in task.examples]
        seeing = [part for part in self.parts if part.slots]
        self.seeing = sorted(seeing, key=lambda part: -len(part.holds))
        self.learnt: nn.Module = task.binding.learnt.to(device)
        self._device = device
        self._batch = task.spec.train.batch
        self._own = processes.own(self._batch, "train.batch")
        self._mine = set(self._own.tolist())
        self._queries = [
            (query.spec.weight, [n for n, part in enumerate(self.parts) if part.query == number])
            for number, query in enumerate(task.queries)
        ]

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks whose images the goals read."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.slots))

    @property
    def called(self) -> tuple[str, ...]:
        """All networks that the goals call, observed ones among them."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.reasoner.slots))

    @property
    def averaged(self) -> float:
        """Number of this process's examples that the mean of one query is over."""
        return len(self._own) / max(len(self._queries), 1)

    @property
    def searchable(self) -> bool:
        """Whether any example says something of names: its query holds."""
        return any(len(part.holds) for part in self.seeing)

    def draw(self, generator: Generator) -> list[Bucket]:
        """Draws the examples of a batch, with replacement, sorted by shape.

        Every query has an equal part of the batch; within it, every example is equally likely.
        Where a query has many shapes, a few of them are drawn, each as often as it has examples.

        Args:
            generator: Source of the draw, on the CPU: the host reads which shapes there are.
        """
        found: list[Bucket] = []
        ends = np.linspace(0, self._batch, len(self._queries) + 1).round().astype(int).tolist()
        for (_, parts), (start, end) in zip(self._queries, pairwise(ends), strict=True):
            places = torch.arange(start, end)
            if len(parts) > MOST_SHAPES:
                found += self._draw_few(parts, places, generator)
            elif len(places) and parts:
                found += self._draw_any(parts, places, generator)
        return found

    def _draw_any(
        self, parts: Sequence[int], places: Tensor, generator: Generator
    ) -> Iterator[Bucket]:
        """Draws among all examples of some shapes."""
        sizes = [len(self.parts[number]) for number in parts]
        drawn = torch.randint(sum(sizes), (len(places),), generator=generator)
        start = 0
        for number, size in zip(parts, sizes, strict=True):
            own = (drawn >= start) & (drawn < start + size)
            if own.any():
                yield Bucket(number, drawn[own] - start, places[own])
            start += size

    def _draw_few(
        self, parts: Sequence[int], places: Tensor, generator: Generator
    ) -> Iterator[Bucket]:
        """Draws a few shapes by their sizes, and examples within each."""
        sizes = torch.tensor([len(self.parts[n]) for n in parts])
        chosen = torch.multinomial(
            sizes.double(), MOST_SHAPES, replacement=True, generator=generator
        )
        for place, own in zip(
            chosen.tolist(), torch.tensor_split(places, MOST_SHAPES), strict=True
        ):
            if len(own):
                number = parts[place]
                drawn = torch.randint(len(self.parts[number]), (len(own),), generator=generator)
                yield Bucket(number, drawn, own)

    def _split_own(self, buckets: Sequence[Bucket]) -> Iterator[tuple[Bucket, Tensor]]:
        """Yields the buckets with the positions ``(o,)`` in them that are this process's."""
        for bucket in buckets:
            own = [n for n, place in enumerate(bucket.places.tolist()) if place in self._mine]
            yield bucket, torch.tensor(own, dtype=torch.long)

    def queried(self, buckets: Sequence[Bucket]) -> dict[str, Queried]:
        """Returns the images of a batch's examples: network -> places in its pool."""
        places: dict[str, list[Tensor]] = {}
        rows: dict[str, list[Tensor]] = {}
        total: dict[str, int] = {}
        counts: dict[str, Tensor] = {}
        processes = self._batch // len(self._own)
        for bucket, own in self._split_own(buckets):
            for name, slots in self.parts[bucket.part].slots.items():
                width, start = slots.shape[1], total.get(name, 0)
                chosen = send(bucket.chosen[own], self._device)
                places.setdefault(name, []).append(slots[chosen].flatten())
                within = (own[:, None] * width + torch.arange(width)).flatten()
                rows.setdefault(name, []).append(start + within)
                total[name] = start + len(bucket.chosen) * width
                whose = torch.bincount(bucket.places // len(self._own), minlength=processes)
                counts[name] = counts.get(name, 0) + whose * width
        return {
            name: Queried(
                torch.cat(found),
                Rows(total[name], torch.cat(rows[name])),
                tuple(counts[name].tolist()),
            )
            for name, found in places.items()
        }

    def likelihood(
        self, buckets: Sequence[Bucket], views: Mapping[str, Views], temperature: float = 1.0
    ) -> Tensor:
        """Mean log-likelihood of a batch's queries, averaged over the two views.

        With several queries it is the sum of their means, each times the query's weight.

        Args:
            buckets: The examples.
            views: Network -> logits of the images that :meth:`queried` named.
            temperature: Above 1, the program reads softer probabilities than the networks give.
        """
        sizes = [0] * len(self._queries)
        for bucket in buckets:
            sizes[self.parts[bucket.part].query] += len(bucket.chosen)
        share = self._batch / len(self._own)
        used = dict.fromkeys(views, 0)
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        for bucket, own in self._split_own(buckets):
            if not len(own):
                continue
            part = self.parts[bucket.part]
            chosen = send(bucket.chosen[own], self._device)
            weight = self._queries[part.query][0] * share / sizes[part.query]
            taken = {}
            for name, slots in part.slots.items():
                count = len(own) * slots.shape[1]
                taken[name] = slice(used[name], used[name] + count)
                used[name] += count
            for view in range(2):
                rows = {
                    name: _log_probs(views[name][view][place], temperature, len(chosen))
                    for name, place in taken.items()
                }
                total = total + weight * part.likelihood(chosen, rows).sum() / 2
        return total

    def read(self, learners: Mapping[str, Learner]) -> list[Named]:
        """Reads the images that names are searched by, as they are, by shape."""
        found = []
        for part in self.seeing:
            rows = {}
            for name, slots in part.slots.items():
                used, inverse = torch.unique(slots[part.holds], return_inverse=True)
                learner = learners[name]
                rows[name] = learner.log_probs(learner.pool[used])[inverse].double()
            found.append(self._named(part, rows))
        return found

    def gather(self, rows: Mapping[str, Tensor]) -> list[Named]:
        """Picks the same images' rows ``(N, C)`` out of those of each pool, by shape."""
        return [
            self._named(
                part,
                {
                    name: rows[name][slots[part.holds]].double()
                    for name, slots in part.slots.items()
                },
            )
            for part in self.seeing
        ]

    def _named(self, part: ShapePart, rows: dict[str, Tensor]) -> Named:
        observed = {name: given[part.holds].double() for name, given in part.observed.items()}
        return Named(part.reasoner, {**observed, **rows}, part.answers[part.holds])


def _log_probs(logits: Tensor, temperature: float, count: int) -> Tensor:
    """Log-probabilities ``(count, S, K)`` of the calls of some examples."""
    return (logits / temperature).log_softmax(-1).view(count, -1, logits.shape[-1]).double()
