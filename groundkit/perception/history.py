"""Rows of a training's history: a class for each kind of thing that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from groundkit.perception.health import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What all rows have.

    Attributes:
        step: Steps of the phase so far.
        seconds: Seconds since training began, where a run keeps the row.
    """

    phase: ClassVar[str] = "joint"

    step: int
    seconds: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Returns the row as JSON-able values, a line of ``history.jsonl``."""
        row = {"phase": self.phase, "step": self.step} | self._values()
        return row if self.seconds is None else row | {"seconds": self.seconds}

    def _values(self) -> dict[str, object]:
        """What this kind of row has beside."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow(Row):
    """A step of the clustering phase.

    Attributes:
        network: The network.
        terms: Term -> its value.
    """

    phase: ClassVar[str] = "cluster"

    network: str
    terms: Mapping[str, float]

    def _values(self) -> dict[str, object]:
        return {"network": self.network, "terms": dict(self.terms)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow(Row):
    """A step of joint training.

    Attributes:
        terms: Term -> its value, unweighted.
        objective: The terms' weighted sum.
        health: Network -> its health.
        learning_rate: The rate of the step.
    """

    terms: Mapping[str, float]
    objective: float
    health: Mapping[str, Health]
    learning_rate: float

    def _values(self) -> dict[str, object]:
        return {
            "terms": dict(self.terms),
            "objective": self.objective,
            "health": {name: health.to_dict() for name, health in self.health.items()},
            "learning_rate": self.learning_rate,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRow(Row):
    """A return to the last good state.

    Attributes:
        network: The network whose energy diverged.
        step_size: Its sampler's step from here on.
    """

    network: str
    step_size: float

    @property
    def words(self) -> str:
        """What happened."""
        return f"the energy of {self.network} diverged; went back to the last good state"

    def _values(self) -> dict[str, object]:
        return {"rollback": self.network, "step_size": self.step_size}
