"""The learnable probabilities ``t(...)`` of a program as parameters: one softmax a group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from urllib.parse import quote

import torch
from torch import Tensor, nn

from groundkit.program.ground import LearnedSource
from groundkit.program.probability import LearnableGroup


def name_of(source: LearnedSource) -> str:
    """Names a group, or its case for some values of ``t(_, C)``, as a parameter may be called."""
    keys = "".join(f"({quote(key, safe='').replace('.', '%2E')})" for key in source.keys)
    return f"group{source.group}{keys}"


class LearnableGroups(nn.ParameterDict):
    """Logits of groups by name; they start at the program's probabilities, exactly.

    A probability of 0 or 1 is no logit: what starts impossible or certain stays so, and has no
    parameter.

    Args:
        groups: Groups by name.
        cases: For a name of a ``t(_, C)``, the values that it stands for.
    """

    def __init__(
        self,
        groups: Mapping[str, LearnableGroup],
        cases: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        shares = {name: _shares(group) for name, group in groups.items()}
        starts = {name: [log(p) for p in found if p > 0] for name, found in shares.items()}
        super().__init__(
            {
                name: nn.Parameter(torch.tensor(start, dtype=torch.float64))
                for name, start in starts.items()
            }
        )
        self.groups = dict(groups)
        self.cases = dict(cases or {})
        self._possible = {
            name: [k for k, share in enumerate(found) if share > 0]
            for name, found in shares.items()
        }

    def log_rows(self, name: str) -> Tensor:
        """Returns a group's log-probabilities: its heads, none of them, the fixed heads."""
        group = self.groups[name]
        given = torch.log_softmax(self[name], 0) + log(1.0 - group.fixed)
        free = given.new_full((len(group.heads) + 1,), -math.inf)
        free = free.index_copy(0, torch.tensor(self._possible[name], device=free.device), given)
        return torch.cat([free, free.new_tensor([log(p) for p in group.other_probabilities])])

    def probabilities(self) -> dict[str, float]:
        """Returns the present value of every learnable probability, by its head."""
        found: dict[str, float] = {}
        for name, group in self.groups.items():
            values = self.log_rows(name).detach().exp().tolist()
            shown = ", ".join(self.cases.get(name, ()))
            case = f" with {', '.join(group.keys)} = {shown}" if shown else ""
            for head, value in zip(group.heads, values, strict=False):
                found[f"{head} (line {group.location.line}){case}"] = value
        return found


def log(probability: float) -> float:
    """Returns the logarithm, minus infinity of 0."""
    return math.log(probability) if probability > 0 else -math.inf


def _shares(group: LearnableGroup) -> list[float]:
    """Returns what its heads and "none of them" take of the mass that is free to learn."""
    free = 1.0 - group.fixed
    none = 0.0 if group.exhaustive else group.residual
    return [value / free if free > 0 else 0.0 for value in (*group.initial, none)]
