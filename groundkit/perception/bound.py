"""The terms of the lower bound on the data's log-likelihood, as pure functions of logits.

Every function returns a scalar to **maximise**; a trainer adds them up with weights and minimises
the negative. Source: E. Sansone and R. Manhaeve, "Unifying Self-Supervised Clustering and
Energy-Based Models", TMLR 2025 (arXiv 2401.00873).

What each term rules out (``tests/perception/test_bound.py`` builds each failure):

=================  ============================  ===========================  ==================
term               representation collapse       cluster collapse             permuted views
                   (constant embedding)          (one symbol for all)
=================  ============================  ===========================  ==================
``generative``     penalised                     admitted                     admitted
``invariance``     admitted                      admitted                     penalised
``prior``          admitted (uniform output)     penalised                    admitted
=================  ============================  ===========================  ==================
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from groundkit.perception.model import energy, log_probs

# A log-probability of a symbol that no image of a batch is given. Keeps the cross-entropies and
# their gradients finite where a softmax underflows to an exact zero.
LOG_FLOOR = -100.0


def generative(logits_data: Tensor, logits_model: Tensor) -> Tensor:
    """The generative term ``L_GEN``, up to the constant that its gradient does not see.

    ``L_GEN = mean log p(x)`` with ``p(x) = exp(-E(x)) / Gamma``. Its gradient is that of
    ``mean[-E(x_data)] - mean[-E(x_model)]`` with ``x_model`` drawn from the model and detached,
    so the value returned here is that difference: the *energy gap*, zero when the model's samples
    are as likely as the data, and not a log-likelihood.

    Args:
        logits_data: Logits of data, ``(B, K)``.
        logits_model: Logits of samples of the model, ``(M, K)``; the samples carry no gradient.

    Returns:
        The gap in nats, a scalar; positive when data has the lower energy.
    """
    return energy(logits_model).mean() - energy(logits_data).mean()


def energy_discrepancy(
    logits_data: Tensor, logits_perturbed: Tensor, stabiliser: float = 1.0
) -> Tensor:
    """A stand-in for ``generative`` that needs no samples of the model, to be maximised too.

    ``-mean_i log[ w/M + 1/M sum_j exp(E(x_i) - E(x_ij)) ]``: data is to have a lower energy than
    its own perturbations ``x_ij = x_i + s (n_i + n_ij)``, with standard normal ``n``. For many
    perturbations it is bounded by the log-likelihood as ``s`` grows, and is score matching as ``s``
    falls (Schroeder et al., "Energy Discrepancies: A Score-Independent Loss for Energy-Based
    Models", 2023). What no perturbation of data looks like has an energy that nothing trains.

    Args:
        logits_data: Logits of data, ``(B, K)``.
        logits_perturbed: Logits of M perturbations of each, ``(B, M, K)``.
        stabiliser: ``w``; above 0 it bounds what a single image can add.

    Returns:
        A scalar in nats, at most ``log(M / w)``.
    """
    gaps = energy(logits_data)[:, None] - energy(logits_perturbed)
    bias = torch.full_like(gaps[:, :1], math.log(stabiliser))
    count = gaps.shape[1]
    return -(torch.logsumexp(torch.cat([gaps, bias], dim=1), dim=1) - math.log(count)).mean()


def energy_penalty(logits_data: Tensor, logits_model: Tensor) -> Tensor:
    """Keeps energies near zero: ``-(mean E(x_data)^2 + mean E(x_model)^2) / 2``.

    ``generative`` is blind to a constant added to all energies, so their level drifts until the
    sampler's gradients overflow. The usual remedy is this small regulariser (Du and Mordatch,
    "Implicit generation and modeling with energy-based models", 2019).

    Args:
        logits_data: Logits of data, ``(B, K)``.
        logits_model: Logits of samples of the model, ``(M, K)``.

    Returns:
        A scalar of at most 0, in squared nats.
    """
    return -0.5 * (energy(logits_data).square().mean() + energy(logits_model).square().mean())


def invariance(
    logits_a: Tensor, logits_b: Tensor, *, symmetric: bool = True, stop_gradient: bool = False
) -> Tensor:
    """The invariance term ``L_INV = -mean CE(p(y|x'), p(y|x))``.

    It is at most 0, and 0 only where both views are given the same symbol with certainty: it asks
    for agreement and for confidence.

    Args:
        logits_a: Logits of one view of each image, ``(B, K)``: ``x'`` of the formula.
        logits_b: Logits of the other view, ``(B, K)``, in the same order: its ``x``.
        symmetric: Average it over both roles of the two views.
        stop_gradient: Take ``p(y|x')`` for a fixed target. The authors' gradient flows through
            both sides.

    Returns:
        A scalar in nats, at most 0.
    """
    log_a, log_b = log_probs(logits_a), log_probs(logits_b)
    one_way = _agreement(log_a, log_b, stop_gradient)
    return 0.5 * (one_way + _agreement(log_b, log_a, stop_gradient)) if symmetric else one_way


def _agreement(target: Tensor, predicted: Tensor, stop_gradient: bool) -> Tensor:
    """Minus the mean cross-entropy of two log-distributions ``(B, K)``."""
    weights = target.detach().exp() if stop_gradient else target.exp()
    return (weights * predicted.clamp_min(LOG_FLOOR)).sum(-1).mean()


def log_marginal(logits: Tensor, queue: Tensor | None = None) -> Tensor:
    """The batch's log distribution over symbols, ``log mean_i p(y|x_i)``.

    Computed as ``logsumexp_i log p(y|x_i) - log B``: ``log(mean(softmax))`` is ``-inf``, and its
    gradient NaN, as soon as no image is given a symbol.

    Args:
        logits: ``(B, K)``.
        queue: Log-probabilities of earlier images, ``(Q, K)``, without gradient. A batch's
            marginal is biased by about ``(K - 1) / 2B`` nats, and with ``B < K`` it fights
            confident predictions; a queue lowers both.

    Returns:
        ``(K,)`` log-probabilities that sum to one.
    """
    rows = log_probs(logits)
    if queue is not None:
        rows = torch.cat([rows, queue.detach().to(rows)])
    return torch.logsumexp(rows, dim=0) - math.log(rows.shape[0])


def prior(
    logits: Tensor,
    target: Tensor | None = None,
    queue: Tensor | None = None,
    *,
    convention: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """The prior term ``L_PRIOR = -CE(target, mean_i p(y|x_i))``.

    This is the *mean convention*: with a uniform target the K terms ``log marginal_y`` are
    averaged and the maximum is ``-log K``, reached by balanced predictions. The authors' code
    *sums* the K terms, so their weight ``w`` is weight ``K * w`` here (their 1 is 10 here for ten
    symbols); it also divides logits by 0.1, which is :class:`SymbolModel`'s ``temperature``.

    Args:
        logits: ``(B, K)``.
        target: Expected share of each symbol, ``(K,)``, summing to one; uniform if ``None``.
        queue: Log-probabilities of earlier images, ``(Q, K)``; see :func:`log_marginal`.
        convention: ``mean``, or ``sum``: K times as much.

    Returns:
        A scalar in nats, at most minus the target's entropy (K times that by ``sum``).
    """
    marginal = log_marginal(logits, queue)
    value = marginal.mean() if target is None else torch.dot(target.to(marginal), marginal)
    return value * len(marginal) if convention == "sum" else value


def contrastive(z_a: Tensor, z_b: Tensor, temperature: float) -> Tensor:
    """The invariance term on the embedding: InfoNCE between two views of each image.

    ``mean_i log [ exp(a_i.b_i / T) / sum_{v != a_i} exp(a_i.v / T) ]`` over both views, with ``v``
    running over all other views of the batch (NT-Xent; Chen et al., "A simple framework for
    contrastive learning of visual representations", 2020). It gives clusters a shape to follow
    before any symbol has a meaning.

    Args:
        z_a: Unit-norm projections of one view of each image, ``(B, D)``.
        z_b: Unit-norm projections of the other view, ``(B, D)``, in the same order.
        temperature: ``T`` above, positive.

    Returns:
        A scalar in nats, at most 0.
    """
    count = z_a.shape[0]
    views = torch.cat([z_a, z_b])
    similarity = (views @ views.T / temperature).fill_diagonal_(-math.inf)
    partner = torch.arange(2 * count, device=views.device).roll(count)
    return -functional.cross_entropy(similarity, partner)


def assignment(logits: Tensor, clusters: Tensor, doubt: float = 0.1) -> Tensor:
    """Self-labelling: ``-mean CE(t, p(y|x'))``, ``t`` the image's known cluster with some doubt.

    Invariance and prior are also content with a simpler partition than the one that clustering
    found (two interleaved moons cut by a line, say); this term holds on to the clusters found,
    and learns them on augmented views (in the manner of Van Gansbeke et al., "SCAN", 2020).

    Args:
        logits: Logits of views, ``(B, K)``.
        clusters: The cluster of each view's image, ``(B,)``.
        doubt: Share of ``t`` that is spread over all clusters, so that wrong ones can be left.

    Returns:
        A scalar in nats, below 0 unless ``doubt`` is 0.
    """
    return -functional.cross_entropy(logits, clusters, label_smoothing=doubt)
