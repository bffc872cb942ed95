"""Baselines that see pixels only: clusterers, and detectors of out-of-distribution images.

They show what a method has to beat. All are scikit-learn's, on images flattened to ``(N, D)``;
none sees a label. Detectors' scores are higher for images further out, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from groundkit.errors import InputError

Pixels = NDArray[np.float64]
Scores = NDArray[np.float64]
Clusterer = Callable[[Pixels, Pixels, int, int], NDArray[np.int64]]
"""Training pixels ``(N, D)``, test pixels ``(M, D)``, clusters, seed -> test clusters ``(M,)``."""
Detector = Callable[[Pixels, int], Callable[[Pixels], Scores]]
"""Training pixels ``(N, D)``, seed -> a function from pixels ``(M, D)`` to scores ``(M,)``."""


def k_means(train: Pixels, test: Pixels, clusters: int, seed: int) -> NDArray[np.int64]:
    """k-means on pixels, the best of ten starts."""
    model = KMeans(clusters, n_init=10, random_state=seed).fit(train)
    return np.asarray(model.predict(test), dtype=np.int64)


def mixture(train: Pixels, test: Pixels, clusters: int, seed: int) -> NDArray[np.int64]:
    """Gaussian mixture with full covariances on up to 50 principal components."""
    pca = _pca(train, 50, seed)
    model = GaussianMixture(clusters, reg_covar=1e-3, random_state=seed).fit(pca.transform(train))
    return np.asarray(model.predict(pca.transform(test)), dtype=np.int64)


def spectral(train: Pixels, test: Pixels, clusters: int, seed: int) -> NDArray[np.int64]:
    """Spectral clustering of the ten-nearest-neighbour graph of training and test images.

    Transductive: it knows no new images, so the test images are in the graph.
    """
    model = SpectralClustering(
        clusters, affinity="nearest_neighbors", n_neighbors=10, random_state=seed
    )
    return np.asarray(model.fit_predict(np.concatenate([train, test]))[len(train) :], np.int64)


def ward(train: Pixels, test: Pixels, clusters: int, seed: int) -> NDArray[np.int64]:
    """Ward's hierarchical clustering of training and test images together; draws nothing."""
    model = AgglomerativeClustering(clusters, linkage="ward")
    return np.asarray(model.fit_predict(np.concatenate([train, test]))[len(train) :], np.int64)


def umap_mixture(train: Pixels, test: Pixels, clusters: int, seed: int) -> NDArray[np.int64]:
    """Gaussian mixture on ten UMAP coordinates (30 neighbours, distance 0).

    Raises:
        InputError: umap-learn is not installed.
    """
    try:
        import umap
    except ImportError:
        raise InputError(
            "umap-learn is not installed",
            remedy="pip install 'groundkit[benchmarks]', or leave this baseline out",
        ) from None
    reducer = umap.UMAP(n_neighbors=30, min_dist=0.0, n_components=10, random_state=seed)
    model = GaussianMixture(clusters, n_init=5, reg_covar=1e-3, random_state=seed)
    model.fit(reducer.fit_transform(train))
    return np.asarray(model.predict(reducer.transform(test)), dtype=np.int64)


CLUSTERERS: dict[str, Clusterer] = {
    "k-means": k_means,
    "PCA + mixture": mixture,
    "spectral": spectral,
    "ward": ward,
    "UMAP + mixture": umap_mixture,
}


def pca_error(train: Pixels, seed: int) -> Callable[[Pixels], Scores]:
    """Squared error of rebuilding an image from up to 50 principal components."""
    pca = _pca(train, 50, seed)

    def score(images: Pixels) -> Scores:
        rebuilt = pca.inverse_transform(pca.transform(images))
        return np.asarray(((images - rebuilt) ** 2).sum(axis=1))

    return score


def neighbours(train: Pixels, seed: int) -> Callable[[Pixels], Scores]:
    """Mean distance to the five nearest training images; draws nothing."""
    index = NearestNeighbors(n_neighbors=min(5, len(train))).fit(train)
    return lambda images: np.asarray(index.kneighbors(images)[0].mean(axis=1))


def pca_mixture(train: Pixels, seed: int) -> Callable[[Pixels], Scores]:
    """Negative log-density of a mixture of ten Gaussians on up to 50 principal components."""
    pca = _pca(train, 50, seed)
    components = min(10, len(train))
    model = GaussianMixture(components, reg_covar=1e-3, random_state=seed)
    model.fit(pca.transform(train))
    return lambda images: np.asarray(-model.score_samples(pca.transform(images)))


DETECTORS: dict[str, Detector] = {
    "PCA error": pca_error,
    "nearest neighbours": neighbours,
    "PCA + mixture": pca_mixture,
}


SEEDLESS = frozenset({"ward", "nearest neighbours"})
"""Baselines that draw nothing: every seed gives the same."""


def mixture_samples(train: Pixels, count: int, seed: int) -> Pixels:
    """Images drawn from a mixture of ten Gaussians on up to 50 principal components.

    Args:
        train: Training pixels ``(N, D)`` in [-1, 1].
        count: Number of images.
        seed: Of fit and draw.

    Returns:
        ``(count, D)`` in [-1, 1], in random order.
    """
    pca = _pca(train, 50, seed)
    model = GaussianMixture(min(10, len(train)), reg_covar=1e-3, random_state=seed)
    drawn, _ = model.fit(pca.transform(train)).sample(count)
    order = np.random.default_rng(seed).permutation(count)
    return np.asarray(pca.inverse_transform(drawn[order])).clip(-1, 1)


def library_scores(logits: NDArray[np.float64]) -> dict[str, Scores]:
    """Scores of pytorch-ood's detectors that need nothing but logits ``(N, K)``.

    Raises:
        InputError: pytorch-ood is not installed.
    """
    try:
        from pytorch_ood import detector
    except ImportError:
        raise InputError(
            "pytorch-ood is not installed",
            remedy="pip install 'groundkit[dev]', or leave its detectors out",
        ) from None
    import torch

    x = torch.as_tensor(logits)
    found: dict[str, Any] = {
        "energy (pytorch-ood)": detector.EnergyBased(None),
        "max softmax (pytorch-ood)": detector.MaxSoftmax(None),
        "max logit (pytorch-ood)": detector.MaxLogit(None),
        "entropy (pytorch-ood)": detector.Entropy(None),
        "GEN (pytorch-ood)": detector.GEN(None),
    }
    return {name: np.asarray(d.predict_logits(x), np.float64) for name, d in found.items()}


def _pca(train: Pixels, components: int, seed: int) -> PCA:
    """Principal components, as many as the images allow."""
    return PCA(min(components, *train.shape), random_state=seed).fit(train)
