"""Rollback: training that diverges goes back to its last good state, by itself."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from groundkit.perception.health import GAP_CEILING


class Stateful(Protocol):
    """Whatever can be saved and set back: a module, an optimiser, a schedule, a buffer."""

    def state_dict(self) -> Any:
        """Its state."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Sets it back."""


class DivergenceWatch:
    """Says when the generative term has run away.

    Args:
        ceiling: Largest absolute energy gap in nats that counts as sound.
        patience: Number of gaps in a row beyond the ceiling that count as divergence; a value
            that is not finite counts at once.
    """

    def __init__(self, ceiling: float = GAP_CEILING, patience: int = 5) -> None:
        self.ceiling = ceiling
        self._recent: deque[bool] = deque(maxlen=patience)

    def update(self, gap: float) -> bool:
        """Takes the next energy gap; returns whether training has diverged."""
        if not math.isfinite(gap):
            return True
        self._recent.append(abs(gap) > self.ceiling)
        return len(self._recent) == self._recent.maxlen and all(self._recent)

    @property
    def suspicious(self) -> bool:
        """Whether the latest gap was beyond the ceiling: no state to go back to."""
        return bool(self._recent) and self._recent[-1]

    @property
    def state(self) -> list[bool]:
        """Whether each of the latest gaps was beyond the ceiling."""
        return list(self._recent)

    @state.setter
    def state(self, recent: Sequence[bool]) -> None:
        self._recent = deque(recent, maxlen=self._recent.maxlen)

    def reset(self) -> None:
        """Forgets what it saw; call after a rollback."""
        self._recent.clear()


class Safeguard:
    """Keeps copies of good states and goes back to one when the energy diverges.

    Two copies are kept and the older one is restored: the newer may have been taken when the
    divergence had begun but did not show yet.

    Args:
        parts: What is copied and restored together.
        interval: Updates between copies.
        watch: Decides what counts as divergence.
    """

    def __init__(
        self, parts: Sequence[Stateful], interval: int = 25, watch: DivergenceWatch | None = None
    ) -> None:
        self.parts = tuple(parts)
        self.interval = interval
        self.watch = watch or DivergenceWatch()
        self.rollbacks = 0
        self.renew()

    def renew(self) -> None:
        """Takes the present state for a good one and forgets the others.

        To be called when the parts were changed otherwise than by training, which a rollback would
        undo: symbols that start from clusters, or get other names.
        """
        self._copies: deque[list[Any]] = deque([self._copy()], maxlen=2)
        self._since_copy = 0

    def update(self, gap: float) -> bool:
        """Takes the energy gap of a generative step; call before the optimiser uses it.

        Args:
            gap: ``mean E(model sample) - mean E(data)``, in nats.

        Returns:
            Whether it rolled back. The caller then skips this step, and lowers the sampler's step
            or the learning rate: from the same state the same settings would diverge again.
        """
        if self.watch.update(gap):
            self._restore()
            return True
        self._since_copy += 1
        if self._since_copy >= self.interval and not self.watch.suspicious:
            self._copies.append(self._copy())
            self._since_copy = 0
        return False

    def state_dict(self) -> dict[str, Any]:
        """Its copies and counters, from which a resumed run goes on as if it had not stopped."""
        return {
            "copies": list(self._copies),
            "since_copy": self._since_copy,
            "rollbacks": self.rollbacks,
            "recent": self.watch.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self._copies = deque(state["copies"], maxlen=2)
        self._since_copy = state["since_copy"]
        self.rollbacks = state["rollbacks"]
        self.watch.state = state["recent"]

    def _copy(self) -> list[Any]:
        return [copy.deepcopy(part.state_dict()) for part in self.parts]

    def _restore(self) -> None:
        oldest = self._copies[0]
        for part, state in zip(self.parts, oldest, strict=True):
            part.load_state_dict(copy.deepcopy(state))
        self._copies = deque([oldest], maxlen=2)
        self._since_copy = 0
        self.watch.reset()
        self.rollbacks += 1
