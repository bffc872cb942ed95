"""One object on plain ground: `scenes` (shape, colour, size) and `kandinsky` (shape, colour)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from groundkit.data.drawn.canvas import (
    Canvas,
    Colour,
    Picture,
    Plan,
    Points,
    Rng,
    colour,
    grey,
    turned,
)

_SIDE = 28
# Hue, saturation, value.
_INKS = {
    "red": (2.0, 0.85, 0.85),
    "green": (125.0, 0.75, 0.70),
    "blue": (222.0, 0.80, 0.85),
    "yellow": (54.0, 0.85, 0.92),
}
# Radius as a share of the side.
_RADII = {"small": (0.17, 0.22), "large": (0.32, 0.38)}


def _corners(count: int, inner: float = 1.0) -> Points:
    """Corners of a regular polygon; with ``inner`` below 1 every second one is drawn in."""
    angles = np.arange(count) * (2 * np.pi / count) - np.pi / 2
    radii = np.where(np.arange(count) % 2 == 0, 1.0, inner)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


# About equally large to the eye.
_SHAPES = {
    "square": _corners(4) * 1.15,
    "triangle": _corners(3) * 1.25,
    "star": _corners(10, inner=0.42) * 1.25,
}


def _object(canvas: Canvas, rng: Rng, shape: str, ink: Colour, radius: float) -> None:
    """Draws a shape at a random place, turned at random, wholly inside."""
    reach = radius * (1.0 if shape == "circle" else 1.25)
    x, y = rng.uniform(reach, 1 - reach, 2) if reach < 0.5 else (0.5, 0.5)
    if shape == "circle":
        canvas.disc(float(x), float(y), radius, ink)
    else:
        corners = turned(_SHAPES[shape], rng.uniform(-15, 15), radius, float(x), float(y))
        canvas.polygon(corners, ink)


def _scene(rng: Rng, shown: Mapping[str, str]) -> Picture:
    canvas = Canvas(_SIDE, _SIDE, grey(rng, 15, 95))
    ink = colour(rng, *_INKS[shown["colour"]])
    _object(canvas, rng, shown["shape"], ink, rng.uniform(*_RADII[shown["size"]]))
    return canvas.finish(rng, noise=7.0)


def _kandinsky(rng: Rng, shown: Mapping[str, str]) -> Picture:
    canvas = Canvas(_SIDE, _SIDE, grey(rng, 160, 205))
    ink = colour(rng, *_INKS[shown["colour"]])
    _object(canvas, rng, shown["shape"], ink, rng.uniform(0.22, 0.36))
    return canvas.finish(rng, noise=5.0)


SCENES = Plan(
    "scenes",
    {
        "shape": ("circle", "square", "triangle", "star"),
        "colour": ("red", "green", "blue", "yellow"),
        "size": ("small", "large"),
    },
    _scene,
    train=3200,
    test=800,
    primary="shape",
)

KANDINSKY = Plan(
    "kandinsky",
    {"shape": ("circle", "square", "triangle"), "colour": ("red", "yellow", "blue")},
    _kandinsky,
    train=2700,
    test=900,
    primary="shape",
)
