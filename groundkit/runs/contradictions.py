"""Examples that a trained run contradicts: wrong rows of a table, or images read wrongly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundkit.runs.ambiguity import ReadExamples

UNLIKELY = 0.05
"""A row counts as contradicted when its query is less likely than this."""
_KEPT = 100


@dataclass(frozen=True)
class Row:
    """An example with what the trained networks make of it.

    Attributes:
        log_prob: log P(query).
        split: ``training`` or ``held out``.
        place: File and line; ``None`` where the example was drawn.
        given: What was observed, in words.
        read: What the images look like, in words.
    """

    log_prob: float
    split: str
    place: str | None
    given: str
    read: str

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON-able values."""
        return {
            "log_prob": round(self.log_prob, 4),
            "split": self.split,
            "place": self.place,
            "given": self.given,
            "read": self.read,
        }


def contradicted(shapes: Sequence[Sequence[ReadExamples]]) -> dict[str, Any]:
    """Ranks the examples of a run by how unlikely the trained networks find them.

    Args:
        shapes: The examples of training and those held out, as the networks read them.

    Returns:
        ``count`` of contradicted rows among ``n``; ``typical``, the median probability of a row;
        and ``rows``, the least likely ones first.
    """
    found: list[tuple[float, str, ReadExamples, int]] = []
    for split, parts in zip(("training", "held out"), shapes, strict=True):
        for part in parts:
            logs = part.likelihood(None).double().clamp_min(-1e4).tolist()
            found += [(value, split, part, number) for number, value in enumerate(logs)]
    found.sort(key=lambda one: one[0])
    if not found:
        return {"count": 0, "n": 0, "typical": None, "rows": []}
    unlikely = sum(value < math.log(UNLIKELY) for value, *_ in found)
    rows = [_row(*one).to_dict() for one in found[: min(_KEPT, unlikely)]]
    typical = math.exp(found[len(found) // 2][0])
    return {"count": unlikely, "n": len(found), "typical": typical, "rows": rows}


def _row(log_prob: float, split: str, part: ReadExamples, number: int) -> Row:
    examples, domains = part.shaped.examples, part.shaped.goal.roles.domains
    at = examples.place(number)
    given = ", ".join(f"{name} = {values[number]}" for name, values in examples.symbols.items())
    if examples.targets is not None and examples.targets[number] < 1:
        given = f"{given} (holds with probability {examples.targets[number]:g})".strip()
    read = ", ".join(
        f"{name} = {domains[network][int(own[number].argmax())]}"
        for name, (_, logs) in part.logs.items()
        for network, own in logs.items()
    )
    return Row(log_prob, split, None if at is None else str(at), given, read)
