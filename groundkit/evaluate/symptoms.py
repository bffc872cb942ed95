"""Why symbols may be wrong: clusters that follow colour, or embeddings that tell too little."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

MOST_IMAGES = 2000
_FOLDS, _NEIGHBOURS = 5, 5


def colour_agreement(images: ArrayLike, predicted: ArrayLike, symbols: int) -> float | None:
    """How far clusters are those of the images' mean colour.

    Args:
        images: ``(N, C, H, W)``.
        predicted: Clusters ``(N,)``.
        symbols: Number of symbols.

    Returns:
        Normalised mutual information with as many clusters of the mean colour; ``None`` for grey
        images, or for too few.
    """
    pixels = np.asarray(images)[:MOST_IMAGES]
    if pixels.ndim != 4 or pixels.shape[1] != 3 or len(pixels) < 2 * symbols:
        return None
    colours = pixels.mean(axis=(2, 3), dtype=np.float64)
    if np.ptp(colours - colours.mean(axis=1, keepdims=True)) < 1e-6:
        return None
    groups = KMeans(symbols, n_init=4, random_state=0).fit_predict(colours)
    return float(normalized_mutual_info_score(groups, np.asarray(predicted)[: len(pixels)]))


def embedding_accuracy(embeddings: ArrayLike, truth: ArrayLike) -> float | None:
    """How many symbols could be told from the embedding if its images had labels.

    Args:
        embeddings: ``(N, F)``.
        truth: True symbols ``(N,)``, negative where unknown.

    Returns:
        Share of images whose symbol their nearest labelled neighbours have, cross-validated;
        ``None`` where too few symbols are known.
    """
    points, labels = np.asarray(embeddings), np.asarray(truth)
    known = np.flatnonzero(labels >= 0)[:MOST_IMAGES]
    if len(known) < 2 * _FOLDS or len(np.unique(labels[known])) < 2:
        return None
    model = KNeighborsClassifier(min(_NEIGHBOURS, len(known) // _FOLDS))
    order = np.random.default_rng(0).permutation(known)
    parts = np.array_split(order, _FOLDS)
    folds = [(np.setdiff1d(order, part), part) for part in parts]
    return float(cross_val_score(model, points, labels, cv=folds).mean())
