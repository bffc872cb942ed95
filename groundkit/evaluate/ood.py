"""Out-of-distribution detection from scores.

One convention everywhere: a HIGHER score means MORE out of distribution, and out-of-distribution
images are the positive class of every curve (as in OpenOOD and pytorch-ood). Energies
``E(x) = -logsumexp f(x)`` obey it as they are; a probability or a density is negated first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor


def energy_score(energies: ArrayLike) -> NDArray[np.float64]:
    """Energies ``(N,)`` are scores already: high energy is low density."""
    return np.asarray(energies, dtype=np.float64)


def max_softmax_score(probs: ArrayLike) -> NDArray[np.float64]:
    """``-max_y p(y|x)`` ``(N,)`` from ``(N, K)``: an unsure image counts as further out.

    Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution
    examples" (2017).
    """
    return np.asarray(-np.asarray(probs, dtype=np.float64).max(axis=1))


def entropy_score(probs: ArrayLike) -> NDArray[np.float64]:
    """Entropy of p(y|x) in nats ``(N,)`` from ``(N, K)``."""
    p = np.asarray(probs, dtype=np.float64)
    return np.asarray(-(p * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum(axis=1))


def gradient_score(
    energy: Callable[[Tensor], Tensor], images: Tensor, batch: int = 256
) -> NDArray[np.float64]:
    """Norm of the energy's gradient by the image, ``|dE/dx|`` ``(N,)``.

    Grathwohl et al., "Your classifier is secretly an energy based model" (2020), section 5.3: an
    image in a region of high density lies on a plateau, one outside on a slope.

    Args:
        energy: Images ``(B, ...)`` -> energies ``(B,)``.
        images: ``(N, ...)``.
        batch: Images at a time.
    """
    norms = []
    for start in range(0, len(images), batch):
        x = images[start : start + batch].detach().requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(energy(x).sum(), x)
        norms.append(slope.flatten(1).norm(dim=1).double().cpu().numpy())
    return np.concatenate(norms) if norms else np.zeros(0)


def model_scores(
    logits: Callable[[Tensor], Tensor], images: Tensor, batch: int = 256
) -> dict[str, NDArray[np.float64]]:
    """The scores that a symbol model has by itself.

    Args:
        logits: Images ``(B, C, H, W)`` -> logits ``(B, K)``.
        images: ``(N, C, H, W)``, as the model sees them.
        batch: Images at a time.

    Returns:
        ``energy``, ``max_softmax``, ``entropy`` and ``gradient`` -> ``(N,)``, higher = more
        out of distribution.
    """

    def energy(x: Tensor) -> Tensor:
        return -torch.logsumexp(logits(x), dim=-1)

    with torch.no_grad():
        rows = torch.cat([logits(part).double() for part in torch.split(images, batch)])
    probs = rows.softmax(-1).cpu().numpy()
    return {
        "energy": energy_score((-torch.logsumexp(rows, dim=-1)).cpu().numpy()),
        "max_softmax": max_softmax_score(probs),
        "entropy": entropy_score(probs),
        "gradient": gradient_score(energy, images, batch),
    }


@dataclass(frozen=True, slots=True)
class OodScores:
    """How well one score tells out-of-distribution images from others.

    Attributes:
        auroc: Probability that an image of the set scores above an in-distribution one (ties count
            half).
        fpr95: Share of in-distribution images flagged when 95 % of the others are.
        aupr: Average precision with images of the set as positives; chance is their share.
    """

    auroc: float | None
    fpr95: float | None
    aupr: float | None
    n_in: int
    n_out: int
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The scores under their names in ``metrics.json``."""
        scores: dict[str, Any] = {
            "auroc": self.auroc,
            "fpr95": self.fpr95,
            "aupr": self.aupr,
            "n_in": self.n_in,
            "n_out": self.n_out,
        }
        return scores | ({"reason": self.reason} if self.reason else {})


def score_ood(inside: ArrayLike, outside: ArrayLike) -> OodScores:
    """Scores one detector on one out-of-distribution set.

    Only the order of the scores counts, so infinite scores are welcome; a score that is not a
    number makes the result ``None`` with a reason.

    Args:
        inside: Scores of images of the training distribution ``(N,)``, higher is further out.
        outside: Scores of out-of-distribution images ``(M,)``.
    """
    a, b = (np.asarray(s, dtype=np.float64).ravel() for s in (inside, outside))
    if not len(a) or not len(b):
        which = "in-distribution" if not len(a) else "out-of-distribution"
        return OodScores(None, None, None, len(a), len(b), f"there are no {which} images")
    scores = np.concatenate([a, b])
    if (bad := int(np.isnan(scores).sum())) > 0:
        why = f"{bad} of {len(scores)} scores are not a number: the model diverged"
        return OodScores(None, None, None, len(a), len(b), why)
    outer = np.concatenate([np.zeros(len(a), dtype=int), np.ones(len(b), dtype=int)])
    ranks = rankdata(scores)
    fpr, tpr, _ = roc_curve(outer, ranks, drop_intermediate=False)
    return OodScores(
        auroc=float(roc_auc_score(outer, ranks)),
        fpr95=float(fpr[np.argmax(tpr >= 0.95)]),
        aupr=float(average_precision_score(outer, ranks)),
        n_in=len(a),
        n_out=len(b),
    )


@dataclass(frozen=True, slots=True)
class OodReport:
    """One out-of-distribution set under several scores.

    Attributes:
        name: The set's name.
        primary: The score that the model stands for.
        scores: Score -> how well it tells foreign images.
        density: Whether the energy was trained as a density, by the generative term.
    """

    name: str
    primary: str
    scores: Mapping[str, OodScores]
    density: bool = True

    @property
    def note(self) -> str | None:
        """What to make of the primary score, where it says less than it seems to."""
        found = self.scores[self.primary].auroc
        if not self.density and self.primary == "energy":
            return "the energy was trained without the generative term: it knows no density"
        if found is not None and found < 0.5:
            return f"by {self.primary}, these images look more familiar than the familiar ones"
        return None

    def to_dict(self) -> dict[str, Any]:
        """The primary score's numbers, and under ``scores`` those of every score."""
        top = self.scores[self.primary].to_dict() | {"score": self.primary}
        if self.note is not None:
            top["note"] = self.note
        return top | {"scores": {name: s.to_dict() for name, s in self.scores.items()}}


def compare_scores(
    name: str,
    inside: Mapping[str, ArrayLike],
    outside: Mapping[str, ArrayLike],
    primary: str = "energy",
    *,
    density: bool = True,
) -> OodReport:
    """Scores several detectors on one out-of-distribution set.

    Args:
        name: The set's name.
        inside: Score's name -> scores of in-distribution images ``(N,)``.
        outside: The same names -> scores of out-of-distribution images ``(M,)``.
        primary: The name whose numbers stand on top in ``metrics.json``.
        density: Whether the energy was trained as a density.
    """
    scores = {k: score_ood(inside[k], outside[k]) for k in inside}
    return OodReport(name, primary, scores, density)


def unavailable(name: str, reason: str, primary: str = "energy") -> OodReport:
    """The result for an out-of-distribution set that is not on this machine: nulls, and why."""
    return OodReport(name, primary, {primary: OodScores(None, None, None, 0, 0, reason)})
