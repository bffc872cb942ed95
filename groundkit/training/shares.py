"""How often each symbol occurs among a step's images, under the program.

Shares are estimated twice: now and then from all examples as they are, where names have just been
searched and may have changed, and in between from the views of single steps, at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from groundkit.perception.learner import Learner
from groundkit.perception.phases import Views
from groundkit.perception.shares import EVERY, WHOLE_RATE
from groundkit.training.symbolic import SymbolicTerm

# Images of a pool that are read for an estimate, about.
_POOLED = 1000


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
    if step % EVERY != 1 or not wanted or not likelihood.requires_grad:
        return
    logits = [view for name in wanted for view in views[name]]
    slopes = torch.autograd.grad(likelihood, logits, retain_graph=True, allow_unused=True)
    for place, name in enumerate(wanted):
        both = [s.sum(0) for s in slopes[2 * place : 2 * place + 2] if s is not None]
        if both:
            learners[name].learn_shares(2 * examples * torch.stack(both).sum(0))


def estimate_shares(
    term: SymbolicTerm, learners: Mapping[str, Learner], *, examples: int, pooled: int
) -> None:
    """Moves the estimated shares to those of all examples and of the other images of a step.

    Args:
        term: The program's part of training.
        learners: The networks by name.
        examples: Examples of a step.
        pooled: Images of a step beside theirs.
    """
    wanted = [name for name in term.networks if learners[name].learns_shares]
    if not wanted or not len(term.answers):
        return
    known = posteriors(term, term.read(learners))
    for name in wanted:
        learner, calls = learners[name], known[name].shape[1]
        some = learner.pool[:: max(1, len(learner.pool) // _POOLED)]
        total = pooled * learner.log_probs(some).double().exp().mean(0)
        total = total + examples * calls * known[name].mean((0, 1)).to(total.device)
        found = learner.world.mean(total / (pooled + examples * calls))
        learner.shares.move(found.float(), WHOLE_RATE)


def posteriors(term: SymbolicTerm, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Probability of every symbol of every call, given the images and that the queries hold.

    Args:
        term: Gives the exact likelihood of the examples.
        read: Network -> log-probabilities ``(m, S, K)`` of the examples.

    Returns:
        Network -> ``(m, S, K)``; what no query tells anything of keeps its probabilities.
    """
    rows = {name: values.detach().clone().requires_grad_() for name, values in read.items()}
    with torch.enable_grad():
        total = term.reasoner.log_likelihood(rows, term.answers).sum()
        slopes = torch.autograd.grad(total, list(rows.values()), allow_unused=True)
    found = {}
    for (name, values), slope in zip(read.items(), slopes, strict=True):
        held = torch.zeros_like(values) if slope is None else torch.nan_to_num(slope).clamp(0, 1)
        # Where P does not depend on a call in some world, the call may show any symbol there.
        free = (1 - held.sum(-1, keepdim=True)).clamp_min(0)
        found[name] = held + free * values.exp()
    return found
