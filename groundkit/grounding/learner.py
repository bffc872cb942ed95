"""One network in training: its symbol model, its unlabelled pool and the terms of its bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from groundkit.data.images import to_model
from groundkit.errors import RunError
from groundkit.perception import bound
from groundkit.perception.augment import AUGMENTATIONS
from groundkit.perception.backbones import build_backbone
from groundkit.perception.cluster import start_prototypes, train_embedding
from groundkit.perception.generate import contrast_with_samples, sample_images
from groundkit.perception.langevin import InformativeStart, Langevin, ReplayBuffer
from groundkit.perception.model import SymbolModel, log_probs
from groundkit.spec import NetworkSpec, TrainSpec

_CHUNK = 1000


def build_model(
    spec: NetworkSpec, shape: Sequence[int], symbols: int, *, trust: bool = False
) -> SymbolModel:
    """Builds the symbol model that a network's settings describe, untrained."""
    channels, height, width = shape
    backbone = build_backbone(spec.backbone, (channels, height, width), trust=trust, **spec.options)
    return SymbolModel(backbone, symbols, normalise=spec.normalise, temperature=spec.temperature)


class Learner:
    """Trains one network without labels; the trainer adds the program's term.

    Args:
        model: The model, on the device to train on.
        spec: The network's settings.
        pool: Unlabelled training images, ``(N, C, H, W)`` bytes on the model's device.
        generator: Source of all randomness here, on the model's device.
    """

    def __init__(
        self, model: SymbolModel, spec: NetworkSpec, pool: Tensor, generator: Generator
    ) -> None:
        self.model = model
        self.spec = spec
        self.pool = pool
        self.generator = generator
        settings = spec.perception
        self.augmentation = AUGMENTATIONS[settings.augmentation]
        sampler = settings.sampler
        self.sampler = Langevin(
            sampler.steps, sampler.step_size, sampler.noise, sampler.clip_gradient
        )
        prior = settings.prior_probabilities
        self._prior = None if prior is None else torch.tensor(prior, device=pool.device)
        channels, height, width = pool.shape[1:]
        start = InformativeStart((channels, height, width))
        self.buffer = ReplayBuffer(
            (channels, height, width), sampler.buffer, sampler.reinit, start.to(pool.device)
        ).to(pool.device)
        if settings.generative > 0:
            start.fit(to_model(pool[: 10 * _CHUNK]))
            self.buffer.images.copy_(self.buffer.fresh(sampler.buffer, generator))

    def slow_sampler(self) -> None:
        """Halves the sampler's step, after a divergence."""
        self.sampler = self.sampler.halved()

    def cluster(self, train: TrainSpec) -> Iterator[float]:
        """Runs the clustering phase: a contrastive embedding, then prototypes from its clusters.

        Yields:
            The contrastive term after every step.

        Raises:
            RunError: It diverged.
        """
        images = to_model(self.pool)
        yield from train_embedding(
            self.model,
            images,
            self.augmentation,
            steps=train.cluster_steps,
            generator=self.generator,
            batch=train.cluster_batch,
            learning_rate=train.cluster_learning_rate,
            weight_decay=train.weight_decay,
            temperature=self.spec.perception.contrastive_temperature,
        )
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise RunError(
                "the clustering phase diverged: weights are not finite numbers",
                remedy="lower train.cluster_learning_rate",
            )
        start_prototypes(self.model, images, self.generator.initial_seed() % 2**31)

    def draw(self, count: int) -> Tensor:
        """Draws unlabelled images, ``(count, C, H, W)`` in [-1, 1]."""
        places = torch.randint(
            len(self.pool), (count,), generator=self.generator, device=self.pool.device
        )
        return to_model(self.pool[places])

    def views(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reads two augmented views of every image.

        Args:
            images: ``(B, C, H, W)`` in [-1, 1].

        Returns:
            Logits of both views, ``(B, K)`` each, and the embedding of the first, ``(B, F)``.
        """
        both = torch.cat([self.augmentation(images, self.generator) for _ in range(2)])
        embedding = self.model.embed(both)
        first, second = self.model.classify(embedding).chunk(2)
        return first, second, embedding[: len(images)]

    def clustering_terms(self, first: Tensor, second: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Returns the bound's terms of two views as ``name -> (weight, value)``."""
        settings = self.spec.perception
        terms: dict[str, tuple[float, Tensor]] = {}
        if settings.prior > 0:
            terms["prior"] = (settings.prior, bound.prior(torch.cat([first, second]), self._prior))
        if settings.invariance > 0:
            terms["invariance"] = (settings.invariance, bound.invariance(first, second))
        return terms

    def generative_terms(self) -> tuple[dict[str, tuple[float, Tensor]], Tensor]:
        """Moves the chains and returns the generative terms and the samples' logits ``(M, K)``."""
        settings = self.spec.perception
        data, samples = contrast_with_samples(
            self.model,
            self.draw(settings.sampler.batch),
            buffer=self.buffer,
            sampler=self.sampler,
            generator=self.generator,
            data_noise=settings.sampler.data_noise,
        )
        terms = {
            "generative": (settings.generative, bound.generative(data, samples)),
            "energy_penalty": (
                settings.sampler.energy_penalty,
                bound.energy_penalty(data, samples),
            ),
        }
        return terms, samples.detach()

    @torch.no_grad()
    def read(self, pixels: Tensor) -> Tensor:
        """Returns logits ``(N, K)`` of images as they are, ``(N, C, H, W)`` bytes."""
        device = self.pool.device
        parts = [self.model(to_model(part.to(device))) for part in torch.split(pixels, _CHUNK)]
        return torch.cat(parts)

    @torch.no_grad()
    def log_probs(self, pixels: Tensor) -> Tensor:
        """Returns log p(y|x) ``(N, K)`` of images as they are."""
        return log_probs(self.read(pixels))

    def sample(self, per_symbol: int, steps: int) -> Tensor:
        """Generates ``(K * per_symbol, C, H, W)`` images in [-1, 1], symbol by symbol."""
        symbols = torch.arange(self.model.symbols, device=self.pool.device)
        wanted = symbols.repeat_interleave(per_symbol)
        start = self.buffer.fresh(len(wanted), self.generator)
        return sample_images(
            self.model,
            start,
            sampler=self.sampler,
            generator=self.generator,
            symbols=wanted,
            steps=steps,
        )
