"""The learnable probabilities ``t(...)`` of a program as parameters: one softmax a group."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from groundkit.program.probability import LearnableGroup

_SMALLEST_START = 1e-6


class LearnableGroups(nn.ParameterDict):
    """Logits of groups by name; they start at the program's probabilities.

    Args:
        groups: Groups by name.
    """

    def __init__(self, groups: Mapping[str, LearnableGroup]) -> None:
        super().__init__({name: nn.Parameter(_start(group)) for name, group in groups.items()})
        self.groups = dict(groups)

    def log_rows(self, name: str) -> Tensor:
        """Returns a group's log-probabilities: its heads, none of them, the fixed heads."""
        group = self.groups[name]
        free = torch.log_softmax(self[name], 0) + log(1.0 - group.fixed)
        if group.exhaustive:
            free = torch.cat([free, free.new_tensor([-math.inf])])
        return torch.cat([free, free.new_tensor([log(p) for p in group.other_probabilities])])

    def probabilities(self) -> dict[str, float]:
        """Returns the present value of every learnable probability, by its head."""
        found: dict[str, float] = {}
        for name, group in self.groups.items():
            values = self.log_rows(name).detach().exp().tolist()
            for head, value in zip(group.heads, values, strict=False):
                found[f"{head} (line {group.location.line})"] = value
        return found


def log(probability: float) -> float:
    """Returns the logarithm, minus infinity of 0."""
    return math.log(probability) if probability > 0 else -math.inf


def _start(group: LearnableGroup) -> Tensor:
    """Returns starting logits of a group: its heads, then "none" unless they are exhaustive."""
    free = max(1.0 - group.fixed, _SMALLEST_START)
    shares = [value / free for value in group.initial]
    if not group.exhaustive:
        shares.append(group.residual / free)
    logits = [math.log(max(share, _SMALLEST_START)) for share in shares]
    return torch.tensor(logits, dtype=torch.float64)
