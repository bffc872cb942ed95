"""The scale of images: bytes at rest, [-1, 1] for the models."""

from __future__ import annotations

import torch
from torch import Tensor

_MIDDLE = 127.5


def to_model(pixels: Tensor) -> Tensor:
    """Scales bytes 0..255 to the models' range [-1, 1]; floats are left alone."""
    return pixels.float().div_(127.5).sub_(1.0) if pixels.dtype == torch.uint8 else pixels


def has_dark_border(pixels: Tensor) -> Tensor:
    """Whether each image ``(N, C, H, W)`` of bytes has a dark border, ``(N,)``.

    It has if more than half of its outermost pixels are dark.
    """
    edges = [pixels[..., 0, :], pixels[..., -1, :], pixels[..., 0], pixels[..., -1]]
    outermost = torch.cat([edge.flatten(1) for edge in edges], dim=1)
    return outermost.float().median(dim=1).values < _MIDDLE
