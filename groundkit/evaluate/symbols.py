"""Are the symbols right? Scores of the symbol that a network gives to held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundkit.evaluate.calibration import Reliability, reliability
from groundkit.evaluate.clustering import best_matching, confusion, score_clusters

UNKNOWN = -1
NAMELESS = (
    "no goal and no label gives the clusters names, so there is no accuracy; ece, per_symbol and "
    "confusion count after the best renaming"
)


@dataclass(frozen=True, slots=True)
class GroundingScores:
    """Scores of one network's symbols on held-out images.

    Attributes:
        symbols: The symbols' names, in the order of the network's outputs.
        accuracy: Share of images whose most likely symbol is the true one, names as they are;
            ``None`` where nothing gave the clusters names.
        accuracy_matched: The same after the best one-to-one renaming of the clusters.
        nmi: Normalised mutual information of symbols and truth, over the whole set.
        ari: Adjusted Rand index, over the whole set.
        collapse: 1 - share of the symbols that are ever predicted; 0 is good, ``None`` without
            images.
        ece: Expected calibration error (15 bins of equal width).
        per_symbol: Recall of every symbol; ``None`` for one without an image.
        predicted_share: Share of the images that are given each symbol; empty without images.
        learnt_map: True symbol -> the symbol its images are most often given; only symbols that
            have images.
        matching: Cluster's present name -> the name that suits it best, by the Hungarian method.
        counts: Confusion ``(K, K)``, true symbol by predicted symbol; zeros without truth.
        bins: Reliability bins, absent without truth.
        truth: What all of this was scored by ``(N,)``: the true symbols, or, where clusters have
            no names of their own, the cluster that suits each true symbol best; negative where it
            is not known.
        n: Number of images with a known true symbol (all images when none has one).
        reason: Why scores are missing.
    """

    symbols: tuple[str, ...]
    accuracy: float | None
    accuracy_matched: float | None
    nmi: float | None
    ari: float | None
    collapse: float | None
    ece: float | None
    per_symbol: dict[str, float | None]
    predicted_share: dict[str, float]
    learnt_map: dict[str, str]
    matching: dict[str, str]
    counts: NDArray[np.int64] = field(repr=False)
    bins: Reliability | None = field(repr=False)
    truth: NDArray[np.int64] = field(repr=False)
    n: int
    reason: str | None = None

    def in_own_names(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Renames true symbols ``(M,)`` as :attr:`truth` is, where clusters have no names."""
        if self.reason != NAMELESS:
            return labels
        place = {name: k for k, name in enumerate(self.symbols)}
        cluster_of = {place[true]: place[cluster] for cluster, true in self.matching.items()}
        return np.array([cluster_of[one] for one in labels.tolist()], dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """The scores under their names in ``metrics.json``."""
        scores: dict[str, Any] = {
            "accuracy": self.accuracy,
            "accuracy_matched": self.accuracy_matched,
            "nmi": self.nmi,
            "ari": self.ari,
            "collapse": self.collapse,
            "ece": self.ece,
            "per_symbol": dict(self.per_symbol),
            "predicted_share": dict(self.predicted_share),
            "learnt_map": dict(self.learnt_map),
            "matching": dict(self.matching),
            "confusion": self.counts.tolist(),
            "n": self.n,
        }
        return scores | ({"reason": self.reason} if self.reason else {})


def collapse(predicted: ArrayLike, symbols: int) -> float | None:
    """1 - share of the ``symbols`` symbols that occur in ``predicted`` (rsbench's convention).

    ``None`` where nothing was predicted, which is no collapse.
    """
    used = len(np.unique(np.asarray(predicted)))
    return 1.0 - used / symbols if used else None


def per_symbol_recall(counts: NDArray[np.int64], symbols: Sequence[str]) -> dict[str, float | None]:
    """Share of every true symbol's images that are given it; ``None`` without images.

    Args:
        counts: Confusion ``(K, K)``.
        symbols: K names.
    """
    totals = counts.sum(axis=1)
    return {
        name: float(counts[i, i] / totals[i]) if totals[i] else None
        for i, name in enumerate(symbols)
    }


def learnt_map(counts: NDArray[np.int64], symbols: Sequence[str]) -> dict[str, str]:
    """True symbol -> the symbol that its images are most often given (the first one of a tie)."""
    return {
        name: symbols[int(counts[i].argmax())]
        for i, name in enumerate(symbols)
        if counts[i].sum() > 0
    }


def score_grounding(
    truth: ArrayLike | None, probs: ArrayLike, symbols: Sequence[str], *, named: bool = True
) -> GroundingScores:
    """Scores the symbols of one network.

    Args:
        truth: True symbols ``(N,)`` as indices into ``symbols``, negative where it is not known;
            ``None`` when it is known for no image.
        probs: Symbol probabilities ``(N, K)``.
        symbols: The K symbols' names.
        named: Whether a program or labels gave the clusters their names. Otherwise names are
            arbitrary: there is no ``accuracy``, and every other score counts after the best
            renaming.

    Raises:
        ValueError: Shapes do not fit, or a true symbol is not among the K.
    """
    p = np.asarray(probs, dtype=np.float64)
    names = tuple(symbols)
    if p.ndim != 2 or p.shape[1] != len(names):
        raise ValueError(f"probabilities {p.shape} do not fit {len(names)} symbols")
    t = np.full(len(p), UNKNOWN) if truth is None else np.asarray(truth, dtype=np.int64)
    if t.shape != (len(p),):
        raise ValueError(f"{t.shape} true symbols for {len(p)} images")
    odd = int((~np.isfinite(p)).any(axis=1).sum())
    if odd:
        why = f"the probabilities of {odd} of {len(p)} images are not numbers: training diverged"
        return _unscored(names, None, {}, why, len(p))
    everything = p.argmax(axis=1)
    share = np.bincount(everything, minlength=len(names)) / max(len(p), 1)
    shares = {name: float(s) for name, s in zip(names, share, strict=True)} if len(p) else {}
    gone = collapse(everything, len(names))
    known = t >= 0
    if not known.any():
        why = "no image has a known true symbol" if len(p) else "there are no images to score"
        return _unscored(names, gone, shares, why, len(p))
    predicted = everything[known]
    clusters = score_clusters(t[known], predicted)
    counts = confusion(t[known], predicted, (len(names), len(names)))
    matching = best_matching(counts)
    if not named:
        cluster_of = {true: cluster for cluster, true in matching.items()} | {UNKNOWN: UNKNOWN}
        t = np.array([cluster_of[max(one, UNKNOWN)] for one in t.tolist()], dtype=np.int64)
        counts = confusion(t[known], predicted, (len(names), len(names)))
    bins = reliability(t[known], p[known])
    return GroundingScores(
        symbols=names,
        accuracy=float(np.trace(counts) / counts.sum()) if named else None,
        accuracy_matched=clusters.accuracy_matched,
        nmi=clusters.nmi,
        ari=clusters.ari,
        collapse=gone,
        ece=bins.ece,
        per_symbol=per_symbol_recall(counts, names),
        predicted_share=shares,
        learnt_map=learnt_map(counts, names),
        matching={names[k]: names[i] for k, i in matching.items()},
        counts=counts,
        bins=bins,
        truth=t,
        n=int(known.sum()),
        reason=None if named else NAMELESS,
    )


def _unscored(
    names: tuple[str, ...],
    gone: float | None,
    shares: dict[str, float],
    reason: str,
    count: int,
) -> GroundingScores:
    """What can be said without truth."""
    empty = np.zeros((len(names), len(names)), dtype=np.int64)
    return GroundingScores(
        symbols=names,
        accuracy=None,
        accuracy_matched=None,
        nmi=None,
        ari=None,
        collapse=gone,
        ece=None,
        per_symbol=dict.fromkeys(names),
        predicted_share=shares,
        learnt_map={},
        matching={},
        counts=empty,
        bins=None,
        truth=np.full(count, UNKNOWN),
        n=count,
        reason=reason,
    )
