"""What the drawn data sets share: a canvas with smooth edges, colours that vary, joint labels."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from groundkit.data.images import Attribute, DataSource, ImageSet

Colour: TypeAlias = tuple[int, int, int]
Points: TypeAlias = NDArray[np.float64]
Picture: TypeAlias = NDArray[np.uint8]
Rng: TypeAlias = np.random.Generator

_SCALE = 4  # drawn so much larger and reduced, for smooth edges
_TRAIN_SEED, _TEST_SEED = 1, 2


class Canvas:
    """A picture in the making; coordinates run from 0 to 1, x to the right, y downwards.

    Args:
        height: Pixels of the finished picture.
        width: The same.
        paper: Colour of the ground.
    """

    def __init__(self, height: int, width: int, paper: Colour) -> None:
        self._size = (width, height)
        self._large = (width * _SCALE, height * _SCALE)
        self._image = Image.new("RGB", self._large, paper)
        self._draw = ImageDraw.Draw(self._image)

    def _places(self, points: Points) -> list[tuple[float, float]]:
        return [(x * self._large[0], y * self._large[1]) for x, y in points.tolist()]

    def polygon(self, points: Points, fill: Colour) -> None:
        """Fills a polygon of ``(n, 2)`` corners."""
        self._draw.polygon(self._places(points), fill)

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """Fills a circle; the radius is a share of the width."""
        (x, y), far = self._places(np.array([[x, y]]))[0], radius * self._large[0]
        self._draw.ellipse((x - far, y - far, x + far, y + far), fill)

    def stroke(self, points: Points, thickness: float, fill: Colour) -> None:
        """Draws a line through ``(n, 2)`` points with a round pen; thickness as for a radius."""
        places, far = self._places(points), thickness * self._large[0] / 2
        self._draw.line(places, fill, width=max(1, round(2 * far)), joint="curve")
        for x, y in (places[0], places[-1]):
            self._draw.ellipse((x - far, y - far, x + far, y + far), fill)

    def finish(self, rng: Rng, noise: float) -> Picture:
        """Reduces the picture and adds noise of a standard deviation in bytes: ``(H, W, 3)``."""
        small = np.asarray(self._image.resize(self._size, Image.Resampling.BOX), dtype=np.float32)
        noisy = small + rng.normal(0.0, noise, small.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def turned(points: Points, degrees: float, scale: float, x: float, y: float) -> Points:
    """Turns and scales points about the origin, then moves them to ``(x, y)``."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    found: Points = points @ rotation * scale + np.array([x, y])
    return found


def colour(rng: Rng, hue: float, saturation: float, value: float, spread: float = 1.0) -> Colour:
    """Draws a colour near one of the given hue (in degrees), saturation and value (in [0, 1])."""
    h = (hue + rng.uniform(-9, 9) * spread) / 360.0 % 1.0
    s = float(np.clip(saturation + rng.uniform(-0.12, 0.12) * spread, 0, 1))
    v = float(np.clip(value + rng.uniform(-0.12, 0.12) * spread, 0, 1))
    red, green, blue = colorsys.hsv_to_rgb(h, s, v)
    return round(red * 255), round(green * 255), round(blue * 255)


def grey(rng: Rng, low: float, high: float) -> Colour:
    """Draws a grey with a slight tint; bounds in bytes."""
    base = rng.uniform(low, high)
    red, green, blue = (round(float(np.clip(base + rng.uniform(-8, 8), 0, 255))) for _ in range(3))
    return red, green, blue


@dataclass(frozen=True, eq=False)
class Plan:
    """What a drawn data set shows.

    Attributes:
        name: Name of the set.
        concepts: Attribute -> its classes.
        draw: Draws one picture ``(H, W)`` or ``(H, W, 3)`` of one class of each attribute.
        train: Number of training images.
        test: Number of test images.
        primary: The attribute whose classes are also the images' primary labels, if there is one.
        possible: Which combinations of classes there are; all of them by default.
    """

    name: str
    concepts: Mapping[str, tuple[str, ...]]
    draw: Callable[[Rng, Mapping[str, str]], Picture]
    train: int
    test: int
    primary: str | None = None
    possible: Callable[[Mapping[str, str]], bool] = lambda shown: True

    def combinations(self) -> list[dict[str, str]]:
        """Lists the combinations of classes that there are."""
        joint = itertools.product(*self.concepts.values())
        shown = [dict(zip(self.concepts, classes, strict=True)) for classes in joint]
        return [one for one in shown if self.possible(one)]

    def source(self) -> DataSource:
        """Draws training and test images, each from a seed of its own."""
        return DataSource(
            self.name, self.images(self.train, _TRAIN_SEED), self.images(self.test, _TEST_SEED)
        )

    def images(self, count: int, seed: int) -> ImageSet:
        """Draws a number of images; combinations take turns, in random order."""
        rng = np.random.default_rng(seed)
        joint = self.combinations()
        shown = [joint[i] for i in rng.permutation(np.arange(count) % len(joint))]
        pixels = np.stack([self.draw(rng, one) for one in shown])
        pixels = pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, -1, 1)
        attributes = {
            name: Attribute(_positions([one[name] for one in shown], classes), classes)
            for name, classes in self.concepts.items()
        }
        first = None if self.primary is None else attributes[self.primary]
        return ImageSet(
            self.name,
            torch.from_numpy(np.ascontiguousarray(pixels)),
            None if first is None else first.labels,
            () if first is None else first.classes,
            attributes if len(attributes) > 1 else {},
        )


def _positions(names: Sequence[str], classes: tuple[str, ...]) -> NDArray[np.int64]:
    place = {name: position for position, name in enumerate(classes)}
    return np.array([place[name] for name in names], dtype=np.int64)
