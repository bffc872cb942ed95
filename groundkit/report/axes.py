"""Which part of the data a plot's axes show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
REACH, TALLEST = 3.0, 2.0
"""How far a histogram of energies goes beyond those of held-out images, in widths of theirs, and
how much taller than their highest bin it is, at most."""
BINS = 60


def energy_axes(groups: Sequence[Array]) -> tuple[Array, float]:
    """The bins and the height of a histogram in which the first group can be read.

    Noise may lie far away and in a single bin: neither squeezes or flattens the others.

    Args:
        groups: Finite energies ``(N,)`` of held-out images, then of every other set.

    Returns:
        Edges of the bins, and the upper end of the vertical axis.
    """
    everything = np.concatenate([v for v in groups if len(v)] or [np.zeros(1)])
    low, high = np.percentile(everything, [0.25, 99.75]).tolist()
    if len(groups[0]):
        first, last = np.percentile(groups[0], [0.25, 99.75]).tolist()
        reach = REACH * (last - first) or math.inf
        low, high = max(min(low, first), first - reach), min(max(high, last), last + reach)
    pad = 0.02 * (high - low) or 0.5
    edges = np.linspace(low - pad, high + pad, BINS + 1)
    peaks = [
        np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0].max() / len(v) if len(v) else 0.0
        for v in groups
    ]
    highest = float(max(peaks)) or 1.0
    return edges, 1.05 * min(highest, TALLEST * float(peaks[0]) or highest)
