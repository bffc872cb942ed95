"""Quality of generated images, in the feature space of a named extractor.

A Frechet distance depends on its extractor and on the number of images, so both always stand
beside it: it is never just "FID". Numbers of different extractors cannot be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional

from groundkit.evaluate.baselines import mixture_samples

Features = NDArray[np.float64]
# Images on each side of a distance, at most.
MOST_IMAGES = 1000
# Training images that the mixture to beat is fitted to, at most.
MIXTURE_IMAGES = 10_000


@dataclass(frozen=True, slots=True)
class FeatureExtractor:
    """Turns images into features, and perhaps into classes, for evaluation only.

    Attributes:
        name: What it is and what it was trained on; printed wherever its distances are.
        embed: Images ``(B, C, H, W)`` -> features ``(B, F)``.
        classify: Features ``(B, F)`` -> class scores ``(B, K)``, if it can.
    """

    name: str
    embed: Callable[[Tensor], Tensor]
    classify: Callable[[Tensor], Tensor] | None = None

    @torch.no_grad()
    def features(self, images: Tensor, batch: int = 512) -> Features:
        """Features ``(N, F)`` of images ``(N, C, H, W)``, in batches."""
        parts = [
            self.embed(images[i : i + batch]).double().cpu() for i in range(0, len(images), batch)
        ]
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def classes(self, features: Features) -> NDArray[np.int64]:
        """Most likely class ``(N,)`` of features ``(N, F)``.

        Raises:
            ValueError: This extractor has no classifier.
        """
        if self.classify is None:
            raise ValueError(f"the extractor '{self.name}' has no classifier")
        scores = self.classify(torch.from_numpy(features).float())
        return scores.argmax(dim=1).numpy()


class _ExtractorNet(nn.Module):
    """A layer of 64 features, for images of 8 x 8 pixels and more after strided convolutions.

    Rows and sequences, which have no neighbourhood of both sides, enter a hidden layer instead.
    """

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        if len(shape) == 3:
            channels, height, width = shape
            body = [
                nn.Conv2d(channels, 32, 3, stride=2, padding=1),
                nn.LeakyReLU(0.1),
                nn.Conv2d(32, 64, 3, stride=2, padding=1),
                nn.LeakyReLU(0.1),
                nn.Flatten(),
                nn.Linear(64 * -(-height // 4) * -(-width // 4), 64),
            ]
        else:
            body = [
                nn.Flatten(),
                nn.Linear(math.prod(shape), 128),
                nn.LeakyReLU(0.1),
                nn.Linear(128, 64),
            ]
        self.embed = nn.Sequential(*body, nn.LeakyReLU(0.1))
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.embed(x))
        return scores


def train_extractor(
    images: Tensor, labels: ArrayLike, seed: int = 0, *, epochs: int = 5, batch: int = 64
) -> FeatureExtractor:
    """Trains a small classifier on the labelled training images, for evaluation only.

    Nothing of it reaches the model that is evaluated, so that labels still train no symbol.

    Args:
        images: Training images ``(N, C, H, W)``, or other inputs, scaled as those to be judged.
        labels: Their classes ``(N,)``, integers from 0.
        seed: Seed of weights and order; the global generators are left as they were.
        epochs: Passes over the images.
        batch: Images per step.

    Returns:
        An extractor of 64 features with a classifier, on the CPU.
    """
    x = images.detach().float().cpu()
    y = torch.as_tensor(np.asarray(labels), dtype=torch.long)
    classes = int(y.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _ExtractorNet(x.shape[1:], classes)
        steps = epochs * -(-len(x) // batch)
        optimiser = torch.optim.Adam(net.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
        for _ in range(epochs):
            order = torch.randperm(len(x))
            for start in range(0, len(x), batch):
                index = order[start : start + batch]
                optimiser.zero_grad()
                torch.autograd.backward(functional.cross_entropy(net(x[index]), y[index]))
                optimiser.step()
                schedule.step()
    net.eval().requires_grad_(False)
    body = "convnet-64" if x.dim() == 4 else "mlp-64"
    size = "x".join(map(str, x.shape[2:] if x.dim() == 4 else x.shape[1:]))
    what = "images" if x.dim() == 4 else "inputs"
    name = f"{body} trained on {len(x)} labelled {size} training {what}, seed {seed}"
    return FeatureExtractor(name, lambda batch: net.embed(batch.float().cpu()), net.head)


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Frechet distance of two Gaussians fitted to features (Heusel et al. 2017).

    ``|m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)``. The symmetric form needs eigenvalues of
    positive semi-definite matrices only, so that it stays real and finite when there are fewer
    images than features.

    Args:
        a: Features ``(N, F)``, N >= 2.
        b: Features ``(M, F)``, M >= 2.
    """
    fa, fb = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(fa), len(fb)) < 2:
        raise ValueError("a Frechet distance needs at least two images on each side")
    cov_a, cov_b = (np.atleast_2d(np.cov(f, rowvar=False)) for f in (fa, fb))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0.0)).sum()
    shift = fa.mean(axis=0) - fb.mean(axis=0)
    return float(max(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross, 0.0))


