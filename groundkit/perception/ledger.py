"""The values of training's steps, kept on the device and read some steps later."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from groundkit.errors import RunError
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.health import Health, diagnose
from groundkit.perception.history import StepRow
from groundkit.perception.readback import Readback
from groundkit.perception.terms import Term


@dataclass(frozen=True, slots=True)
class _Record:
    """Values of a step: those of its terms by name, and the objective's last."""

    step: int
    names: tuple[str, ...]
    values: Tensor


@dataclass(frozen=True, slots=True)
class _Report:
    """Values of the last steps on their way to the host, and what the last one's health is of.

    ``before`` are those of terms of earlier steps that have been read already.
    """

    before: Mapping[str, float]
    records: tuple[_Record, ...]
    values: Readback
    health: Mapping[str, tuple[Readback, ...]]
    learning_rate: float


class Ledger:
    """Keeps what every step has computed, and reads it so that no device waits for the host.

    Args:
        processes: The processes that train together; a value is their mean.
    """

    def __init__(self, processes: ProcessGroup) -> None:
        self._processes = processes
        self._records: list[_Record] = []
        self._before: dict[str, float] = {}
        self._report: _Report | None = None

    def add(self, step: int, terms: Sequence[Term], objective: Tensor) -> None:
        """Keeps the values of a step's terms and of its objective."""
        numbers = [*(term.value for term in terms), objective]
        stacked = [number.detach().double().to(objective.device) for number in numbers]
        names = tuple(term.name for term in terms)
        self._records.append(_Record(step, names, torch.stack(stacked)))

    def send(self, health: Mapping[str, Sequence[Tensor]], learning_rate: float) -> None:
        """Sends what was kept to the host; :meth:`row` has it a step later.

        Args:
            health: Network -> logits of two views, an embedding, and the logits of data and of
                samples where there are any, for :func:`~groundkit.perception.health.diagnose`.
            learning_rate: The rate of the last step.
        """
        parts = {name: tuple(Readback(part) for part in given) for name, given in health.items()}
        values = Readback(self._means())
        self._report = _Report(self._before, tuple(self._records), values, parts, learning_rate)
        self._records.clear()
        self._before = {}

    @property
    def due(self) -> bool:
        """Whether a row has not been read yet."""
        return self._report is not None

    def row(self) -> StepRow:
        """Returns the row of the step after which values were sent last; to be called when due.

        A term that this step did not have, as one of every fourth step may, has its value of the
        last step that had it, if one had since the row before.

        Raises:
            RunError: The objective of a step was not a finite number.
        """
        report, self._report = self._report, None
        assert report is not None  # the caller asks only when one is due
        values = report.values.read().tolist()
        last = report.records[-1]
        seen = {**report.before, **_terms(report.records, values)}
        return StepRow(
            step=last.step,
            terms={name: seen[name] for name in dict.fromkeys((*last.names, *seen))},
            objective=values[-1],
            health={
                name: _diagnosed([part.read() for part in parts])
                for name, parts in report.health.items()
            },
            learning_rate=report.learning_rate,
        )

    def check(self) -> None:
        """Reads what was kept since values were sent last.

        Raises:
            RunError: The objective of a step was not a finite number.
        """
        if self._records:
            self._before |= _terms(self._records, self._means().tolist())
            self._records.clear()

    def forget(self) -> None:
        """Lets go of all values: training has gone back to before them."""
        self._records.clear()
        self._before = {}
        self._report = None

    def state_dict(self) -> dict[str, float]:
        """What is read of the steps since the last row; to be called after :meth:`check`."""
        return dict(self._before)

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self._before = dict(state)

    def _means(self) -> Tensor:
        """All values that are kept, one after the other, as means over the processes."""
        return self._processes.mean(torch.cat([record.values for record in self._records]))


def _diagnosed(parts: Sequence[Tensor]) -> Health:
    """Diagnoses two views, an embedding, and the energies of data and samples if there are any."""
    first, second, embedding, *energies = parts
    return diagnose(first, second, embedding, (energies[0], energies[1]) if energies else None)


def _terms(records: Sequence[_Record], values: Sequence[float]) -> dict[str, float]:
    """Returns the last value of every term.

    Raises:
        RunError: The objective of a step was not a finite number: the first such step is named.
    """
    seen: dict[str, float] = {}
    start = 0
    for record in records:
        end = start + len(record.names)
        terms = dict(zip(record.names, values[start:end], strict=True))
        if not math.isfinite(values[end]):
            found = ", ".join(f"{name} {value:g}" for name, value in terms.items())
            raise RunError(
                f"the objective is not a finite number at step {record.step}: {found}",
                remedy="lower train.learning_rate",
            )
        seen |= terms
        start = end + 1
    return seen
