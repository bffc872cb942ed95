"""Calibration: is a symbol that is given with probability 0.9 right nine times in ten?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against accuracy in bins of equal width.

    Attributes:
        edges: Bin edges ``(M + 1,)`` from 0 to 1.
        count: Images per bin ``(M,)``.
        confidence: Mean confidence per bin ``(M,)``; nan where a bin is empty.
        accuracy: Share of right answers per bin ``(M,)``; nan where a bin is empty.
        ece: Expected calibration error, ``sum_m count_m / N * |accuracy_m - confidence_m|``.
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    ece: float

    def to_dict(self) -> dict[str, Any]:
        """Lists for JSON; an empty bin has ``None`` for its confidence and accuracy."""
        return {
            "ece": self.ece,
            "edges": self.edges.tolist(),
            "count": self.count.tolist(),
            "confidence": [None if np.isnan(c) else float(c) for c in self.confidence],
            "accuracy": [None if np.isnan(a) else float(a) for a in self.accuracy],
        }


def reliability(truth: ArrayLike, probs: ArrayLike, bins: int = 15) -> Reliability:
    """Bins the images by the probability of their most likely symbol.

    The bins are ``bins`` intervals of equal width on [0, 1], open below and closed above, as in
    Guo et al., "On calibration of modern neural networks" (2017).

    Args:
        truth: True symbols ``(N,)``, N >= 1.
        probs: Symbol probabilities ``(N, K)``.
        bins: Number of bins, at least 1.

    Raises:
        ValueError: There is no image, the lengths differ, or probabilities are no numbers.
    """
    t, p = np.asarray(truth), np.asarray(probs, dtype=np.float64)
    if bins < 1:
        raise ValueError(f"{bins} bins; at least one is needed")
    if p.ndim != 2 or t.shape != (len(p),) or not len(t):
        raise ValueError(
            f"true symbols {t.shape} for probabilities {p.shape}; (N,) and (N, K) are expected, "
            "with at least one image"
        )
    if (odd := int((~np.isfinite(p)).any(axis=1).sum())) > 0:
        raise ValueError(f"the probabilities of {odd} of {len(p)} images are not finite numbers")
    confidence = np.clip(p.max(axis=1), 0.0, 1.0)
    right = (p.argmax(axis=1) == t).astype(np.float64)
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(index, confidence, bins) / count
        mean_accuracy = np.bincount(index, right, bins) / count
    gap = np.nan_to_num(np.abs(mean_accuracy - mean_confidence))
    return Reliability(
        edges, count, mean_confidence, mean_accuracy, float((gap * count).sum() / len(t))
    )
