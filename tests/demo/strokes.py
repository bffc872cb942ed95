"""Digits as a hand writes them: strokes of points in shares of the paper's width."""

from __future__ import annotations

import math


def arc(x, y, rx, ry, start, end, points=14):
    """Points of an ellipse's arc; angles in degrees, clockwise from the right."""
    angles = [math.radians(start + (end - start) * i / (points - 1)) for i in range(points)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


DIGITS = {
    0: [arc(0.5, 0.5, 0.18, 0.28, -80, 290, 24)],
    1: [[(0.54, 0.2), (0.52, 0.4), (0.5, 0.6), (0.48, 0.8)]],
    2: [[*arc(0.49, 0.36, 0.16, 0.15, -170, 40), (0.44, 0.64), (0.33, 0.76),
         (0.5, 0.76), (0.7, 0.74)]],
    3: [[*arc(0.47, 0.35, 0.16, 0.14, -150, 80), *arc(0.47, 0.63, 0.18, 0.15, -80, 150)]],
    4: [[(0.4, 0.22), (0.34, 0.38), (0.31, 0.53), (0.45, 0.54), (0.66, 0.5)],
        [(0.61, 0.25), (0.58, 0.5), (0.55, 0.8)]],
    5: [[(0.4, 0.25), (0.38, 0.36), (0.36, 0.47), *arc(0.47, 0.62, 0.17, 0.17, -120, 140)],
        [(0.4, 0.25), (0.52, 0.24), (0.66, 0.22)]],
    6: [[(0.6, 0.2), (0.48, 0.34), (0.4, 0.5), *arc(0.5, 0.64, 0.13, 0.14, 180, -190, 20)]],
    7: [[(0.32, 0.25), (0.5, 0.25), (0.66, 0.23), (0.58, 0.45), (0.5, 0.62), (0.45, 0.8)]],
    8: [[*arc(0.5, 0.35, 0.13, 0.14, -30, -270, 14), *arc(0.49, 0.64, 0.15, 0.15, -90, 270, 20),
         (0.6, 0.44), (0.62, 0.31)]],
    9: [[*arc(0.5, 0.37, 0.14, 0.15, -20, -360, 20), (0.63, 0.5), (0.6, 0.65), (0.57, 0.8)]],
}  # fmt: skip


def draw(page, name, digit):
    """Draws a digit with the mouse on the paper of an image variable."""
    paper = page.get_by_label(f"Draw {name}", exact=True)
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    for stroke in DIGITS[digit]:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["width"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=2)
        page.mouse.up()
