"""Joint training: the terms of every network's bound and the program's exact likelihood, added up.

Two phases: every network first clusters its images by a contrastive embedding, then all terms are
maximised together, mean log P(query) among them, while a search over relabellings puts the names
right where gradient descent cannot.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundkit.data.examples import Examples
from groundkit.data.images import to_model
from groundkit.errors import RunError
from groundkit.grounding.learner import Learner, build_model
from groundkit.grounding.reground import Regrounder, Relabelling
from groundkit.grounding.task import Task
from groundkit.perception.health import diagnose
from groundkit.perception.model import log_probs
from groundkit.perception.safeguard import Safeguard

CLIP_NORM = 5.0
# The energy's gradient is limited by itself: at tens of times the norm of the others it would
# drown them in the common clipping, and names would be learnt in the steps between only.
ENERGY_CLIP_NORM = 4.0
_ENERGY_TERMS = ("generative", "energy_penalty")
# Names that are kept are learnt, right or wrong, so in the first half of joint training the
# likelier ones are taken on weak evidence; later only a clear gain may move a symbol.
EARLY_LEVEL, LATE_LEVEL = 0.5, 0.95
_WARM_STEPS = (
    20  # joint steps before the first chains move: energies of an untrained net say nothing
)
_REPORT_EVERY = 20

Terms = dict[str, tuple[float, Tensor]]
Row = dict[str, Any]


@dataclass
class Clock:
    """Seconds by activity."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Adds the time spent inside the block to an activity."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


