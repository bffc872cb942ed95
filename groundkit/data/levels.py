"""One way from any array of images to the models' range, and what it took for granted, in words.

Which values are black and which are white is decided over all images of a set together, never
image by image: a dark image among bright ones stays dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.errors import DataError, Location
from groundkit.report.words import counted

Order: TypeAlias = Literal["NCHW", "NHWC"]
CHANNELS = {1: "grey", 2: "grey and opacity", 3: "red, green, blue", 4: "colour and opacity"}
_DARK = 64
_CHUNK = 1 << 22
_SLACK = 1e-6


@dataclass(frozen=True)
class Levels:
    """Which values are black and white.

    Attributes:
        black: The value of black.
        white: The value of white.
        assumed: What was taken for granted, in words; empty where the type says it all.
    """

    black: float
    white: float
    assumed: str = ""

    def check(self, low: float, high: float, what: str, at: Location | None = None) -> None:
        """Refuses values that lie outside of them.

        Raises:
            DataError: They do.
        """
        if low < self.black - _SLACK or high > self.white + _SLACK:
            raise DataError(
                f"{what}: pixels run from {low:.6} to {high:.6}",
                expected=f"{self.black:g} for black to {self.white:g} for white, as in training",
                at=at,
            )

    def to_unit(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Scales values to [0, 1], black to 0 and white to 1."""
        scaled: NDArray[np.float32] = values.astype(np.float32)
        scaled = (scaled - np.float32(self.black)) / np.float32(self.white - self.black)
        return np.clip(scaled, np.float32(0), np.float32(1))

    def to_bytes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Scales values to bytes, a part at a time so that large sets need little beside them."""
        if values.dtype == np.uint8 and (self.black, self.white) == (0.0, 255.0):
            return np.require(values, requirements=["C", "W"])  # torch writes to what it is given
        found = np.empty(values.shape, dtype=np.uint8)
        for part in _parts(values):
            found[part] = np.rint(self.to_unit(values[part]) * 255.0)
        return found


@dataclass(frozen=True)
class Taken:
    """An array of images that was taken up.

    Attributes:
        values: The images ``(N, C, H, W)``, in the range that they came in.
        levels: Which of these values are black and white.
        assumed: What was taken for granted, in words.
    """

    values: NDArray[Any]
    levels: Levels
    assumed: tuple[str, ...]

    def pixels(self) -> Tensor:
        """The images as bytes ``(N, C, H, W)``."""
        return torch.from_numpy(self.levels.to_bytes(self.values))

    def floats(self) -> NDArray[np.float32]:
        """The images in the models' range [-1, 1], ``(N, C, H, W)``."""
        if (self.levels.black, self.levels.white) == (-1, 1):  # to the last bit as they came
            return np.clip(self.values.astype(np.float32), np.float32(-1), np.float32(1))
        return self.levels.to_unit(self.values) * 2.0 - 1.0


def take_images(
    array: Any,
    what: str,
    *,
    order: Order | None = None,
    fewest: int = 1,
    levels: Levels | None = None,
) -> Taken:
    """Takes up an array of images of any type, range and order of axes.

    Args:
        array: ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``; bytes, truth values, whole
            numbers of 8 or 16 bits, or floats in [0, 1], [-1, 1] or 0 to 255. The channels are the
            shortest of the three last axes; where two are, those of a tensor are first.
        what: What it is, for messages, such as ``'a.npz': images``.
        order: The order of the axes, where their lengths do not tell.
        fewest: Least number of images.
        levels: Levels to use again, of the set that a model was trained on.

    Raises:
        DataError: It is no array of images, or its axes or values can be read in several ways.
    """
    tied: Order | None = None
    if isinstance(array, Tensor):
        array, tied = array.detach().cpu(), "NCHW"
    values = np.asarray(array)
    if values.dtype.kind not in "buif":
        verb = "are" if what.endswith("images") else "is"
        raise DataError(f"{what} {verb} of type {values.dtype}", expected="bytes or floats")
    values, arranged = arrange(values, what, order, tied)
    if len(values) < fewest or 0 in values.shape:
        raise DataError(
            f"{what} {_has(what)} shape {np.shape(array)}",
            expected=f"at least {counted(fewest, 'image')} of at least 1x1 pixel",
        )
    low, high = extent(values, what)
    if levels is None:
        levels = choose_levels(values.dtype, low, high, what)
    else:
        levels.check(low, high, what)
    assumed = [text for text in (arranged, levels.assumed) if text]
    return Taken(values, levels, tuple(assumed))


def extent(values: NDArray[Any], what: str, at: Location | None = None) -> tuple[float, float]:
    """Finds the least and the largest value.

    Raises:
        DataError: A value is not finite.
    """
    if values.dtype.kind == "f":
        odd = 0
        first: tuple[int, ...] = ()
        for part in _parts(values):
            wrong = ~np.isfinite(values[part])
            if not odd and wrong.any():
                place = np.argwhere(wrong)[0]
                first = (int(place[0]) + (part.start or 0), *map(int, place[1:]))
            odd += int(wrong.sum())
        if odd:
            raise DataError(
                f"{what}: {odd} pixels are not finite, the first at {list(first)}",
                expected="numbers",
                remedy="leave out those images, or give the pixels a value",
                at=at,
            )
    return float(values.min()), float(values.max())


