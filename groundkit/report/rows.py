"""Rows of features and sequences as small pictures, where images are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

HEIGHT = 28
MOST_COLUMNS, MOST_STEPS = 56, 56
_PAPER, _LINE = 1.0, 0.75
_LOW, _HIGH = np.array([0.84, 0.37, 0.0]), np.array([0.0, 0.45, 0.70])
"""Okabe and Ito's vermilion and blue, which colour-blind readers can tell apart."""

Pictures = NDArray[np.float32]


def draw_inputs(values: ArrayLike) -> Pictures:
    """Draws rows as bars and sequences as maps of colour.

    A bar stands up from the middle where a value is above 0, and hangs down where it is below. In a
    map time runs to the right, columns downwards; blue is above 0, vermilion below.

    Args:
        values: ``(N, D)`` or ``(N, T, D)``, of which -1 to 1 is shown; or images ``(N, C, H, W)``
            in [-1, 1], which become [0, 1].

    Returns:
        ``(N, C, H, W)`` in [0, 1].
    """
    found: Pictures = np.nan_to_num(np.asarray(values, dtype=np.float32)).clip(-1, 1)
    if found.ndim == 4:
        return (found + np.float32(1)) / np.float32(2)
    return _bars(found) if found.ndim == 2 else _maps(found)


def _thinned(values: NDArray[Any], axis: int, most: int) -> NDArray[Any]:
    """Takes evenly spaced places of an axis that has more than are shown."""
    length = values.shape[axis]
    places = np.linspace(0, length - 1, min(length, most)).round().astype(np.int64)
    return values.take(places, axis)


def _bars(rows: NDArray[Any]) -> Pictures:
    shown = _thinned(rows, 1, MOST_COLUMNS)
    width = max(1, MOST_COLUMNS // shown.shape[1])
    heights = np.repeat(shown, width, axis=1)[:, None, :]
    level = 1 - (np.arange(HEIGHT) + 0.5)[None, :, None] / (HEIGHT / 2)
    above, below = (level > 0) & (level <= heights), (level < 0) & (level >= heights)
    found = np.full((len(rows), HEIGHT, heights.shape[2], 3), _PAPER, dtype=np.float32)
    found[:, HEIGHT // 2] = _LINE
    found[above], found[below] = _HIGH, _LOW
    shown_bars: Pictures = found.transpose(0, 3, 1, 2)
    return shown_bars


def _maps(sequences: NDArray[Any]) -> Pictures:
    shown = _thinned(_thinned(sequences, 1, MOST_STEPS), 2, MOST_COLUMNS).transpose(0, 2, 1)
    strength = np.abs(shown)[..., None]
    colour = np.where(shown[..., None] > 0, _HIGH, _LOW)
    found = (1 - strength) * _PAPER + strength * colour
    tall = max(1, HEIGHT // found.shape[1])
    return np.repeat(found, tall, axis=1).transpose(0, 3, 1, 2).astype(np.float32)


def spread_evenly(values: ArrayLike) -> NDArray[np.float32]:
    """Brings columns in units of their own to [-1, 1], by their least and largest value."""
    found = np.asarray(values, dtype=np.float32)
    flat = found.reshape(-1, found.shape[-1])
    low, high = flat.min(0), flat.max(0)
    spread: NDArray[np.float32] = (found - (low + high) / 2) / np.maximum((high - low) / 2, 1e-12)
    return spread
