"""One score of how foreign an image is, for users: the energy and distances to training images.

The energy is what the model knows of density, and blind where the generative term never came; an
image may also be far from all others in the embedding, or in its pixels, while its energy is low.
Each is measured in units of its own spread among training images, and the most alarming counts.

The training images may hold some foreign ones, so spreads and limits are read off the middle of
each measure: what lies above its median by so many times the distance from there to the upper
quartile is foreign, whatever a small share of odd images does to the far tail.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from groundkit.perception.inputs import Shape, kind_of
from groundkit.perception.model import SymbolModel, energy

REFERENCE = 1000
"""Training images that distances are taken to."""
NEIGHBOURS = 5
SIDE = 28
"""Images are reduced to this side, at most, before their pixels are compared."""
WIDE = 5.0
"""A limit lies so many upper half-spreads above the median, where the 99 % quantile is not lower.
Of a normal distribution 0.04 % lie above, of an exponential one 1.6 %."""
_QUANTILE = 0.99
_CHUNK = 500
_PARTS = 3


def limit_of(values: Tensor) -> float:
    """The limit above which a value is foreign, from training values ``(N,)``, some of them odd."""
    finite = values[torch.isfinite(values)].double()
    if not len(finite):
        return float("nan")
    levels = torch.tensor([0.5, 0.75, _QUANTILE], dtype=torch.double, device=finite.device)
    half, upper, high = (float(value) for value in torch.quantile(finite, levels))
    robust = half + WIDE * (upper - half)
    return min(high, robust) if upper > half else high


class ForeignScore(nn.Module):
    """Scores images by energy, and by distances in embedding and pixels to training images.

    It is saved and moved with ``state_dict`` and ``.to``.

    Args:
        features: Width F of the embedding.
        image_shape: ``(C, H, W)``, or the shape of another input.
        reference: Number M of training images that are kept.
    """

    embeddings: Tensor
    pixels: Tensor
    middles: Tensor
    spreads: Tensor

    def __init__(self, features: int, image_shape: Shape, reference: int) -> None:
        super().__init__()
        values = self._reduced(torch.zeros(1, *image_shape)).shape[1]
        self.register_buffer("embeddings", torch.zeros(reference, features))
        self.register_buffer("pixels", torch.zeros(reference, values))
        self.register_buffer("middles", torch.zeros(_PARTS))
        self.register_buffer("spreads", torch.ones(_PARTS))

    @property
    def references(self) -> int:
        """Number of training images that are kept."""
        return len(self.embeddings)

    @classmethod
    @torch.no_grad()
    def fit(cls, model: SymbolModel, pool: Tensor) -> tuple[ForeignScore, float]:
        """Measures training images.

        Args:
            model: The trained model.
            pool: Unlabelled training inputs ``(N, ...)`` as they rest.

        Returns:
            The score, and the limit above which an image is foreign.
        """
        order = torch.randperm(len(pool), generator=Generator().manual_seed(0))[:REFERENCE]
        images = pool[order.to(pool.device)]
        logits, embeddings, pixels = _read(model, images, cls._reduced)
        score = cls(embeddings.shape[1], tuple(images.shape[1:]), len(images)).to(pool.device)
        score.embeddings.copy_(embeddings)
        score.pixels.copy_(pixels)
        parts = score._parts(logits, embeddings, pixels, own=True)
        for k, values in enumerate(parts.unbind(1)):
            half, upper = torch.quantile(values, torch.tensor([0.5, 0.75]).to(values)).tolist()
            score.middles[k] = half
            score.spreads[k] = max(upper - half, 1e-6)
        return score, limit_of(score._combined(parts))

    @torch.no_grad()
    def forward(self, model: SymbolModel, images: Tensor) -> Tensor:
        """Scores inputs ``(N, ...)`` as they rest: ``(N,)``, higher = more foreign."""
        return self._combined(self._parts(*_read(model, images, self._reduced)))

    @staticmethod
    def _reduced(x: Tensor) -> Tensor:
        """Values ``(N, P)`` of inputs in the models' range; many pixels are averaged."""
        if kind_of(x.shape[1:]) != "image":
            return x.flatten(1)
        size = (min(x.shape[-2], SIDE), min(x.shape[-1], SIDE))
        return functional.adaptive_avg_pool2d(x, size).flatten(1)

    def _parts(
        self, logits: Tensor, embeddings: Tensor, pixels: Tensor, own: bool = False
    ) -> Tensor:
        """Energy, and mean distance to the nearest training images in both spaces, ``(N, 3)``."""
        near = [
            _distance(embeddings, self.embeddings, own),
            _distance(pixels, self.pixels, own),
        ]
        return torch.stack([energy(logits), *near], dim=1)

    def _combined(self, parts: Tensor) -> Tensor:
        return ((parts - self.middles) / self.spreads).amax(1)


def _read(
    model: SymbolModel, images: Tensor, reduce: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits ``(N, K)``, unit-norm embeddings ``(N, F)`` and pixels ``(N, P)`` of images."""
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in torch.split(images, _CHUNK):
        x = model.take(part)
        embedding = model.embed(x)
        unit = functional.normalize(embedding, dim=-1)
        rows.append((model.classify(embedding), unit, reduce(x)))
    logits, embeddings, pixels = (torch.cat(one) for one in zip(*rows, strict=True))
    return logits, embeddings, pixels


def _distance(points: Tensor, reference: Tensor, own: bool) -> Tensor:
    """Mean distance ``(N,)`` to the nearest references, without oneself if they are one's own."""
    count = min(NEIGHBOURS + own, len(reference))
    near = torch.cdist(points, reference).topk(count, largest=False).values
    return (near[:, 1:] if own and count > 1 else near).mean(1)
