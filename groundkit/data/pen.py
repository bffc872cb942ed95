"""How large and how thick the strokes of images are, so that a drawing can be made like them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_IMAGES = 2000
_INK = 0.3


@dataclass(frozen=True)
class Pen:
    """How the images of a data set are drawn; the defaults are MNIST's.

    Attributes:
        smallest: Extent that nearly all drawings reach: the larger of their height and width, each
            as a share of the frame's.
        largest: Extent that hardly any drawing goes beyond.
        stroke: Thickness of the strokes as a share of the frame's shorter side.
    """

    smallest: float = 20 / 28
    largest: float = 20 / 28
    stroke: float = 0.085


def measure_pen(pixels: Tensor, dark_border: bool) -> Pen:
    """Measures strokes in images.

    A stroke of width w and length l covers an area of wl and has an outline of about 2l, so w is
    twice the area by the length of the outline, which is the total variation of the brightness.

    Args:
        pixels: ``(N, C, H, W)`` bytes.
        dark_border: Whether the strokes are bright on dark.

    Returns:
        The 5th and 95th percentile of the extent, and the median thickness; MNIST's where no
        image shows anything.
    """
    some = pixels[:: max(1, len(pixels) // _IMAGES)].float().mean(dim=1) / 255
    ink = some if dark_border else 1 - some
    inked = ink > _INK
    ink, inked = ink[inked.any(dim=(1, 2))], inked[inked.any(dim=(1, 2))]
    if not len(ink):
        return Pen()
    height, width = ink.shape[1:]
    extent = torch.maximum(
        _span(inked.any(dim=2)).double() / height, _span(inked.any(dim=1)).double() / width
    )
    framed = torch.nn.functional.pad(ink, (0, 1, 0, 1))
    down, right = framed[:, 1:, :-1] - ink, framed[:, :-1, 1:] - ink
    outline = torch.hypot(down, right).sum(dim=(1, 2))
    stroke = (2 * ink.sum(dim=(1, 2)) / outline).median() / min(height, width)
    return Pen(
        float(torch.quantile(extent, 0.05)), float(torch.quantile(extent, 0.95)), float(stroke)
    )


def _span(inked: Tensor) -> Tensor:
    """Counts from the first to the last true entry of every row of ``(N, L)``."""
    length = inked.shape[1]
    first = inked.int().argmax(dim=1)
    last = length - inked.flip(1).int().argmax(dim=1)
    return last - first
