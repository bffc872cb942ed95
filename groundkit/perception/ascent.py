"""Steps up an objective: AdamW on a rate that rises and falls, for one process or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from groundkit.perception.distributed import ProcessGroup


@dataclass(frozen=True, slots=True)
class PhaseSettings:
    """Size and rate of a phase.

    Attributes:
        steps: Number of steps.
        learning_rate: Peak rate of AdamW; it rises, then falls to zero over the steps.
        weight_decay: AdamW's.
    """

    steps: int
    learning_rate: float
    weight_decay: float = 1e-4


class Ascent:
    """The optimiser of a phase.

    A step is :meth:`begin`, :meth:`compute` and :meth:`climb` for every objective in turn, and
    :meth:`move`.

    Args:
        parts: The modules to train.
        settings: Size and rate.
        processes: The processes that train them together.
        within: The modules that the objectives run, where these are more than the ones to train.
    """

    def __init__(
        self,
        parts: Sequence[nn.Module],
        settings: PhaseSettings,
        processes: ProcessGroup,
        within: Sequence[nn.Module] | None = None,
    ) -> None:
        self._shared = processes.averaging(within or parts)
        self._parameters = list(dict.fromkeys(p for part in parts for p in part.parameters()))
        self.optimiser = torch.optim.AdamW(
            self._parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            settings.learning_rate,
            total_steps=max(settings.steps, 2),
            pct_start=0.15,
        )

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def begin(self) -> None:
        """Forgets the gradient of the step before."""
        self.optimiser.zero_grad()

    def compute(self, objective: Callable[[], Tensor]) -> Tensor:
        """Computes an objective whose gradient is to be that of all processes."""
        return self._shared(objective)

    def climb(self, objective: Tensor, norm: float, *, sound: bool = False) -> None:
        """Adds an objective's gradient to the step's and limits the norm of both together.

        Args:
            objective: What :meth:`compute` returned.
            norm: The largest norm.
            sound: Leave the gradient out if it is not finite. Nothing is read back for that, so
                the device need not wait.
        """
        if not objective.requires_grad:
            return
        torch.autograd.backward(-objective)
        found = nn.utils.clip_grad_norm_(self._parameters, norm)
        if sound:
            for parameter in self._parameters:
                if parameter.grad is not None:
                    parameter.grad = torch.where(found.isfinite(), parameter.grad, 0.0)

    def move(self) -> None:
        """Makes the step."""
        self.optimiser.step()

    def advance(self) -> None:
        """Moves the rate on by a step."""
        self._schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """State of optimiser and rate."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
