"""The first phase of training: an embedding in which a network's images form clusters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from groundkit.errors import RunError
from groundkit.perception.ascent import Ascent, PhaseSettings
from groundkit.perception.augment import Rows
from groundkit.perception.learner import Learner

# Largest norm of a step's gradient.
CLIP_NORM = 1.0


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
        self._rows = Rows(batch, learner.processes.own(batch, "train.cluster_batch"))
        parts = (learner.model.backbone, learner.model.projector)
        self._ascent = Ascent(parts, settings, learner.processes, [learner.model])

    def step(self) -> Tensor:
        """Makes a step; returns the term's value in nats, a scalar on the device.

        Raises:
            RunError: Weights are no longer finite numbers.
        """
        learner = self.learner
        places = self._rows.of(learner.draw(self._rows.total, self._generator))
        both = learner.augmented(places, self._generator, self._rows)
        self._ascent.begin()
        value = self._ascent.compute(lambda: learner.contrast(learner.view(both)))
        self._ascent.climb(value, CLIP_NORM)
        self._ascent.move()
        self._ascent.advance()
        self.done += 1
        if self.done == self.steps:
            self._check()
        return value.detach()

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
