"""A single image of the user's, brought to what a network was trained on, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from groundkit.data.files import read_image_size, read_one
from groundkit.data.levels import Levels
from groundkit.perception.pixels import has_dark_border

_CLEAR = 0.9


@dataclass(frozen=True)
class Prepared:
    """An image ready for a network.

    Attributes:
        pixels: ``(C, H, W)`` bytes.
        done: What was done to it, in words, in order.
    """

    pixels: Tensor
    done: tuple[str, ...]


def prepare_image(
    path: Path,
    shape: tuple[int, int, int],
    dark_border: float,
    content: bytes | None = None,
    levels: Mapping[str, tuple[float, float]] | None = None,
) -> Prepared:
    """Reads an image file of any size, grey or colour, inverted or not.

    Args:
        path: The file.
        shape: ``(C, H, W)`` that the network reads.
        dark_border: Share of the training images whose border is dark. When nearly all of them
            are alike, an image with the other kind of border is taken for inverted, and undone.
        content: The file's content when it is not on disk.
        levels: Which values were black and white in training, by their type.

    Raises:
        DataError: The file is missing, is no image, or has values that training did not know.
    """
    known = {kind: Levels(*pair) for kind, pair in (levels or {}).items()}
    pixels, assumed = read_one(path, shape, content=content, known=known)
    channels, height, width = read_image_size(path, content)
    done = list(assumed)
    if (height, width) != shape[1:]:
        done.append(f"fitted from {width}x{height} into {shape[2]}x{shape[1]} pixels")
    if channels == 3 and shape[0] < 3:
        done.append("turned from colour to grey")
    if _inverted(pixels, dark_border):
        pixels = 255 - pixels
        bright, dark = ("bright", "dark") if dark_border >= _CLEAR else ("dark", "bright")
        done.append(f"inverted: its border is {bright}, that of the training images {dark}")
    return Prepared(pixels, tuple(done))


def _inverted(pixels: Tensor, dark_border: float) -> bool:
    """Tells whether an image's border is of the kind that the training images do not have."""
    dark = bool(has_dark_border(pixels[None]))
    return (dark_border >= _CLEAR and not dark) or (dark_border <= 1 - _CLEAR and dark)
