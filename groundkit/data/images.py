"""A set of images (or points) with optional labels, and the scale that models see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.perception.pixels import to_model

Labels: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Attribute:
    """One labelling of images: their shape, or their colour.

    Attributes:
        labels: ``(N,)`` indices into ``classes``.
        classes: Names of the labels.
    """

    labels: Labels
    classes: tuple[str, ...]


@dataclass(frozen=True)
class ImageSet:
    """Images with optional labels.

    Attributes:
        name: The name of the data set, for messages.
        pixels: ``(N, C, H, W)`` bytes, or floats in [-1, 1] for points.
        labels: ``(N,)`` indices into ``classes``, or ``None`` where nothing is known.
        classes: Names of the labels.
        attributes: Further labellings of the same images, by name.
    """

    name: str
    pixels: Tensor
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, ``(C, H, W)``."""
        return tuple(self.pixels.shape[1:])

    def floats(self, indices: Tensor | NDArray[np.int64] | slice | None = None) -> Tensor:
        """Returns images in the models' range, ``(n, C, H, W)`` float32 in [-1, 1]."""
        chosen = self.pixels if indices is None else self.pixels[indices]
        return to_model(chosen)

    def subset(self, indices: NDArray[np.int64] | Sequence[int]) -> ImageSet:
        """Returns the images at ``indices``, with their labels."""
        where = np.asarray(indices, dtype=np.int64)
        labels = None if self.labels is None else self.labels[where]
        return ImageSet(self.name, self.pixels[torch.from_numpy(where)], labels, self.classes)


@dataclass(frozen=True)
class DataSource:
    """A data set with its fixed split."""

    name: str
    train: ImageSet
    test: ImageSet

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.train.classes


def match_shape(images: ImageSet, shape: Sequence[int]) -> ImageSet:
    """Resizes images and converts their colours to another set's shape.

    Args:
        images: Bytes ``(N, C, H, W)``.
        shape: The wanted ``(C, H, W)``.
    """
    if images.shape == tuple(shape) or len(shape) != 3:
        return images
    channels, height, width = shape
    pixels = images.pixels.float()
    if pixels.shape[1] != channels:
        grey = pixels.mean(dim=1, keepdim=True)
        pixels = grey.expand(-1, channels, -1, -1)
    if pixels.shape[2:] != (height, width):
        pixels = torch.nn.functional.interpolate(
            pixels, (height, width), mode="bilinear", antialias=True
        )
    return ImageSet(
        images.name, pixels.round().clamp(0, 255).to(torch.uint8), images.labels, images.classes
    )


def labelling(images: ImageSet, domain: Sequence[str], wanted: str | None = None) -> Attribute:
    """Finds the labelling that a network's symbols are from."""
    known = dict(images.attributes)
    if wanted is not None:
        return known[wanted]
    if images.labels is not None:
        return Attribute(images.labels, images.classes)
    fitting = [one for one in known.values() if set(domain) <= set(one.classes)]
    return fitting[0]
