"""How often each symbol occurs among the images, under the program."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from groundkit.perception.learner import Learner
from groundkit.training.symbolic import SymbolicTerm


def posteriors(term: SymbolicTerm, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Probability of every symbol of every call, given the images and that the queries hold.

    ``P(query)`` is linear in the probabilities of each call, so ``d log P / d log p_s`` is the
    share of it in which the call holds ``s``; what of P does not depend on the call leaves its
    probabilities as they are.

    Args:
        term: Gives the exact likelihood of the examples.
        read: Network -> log-probabilities ``(m, S, K)`` of the examples.

    Returns:
        Network -> ``(m, S, K)``.
    """
    rows = {name: values.detach().clone().requires_grad_() for name, values in read.items()}
    with torch.enable_grad():
        total = term.reasoner.log_likelihood(rows, term.answers).sum()
        slopes = torch.autograd.grad(total, list(rows.values()), allow_unused=True)
    found = {}
    for (name, values), slope in zip(read.items(), slopes, strict=True):
        held = torch.zeros_like(values) if slope is None else torch.nan_to_num(slope).clamp(0, 1)
        free = (1 - held.sum(-1, keepdim=True)).clamp_min(0)
        found[name] = held + free * values.exp()
    return found


def shares_of_steps(
    term: SymbolicTerm | None, learners: Mapping[str, Learner], queried: int, pooled: int
) -> dict[str, Tensor]:
    """Shares of symbols among the images that a step shows to each network.

    Args:
        term: The program's part of training, ``None`` without one.
        learners: The networks by name.
        queried: Examples of a step.
        pooled: Images of a step beside those of its examples.

    Returns:
        Network -> ``(K,)``.
    """
    known = {} if term is None else posteriors(term, term.read(learners))
    found = {}
    for name, learner in learners.items():
        shares = learner.log_probs(learner.pool).double().exp().mean(0) * pooled
        count = float(pooled)
        if name in known:
            weight = queried * known[name].shape[1]
            shares, count = shares + weight * known[name].mean((0, 1)), count + weight
        found[name] = shares / count
    return found
