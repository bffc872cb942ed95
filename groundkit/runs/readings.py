"""What networks predict, read under another meaning of their symbols.

Networks that read the same images are read together: a reading moves the joint symbols of an
image. What is asked of a single network afterwards is the marginal of the joint prediction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from groundkit.identifiability.images import members
from groundkit.identifiability.posterior import FloatArray

Logs = Mapping[str, Tensor]
"""Network -> (N, K) log-probabilities of the same images."""


def reread(logs: Logs, group: str, meant: Sequence[int]) -> dict[str, Tensor]:
    """Reads predictions as a map of symbols says.

    Args:
        logs: The predictions of all networks of the group.
        group: The name of one network, or of several that read the same images.
        meant: What every (joint) predicted symbol stands for.

    Returns:
        Network -> (N, K).
    """
    networks = members(group)
    order = torch.as_tensor(np.argsort(np.asarray(meant)))
    joined = _joint(logs, networks)
    moved = joined[:, order.to(joined.device)]
    return _marginals(moved, logs, networks)


def average(logs: Logs, group: str, meanings: FloatArray) -> dict[str, Tensor]:
    """Reads predictions under all readings at once.

    Args:
        logs: The predictions of all networks of the group.
        group: Its name.
        meanings: ``(K, K)`` probability that predicted symbol k stands for symbol s.

    Returns:
        Network -> (N, K) log-probabilities.
    """
    return _marginals(joint_average(logs, group, meanings).log(), logs, members(group))


def joint_average(logs: Logs, group: str, meanings: FloatArray) -> Tensor:
    """Returns (N, K) probabilities of the (joint) symbols under all readings at once.

    Args:
        logs: The predictions of all networks of the group.
        group: Its name.
        meanings: ``(K, K)`` probability that predicted symbol k stands for symbol s.
    """
    joined = _joint(logs, members(group)).double()
    return joined.exp() @ torch.as_tensor(meanings, device=joined.device)


def joint_symbols(logs: Logs, group: str) -> Tensor:
    """Returns (N,) the most probable (joint) symbol of every image."""
    return _joint(logs, members(group)).argmax(1)


def joint_certainty(logs: Logs, group: str) -> Tensor:
    """Returns (N, K) log-probabilities of the (joint) symbols of every image."""
    return _joint(logs, members(group))


def _joint(logs: Logs, networks: Sequence[str]) -> Tensor:
    joined = logs[networks[0]]
    for name in networks[1:]:
        joined = (joined[:, :, None] + logs[name][:, None, :]).flatten(1)
    return joined


def _marginals(joined: Tensor, logs: Logs, networks: Sequence[str]) -> dict[str, Tensor]:
    if len(networks) == 1:
        return {networks[0]: joined}
    table = joined.reshape(len(joined), *(logs[name].shape[1] for name in networks))
    found = {}
    for axis, name in enumerate(networks):
        others = [place + 1 for place in range(len(networks)) if place != axis]
        found[name] = torch.logsumexp(table, others)
    return found


def mixed_likelihood(likelihood: Tensor, errors: float, answers: int) -> float:
    """Sums log-likelihoods of examples of which some are misread.

    Args:
        likelihood: ``(N,)`` log P(query).
        errors: Share of examples that say nothing, being misread: their answer is any.
        answers: Number of answers.
    """
    chance = likelihood.double().exp() * (1 - errors) + errors / max(answers, 2)
    return math.fsum(chance.log().tolist())
