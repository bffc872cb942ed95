"""The view from a car: `road`, with four things that hold or do not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from groundkit.data.drawn.canvas import Canvas, Picture, Plan, Rng, colour, grey
from groundkit.data.images import TRUE_OR_FALSE

_SIDE = 32


def _road(rng: Rng, shown: Mapping[str, str]) -> Picture:
    light = rng.uniform(0.75, 1.0)  # noon or dusk
    canvas = Canvas(_SIDE, _SIDE, colour(rng, 205, 0.35, 0.95 * light))
    horizon = rng.uniform(0.34, 0.44)
    far = rng.uniform(0.42, 0.54)  # where the road vanishes
    canvas.polygon(
        np.array([[0, horizon], [1, horizon], [1, 1], [0, 1]]), colour(rng, 100, 0.5, 0.55 * light)
    )
    edges = np.array([[far - 0.05, horizon], [far + 0.05, horizon], [0.98, 1], [0.02, 1]])
    canvas.polygon(edges, grey(rng, 85 * light, 115 * light))
    for near in (0.98, 0.76, 0.58):
        start, end = (_along(horizon, far, y) for y in (near, near - 0.09))
        canvas.stroke(np.array([start, end]), 0.03, (225, 225, 215))
    _light(canvas, rng, red=shown["red"] == "true", green=shown["green"] == "true")
    left = bool(rng.integers(2))  # who is on which half of the road
    if shown["obstacle"] == "true":
        _obstacle(canvas, rng, rng.uniform(0.26, 0.38) if left else rng.uniform(0.60, 0.72))
    if shown["pedestrian"] == "true":
        _pedestrian(canvas, rng, rng.uniform(0.60, 0.72) if left else rng.uniform(0.28, 0.40))
    return canvas.finish(rng, noise=6.0)


def _along(horizon: float, far: float, y: float) -> tuple[float, float]:
    """A point of the road's middle line at height ``y``."""
    return 0.5 + (far - 0.5) * (1 - y) / (1 - horizon), y


def _light(canvas: Canvas, rng: Rng, *, red: bool, green: bool) -> None:
    """Draws a traffic light beside the road: red lamp above, green below, either or none lit."""
    x, y = rng.uniform(0.78, 0.88), rng.uniform(0.08, 0.14)
    canvas.stroke(np.array([[x, y], [x, 0.62]]), 0.035, (60, 60, 65))
    box = np.array([[-0.085, -0.05], [0.085, -0.05], [0.085, 0.34], [-0.085, 0.34]])
    canvas.polygon(box + np.array([x, y]), (30, 30, 35))
    canvas.disc(x, y + 0.045, 0.065, colour(rng, 0, 0.9, 0.97) if red else (75, 45, 45))
    canvas.disc(x, y + 0.235, 0.065, colour(rng, 130, 0.85, 0.9) if green else (45, 70, 50))


def _obstacle(canvas: Canvas, rng: Rng, x: float) -> None:
    """Draws a box or a rock that lies on the road."""
    y, size = rng.uniform(0.74, 0.88), rng.uniform(0.09, 0.12)
    if rng.integers(2):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = size * rng.uniform(0.9, 1.25, 9)
        rock = np.stack([np.cos(angles), 0.8 * np.sin(angles)], axis=1) * radii[:, None]
        canvas.polygon(rock + np.array([x, y]), colour(rng, 40, 0.25, 0.85))
    else:
        box = np.array([[-1, -0.9], [1, -0.9], [1, 0.9], [-1, 0.9]]) * size
        canvas.polygon(box + np.array([x, y]), colour(rng, 30, 0.75, 0.75))
        canvas.stroke(box[[0, 2]] + np.array([x, y]), 0.025, (95, 60, 25))


def _pedestrian(canvas: Canvas, rng: Rng, x: float) -> None:
    """Draws a person who crosses the road."""
    y, size = rng.uniform(0.46, 0.56), rng.uniform(0.9, 1.1)
    coat = colour(rng, rng.uniform(0, 360), 0.7, 0.8)
    step = rng.uniform(0.03, 0.06) * size
    hip, feet = y + 0.21 * size, y + 0.36 * size
    for side in (-step, step):
        canvas.stroke(np.array([[x, hip], [x + side, feet]]), 0.04, (35, 35, 60))
    canvas.stroke(np.array([[x, y + 0.07 * size], [x, hip]]), 0.10 * size, coat)
    canvas.disc(x, y - 0.03 * size, 0.055 * size, colour(rng, 25, 0.4, 0.85))


ROAD = Plan(
    "road",
    dict.fromkeys(("red", "green", "obstacle", "pedestrian"), TRUE_OR_FALSE),
    _road,
    train=3000,
    test=900,
    possible=lambda shown: not (shown["red"] == shown["green"] == "true"),
)
