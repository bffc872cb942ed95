"""The images of a task: one bank a group of networks, put together from all queries' sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from groundkit.data.examples import UNKNOWN, Indices
from groundkit.data.images import ImageSet
from groundkit.task.shaped import ShapedExamples

Group = tuple[str, ...]
"""Networks that read the same images."""


@dataclass
class Gathered:
    """Examples of one split whose images still stand in parts, one for each source.

    Attributes:
        groups: The groups of networks.
        parts: Group -> source -> network -> its images.
        examples: Shaped examples with the source that their images are of.
        whole: Sources all of whose images join the pool.
    """

    groups: Sequence[Group]
    parts: dict[Group, dict[str, dict[str, ImageSet]]] = field(default_factory=dict)
    examples: list[tuple[str, ShapedExamples]] = field(default_factory=list)
    whole: set[str] = field(default_factory=set)

    def add(self, group: Group, source: str, images: Mapping[str, ImageSet]) -> None:
        """Adds the images that a group has of one source, once."""
        self.parts.setdefault(group, {}).setdefault(source, dict(images))

    def finish(self) -> Split:
        """Joins the parts of every group into one bank."""
        banks: dict[str, ImageSet] = {}
        starts: dict[tuple[str, str], int] = {}
        pooled: dict[str, list[Indices]] = {}
        for group, parts in self.parts.items():
            for network in group:
                own = [sets[network] for sets in parts.values()]
                banks[network] = own[0] if len(own) == 1 else _joined(own)
                start = 0
                for source, part in zip(parts, own, strict=True):
                    starts[network, source] = start
                    if source in self.whole:
                        pooled.setdefault(network, []).append(np.arange(start, start + len(part)))
                    start += len(part)
        examples = []
        for source, shaped in self.examples:
            readers = shaped.goal.roles.images
            images = {
                name: rows + starts[readers[name][0], source]
                for name, rows in shaped.examples.images.items()
            }
            moved = replace(shaped, examples=replace(shaped.examples, images=images, banks=banks))
            examples.append(moved)
            for name, rows in images.items():
                for network in readers[name]:
                    pooled.setdefault(network, []).append(rows)
        found = {name: np.unique(np.concatenate(rows)) for name, rows in pooled.items()}
        kept = {name: rows for name, rows in found.items() if len(rows) < len(banks[name])}
        return Split(tuple(examples), banks, kept)


@dataclass(frozen=True)
class Split:
    """Examples and images of training, or of evaluation.

    Attributes:
        examples: The examples by shape.
        banks: Network -> the images that they point into.
        pooled: Network -> the sorted places in its bank that its pool consists of, for those that
            do not take all.
    """

    examples: tuple[ShapedExamples, ...]
    banks: dict[str, ImageSet]
    pooled: dict[str, Indices]


def _joined(parts: Sequence[ImageSet]) -> ImageSet:
    """Joins sets of images of one network."""
    labels = [
        np.full(len(part), UNKNOWN, dtype=np.int64) if part.labels is None else part.labels
        for part in parts
    ]
    known = any(part.labels is not None for part in parts)
    classes = next((part.classes for part in parts if part.classes), ())
    return ImageSet(
        ", ".join(part.name for part in parts),
        torch.cat([part.pixels for part in parts]),
        np.concatenate(labels) if known else None,
        classes,
        assumed=tuple(dict.fromkeys(words for part in parts for words in part.assumed)),
        levels={kind: one for part in reversed(parts) for kind, one in part.levels.items()},
    )
