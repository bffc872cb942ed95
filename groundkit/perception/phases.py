"""The two phases of training: an embedding first, then all terms of the bound together.

The bound alone finds clusters that follow slant and stroke width, and a symbolic term from random
weights can settle on wrong names that explain a small set of examples. So each network's embedding
is first trained by the contrastive term alone, and its clusters start the symbols
(:meth:`~groundkit.perception.learner.Learner.start_symbols`). Then all terms are maximised
together, those of a program among them where there is one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from groundkit.errors import RunError
from groundkit.perception.augment import Rows
from groundkit.perception.distributed import World
from groundkit.perception.health import Health, diagnose
from groundkit.perception.history import RollbackRow, Row, StepRow
from groundkit.perception.learner import Learner
from groundkit.perception.safeguard import Safeguard
from groundkit.perception.terms import Term, add_up

# Largest norm of a step's gradient.
EMBEDDING_CLIP_NORM = 1.0
CLIP_NORM = 5.0
# The energy's gradient is limited by itself: at tens of times the norm of the others it would
# drown them in the common clipping, and names would be learnt in the steps between only.
ENERGY_CLIP_NORM = 4.0
# Joint steps before the first chains move: energies of an untrained net say nothing.
_WARM_STEPS = 20
# Share of the joint steps over which self-labelling fades away. It holds on to clusters while they
# settle; later it would keep the wrong ones, and AUROC by energy is lower under it. Where clusters
# are known to be right and the other terms would leave them, it need not fade.
_HOLD = 0.5
REPORT_EVERY = 20


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


@dataclass(frozen=True, slots=True)
class PhaseSettings:
    """Size and rate of a phase.

    Attributes:
        steps: Number of steps.
        learning_rate: Peak rate of AdamW; it rises, then falls to zero over the steps.
        weight_decay: AdamW's.
    """

    steps: int
    learning_rate: float
    weight_decay: float = 1e-4


class _Ascent:
    """AdamW on a rate that rises and falls, over parameters that several processes share."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], settings: PhaseSettings, world: World
    ) -> None:
        self._parameters = list(dict.fromkeys(parameters))  # networks may share a backbone
        self._world = world
        self.optimiser = torch.optim.AdamW(
            self._parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            settings.learning_rate,
            total_steps=max(settings.steps, 2),
            pct_start=0.15,
        )

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def climb(self, *objectives: tuple[Tensor, float]) -> None:
        """Makes a step up a sum of objectives, limiting the gradient's norm after each summand."""
        self.optimiser.zero_grad()
        for objective, norm in objectives:
            torch.autograd.backward(-objective)
            self._world.average_gradients(self._parameters)
            nn.utils.clip_grad_norm_(self._parameters, norm)
        self.optimiser.step()

    def advance(self) -> None:
        """Moves the rate on by a step."""
        self._schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """State of optimiser and rate."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])


class EmbeddingPhase:
    """Trains backbone and projector of one network on the contrastive term.

    Args:
        learner: The network; its prototypes are left alone.
        settings: Size and rate.
        batch: Images a step.
        generator: Source of batches and views, the same in all processes.
    """

    def __init__(
        self, learner: Learner, settings: PhaseSettings, batch: int, generator: Generator
    ) -> None:
        self.learner = learner
        self.steps = settings.steps
        self.done = 0
        self._generator = generator
        self._rows = Rows(batch, learner.world.own(batch, "the clustering phase's batch"))
        parts = (learner.model.backbone, learner.model.projector)
        self._ascent = _Ascent((p for m in parts for p in m.parameters()), settings, learner.world)

    def step(self) -> float:
        """Makes a step; returns the term's value in nats.

        Raises:
            RunError: Weights are no longer finite numbers.
        """
        learner = self.learner
        places = _draw(learner, self._rows.total, self._generator)[self._rows.own]
        value = learner.contrast(learner.views(places, self._generator, self._rows).embedding)
        self._ascent.climb((value, EMBEDDING_CLIP_NORM))
        self._ascent.advance()
        self.done += 1
        if self.done == self.steps:
            self._check()
        return value.item()

    def _check(self) -> None:
        if not all(bool(torch.isfinite(p).all()) for p in self.learner.model.parameters()):
            raise RunError(
                "the clustering phase diverged: weights are not finite numbers",
                remedy="lower train.cluster_learning_rate",
            )

    def state_dict(self) -> dict[str, Any]:
        """Where it is, without the network and the generator."""
        return {"done": self.done, "ascent": self._ascent.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.done = state["done"]
        self._ascent.load_state_dict(state["ascent"])


@dataclass(frozen=True, slots=True)
class Queried:
    """Images of a step that a program asks about.

    Attributes:
        places: Their places ``(q,)`` in the pool, this process's.
        rows: Which rows they are among those of all processes.
    """

    places: Tensor
    rows: Rows


Views = tuple[Tensor, Tensor]
"""Logits of a network's queried images in both views, ``(q, K)`` each."""


