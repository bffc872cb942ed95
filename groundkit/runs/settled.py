"""What is left of a run's readings, and what would settle it, as numbers and in words."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundkit.runs.asked import Asked

_MANY = 3
"""Labels that do not fit, from which on it is the networks that are wrong."""


@dataclass(frozen=True)
class Settled:
    """What `suggest` and `label` say of a run.

    Attributes:
        run: The run's folder.
        maps: Number of readings left; ``None`` where that is not known.
        asked: Images whose labels leave one.
        accuracy: Network -> share of held-out images that are right, after labels.
        reason: Why nothing is known.
        mistaken: Labelled images that get a symbol which the other labels contradict.
        observe: What else would leave one grounding if it were observed: combinations of symbols,
            or another goal of the program.
        foreign: Labelled images that look like none of the training images.
        several: Whether a label has to say whose symbol it is.
    """

    run: Path
    maps: int | None
    asked: tuple[Asked, ...] = ()
    accuracy: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""
    mistaken: tuple[Asked, ...] = ()
    observe: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    several: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return {
            "maps": self.maps,
            "suggested": [one.to_dict() for one in self.asked],
            "accuracy": self.accuracy,
            "reason": self.reason,
            "mistaken": [one.to_dict() for one in self.mistaken],
            "observe": list(self.observe),
            "foreign": list(self.foreign),
        }

    def __str__(self) -> str:
        lines = [
            f"{name}: {share:.1%} of the held-out images get their symbol"
            for name, share in self.accuracy.items()
            if share is not None
        ]
        lines += [
            f"{one.image}: its label does not fit the others, by which {one.network} reads it as "
            f"{one.symbol}. Check them; if all are right, the network mistakes an image, and more "
            "labels tell which"
            for one in self.mistaken
        ]
        lines += [
            f"{image}: out of distribution, so that its label may say nothing of what the "
            "networks' symbols mean. Label an image like those of the training"
            for image in self.foreign
        ]
        if len(self.mistaken) >= _MANY:
            lines.append(
                f"{len(self.mistaken)} labels do not fit: the networks do not tell these symbols "
                "apart, which no label mends. Train on more examples, or for more steps"
            )
        if self.maps is None:
            return "\n".join([*lines, f"nothing to suggest: {self.reason}"])
        if self.maps == 1:
            return "\n".join([*lines, "one reading of the symbols is left: no label is needed"])
        lines.append(f"{self.maps:,} readings of the symbols are left")
        told = [f"or observe, for one grounding: {one}" for one in self.observe]
        if not self.asked:
            return "\n".join([*lines, "no image tells them apart", *told])
        lines.append("labels of these images leave one:")
        lines += [f"  {self.run / one.image} ({one.network})" for one in self.asked]
        return "\n".join([*lines, *told, *self._next()])

    def _next(self) -> list[str]:
        """Words the commands that take the labels up, one for the images of each network."""
        commands = []
        for network in dict.fromkeys(one.network for one in self.asked):
            option = f" --network {shlex.quote(network)}" if self.several else ""
            own = [self.run / one.image for one in self.asked if one.network == network]
            pairs = " ".join(f"{shlex.quote(str(image))} SYMBOL" for image in own)
            commands.append(f"next: groundkit label {shlex.quote(str(self.run))}{option} {pairs}")
        return commands
