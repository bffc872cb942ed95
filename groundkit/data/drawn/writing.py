"""Written symbols: operators by hand, letters and words in many fonts, glyphs in many colours."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from groundkit.data.drawn.canvas import Canvas, Colour, Picture, Plan, Points, Rng, turned
from groundkit.data.images import DataSource, ImageSet
from groundkit.data.synthetic import font_files

_SIDE = 28
_MEASURED = 100  # size of a font at which a text is measured
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
OPERATORS = ("+", "-", "*", "/")
RELATIONS = ("child", "parent", "sibling", "spouse", "grandchild", "grandparent")


def _line(rng: Rng, start: Sequence[float], end: Sequence[float]) -> Points:
    """A stroke as a hand draws it: ends a little off, slightly bent."""
    first, last = (np.array(end_) + rng.normal(0, 0.05, 2) for end_ in (start, end))
    across = np.array([first[1] - last[1], last[0] - first[0]]) * rng.normal(0, 0.07)
    along = np.linspace(0, 1, 9)[:, None]
    return first + (last - first) * along + across * np.sin(np.pi * along)


def operator(rng: Rng, shown: Mapping[str, str]) -> Picture:
    """Draws an operator, ``/`` as a bar between two dots: white on black, ``(28, 28)``.

    Strokes have the thickness of MNIST's, which the digits beside them come from.
    """
    canvas = Canvas(_SIDE, _SIDE, _BLACK)
    pose = (
        rng.normal(0, 7),
        rng.uniform(0.26, 0.36),
        rng.uniform(0.45, 0.55),
        rng.uniform(0.45, 0.55),
    )
    pen = rng.uniform(0.075, 0.125)
    bar = _line(rng, (-1.0, 0.0), (1.0, 0.0))
    strokes = {
        "+": [bar, _line(rng, (0.0, -1.0), (0.0, 1.0))],
        "-": [bar],
        "*": [_line(rng, (-0.8, -0.8), (0.8, 0.8)), _line(rng, (0.8, -0.8), (-0.8, 0.8))],
        "/": [bar],
    }[shown["operator"]]
    for points in strokes:
        canvas.stroke(turned(points, *pose), pen, _WHITE)
    if shown["operator"] == "/":
        for y in (-0.75, 0.75):
            dot = turned(np.array([[rng.normal(0, 0.08), y + rng.normal(0, 0.06)]]), *pose)[0]
            canvas.disc(float(dot[0]), float(dot[1]), 0.65 * pen, _WHITE)
    return canvas.finish(rng, noise=0.0)[..., 0]


def with_operators(digits: DataSource, name: str) -> DataSource:
    """Puts hand-drawn operators beside the digits 1 to 9 of a labelled set of 28 x 28 grey.

    There are as many images of each operator as of a digit, in training and test.
    """
    classes = (*"123456789", *OPERATORS)
    parts = []
    for seed, images in ((1, digits.train), (2, digits.test)):
        assert images.labels is not None  # these are digits with their labels
        kept = images.subset(np.flatnonzero(images.labels > 0))
        assert kept.labels is not None
        each = round(len(kept) / 9)
        drawn = _OPERATORS.images(each * len(OPERATORS), seed)
        assert drawn.labels is not None
        pixels = torch.cat([kept.pixels, drawn.pixels])
        labels = np.concatenate([kept.labels - 1, drawn.labels + 9])
        order = np.random.default_rng(seed).permutation(len(labels))
        parts.append(ImageSet(name, pixels, labels, classes).subset(order))
    return DataSource(name, *parts)


_OPERATORS = Plan("operators", {"operator": OPERATORS}, operator, 1600, 400, primary="operator")


@lru_cache(maxsize=2048)
def _font(number: int, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_files()[number]), size)


def _typed(rng: Rng, text: str, size: tuple[int, int], ink: Colour, paper: Colour) -> Picture:
    """Sets a text in a random font, as large as it fits, a little turned and moved."""
    height, width = size
    scale = 3
    file = int(rng.integers(len(font_files())))
    left, top, right, bottom = _font(file, _MEASURED).getbbox(text)
    room = min(scale * width / (right - left), scale * height / (bottom - top))
    font = _font(file, 2 * round(_MEASURED * room * rng.uniform(0.34, 0.43)))
    image = Image.new("RGB", (width * scale, height * scale), paper)
    middle = [scale * side * (0.5 + rng.uniform(-0.05, 0.05)) for side in (width, height)]
    ImageDraw.Draw(image).text((middle[0], middle[1]), text, fill=ink, font=font, anchor="mm")
    degrees = rng.uniform(-12, 12) * min(1.0, 1.5 * height / width)
    level = image.rotate(degrees, resample=Image.Resampling.BILINEAR, fillcolor=paper)
    small = np.asarray(level.resize((width, height), Image.Resampling.BOX), dtype=np.float32)
    return np.clip(np.rint(small + rng.normal(0, 4.0, small.shape)), 0, 255).astype(np.uint8)


def _letter(rng: Rng, shown: Mapping[str, str]) -> Picture:
    return _typed(rng, shown["letter"], (_SIDE, _SIDE), _WHITE, _BLACK)[..., 0]


def _word(rng: Rng, shown: Mapping[str, str]) -> Picture:
    return _typed(rng, shown["relation"], (16, 64), _WHITE, _BLACK)[..., 0]


def _colour_glyph(rng: Rng, shown: Mapping[str, str]) -> Picture:
    """Draws a glyph in random ink on random paper, of either the lighter, far enough apart."""
    while True:
        ink, paper = rng.integers(0, 256, (2, 3))
        brightness = abs(float((ink - paper) @ np.array([0.299, 0.587, 0.114])))
        if brightness > 50 and float(np.linalg.norm(ink - paper)) > 110:
            break
    colours = [(int(r), int(g), int(b)) for r, g, b in (ink, paper)]
    return _typed(rng, shown["glyph"], (_SIDE, _SIDE), *colours)


LETTERS = Plan(
    "letters26",
    {"letter": tuple(string.ascii_lowercase)},
    _letter,
    train=3900,
    test=1040,
    primary="letter",
)
WORDS = Plan("kin-words", {"relation": RELATIONS}, _word, train=2400, test=600, primary="relation")
COLOUR_GLYPHS = Plan(
    "colour-glyphs",
    {"glyph": tuple(string.digits)},
    _colour_glyph,
    train=4000,
    test=1000,
    primary="glyph",
)
