"""How often each symbol occurs among a step's images, under the program."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from groundkit.perception.learner import Learner
from groundkit.perception.phases import Views
from groundkit.perception.shares import EVERY


def learn_shares(
    likelihood: Tensor,
    views: Mapping[str, Views],
    learners: Mapping[str, Learner],
    *,
    examples: int,
    step: int,
) -> None:
    """Moves the estimated shares of every network that learns them.

    The likelihood is the mean of ``log P(query)`` over n examples in each of two views, and P is
    linear in the probabilities p of each call. So its slope in the logits of a call is
    ``(q - p) / 2n`` with q the probability of every symbol given the image *and* the query: added
    up over the calls of a step, these slopes say by how much the program corrects what the
    network sees.

    Args:
        likelihood: The mean log-likelihood of the step's queries, as a function of ``views``.
        views: Network -> logits of the queried images in both views.
        learners: The networks by name, each of which has just read the step's images.
        examples: Number n of examples.
        step: Steps so far; most are left out, since estimates change slowly.
    """
    wanted = [name for name in views if learners[name].learns_shares]
    if step % EVERY or not wanted or not likelihood.requires_grad:
        return
    logits = [view for name in wanted for view in views[name]]
    slopes = torch.autograd.grad(likelihood, logits, retain_graph=True, allow_unused=True)
    for place, name in enumerate(wanted):
        both = [s.sum(0) for s in slopes[2 * place : 2 * place + 2] if s is not None]
        if both:
            learners[name].learn_shares(2 * examples * torch.stack(both).sum(0))
