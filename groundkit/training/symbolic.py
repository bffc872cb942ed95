"""The program's part of training: which images it asks about, and how likely it finds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from groundkit.perception.augment import Rows
from groundkit.perception.distributed import World
from groundkit.perception.learner import Learner
from groundkit.perception.phases import Queried, Views
from groundkit.task.task import Task

_SURE = 1e-12
SOFTEST = 4.0
"""Temperature at which the tempered schedule starts."""


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


class SymbolicTerm:
    """What training may see of a task's examples, and the exact likelihood of their queries.

    Args:
        task: Program, spec and examples.
        device: Where to compute.
        world: The processes that share every batch.

    Attributes:
        reasoner: The compiled goal.
        answers: The answer of each example ``(m,)`` whose query holds rather than not: those are
            what names are searched by.
    """

    def __init__(self, task: Task, device: torch.device, world: World) -> None:
        self.reasoner = task.reasoner.to(device)
        self._all_answers = task.answer_rows(task.examples).to(device)
        targets = task.examples.targets
        self._targets = None if targets is None else torch.from_numpy(targets).to(device)
        self._holds = slice(None) if self._targets is None else self._targets > 0.5
        self.answers = self._all_answers[self._holds]
        self._batch = task.spec.train.batch
        self._own = world.own(self._batch, "train.batch")
        self._observed = {
            name: rows.to(device) for name, rows in task.observed_log_probs(task.examples).items()
        }
        self._slots = {
            name: torch.from_numpy(task.pool_places(name, places)).to(device)
            for name, places in task.slot_images(task.examples).items()
        }

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks whose images the goal reads."""
        return tuple(self._slots)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draws this process's examples ``(b,)`` of a batch, with replacement."""
        count, device = len(self._all_answers), self._all_answers.device
        drawn = torch.randint(count, (self._batch,), generator=generator, device=device)
        return drawn[self._own]

    def queried(self, chosen: Tensor) -> dict[str, Queried]:
        """Returns the images of the chosen examples ``(b,)``: network -> places in its pool."""
        found = {}
        for name, slots in self._slots.items():
            width = slots.shape[1]
            own = (self._own[:, None] * width + torch.arange(width)).flatten()
            found[name] = Queried(slots[chosen].flatten(), Rows(self._batch * width, own))
        return found

    def likelihood(
        self, chosen: Tensor, views: Mapping[str, Views], temperature: float = 1.0
    ) -> Tensor:
        """Mean log-likelihood of the chosen examples' queries, averaged over the two views.

        Args:
            chosen: The examples ``(b,)``.
            views: Network -> logits of the images that :meth:`queried` named.
            temperature: Above 1, the program reads softer probabilities than the networks give.
        """
        observed = {name: rows[chosen].double() for name, rows in self._observed.items()}
        answers = self._all_answers[chosen]
        targets = None if self._targets is None else self._targets[chosen]
        both = [
            self.reasoner.log_likelihood(
                {
                    name: (pair[view] / temperature)
                    .log_softmax(-1)
                    .view(len(chosen), -1, pair[view].shape[-1])
                    .double()
                    for name, pair in views.items()
                }
                | observed,
                answers,
            )
            for view in range(2)
        ]
        return cross_entropy(torch.cat(both), None if targets is None else targets.repeat(2)).mean()

    def read(self, learners: Mapping[str, Learner]) -> dict[str, Tensor]:
        """Reads the images that names are searched by, as they are: network -> ``(m, S, K)``."""
        found = {name: rows[self._holds].double() for name, rows in self._observed.items()}
        for name, slots in self._slots.items():
            learner = learners[name]
            used, inverse = torch.unique(slots[self._holds], return_inverse=True)
            found[name] = learner.log_probs(learner.pool[used])[inverse].double()
        return found

    def gather(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Picks the same images' rows out of those of each pool: network -> ``(m, S, C)``."""
        found = {name: given[self._holds].double() for name, given in self._observed.items()}
        return found | {
            name: rows[name][slots[self._holds]].double() for name, slots in self._slots.items()
        }
