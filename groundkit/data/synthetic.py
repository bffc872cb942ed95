"""Images that need no download: characters drawn from fonts, and what lies outside a data set."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from groundkit.data.images import ImageSet, Labels
from groundkit.errors import DataError

# Text fonts that matplotlib carries; its other fonts hold mathematical symbols only.
_FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10", "cmss10", "cmtt10")
_STYLES = ("", "-Bold", "-Oblique", "-Italic", "-BoldOblique", "-BoldItalic", "Bol", "Ita")

LETTERS = string.ascii_uppercase
MIN_SIZE = 12


@lru_cache(maxsize=1)
def font_files() -> tuple[Path, ...]:
    """Lists the text fonts that come with matplotlib."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    names = [f"{font}{style}.ttf" for font in _FONTS for style in _STYLES]
    return tuple(folder / name for name in names if (folder / name).exists())


def glyphs(
    characters: Sequence[str], count: int, shape: Sequence[int], seed: int, name: str = "glyphs"
) -> ImageSet:
    """Draws characters in random fonts, sizes, slants and places, white on black.

    Args:
        characters: One text a class, usually a single character.
        count: Number of images; classes take turns.
        shape: ``(C, H, W)`` of the images.
        seed: Seed of the drawing.
        name: Name of the resulting set.
    """
    channels, height, width = shape
    if min(height, width) < MIN_SIZE:
        raise DataError(
            f"characters cannot be drawn at {height}x{width} pixels",
            expected=f"at least {MIN_SIZE}x{MIN_SIZE}",
        )
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % len(characters)
    pixels = np.stack([_draw(characters[int(label)], height, width, rng) for label in labels])
    tensor = torch.from_numpy(pixels)[:, None].expand(-1, channels, -1, -1).contiguous()
    return ImageSet(name, tensor, labels, tuple(characters))


def _draw(text: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draws one text about the middle of an image, a little rotated and shifted."""
    fonts = font_files()
    scale = 4  # drawn large and reduced, for smooth edges
    size = int(rng.uniform(0.62, 0.85) * min(height, width) * scale)
    font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), size)
    canvas = Image.new("L", (width * scale, height * scale))
    centre = (
        width * scale * (0.5 + rng.uniform(-0.06, 0.06)),
        height * scale * (0.5 + rng.uniform(-0.06, 0.06)),
    )
    ImageDraw.Draw(canvas).text(centre, text, fill=255, font=font, anchor="mm")
    turned = canvas.rotate(rng.uniform(-12, 12), resample=Image.Resampling.BILINEAR)
    return np.asarray(turned.resize((width, height), Image.Resampling.LANCZOS), dtype=np.uint8)


def noise(count: int, shape: Sequence[int], seed: int) -> ImageSet:
    """Draws independent uniform pixels."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, size=(count, *shape), dtype=np.uint8)
    return ImageSet("noise", torch.from_numpy(pixels))


def row_noise(inside: ImageSet, count: int, seed: int) -> ImageSet:
    """Draws every value by itself, evenly between the least and the largest of its column.

    Args:
        inside: Rows ``(N, D)`` or sequences ``(N, T, D)`` that say where the columns lie.
        count: Number of inputs.
        seed: Seed of the draw.
    """
    columns = inside.pixels.reshape(-1, inside.shape[-1])
    low = torch.nan_to_num(columns, nan=torch.inf).amin(0)
    high = torch.nan_to_num(columns, nan=-torch.inf).amax(0)
    draws = torch.rand(count, *inside.shape, generator=torch.Generator().manual_seed(seed))
    return ImageSet("noise", low + draws * (high - low))


def inverted(images: ImageSet) -> ImageSet:
    """Swaps dark and bright."""
    return ImageSet("inverted", 255 - images.pixels)


def rotated(images: ImageSet) -> ImageSet:
    """Turns every image by a quarter, which no augmentation here does unless it is told to.

    Images that are not square are turned by half: a quarter would leave most of them outside their
    frame, and what fills it would be told from images by anything.
    """
    height, width = images.shape[-2:]
    return ImageSet("rotated", torch.rot90(images.pixels, 1 if height == width else 2, (-2, -1)))


def points(kind: str, count: int, seed: int) -> ImageSet:
    """Draws scikit-learn's moons or circles, rows ``(N, 2)`` in [-1, 1]."""
    from sklearn import datasets

    if kind == "moons":
        data, labels = datasets.make_moons(count, noise=0.05, random_state=seed)
        data = (data - np.array([0.5, 0.25])) / 1.6
    else:
        data, labels = datasets.make_circles(count, noise=0.03, factor=0.5, random_state=seed)
        data = data / 1.2
    tensor = torch.from_numpy(np.clip(data, -1, 1).astype(np.float32))
    return ImageSet(kind, tensor, _labels(labels), ("0", "1"))


def _labels(values: np.ndarray) -> Labels:
    return np.asarray(values, dtype=np.int64)
