"""One network in training: its symbol model, its unlabelled images and the terms of its bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from groundkit.perception import bound
from groundkit.perception.augment import AUGMENTATIONS, Augmentation, Rows
from groundkit.perception.cluster import start_prototypes
from groundkit.perception.generate import contrast_with_samples, sample_images
from groundkit.perception.langevin import InformativeStart, Langevin, ReplayBuffer
from groundkit.perception.model import SymbolModel, log_probs
from groundkit.perception.pixels import to_model
from groundkit.perception.symbol_start import SymbolStart
from groundkit.perception.world import World

_CHUNK = 1000
# Images that the Gaussian is fitted to from which chains start.
_START_IMAGES = 10_000

Terms = dict[str, tuple[float, Tensor]]
"""Name of a term -> its weight and its value, which is to be maximised."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the generative term samples.

    Attributes:
        langevin: Moves the chains.
        chains: Chains, and data images, of a generative step.
        every: Steps between generative steps.
        buffer: Number of persistent chains.
        reinitialise: Probability that a drawn chain starts anew.
        energy_penalty: Weight of the squared energies.
        data_noise: Standard deviation of the noise added to data.
    """

    langevin: Langevin = field(default_factory=Langevin)
    chains: int = 64
    every: int = 4
    buffer: int = 1000
    reinitialise: float = 0.05
    energy_penalty: float = 1e-3
    data_noise: float = 0.03


@dataclass(frozen=True, slots=True)
class BoundSettings:
    """Weights of the bound's terms; a weight of 0 leaves a term out.

    Attributes:
        generative: Of the generative term, and with it the density.
        invariance: Of the invariance term.
        prior: Of the prior term, mean convention.
        prior_probabilities: Expected share of each symbol; uniform if ``None``.
        contrastive: Of the contrastive term in joint training.
        contrastive_temperature: Its temperature, in the clustering phase too.
        assignment: Of the self-labelling term, once there are clusters.
        sampling: How the generative term samples.
    """

    generative: float = 0.2
    invariance: float = 1.0
    prior: float = 10.0
    prior_probabilities: Sequence[float] | None = None
    contrastive: float = 0.0
    contrastive_temperature: float = 0.3
    assignment: float = 1.0
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True)
class Reading:
    """Two augmented views of a batch of images as the model sees them.

    Attributes:
        first: Logits of one view ``(b, K)``.
        second: Logits of the other view ``(b, K)``.
        embedding: Embedding of both views ``(2b, F)``.
    """

    first: Tensor
    second: Tensor
    embedding: Tensor


class Learner:
    """Trains one network without labels.

    Args:
        model: The model, on the device to train on.
        settings: Weights of its terms.
        augmentation: Draws the views, or the name of one that does.
        pool: Unlabelled images ``(N, C, H, W)`` on the model's device: bytes, or in [-1, 1].
        seed: Seed of the prototypes' clustering and of the chains.
        world: The processes that share every batch.
    """

    def __init__(
        self,
        model: SymbolModel,
        settings: BoundSettings,
        augmentation: Augmentation | str,
        pool: Tensor,
        *,
        seed: int,
        world: World | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self.augmentation = (
            AUGMENTATIONS[augmentation] if isinstance(augmentation, str) else augmentation
        )
        self.pool = pool
        self.world = world or World()
        self.clusters: Tensor | None = None
        self._seed = seed
        # Chains are each process's own, so their randomness is too.
        self.generator = Generator(pool.device).manual_seed(seed + 7919 * (1 + self.world.rank))
        self.sampler = settings.sampling.langevin
        shares = settings.prior_probabilities
        self._prior = None if shares is None else torch.tensor(shares, device=pool.device)
        channels, height, width = pool.shape[1:]
        shape = (channels, height, width)
        start = InformativeStart(shape).to(pool.device)
        if settings.generative > 0:
            start.fit(to_model(pool[:_START_IMAGES]))
        self.buffer = ReplayBuffer(
            shape, settings.sampling.buffer, settings.sampling.reinitialise, start, self.generator
        ).to(pool.device)

    def slow_sampler(self) -> None:
        """Halves the sampler's step, after a divergence."""
        self.sampler = self.sampler.halved()

    def images(self, places: Tensor) -> Tensor:
        """Images ``(b, C, H, W)`` in [-1, 1] at places ``(b,)`` of the pool."""
        return to_model(self.pool[places])

    def start_symbols(self) -> None:
        """Starts the prototypes from the clusters of the embedding, and remembers them."""
        start_prototypes(self.model, to_model(self.pool), self._seed)
        self.world.share(self.model)
        self.relabel()

    def relabel(self) -> None:
        """Takes the most probable symbols of the pool as the clusters to hold on to."""
        self.clusters = self.read(self.pool).argmax(-1)

    def permute_symbols(self, permutation: Sequence[int]) -> None:
        """Renames symbols: the new symbol k is the old ``permutation[k]``."""
        self.model.permute_symbols(permutation)
        if self.clusters is not None:
            order = torch.as_tensor(permutation, device=self.clusters.device)
            self.clusters = torch.argsort(order)[self.clusters]

    def views(self, places: Tensor, generator: Generator, among: Rows | None = None) -> Reading:
        """Reads two augmented views of images.

        Args:
            places: Places ``(b,)`` of this process's images in the pool.
            generator: Source of the augmentation, the same in all processes.
            among: The rows that these are of the whole batch.
        """
        images = self.images(places)
        both = torch.cat([self.augmentation(images, generator, among) for _ in range(2)])
        embedding = self.model.embed(both)
        first, second = self.model.classify(embedding).chunk(2)
        return Reading(first, second, embedding)

    def clustering_terms(self, reading: Reading, places: Tensor) -> Terms:
        """The terms that need no samples, of views of the images at ``places`` ``(b,)``."""
        weights, world = self.settings, self.world
        both = torch.cat([reading.first, reading.second])
        terms: Terms = {}
        if weights.prior > 0:
            terms["prior"] = (weights.prior, bound.prior(world.gather(both), self._prior))
        if weights.invariance > 0:
            value = bound.invariance(reading.first, reading.second)
            terms["invariance"] = (weights.invariance, value)
        if weights.assignment > 0 and self.clusters is not None:
            value = bound.assignment(both, self.clusters[places].repeat(2))
            terms["assignment"] = (weights.assignment, value)
        if weights.contrastive > 0:
            terms["contrastive"] = (weights.contrastive, self.contrast(reading.embedding))
        return terms

    def contrast(self, embedding: Tensor) -> Tensor:
        """The contrastive term of the embedding ``(2b, F)`` of both views."""
        first, second = self.model.project(embedding).chunk(2)
        return bound.contrastive(
            self.world.gather(first),
            self.world.gather(second),
            self.settings.contrastive_temperature,
        )

    def generative_terms(self, places: Tensor) -> tuple[Terms, Tensor]:
        """Moves as many chains as there are places ``(m,)`` and contrasts both.

        Returns:
            The terms, and the samples' logits ``(m, K)`` without gradient.
        """
        sampling = self.settings.sampling
        data, samples = contrast_with_samples(
            self.model,
            self.images(places),
            buffer=self.buffer,
            sampler=self.sampler,
            generator=self.generator,
            data_noise=sampling.data_noise,
        )
        terms = {
            "generative": (self.settings.generative, bound.generative(data, samples)),
            "energy_penalty": (sampling.energy_penalty, bound.energy_penalty(data, samples)),
        }
        return terms, samples.detach()

    @torch.no_grad()
    def read(self, pixels: Tensor) -> Tensor:
        """Returns logits ``(N, K)`` of images as they are: bytes, or in [-1, 1]."""
        device = self.pool.device
        parts = [self.model(to_model(part.to(device))) for part in torch.split(pixels, _CHUNK)]
        return torch.cat(parts)

    @torch.no_grad()
    def log_probs(self, pixels: Tensor) -> Tensor:
        """Returns log p(y|x) ``(N, K)`` of images as they are."""
        return log_probs(self.read(pixels))

    def symbol_start(self) -> SymbolStart:
        """Fits where chains of each symbol start to the pool, as the model reads it now."""
        some = self.pool[:_START_IMAGES]
        channels, height, width = some.shape[1:]
        start = SymbolStart((channels, height, width), self.model.symbols).to(some.device)
        return start.fit(to_model(some), self.read(some))

    def sample(self, per_symbol: int, steps: int) -> Tensor:
        """Generates ``(K * per_symbol, C, H, W)`` images in [-1, 1], symbol by symbol."""
        symbols = torch.arange(self.model.symbols, device=self.pool.device)
        return sample_images(
            self.model,
            self.symbol_start(),
            symbols.repeat_interleave(per_symbol),
            sampler=self.sampler,
            generator=self.generator,
            steps=steps,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes."""
        return {
            "model": self.model.state_dict(),
            "buffer": self.buffer.state_dict(),
            "clusters": self.clusters,
            "step_size": self.sampler.step_size,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.buffer.load_state_dict(state["buffer"])
        clusters = state["clusters"]
        self.clusters = None if clusters is None else clusters.to(self.pool.device)
        self.sampler = self.sampler.with_step(state["step_size"])
        self.generator.set_state(state["generator"])