class Trainer:
    """Trains the networks of a task.

    Args:
        task: Program, spec and examples. Its labels are not looked at.
        device: Where to train.
        seed: Seed of weights, batches, augmentation, chains and search.
        on_row: Called with every history row.
        on_step: Called with the steps done, all steps, and what is being done.
        trust: Allow backbones from the user's own modules.
        rivals: Maps of symbols that the program admits beside the identity, to be tried as names.
    """

    def __init__(
        self,
        task: Task,
        device: torch.device,
        seed: int,
        *,
        on_row: Callable[[Row], None] = lambda row: None,
        on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
        trust: bool = False,
        rivals: Sequence[Mapping[str, Sequence[int]]] = (),
    ) -> None:
        self.task = task
        self.device = device
        self.clock = Clock()
        self.relabellings: list[tuple[int, Relabelling]] = []
        self.rollbacks = 0
        self._on_row = on_row
        self._on_step = on_step
        self._rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.learners: dict[str, Learner] = {}
        for name in task.neural:
            pool = task.pool(name).to(device)
            settings = task.spec.network(name)
            symbols = len(task.roles.domains[name])
            model = build_model(settings, tuple(pool.shape[1:]), symbols, trust=trust).to(device)
            self.learners[name] = Learner(model, settings, pool, self.generator)
        self.reasoner = task.reasoner.to(device)
        self.examples: Examples = task.examples
        self._answers = task.answer_rows(self.examples).to(device)
        self._observed = {
            name: rows.to(device) for name, rows in task.observed_log_probs(self.examples).items()
        }
        self._slots = {
            name: torch.from_numpy(rows).to(device)
            for name, rows in task.slot_images(self.examples).items()
        }
        self._banks = {name: self.examples.banks[name].pixels.to(device) for name in self._slots}
        self._regrounder = Regrounder(
            self.reasoner,
            {name: task.roles.domains[name] for name in self._slots},
            {name: task.roles.domains[name] for name in self.reasoner.slots},
            rivals,
        )

    @property
    def joint_steps(self) -> int:
        """Number of steps of joint training."""
        train = self.task.spec.train
        per_epoch = -(-len(self.examples) // train.batch)
        return max(train.min_steps, train.epochs * per_epoch)

    @property
    def total_steps(self) -> int:
        """Number of steps of both phases."""
        return len(self.learners) * self.task.spec.train.cluster_steps + self.joint_steps

    def train(self) -> None:
        """Runs both phases.

        Raises:
            RunError: Training diverged and did not recover.
        """
        with self.clock("train"):
            self._cluster()
            self._join()

    def _cluster(self) -> None:
        """Clusters every network's images, then names the clusters."""
        train = self.task.spec.train
        if train.cluster_steps == 0:
            return
        done = 0
        for name, learner in self.learners.items():
            for value in learner.cluster(train):
                done += 1
                self._on_step(done, self.total_steps, f"clustering {name}")
                if done % _REPORT_EVERY == 0:
                    self._on_row(
                        {
                            "phase": "cluster",
                            "network": name,
                            "step": done,
                            "terms": {"contrastive": value},
                        }
                    )
        self._reground(0)

    def _join(self) -> None:
        """Maximises all terms together."""
        train = self.task.spec.train
        steps = self.joint_steps
        parameters = [p for learner in self.learners.values() for p in learner.model.parameters()]
        parameters += list(self.reasoner.parameters())
        optimiser = torch.optim.AdamW(
            parameters, lr=train.learning_rate, weight_decay=train.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, train.learning_rate, total_steps=max(steps, 2), pct_start=0.15
        )
        guards = {
            name: Safeguard([learner.model, learner.buffer, optimiser])
            for name, learner in self.learners.items()
        }
        before = self.total_steps - steps
        for step in range(1, steps + 1):
            row = self._step(step, optimiser, parameters, guards)
            schedule.step()
            if row is not None and step % _REPORT_EVERY == 0:
                row["learning_rate"] = schedule.get_last_lr()[0]
                self._on_row(row)
            if self._search_after(step):
                self._reground(step)
            self._on_step(before + step, self.total_steps, "joint training")
        if not self._search_after(steps):
            self._reground(steps)
        self.rollbacks = sum(guard.rollbacks for guard in guards.values())

    def _search_after(self, step: int) -> bool:
        every = self.task.spec.train.reground_every
        return step % every == 0 or step == every // 2

    def _step(
        self,
        step: int,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        guards: dict[str, Safeguard],
    ) -> Row | None:
        """Makes one step; returns its history row, or ``None`` after a rollback."""
        chosen = torch.randint(
            len(self.examples),
            (self.task.spec.train.batch,),
            generator=self.generator,
            device=self.device,
        )
        terms, health, readings = self._perceive(step, chosen, guards)
        if terms is None:
            return None
        with self.clock("reason"):
            terms["symbolic"] = self._symbolic(chosen, readings)
        energy = _add_up({name: term for name, term in terms.items() if _of_energy(name)})
        others = _add_up({name: term for name, term in terms.items() if not _of_energy(name)})
        objective = energy + others
        if not torch.isfinite(objective):
            raise RunError(
                f"the objective is not a finite number at step {step}: "
                + ", ".join(
                    f"{name} {float(value.detach()):g}" for name, (_, value) in terms.items()
                ),
                remedy="lower train.learning_rate",
            )
        with self.clock("perceive"):
            optimiser.zero_grad()
            if energy.requires_grad:
                torch.autograd.backward(-energy)
                nn.utils.clip_grad_norm_(parameters, ENERGY_CLIP_NORM)
            torch.autograd.backward(-others)
            nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            optimiser.step()
        return {
            "phase": "joint",
            "step": step,
            "terms": {name: float(value.detach()) for name, (_, value) in terms.items()},
            "objective": float(objective.detach()),
            **({"health": health} if step % _REPORT_EVERY == 0 else {}),
        }

    def _perceive(
        self, step: int, chosen: Tensor, guards: dict[str, Safeguard]
    ) -> tuple[Terms | None, Row, dict[str, tuple[Tensor, Tensor]]]:
        """Reads the examples' images and some of the pool; collects every network's terms.

        Returns:
            The terms (``None`` after a rollback), health by network, and per network the
            log-probabilities of its calls in both views, ``(B, S, K)`` each.
        """
        terms: Terms = {}
        health: Row = {}
        readings: dict[str, tuple[Tensor, Tensor]] = {}
        for name, learner in self.learners.items():
            prefix = f"{name}." if len(self.learners) > 1 else ""
            with self.clock("perceive"):
                images = learner.draw(self.task.spec.train.pool_batch)
                slots = self._slots.get(name)
                if slots is not None:
                    queried = self._banks[name][slots[chosen].flatten()]
                    images = torch.cat([to_model(queried), images])
                first, second, embedding = learner.views(images)
                own = learner.clustering_terms(first, second)
                if slots is not None:
                    shape = (len(chosen), slots.shape[1], -1)
                    count = len(chosen) * slots.shape[1]
                    readings[name] = (
                        log_probs(first[:count]).view(shape),
                        log_probs(second[:count]).view(shape),
                    )
            samples = None
            if self._samples_at(learner, step):
                with self.clock("sample"):
                    generative, samples = learner.generative_terms()
                if guards[name].update(float(generative["generative"][1].detach())):
                    learner.slow_sampler()
                    self._on_row(
                        {
                            "phase": "joint",
                            "step": step,
                            "rollback": name,
                            "step_size": learner.sampler.step_size,
                        }
                    )
                    return None, {}, {}
                own |= generative
            terms |= {prefix + key: value for key, value in own.items()}
            if step % _REPORT_EVERY == 0:
                health[name] = diagnose(first, second, embedding, samples).as_dict()
        return terms, health, readings

    @staticmethod
    def _samples_at(learner: Learner, step: int) -> bool:
        settings = learner.spec.perception
        return (
            settings.generative > 0 and step >= _WARM_STEPS and step % settings.sampler.every == 0
        )

    def _symbolic(
        self, chosen: Tensor, readings: dict[str, tuple[Tensor, Tensor]]
    ) -> tuple[float, Tensor]:
        """Returns weight and value of mean log P(query), averaged over the two views."""
        observed = {name: rows[chosen].double() for name, rows in self._observed.items()}
        both = [
            self.reasoner.log_likelihood(
                {**{name: pair[view].double() for name, pair in readings.items()}, **observed},
                self._answers[chosen],
            ).mean()
            for view in range(2)
        ]
        return self.task.spec.train.symbolic, (both[0] + both[1]) / 2

    def example_log_probs(self) -> dict[str, Tensor]:
        """Reads the training examples' images as they are: network -> ``(n, S, K)``."""
        found = {name: rows.double() for name, rows in self._observed.items()}
        for name, slots in self._slots.items():
            used, inverse = torch.unique(slots, return_inverse=True)
            found[name] = self.learners[name].log_probs(self._banks[name][used])[inverse].double()
        return found

    def _reground(self, step: int) -> None:
        """Searches for better names and moves the prototypes' rows."""
        if not self.task.spec.train.reground:
            return
        with self.clock("reground"):
            level = EARLY_LEVEL if 2 * step < self.joint_steps else LATE_LEVEL
            found = self._regrounder(
                self.example_log_probs(), self._answers, rng=self._rng, level=level
            )
        for name, permutation in found.permutations.items():
            self.learners[name].model.permute_symbols(permutation)
        self.relabellings.append((step, found))
        self._on_row(
            {
                "phase": "joint",
                "step": step,
                "reground": found.to_dict(),
                "words": found.describe(self.task.roles.domains),
            }
        )


def _of_energy(name: str) -> bool:
    """Tells the terms of the energy, whose names several networks prefix by their own."""
    return name.rpartition(".")[2] in _ENERGY_TERMS


def _add_up(terms: Terms) -> Tensor:
    """Returns the weighted sum of terms, zero without any."""
    return sum((weight * value for weight, value in terms.values()), torch.zeros(()))
