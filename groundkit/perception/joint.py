"""Joint training of the bound without a program: invariance, prior, contrast and energy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

from groundkit.perception import bound
from groundkit.perception.augment import Augmentation
from groundkit.perception.generate import contrast_with_samples
from groundkit.perception.health import Health, diagnose
from groundkit.perception.langevin import Langevin, ReplayBuffer
from groundkit.perception.model import SymbolModel
from groundkit.perception.safeguard import Safeguard

CLIP_NORM = 5.0


@dataclass(frozen=True, slots=True)
class BoundSettings:
    """Weights and sizes of :func:`train_bound`.

    Attributes:
        steps: Number of steps.
        batch: Images a step, each in two views.
        learning_rate: Peak rate of AdamW.
        weight_decay: AdamW's.
        generative: Weight of the generative term.
        invariance: Weight of the invariance term.
        prior: Weight of the prior term, mean convention.
        contrastive: Weight of the contrastive term.
        contrastive_temperature: Its temperature.
        assignment: Weight of the self-labelling term.
        energy_penalty: Weight of the energy penalty.
        sampler: Moves the chains of the generative term.
        chains: Chains, and data images, of a generative step.
        every: Steps between generative steps.
        log_every: Steps between rows of the history.
    """

    steps: int = 300
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    generative: float = 0.2
    invariance: float = 1.0
    prior: float = 10.0
    contrastive: float = 1.0
    contrastive_temperature: float = 0.3
    assignment: float = 1.0
    energy_penalty: float = 1e-3
    sampler: Langevin = field(default_factory=Langevin)
    chains: int = 64
    every: int = 4
    log_every: int = 25


@dataclass(frozen=True, slots=True)
class BoundRow:
    """One row of the history: the terms' values in nats, and the model's health."""

    step: int
    invariance: float
    prior: float
    health: Health
    rollbacks: int


def train_bound(
    model: SymbolModel,
    images: Tensor,
    clusters: Tensor,
    augmentation: Augmentation,
    *,
    buffer: ReplayBuffer,
    settings: BoundSettings,
    generator: Generator,
) -> Iterator[BoundRow]:
    """Maximises the weighted terms; a diverging energy rolls back with half the sampler's step.

    Args:
        model: Changed in place.
        images: Unlabelled images, ``(N, C, H, W)``, on the model's device.
        clusters: The cluster that the clustering phase gave each image, ``(N,)``.
        augmentation: Draws the two views of each image.
        buffer: Persistent chains, changed in place.
        settings: Weights and sizes.
        generator: Source of all randomness, on the model's device.

    Yields:
        A row every ``log_every`` steps, and at the last.
    """
    s = settings
    optimiser = torch.optim.AdamW(model.parameters(), s.learning_rate, weight_decay=s.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, s.learning_rate, total_steps=max(s.steps, 2), pct_start=0.15
    )
    guard = Safeguard([model, optimiser, buffer])
    sampler, of_samples, diverged = s.sampler, None, False
    for step in range(1, s.steps + 1):
        places = _choose(images, s.batch, generator)
        views = _Views.draw(model, images[places], augmentation, generator)
        total = views.objective(model, clusters[places], s)
        if s.generative > 0 and step % s.every == 0:
            chosen = images[_choose(images, s.chains, generator)]
            of_data, of_samples = contrast_with_samples(
                model, chosen, buffer=buffer, sampler=sampler, generator=generator
            )
            gap = bound.generative(of_data, of_samples)
            diverged = guard.update(gap.item())
            penalty = bound.energy_penalty(of_data, of_samples)
            total = total + s.generative * gap + s.energy_penalty * penalty
        if diverged:
            sampler, of_samples, diverged = sampler.halved(), None, False
        else:
            optimiser.zero_grad()
            torch.autograd.backward(-total)
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimiser.step()
            schedule.step()
        if step % s.log_every == 0 or step == s.steps:
            yield views.row(step, of_samples, guard.rollbacks)


def _choose(images: Tensor, count: int, generator: Generator) -> Tensor:
    """Places of images, drawn with replacement."""
    return torch.randint(len(images), (count,), generator=generator, device=images.device)


@dataclass(frozen=True, slots=True)
class _Views:
    """Two views of each image of a batch as the model sees them, from one forward pass."""

    embedding: Tensor
    logits: Tensor

    @classmethod
    def draw(
        cls, model: SymbolModel, images: Tensor, augmentation: Augmentation, generator: Generator
    ) -> _Views:
        views = torch.cat([augmentation(images, generator), augmentation(images, generator)])
        embedding = model.embed(views)
        return cls(embedding, model.classify(embedding))

    def objective(self, model: SymbolModel, clusters: Tensor, s: BoundSettings) -> Tensor:
        """The weighted sum of the terms that need no samples."""
        view_a, view_b = self.logits.chunk(2)
        total = s.prior * bound.prior(self.logits)
        total = total + s.invariance * bound.invariance(view_a, view_b)
        total = total + s.assignment * bound.assignment(self.logits, clusters.repeat(2))
        if s.contrastive > 0:
            first, second = model.project(self.embedding).chunk(2)
            term = bound.contrastive(first, second, s.contrastive_temperature)
            total = total + s.contrastive * term
        return total

    @torch.no_grad()
    def row(self, step: int, of_samples: Tensor | None, rollbacks: int) -> BoundRow:
        """A row of the history."""
        first, second = self.logits.chunk(2)
        return BoundRow(
            step,
            invariance=bound.invariance(first, second).item(),
            prior=bound.prior(self.logits).item(),
            health=diagnose(first, second, self.embedding[: len(first)], of_samples),
            rollbacks=rollbacks,
        )