def kernel_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Kernel distance (KID): unbiased squared MMD, kernel ``(x.y / F + 1)^3``.

    Binkowski et al., "Demystifying MMD GANs" (2018). Over all images at once, so nothing is drawn;
    being unbiased it may fall slightly below zero when the two sides are alike.

    Args:
        a: Features ``(N, F)``, N >= 2.
        b: Features ``(M, F)``, M >= 2.
    """
    fa, fb = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    n, m = len(fa), len(fb)
    if min(n, m) < 2:
        raise ValueError("a kernel distance needs at least two images on each side")

    def total(x: Features, y: Features) -> float:
        """Sum of the kernel over all pairs, a thousand rows at a time to spare memory."""
        blocks = (x[i : i + 1000] @ y.T for i in range(0, len(x), 1000))
        return float(sum(((block / x.shape[1] + 1.0) ** 3).sum() for block in blocks))

    def own(x: Features) -> float:
        """Sum of the kernel of every row with itself."""
        return float((((x**2).sum(axis=1) / x.shape[1] + 1.0) ** 3).sum())

    within_a = (total(fa, fa) - own(fa)) / (n * (n - 1))
    within_b = (total(fb, fb) - own(fb)) / (m * (m - 1))
    return within_a + within_b - 2.0 * total(fa, fb) / (n * m)


def nearest(samples: Features, training: Features, k: int = 1) -> NDArray[np.int64]:
    """Indices ``(N, k)`` of the training images nearest to each sample, the nearest first.

    Euclidean, on whatever is given: features, or flattened pixels. Samples that repeat training
    images give themselves away here.

    Args:
        samples: ``(N, F)``.
        training: ``(M, F)``.
        k: How many, at most M.
    """
    index = NearestNeighbors(n_neighbors=min(k, len(training)), algorithm="brute").fit(training)
    return np.asarray(index.kneighbors(samples, return_distance=False), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class GenerationScores:
    """Generated images against real ones.

    Attributes:
        fid: Frechet distance in the extractor's features; lower is better.
        kid: Kernel distance in the same features; lower is better.
        fid_floor: Frechet distance of training images against the same real images: what a
            perfect generator would be given at this number of images.
        fid_mixture: Frechet distance of samples of ten Gaussians on 50 principal components of
            the training images: what a generator has to beat.
        agreement: Share of the images in which the extractor's classifier sees the symbol that
            was asked for.
        agreement_per_symbol: The same by symbol.
        extractor: Name of the extractor.
        n: Images on each side of the distances.
    """

    fid: float | None
    kid: float | None
    fid_floor: float | None
    fid_mixture: float | None
    agreement: float | None
    agreement_per_symbol: dict[str, float | None]
    extractor: str | None
    n: int
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The scores under their names in ``metrics.json``."""
        scores: dict[str, Any] = {
            "fid": self.fid,
            "kid": self.kid,
            "fid_floor": self.fid_floor,
            "fid_mixture": self.fid_mixture,
            "agreement": self.agreement,
            "agreement_per_symbol": dict(self.agreement_per_symbol),
            "extractor": self.extractor,
            "n": self.n,
        }
        return scores | ({"reason": self.reason} if self.reason else {})


def no_generation(reason: str) -> GenerationScores:
    """The result when nothing was generated or nothing can judge it: nulls, and why."""
    return GenerationScores(None, None, None, None, None, {}, None, 0, reason)


def score_generation(
    samples: Tensor,
    reference: Tensor,
    training: Tensor,
    extractor: FeatureExtractor,
    *,
    asked: ArrayLike | None = None,
    symbols: tuple[str, ...] = (),
    seed: int = 0,
) -> GenerationScores:
    """Scores generated images against real ones that training has not seen.

    All sides of the distances have the same number of images, at most 1,000 and spread evenly over
    what is given, so that an order by symbol does no harm.

    Args:
        samples: Generated images ``(N, C, H, W)``, scaled as the extractor's training images.
        reference: Real images ``(M, C, H, W)``.
        training: Training images ``(T, C, H, W)``, for the floor and the mixture.
        extractor: The judge.
        asked: Symbol ``(N,)`` each sample was generated for, as an index into ``symbols``, which
            must be the order of the extractor's classes.
        symbols: Names of the symbols.
        seed: Of the mixture.
    """
    n = min(len(samples), len(reference), len(training), MOST_IMAGES)
    if n < 2:
        return no_generation(f"{len(samples)} generated and {len(reference)} real images are few")
    if not bool(torch.isfinite(samples).all()):
        return no_generation("generated pixels are not finite: the sampler diverged")
    fake, real = extractor.features(samples), _spread(extractor.features(reference), n)
    flat = training[:MIXTURE_IMAGES].flatten(1).double().cpu().numpy()
    drawn = torch.from_numpy(mixture_samples(flat, n, seed)).float()
    mixed = extractor.features(drawn.reshape(-1, *training.shape[1:]))
    agreement, by_symbol = _agreement(fake, extractor, asked, symbols)
    return GenerationScores(
        fid=frechet_distance(_spread(fake, n), real),
        kid=kernel_distance(_spread(fake, n), real),
        fid_floor=frechet_distance(_spread(extractor.features(training), n), real),
        fid_mixture=frechet_distance(mixed, real),
        agreement=agreement,
        agreement_per_symbol=by_symbol,
        extractor=extractor.name,
        n=n,
    )


def _spread(features: Features, count: int) -> Features:
    """Takes ``count`` rows at even distances."""
    return features[np.linspace(0, len(features) - 1, count).astype(np.int64)]


def _agreement(
    fake: Features, extractor: FeatureExtractor, asked: ArrayLike | None, symbols: tuple[str, ...]
) -> tuple[float | None, dict[str, float | None]]:
    """Share of samples classified as the symbol asked for, in all and by symbol."""
    if asked is None or extractor.classify is None:
        return None, {}
    wanted = np.asarray(asked, dtype=np.int64)
    right = extractor.classes(fake) == wanted
    by_symbol = {
        name: float(right[wanted == i].mean()) if (wanted == i).any() else None
        for i, name in enumerate(symbols)
    }
    return float(right.mean()), by_symbol
