"""What estimators take: images in one range, rows of numbers, and seeds of every kind."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from groundkit.data.levels import Levels, Taken, extent, in_words_of_scale, take_images
from groundkit.errors import DataError

Seed: TypeAlias = int | np.random.RandomState | np.random.Generator | None
"""A whole number, a source to draw one from, or ``None`` for another one every time."""

_MOST = 2**31 - 1
_SLACK = 1e-6
_RANGE = "bytes (uint8), truth values, or floats in [0, 1]"


class ArrayError(DataError, ValueError):
    """An array that an estimator cannot use; scikit-learn's own tools expect a ``ValueError``."""


def draw_seed(random_state: Seed) -> int:
    """Returns a seed; one that is given as a whole number is that number.

    Raises:
        ValueError: It is no source of randomness, which scikit-learn words, or out of range.
    """
    if isinstance(random_state, numbers.Integral):
        if not 0 <= random_state < 2**32:
            raise ArrayError(
                f"the seed {random_state}", expected="a whole number from 0 to 4,294,967,295"
            )
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(_MOST))
    return int(check_random_state(random_state).randint(_MOST))


def plain_array(values: Any) -> Any:
    """Returns a tensor of any device as an array, and all else as it is."""
    if not isinstance(values, Tensor):
        return values
    held = values.detach().cpu()
    return held.float().numpy() if held.dtype == torch.bfloat16 else held.numpy()


def in_one_range(images: Any, what: str, *, fitting: bool = False) -> Taken:
    """Takes up images in the one range that estimators know, whatever values they hold.

    A set of dark images, or a single one, is then read as it would be among others.

    Args:
        images: ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``: bytes, truth values, or floats
            in [0, 1].
        what: What they are, for messages.
        fitting: Whether a network is to learn from them: bytes of 0 and 1 are then a mistake.

    Raises:
        ArrayError: They have another type or range, or no shape of images.
    """
    values = np.asarray(plain_array(images))
    if values.dtype not in (np.uint8, np.bool_) and values.dtype.kind != "f":
        remedy = "images.astype(numpy.uint8) if 255 is white, else images / images.max()"
        raise ArrayError(
            f"{what}: images of type {values.dtype}", expected=_RANGE, remedy=f"give {remedy}"
        )
    if fitting and values.dtype == np.uint8 and values.size and values.max() == 1:
        raise ArrayError(
            f"{what}: bytes of which the largest is 1",
            expected="255 for white",
            remedy="give images.astype(bool) if 1 is white, else images * 1.0 / 255",
        )
    levels = Levels(0, 255) if values.dtype == np.uint8 else Levels(0, 1)
    try:
        if values.dtype.kind == "f" and values.size:
            _check_unit(values, what)
        return take_images(images, what, levels=levels)
    except ArrayError:
        raise
    except DataError as error:
        raise ArrayError(
            error.found, expected=error.expected, remedy=error.remedy, at=error.at
        ) from None


def _check_unit(values: NDArray[Any], what: str) -> None:
    """Refuses floats outside of [0, 1], and says what brings them there."""
    low, high = extent(values, what)
    if low >= -_SLACK and high <= 1 + _SLACK:
        return
    if low >= -1 - _SLACK and high <= 1 + _SLACK:
        remedy = "(images + 1) / 2 if -1 is black"
    elif low >= 0 and 128 <= high <= 255:
        remedy = "images / 255"
    else:
        remedy = in_words_of_scale(low, high)
    raise ArrayError(
        f"{what}: pixels run from {low:.6} to {high:.6}", expected=_RANGE, remedy=f"give {remedy}"
    )


@dataclass(frozen=True)
class RowScale:
    """Brings the columns of a table to [-1, 1] as they lie in training.

    Attributes:
        centre: ``(D,)`` half-way between the least and the largest value of each column.
        half: ``(D,)`` half of the distance between them; 1 for a column of one value.
    """

    centre: NDArray[np.float64]
    half: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[Any]) -> RowScale:
        """Fits the scale to rows ``(N, D)``."""
        low, high = rows.min(0).astype(np.float64), rows.max(0).astype(np.float64)
        half = (high - low) / 2
        return cls((high + low) / 2, np.where(half > 0, half, 1.0))

    def scaled(self, rows: NDArray[Any]) -> Tensor:
        """Returns rows ``(N, D)`` as images of one row, ``(N, 1, 1, D)``; new ones may lie out."""
        found = ((rows - self.centre) / self.half).astype(np.float32)
        return torch.from_numpy(found)[:, None, None, :]

    def original(self, images: Tensor) -> NDArray[np.float32]:
        """Returns images of one row as rows ``(N, D)`` in their own units."""
        rows = images.cpu().numpy().reshape(len(images), -1)
        found: NDArray[np.float32] = (rows * self.half + self.centre).astype(np.float32)
        return found
