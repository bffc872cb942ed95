"""One leaf on paper: `leaf`, with its margin, its shape and its surface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from groundkit.data.drawn.canvas import Canvas, Colour, Picture, Plan, Points, Rng, colour, turned

_SIDE = 32
_POINTS = 97
# Half of the width and the length, as shares of the side; where the leaf is widest.
_SHAPES = {"narrow": (0.13, 0.88, 0.45), "oval": (0.24, 0.82, 0.5), "round": (0.37, 0.76, 0.5)}


def _leaf(rng: Rng, shown: Mapping[str, str]) -> Picture:
    canvas = Canvas(_SIDE, _SIDE, colour(rng, 45, 0.08, 0.93, spread=0.5))
    green = colour(rng, rng.uniform(80, 125), 0.6, 0.55)
    half, length, widest = _SHAPES[shown["shape"]]
    half, length = half * rng.uniform(0.92, 1.08), length * rng.uniform(0.94, 1.04)
    along = np.linspace(0.0, 1.0, _POINTS)
    width = half * _margin(rng, shown["margin"], along, half) * _profile(along, widest)
    right = np.stack([width, (along - 0.5) * length], axis=1)
    outline = np.concatenate([right, right[::-1] * np.array([-1.0, 1.0])])
    pose = (rng.uniform(-25, 25), 1.0, *rng.uniform(0.46, 0.54, 2).tolist())
    stalk = np.array([[0.0, 0.4 * length], [0.0, 0.5 * length + 0.05]])
    canvas.stroke(turned(stalk, *pose), 0.03, _darker(green))
    canvas.polygon(turned(outline, *pose), green)
    _surface(canvas, rng, shown["surface"], half=half, length=length, pose=pose)
    return canvas.finish(rng, noise=5.0)


def _profile(along: Points, widest: float) -> Points:
    """The width of a leaf along its axis, 0 at both ends and 1 where it is widest."""
    power = np.log(0.5) / np.log(widest)
    found: Points = np.sin(np.pi * along**power) ** 0.8
    return found


def _margin(rng: Rng, margin: str, along: Points, half: float) -> Points:
    """What the margin does to the width: nothing, small teeth, or deep rounded lobes."""
    if margin == "toothed":
        teeth = 9 + int(rng.integers(2))
        depth = 0.065 / half  # teeth are of one size on all leaves
        return 1.0 + depth * (0.5 - (along * teeth + rng.uniform()) % 1.0)
    if margin == "lobed":
        phase = rng.uniform(-0.4, 0.4)
        return 0.78 + 0.34 * np.cos(2 * np.pi * 3 * along + np.pi + phase)
    return np.ones_like(along)


def _surface(
    canvas: Canvas,
    rng: Rng,
    surface: str,
    *,
    half: float,
    length: float,
    pose: tuple[float, ...],
) -> None:
    """Draws bright veins, or pale spots, or nothing."""
    pale = (235, 240, 190)
    if surface == "veined":
        middle = np.array([[0.0, -0.42 * length], [0.0, 0.44 * length]])
        canvas.stroke(turned(middle, *pose), 0.04, pale)
        for start in (-0.12, 0.06, 0.24):
            for side in (-1, 1):
                tip = [side * 0.62 * half, (start - 0.12) * length]
                vein = np.array([[0.0, start * length], tip])
                canvas.stroke(turned(vein, *pose), 0.028, pale)
    elif surface == "spotted":
        for place in np.linspace(-0.3, 0.3, 6):
            x = rng.uniform(-0.45, 0.45) * half
            spot = turned(np.array([[x, place * length]]), *pose)[0]
            canvas.disc(float(spot[0]), float(spot[1]), rng.uniform(0.032, 0.045), pale)


def _darker(shade: Colour) -> Colour:
    red, green, blue = (round(part * 0.6) for part in shade)
    return red, green, blue


LEAF = Plan(
    "leaf",
    {
        "margin": ("entire", "toothed", "lobed"),
        "shape": ("narrow", "oval", "round"),
        "surface": ("plain", "veined", "spotted"),
    },
    _leaf,
    train=3240,
    test=810,
    primary="margin",
)