class JointPhase:
    """Maximises all terms of several networks, and those of a program that reads them.

    Args:
        learners: The networks by name.
        settings: Size and rate.
        batch: Images a step that each network sees beside the queried ones.
        generator: Source of batches and views, the same in all processes.
        others: Parameters to train beside the networks'.
        on_row: Called with every row of the history.
        clock: Books the time.
    """

    def __init__(
        self,
        learners: Mapping[str, Learner],
        settings: PhaseSettings,
        batch: int,
        generator: Generator,
        *,
        others: Iterable[nn.Parameter] = (),
        on_row: Callable[[Row], None] = lambda row: None,
        clock: Clock | None = None,
    ) -> None:
        self.learners = learners
        self.steps = settings.steps
        self.done = 0
        self._on_row = on_row
        self._clock = clock or Clock()
        self._generator = generator
        self._world = next(iter(learners.values())).world
        self._rows = Rows(batch, self._world.own(batch, "the number of images a step"))
        parameters = [p for learner in learners.values() for p in learner.model.parameters()]
        self._ascent = _Ascent([*parameters, *others], settings, self._world)
        self._guards = {
            name: Safeguard([learner.model, learner.buffer, self._ascent.optimiser])
            for name, learner in learners.items()
        }

    @property
    def rollbacks(self) -> int:
        """How often training went back to an earlier state."""
        return sum(guard.rollbacks for guard in self._guards.values())

    def renew(self) -> None:
        """Says that weights were changed from outside: a rollback must not undo that."""
        for guard in self._guards.values():
            guard.renew()

    def step(
        self,
        queried: Mapping[str, Queried] | None = None,
        program: Callable[[Mapping[str, Views]], Sequence[Term]] = lambda views: (),
    ) -> None:
        """Makes a step, unless the energy has diverged: then it goes back to a good state.

        Args:
            queried: Network -> its images that the program asks about.
            program: Maps their logits to the program's terms.

        Raises:
            RunError: The objective is not a finite number.
        """
        self.done += 1
        found = self._perceive(queried or {})
        if found is not None:
            terms, views, health = found
            with self._clock("reason"):
                terms.extend(program(views))
            self._climb(terms, health)
            for learner in self.learners.values():
                learner.average()
        self._ascent.advance()
        if self.done == self.steps:
            for learner in self.learners.values():
                learner.settle()

    def _perceive(
        self, queried: Mapping[str, Queried]
    ) -> tuple[list[Term], dict[str, Views], dict[str, Health]] | None:
        """Collects every network's terms, its views of queried images and its health.

        Returns:
            ``None`` after a rollback.
        """
        terms: list[Term] = []
        views: dict[str, Views] = {}
        health: dict[str, Health] = {}
        for name, learner in self.learners.items():
            prefix = f"{name}." if len(self.learners) > 1 else ""
            with self._clock("perceive"):
                places, rows, asked = self._batch(learner, queried.get(name))
                reading = learner.views(places, self._generator, rows)
                own = learner.clustering_terms(reading, places, self._hold(learner))
                own += learner.label_terms(self._generator)
                if asked:
                    views[name] = (reading.first[:asked], reading.second[:asked])
            samples = None
            if self._samples(learner):
                with self._clock("sample"):
                    chains = learner.settings.sampler.batch
                    places = _draw(learner, chains, self._generator)
                    mine = self._world.own(chains, "the number of chains a step")
                    contrast = learner.generative_terms(places[mine])
                gap = self._world.mean(contrast.terms[0].value.detach())
                if self._guards[name].update(float(gap)):
                    learner.calm()
                    step_size = learner.sampler.step_size
                    self._on_row(RollbackRow(step=self.done, network=name, step_size=step_size))
                    return None
                own += contrast.terms
                samples = contrast.others
            terms += (replace(term, name=prefix + term.name) for term in own)
            if self.done % REPORT_EVERY == 0:
                first = reading.embedding[: len(reading.first)]
                health[name] = diagnose(reading.first, reading.second, first, samples)
        return terms, views, health

    def _batch(self, learner: Learner, queried: Queried | None) -> tuple[Tensor, Rows, int]:
        """Returns the places of this process's images, their rows, and how many are queried."""
        places = _draw(learner, self._rows.total, self._generator)[self._rows.own]
        if queried is None:
            return places, self._rows, 0
        before = queried.rows.total
        rows = Rows(
            before + self._rows.total, torch.cat([queried.rows.own, before + self._rows.own])
        )
        return torch.cat([queried.places, places]), rows, len(queried.places)

    def _hold(self, learner: Learner) -> float:
        fades = learner.settings.assignment_fades
        return max(0.0, 1 - self.done / (_HOLD * self.steps)) if fades else 1.0

    def _samples(self, learner: Learner) -> bool:
        settings = learner.settings
        turn = self.done % settings.sampler.every == 0
        return settings.generative > 0 and self.done >= _WARM_STEPS and turn

    def _climb(self, terms: Sequence[Term], health: Mapping[str, Health]) -> None:
        """Makes the optimiser's step and reports now and then."""
        energy = add_up(term for term in terms if term.of_energy)
        others = add_up(term for term in terms if not term.of_energy)
        if not torch.isfinite(energy + others):
            values = ", ".join(f"{term.name} {float(term.value.detach()):g}" for term in terms)
            raise RunError(
                f"the objective is not a finite number at step {self.done}: {values}",
                remedy="lower train.learning_rate",
            )
        with self._clock("perceive"):
            parts = ((energy, ENERGY_CLIP_NORM), (others, CLIP_NORM))
            self._ascent.climb(*(part for part in parts if part[0].requires_grad))
        if self.done % REPORT_EVERY == 0:
            mean = self._world.mean
            self._on_row(
                StepRow(
                    step=self.done,
                    terms={term.name: float(mean(term.value.detach())) for term in terms},
                    objective=float(mean((energy + others).detach())),
                    health=health,
                    learning_rate=self._ascent.rate,
                )
            )

    def state_dict(self) -> dict[str, Any]:
        """Where it is, without the networks and the generator."""
        return {
            "done": self.done,
            "ascent": self._ascent.state_dict(),
            "guards": {name: guard.state_dict() for name, guard in self._guards.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.done = state["done"]
        self._ascent.load_state_dict(state["ascent"])
        for name, guard in self._guards.items():
            guard.load_state_dict(state["guards"][name])


def _draw(learner: Learner, count: int, generator: Generator) -> Tensor:
    """Draws places ``(count,)`` of the pool, with replacement."""
    pool = learner.pool
    return torch.randint(len(pool), (count,), generator=generator, device=pool.device)
