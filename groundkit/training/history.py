"""The rows that the search for names adds to a history, and how rows are read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundkit.perception.health import Health
from groundkit.perception.history import ClusterRow, RollbackRow, Row, StepRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameRow(Row):
    """What a search for names has found.

    Attributes:
        found: The finding as JSON-able values.
        words: The same in words.
    """

    found: Mapping[str, Any]
    words: str

    @property
    def accepted(self) -> bool:
        """Whether a symbol has another name now."""
        return bool(self.found["accepted"])

    def _values(self) -> dict[str, object]:
        return {"reground": dict(self.found), "words": self.words}


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow(Row):
    """A symbol that was never predicted has been given half of another's images.

    Attributes:
        network: The network.
        symbol: The symbol's place among the network's symbols.
        of: The place of the one that is halved.
        words: The same in words.
    """

    network: str
    symbol: int
    of: int
    words: str

    def _values(self) -> dict[str, object]:
        found = {"network": self.network, "symbol": self.symbol, "of": self.of}
        return {"split": found, "words": self.words}


def read_row(values: Mapping[str, Any]) -> Row:
    """Reads a row that ``to_dict`` has written.

    Raises:
        ValueError: It is of no known kind.
        KeyError: A part of it is missing.
    """
    same = {"step": values["step"], "seconds": values.get("seconds")}
    if values["phase"] == ClusterRow.phase:
        return ClusterRow(**same, network=values["network"], terms=values["terms"])
    if "reground" in values:
        return RenameRow(**same, found=values["reground"], words=values["words"])
    if "split" in values:
        return SplitRow(**same, **values["split"], words=values["words"])
    if "rollback" in values:
        return RollbackRow(**same, network=values["rollback"], step_size=values["step_size"])
    if "terms" in values:
        return StepRow(
            **same,
            terms=values["terms"],
            objective=values["objective"],
            health={name: Health.of(health) for name, health in values["health"].items()},
            learning_rate=values["learning_rate"],
        )
    raise ValueError(f"a row of no known kind, with the keys {', '.join(values)}")