def choose_levels(
    kind: np.dtype[Any], low: float, high: float, what: str, at: Location | None = None
) -> Levels:
    """Chooses black and white from the type and the extent of values.

    Args:
        kind: Their type.
        low: The least value.
        high: The largest value.
        what: What they are, for messages.
        at: Where they were named.

    Raises:
        DataError: They fit no range that images come in.
    """
    if kind.kind == "b":
        return Levels(0, 1, "true is white, false is black")
    found = _of_floats(low, high) if kind.kind == "f" else _of_numbers(kind, low, high)
    if found is None:
        raise DataError(
            f"{what}: pixels run from {low:.6} to {high:.6}",
            expected="bytes 0..255, up to 16 bits 0..65535, or floats in [0, 1] or [-1, 1]",
            remedy=f"save {in_words_of_scale(low, high)}: 0 is black, 1 is white",
            at=at,
        )
    return found


def in_words_of_scale(low: float, high: float) -> str:
    """Words the expression that brings images with these least and largest values to [0, 1]."""
    moved = f"(images {'+' if low < 0 else '-'} {abs(low):.9g})" if low else "images"
    return f"{moved} / {high - low or 1:.9g}"


def _of_floats(low: float, high: float) -> Levels | None:
    if low >= 0 and high <= 1 + _SLACK:
        return Levels(0, 1, "floats are in [0, 1]: 0 is black, 1 is white")
    if low >= -1 - _SLACK and high <= 1 + _SLACK:
        return Levels(-1, 1, "floats are in [-1, 1]: -1 is black, 1 is white")
    if low >= 0 and 128 <= high <= 255:
        return Levels(0, 255, "floats are in 0..255: 0 is black, 255 is white")
    return None


def _of_numbers(kind: np.dtype[Any], low: float, high: float) -> Levels | None:
    if low < 0:
        return Levels(-1, 1, "-1 is black, 1 is white") if low == -1 and high <= 1 else None
    if high == 1:
        return Levels(0, 1, "the only values are 0 and 1: 0 is black, 1 is white")
    if high <= 255:
        words = "" if kind.itemsize == 1 else f"values of {kind} are bytes: 255 is white"
        if 0 < high < _DARK:
            words = f"255 is white, so that images are dark: their largest value is {high:g}"
        return Levels(0, 255, words)
    bits = next((bits for bits in (10, 12, 14, 16) if high < 1 << bits), None)
    if bits is None:
        return None
    white = (1 << bits) - 1
    return Levels(0, white, f"values have {bits} bits: {white} is white, the largest is {high:g}")


def arrange(
    values: NDArray[Any], what: str, order: Order | None, tied: Order | None = None
) -> tuple[NDArray[Any], str]:
    """Brings axes to ``(N, C, H, W)``, of two orders to ``tied``; says how they were read.

    Raises:
        DataError: There are too few axes, or they can be read in several ways.
    """
    if values.ndim == 3:
        return values[:, None], ""
    if values.ndim != 4:
        raise DataError(
            f"{what} {_has(what)} shape {values.shape}",
            expected="(N, H, W), (N, H, W, C) or (N, C, H, W)",
        )
    found = order or _order(values.shape[1:]) or tied
    if found is None:
        raise DataError(
            f"{what} {_has(what)} shape {values.shape}, which may have its channels first or last",
            expected="channels on the shortest of the last three axes",
            remedy='say which: order="NCHW" or order="NHWC", in an .npz as one more array: '
            'numpy.savez(file, images=images, order="NHWC")',
        )
    channels = values.shape[1] if found == "NCHW" else values.shape[3]
    place = "first" if found == "NCHW" else "last"
    words = "" if found == "NCHW" and channels in (1, 3) else _in_words(channels, place)
    return (values if found == "NCHW" else np.moveaxis(values, -1, 1)), words


def _order(shape: tuple[int, ...]) -> Order | None:
    """Finds the axis of the channels, the shortest one; ``None`` where two could be."""
    first, middle, last = shape
    if first < min(middle, last) or shape == (1, 1, 1):
        return "NCHW"
    return "NHWC" if last < min(first, middle) else None


def _has(what: str) -> str:
    return "have" if what.endswith("images") else "has"


def _in_words(channels: int, place: str) -> str:
    meaning = CHANNELS.get(channels, "images stacked")
    return f"channels are the {place} axis: {channels} ({meaning})"


def _parts(values: NDArray[Any]) -> Iterator[slice]:
    """Slices of the first axis of some four million values each."""
    step = max(1, _CHUNK // max(1, values[:1].size))
    for start in range(0, len(values), step):
        yield slice(start, start + step)
