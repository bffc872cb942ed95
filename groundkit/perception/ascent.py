"""Steps up an objective: AdamW on a rate that rises and falls, or the user's own optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau

from groundkit.errors import NetworkError
from groundkit.perception.distributed import ProcessGroup

OptimiserFactory: TypeAlias = Callable[[Iterable[nn.Parameter]], Optimizer]
"""Makes an optimiser of parameters, as ``functools.partial(torch.optim.SGD, lr=0.1)`` does."""
SchedulerFactory: TypeAlias = Callable[[Optimizer, int], LRScheduler]
"""Makes a scheduler of an optimiser and the phase's number of steps."""


@dataclass(frozen=True, slots=True)
class Factories:
    """The user's own optimiser and scheduler; each phase of training makes its own.

    Attributes:
        optimiser: In place of AdamW at the spec's rate and weight decay.
        scheduler: In place of a rate that rises and falls; without it an own optimiser keeps the
            rate that it has.
    """

    optimiser: OptimiserFactory | None = None
    scheduler: SchedulerFactory | None = None

    def make(
        self, parameters: list[nn.Parameter], settings: PhaseSettings
    ) -> tuple[Optimizer, LRScheduler | None]:
        """Makes both for a phase.

        Raises:
            NetworkError: What was made is no optimiser, or no scheduler that needs no measure.
        """
        rate, steps = settings.learning_rate, max(settings.steps, 2)
        if self.optimiser is None:
            decay = settings.weight_decay
            optimiser: Any = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
        else:
            optimiser = self.optimiser(parameters)
        if not isinstance(optimiser, Optimizer):
            raise NetworkError(
                f"the optimiser's factory makes a {type(optimiser).__name__}",
                expected="a torch.optim.Optimizer of the parameters that it is given",
                remedy="for instance functools.partial(torch.optim.SGD, lr=0.1)",
            )
        if self.scheduler is None:
            own = self.optimiser is not None
            return optimiser, (
                None if own else OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
            )
        scheduler: Any = self.scheduler(optimiser, steps)
        if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
            raise NetworkError(
                f"the scheduler's factory makes a {type(scheduler).__name__}",
                expected="a torch.optim.lr_scheduler.LRScheduler that steps without a measure",
                remedy="for instance lambda optimiser, steps: "
                "torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)",
            )
        return optimiser, scheduler


@dataclass(frozen=True, slots=True)
class PhaseSettings:
    """Size and rate of a phase.

    Attributes:
        steps: Number of steps.
        learning_rate: Peak rate of AdamW; it rises, then falls to zero over the steps.
        weight_decay: AdamW's.
        factories: The user's own optimiser and scheduler.
    """

    steps: int
    learning_rate: float
    weight_decay: float = 1e-4
    factories: Factories = Factories()


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
        self.optimiser, self._schedule = settings.factories.make(self._parameters, settings)

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimiser.param_groups[0]["lr"])

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
        if self._schedule is not None:
            self._schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """State of optimiser and rate."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "schedule": None if self._schedule is None else self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.optimiser.load_state_dict(state["optimiser"])
        if self._schedule is not None:
            self._schedule.load_state_dict(state["schedule"])
