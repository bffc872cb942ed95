"""Pictures of a report: a light PNG, a dark one where it matters, and the same in words."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from groundkit.report import plots
from groundkit.report.words import listing, percent

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for a page.

    Attributes:
        name: File name without ending, for ``plots/NAME.png``.
        light: PNG for light paper.
        dark: PNG for dark paper, or ``None`` when one serves both.
        alt: What it shows, in words, for those who cannot see it.
    """

    name: str
    light: bytes
    dark: bytes | None
    alt: str

    @property
    def light_uri(self) -> str:
        """The light PNG as a data URI."""
        return data_uri(self.light)

    @property
    def dark_uri(self) -> str | None:
        """The dark PNG as a data URI."""
        return None if self.dark is None else data_uri(self.dark)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, so that the page does not jump while it loads."""
        with Image.open(io.BytesIO(self.light)) as image:
            return image.size


def data_uri(png: bytes) -> str:
    """A PNG inside a URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def in_both(name: str, alt: str, draw: Callable[[plots.Theme], bytes]) -> Picture:
    """Draws a picture for light and for dark paper."""
    return Picture(name, draw(plots.LIGHT), draw(plots.DARK), alt)


def strip(
    images: ArrayLike, framed: ArrayLike | None = None, *, columns: int = 0, cell: int = 56
) -> bytes:
    """Images side by side as one small PNG, enlarged without blur, some of them framed.

    Args:
        images: ``(N, C, H, W)`` in [0, 1], N >= 1.
        framed: Which ones ``(N,)`` get a frame.
        columns: Least number of cells; those without an image stay transparent, so that strips
            of one page have one scale.
        cell: Least width and height of an image in the strip, in pixels.
    """
    pixels = plots.as_pixels(images)
    _, height, width, _ = pixels.shape
    scale = max(1, -(-cell // max(height, width)))
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    marks = np.zeros(len(pixels), dtype=bool) if framed is None else np.asarray(framed)
    colour = np.array([255, 112, 48], dtype=np.uint8)
    for image, mark in zip(pixels, marks, strict=True):
        if mark:
            for edge in (image[:4], image[-4:], image[:, :4], image[:, -4:]):
                edge[:] = colour
    gap = np.zeros((len(pixels), height * scale, 6, 4), dtype=np.uint8)
    opaque = np.full((*pixels.shape[:3], 1), 255, dtype=np.uint8)
    cells = np.concatenate([np.concatenate([pixels, opaque], axis=3), gap], axis=2)
    rest = np.zeros((max(columns - len(cells), 0), *cells.shape[1:]), dtype=np.uint8)
    row = np.concatenate([*cells, *rest], axis=1)[:, : -gap.shape[2]]
    buffer = io.BytesIO()
    Image.fromarray(row, "RGBA").save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def confusion_words(counts: ArrayLike, symbols: Sequence[str]) -> str:
    """The confusion matrix in words: how much lies on the diagonal, and the largest mistakes."""
    table = np.asarray(counts, dtype=np.int64)
    total, right = int(table.sum()), int(np.trace(table))
    mistakes = [
        (int(c), f"{symbols[i]} given as {symbols[j]} ({c} of {table[i].sum()})")
        for (i, j), c in np.ndenumerate(table)
        if i != j and c
    ]
    mistakes.sort(key=lambda m: -m[0])
    worst = listing([text for _, text in mistakes], most=4)
    start = f"Confusion matrix: {right} of {total} images on the diagonal."
    return f"{start} Largest mistakes: {worst}." if mistakes else f"{start} No mistakes."


def map_words(plane: ArrayLike, probs: ArrayLike, symbols: Sequence[str]) -> str:
    """How many inputs a map of the embedding shows, by the symbols that they are given."""
    points = np.asarray(plane)
    given = np.asarray(probs)[: len(points)].argmax(axis=1)
    counts = np.bincount(given, minlength=len(symbols))
    parts = [f"{symbols[k]} ({count})" for k, count in enumerate(counts) if count]
    return f"Map of {len(points)} embeddings, given {listing(parts, most=12)}."


def curves_words(history: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    """First and last value of every curve."""
    parts = []
    for key, label in labels.items():
        values = [row[key] for row in history if isinstance(row.get(key), int | float)]
        if values:
            parts.append(f"{label} from {values[0]:.3g} to {values[-1]:.3g}")
    return "Training curves: " + "; ".join(parts) + "."


def energy_words(inside: ArrayLike, outside: Mapping[str, ArrayLike]) -> str:
    """Median and middle half of every set's energies."""
    parts = []
    for name, values in ({"held-out images": inside} | dict(outside)).items():
        v = np.asarray(values, dtype=np.float64)
        v = v[np.isfinite(v)]
        if len(v):
            q1, q2, q3 = np.percentile(v, [25, 50, 75])
            parts.append(f"{name} median {q2:.2f} (middle half {q1:.2f} to {q3:.2f})")
    return "Histogram of energies: " + "; ".join(parts) + "."


def reliability_words(bins: Mapping[str, Any]) -> str:
    """The calibration error, and the bin that holds most images."""
    count = np.asarray(bins["count"])
    fullest = int(count.argmax())
    confidence, accuracy = bins["confidence"][fullest], bins["accuracy"][fullest]
    return (
        f"Reliability diagram: expected calibration error {percent(bins['ece'])}. The fullest bin "
        f"holds {count[fullest]} of {count.sum()} images, given {percent(confidence)} and right in "
        f"{percent(accuracy)}."
    )
