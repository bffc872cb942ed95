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
from groundkit.training.symbolic import Named, SymbolicTerm

# Images of a pool that are read for an estimate, about.
_POOLED = 1000


def learn_shares(
    likelihood: Tensor,
    views: Mapping[str, Views],
    learners: Mapping[str, Learner],
    *,
    examples: float,
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
    if not wanted or not term.searchable:
        return
    known = [posteriors(one) for one in term.read(learners) if len(one.answers)]
    for name in wanted:
        parts = [found[name] for found in known if name in found]
        if not parts:
            continue
        learner = learners[name]
        calls = sum(part.shape[0] * part.shape[1] for part in parts) / sum(map(len, parts))
        seen = torch.cat([part.flatten(0, 1) for part in parts]).mean(0)
        some = learner.pool[:: max(1, len(learner.pool) // _POOLED)]
        total = pooled * learner.log_probs(some).double().exp().mean(0)
        total = total + examples * calls * seen.to(total.device)
        found = learner.processes.mean(total / (pooled + examples * calls))
        learner.shares.move(found.float(), WHOLE_RATE)


def posteriors(read: Named) -> dict[str, Tensor]:
    """Probability of every symbol of every call, given the images and that the queries hold.

    Args:
        read: Log-probabilities ``(m, S, K)`` of examples of one shape, by network.

    Returns:
        Network -> ``(m, S, K)``; what no query tells anything of keeps its probabilities.
    """
    rows = {n: values.detach().clone().requires_grad_() for n, values in read.log_probs.items()}
    with torch.enable_grad():
        total = read.reasoner.log_likelihood(rows, read.answers).sum()
        slopes = torch.autograd.grad(total, list(rows.values()), allow_unused=True)
    found = {}
    for (name, values), slope in zip(read.log_probs.items(), slopes, strict=True):
        held = torch.zeros_like(values) if slope is None else torch.nan_to_num(slope).clamp(0, 1)
        # Where P does not depend on a call in some world, the call may show any symbol there.
        free = (1 - held.sum(-1, keepdim=True)).clamp_min(0)
        found[name] = held + free * values.exp()
    return found
