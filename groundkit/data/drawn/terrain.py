"""Tiles of a map: `terrain`, four kinds of ground."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from groundkit.data.drawn.canvas import Canvas, Colour, Picture, Plan, Rng, colour

_SIDE = 16


def _terrain(rng: Rng, shown: Mapping[str, str]) -> Picture:
    kind = shown["terrain"]
    ground: Colour = {
        "grass": lambda: colour(rng, 95, 0.5, 0.72),
        "forest": lambda: colour(rng, 105, 0.5, 0.50),
        "hill": lambda: colour(rng, 80, 0.35, 0.62),
        "water": lambda: colour(rng, 208, 0.65, 0.70),
    }[kind]()
    canvas = Canvas(_SIDE, _SIDE, ground)
    {"grass": _blades, "forest": _trees, "hill": _hill, "water": _waves}[kind](canvas, rng)
    return canvas.finish(rng, noise=8.0)


def _blades(canvas: Canvas, rng: Rng) -> None:
    for x, y in rng.uniform(0.05, 0.95, (9, 2)):
        blade = np.array([[x, y], [x + rng.uniform(-0.06, 0.06), y - 0.14]])
        canvas.stroke(blade, 0.05, colour(rng, 110, 0.6, 0.55))


def _trees(canvas: Canvas, rng: Rng) -> None:
    for x in (0.2, 0.5, 0.8):
        for y in (0.25, 0.75):
            at = np.array([x, y]) + rng.uniform(-0.08, 0.08, 2)
            canvas.stroke(np.array([at, [at[0], at[1] + 0.2]]), 0.08, (90, 60, 30))
            canvas.disc(
                float(at[0]), float(at[1]), rng.uniform(0.13, 0.18), colour(rng, 130, 0.6, 0.32)
            )


def _hill(canvas: Canvas, rng: Rng) -> None:
    x, top, half = rng.uniform(0.4, 0.6), rng.uniform(0.1, 0.25), rng.uniform(0.36, 0.46)
    side = np.array([[x - half, 0.9], [x, top], [x + half, 0.9]])
    canvas.polygon(side, colour(rng, 28, 0.35, 0.50))
    cap = np.array([[x - half * 0.35, top + 0.27], [x, top], [x + half * 0.35, top + 0.27]])
    canvas.polygon(cap, (235, 235, 240))


def _waves(canvas: Canvas, rng: Rng) -> None:
    along = np.linspace(0, 1, 17)
    for y in (0.2, 0.5, 0.8):
        height = y + rng.uniform(-0.06, 0.06) + 0.05 * np.sin(4 * np.pi * (along + rng.uniform()))
        canvas.stroke(np.stack([along, height], axis=1), 0.06, colour(rng, 200, 0.3, 0.92))


TERRAIN = Plan(
    "terrain",
    {"terrain": ("grass", "forest", "hill", "water")},
    _terrain,
    train=2400,
    test=600,
    primary="terrain",
)
