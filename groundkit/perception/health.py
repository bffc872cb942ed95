"""Diagnostics of a symbol model in training: which failure it shows, in words.

Each number answers for one row of the failure table in :mod:`groundkit.perception.bound`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from groundkit.perception.bound import log_marginal
from groundkit.perception.model import energy, log_probs

# Below this effective rank an embedding is as good as constant, or a line.
RANK_FLOOR = 1.5
# Views that are given the same symbol less often than this are not the same image to the model.
AGREEMENT_FLOOR = 0.6
# An energy gap beyond this many nats has left the data's scale: the sampler no longer follows.
GAP_CEILING = 200.0


@dataclass(frozen=True, slots=True)
class Health:
    """What :func:`diagnose` measures.

    Attributes:
        effective_symbols: ``exp H(mean_i p(y|x_i))``, 1 to K; K when predictions are balanced.
        conditional_entropy: ``mean_i H(p(y|x_i))`` in nats; 0 when every prediction is certain.
        symbols_used: Number of symbols that are the most probable one of some image.
        view_agreement: Share of images whose two views have the same most probable symbol.
        effective_rank: ``exp H`` of the normalised eigenvalues of the embedding's covariance
            (Roy and Vetterli, "The effective rank", 2007); 0 for a constant embedding.
        energy_gap: ``mean E(model sample) - mean E(data)`` in nats; ``None`` without samples.
        verdicts: One sentence for each failure that shows; empty for a sound model.
    """

    effective_symbols: float
    conditional_entropy: float
    symbols_used: int
    view_agreement: float
    effective_rank: float
    energy_gap: float | None
    verdicts: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """The same as JSON-able values, for a history row."""
        return asdict(self) | {"verdicts": list(self.verdicts)}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Health:
        """Reads what :meth:`to_dict` returned."""
        return cls(**{**values, "verdicts": tuple(values["verdicts"])})


@torch.no_grad()
def diagnose(
    logits_a: Tensor,
    logits_b: Tensor,
    embedding: Tensor,
    energies: tuple[Tensor, Tensor] | None = None,
) -> Health:
    """Measures a batch and names the failures it shows.

    Args:
        logits_a: Logits of one view of each image, ``(B, K)``; B of some hundreds.
        logits_b: Logits of the other view, ``(B, K)``.
        embedding: Embedding of the first view, ``(B, F)``.
        energies: Logits of data as it is, ``(B, K)``, and of samples of the model, ``(M, K)``. The
            energy is of images, not of their distortions: views would not do for the data.

    Returns:
        The measurements and their verdicts.
    """
    rows = log_probs(logits_a)
    marginal = log_marginal(logits_a)
    effective = math.exp(-(marginal.exp() * marginal).sum().item())
    conditional = -(rows.exp() * rows.clamp_min(-1e3)).sum(-1).mean().item()
    used = len(set(logits_a.argmax(-1).tolist()))
    agreement = (logits_a.argmax(-1) == logits_b.argmax(-1)).float().mean().item()
    rank = effective_rank(embedding)
    gap = None
    if energies is not None:
        data, model = energies
        gap = (energy(model).mean() - energy(data).mean()).item()
    symbols = logits_a.shape[-1]
    verdicts = [
        verdict
        for verdict in (
            _representation_verdict(rank),
            _cluster_verdict(effective, used, symbols),
            _confidence_verdict(conditional, symbols),
            _view_verdict(agreement),
            None if gap is None else energy_verdict(gap),
        )
        if verdict is not None
    ]
    return Health(effective, conditional, used, agreement, rank, gap, tuple(verdicts))


@torch.no_grad()
def effective_rank(embedding: Tensor) -> float:
    """``exp H`` of the shares of variance along principal axes; 0 without any variance.

    Args:
        embedding: ``(B, F)``.
    """
    centred = embedding.double() - embedding.double().mean(0)
    variances = torch.linalg.svdvals(centred).square()
    total = variances.sum()
    if not torch.isfinite(total) or total <= 1e-12 * len(embedding):
        return 0.0
    shares = variances / total
    return math.exp(-torch.special.xlogy(shares, shares).sum().item())


def _representation_verdict(rank: float) -> str | None:
    if rank >= RANK_FLOOR:
        return None
    return (
        f"representation collapse: the embedding spans {rank:.1f} dimensions, "
        "all images look alike to it; raise the generative or the contrastive weight"
    )


def _cluster_verdict(effective: float, used: int, symbols: int) -> str | None:
    if effective >= 0.5 * symbols:
        return None
    return (
        f"cluster collapse: {used} of {symbols} symbols are in use "
        f"(effectively {effective:.1f}); raise the prior's weight"
    )


def _confidence_verdict(conditional: float, symbols: int) -> str | None:
    if conditional <= 0.9 * math.log(symbols):
        return None
    return (
        f"no clusters yet: every image is spread over all {symbols} symbols "
        f"({conditional:.2f} of {math.log(symbols):.2f} nats); raise the invariance weight, "
        "or train longer"
    )


def _view_verdict(agreement: float) -> str | None:
    if agreement >= AGREEMENT_FLOOR:
        return None
    return (
        f"views disagree: only {agreement:.0%} of images keep their symbol under augmentation; "
        "raise the invariance weight or weaken the augmentation"
    )


def energy_verdict(gap: float) -> str | None:
    """Words an energy that has run away; ``None`` where samples are near the data."""
    if math.isfinite(gap) and abs(gap) <= GAP_CEILING:
        return None
    return (
        f"the energy diverges: samples and data are {gap:.3g} nats apart; "
        "lower the sampler's step size or the learning rate"
    )
