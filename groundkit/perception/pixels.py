"""The scale of images: bytes at rest, [-1, 1] for the models."""

from __future__ import annotations

import torch
from torch import Tensor


def to_model(pixels: Tensor) -> Tensor:
    """Scales bytes 0..255 to the models' range [-1, 1]; floats are in that range already."""
    return pixels.float().div_(127.5).sub_(1.0) if pixels.dtype == torch.uint8 else pixels


def to_bytes(images: Tensor) -> Tensor:
    """Scales images in [-1, 1] back to bytes 0..255."""
    return images.clamp(-1, 1).add(1.0).mul(127.5).round().to(torch.uint8)
