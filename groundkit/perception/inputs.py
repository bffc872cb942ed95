"""Kinds of inputs, told by the shape of one, and the scale of each for the models.

An image is ``(C, H, W)``, a row of features ``(D,)``, a sequence of such rows ``(T, D)``. Images
are bytes at rest and in [-1, 1] for the models; rows and sequences rest as the floats that they
came as, and a scale that is learnt from training rows brings them to the models' range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from groundkit.errors import DataError
from groundkit.perception.pixels import to_model

Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = Literal["row", "sequence", "image"]
_KINDS: dict[int, Kind] = {1: "row", 2: "sequence", 3: "image"}

SPREADS = 3.0
"""So many standard deviations of a column reach from 0 to 1 in the models' range. Samples of the
generative term stay in [-1, 1], which holds 99.7 % of a normal distribution."""


def kind_of(shape: Sequence[int]) -> Kind:
    """Tells the kind of an input from its shape, without the axis of the inputs.

    Raises:
        DataError: It has no axis, or more than three.
    """
    if len(shape) not in _KINDS:
        raise DataError(
            f"an input has the shape {tuple(shape)}",
            expected="(D,) for a row of features, (T, D) for a sequence, (C, H, W) for an image",
        )
    return _KINDS[len(shape)]


def by_row(values: Tensor, like: Tensor) -> Tensor:
    """Gives values ``(B,)`` as many axes as ``like``, ``(B, ...)``, so that they spread over it."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


class Scale(nn.Module):
    """Where the columns of rows lie: ``(x - middle) / reach`` is in the models' range.

    It is saved and moved with the model that it belongs to. A missing value, which is not a number,
    becomes the column's middle.

    Args:
        columns: Number D of columns.
    """

    middle: Tensor
    reach: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(columns))
        self.register_buffer("reach", torch.ones(columns))

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Learns middle and reach of every column from ``(..., D)``, leaving out what is missing.

        A column that never changes has a reach of 1.
        """
        flat = rows.reshape(-1, rows.shape[-1]).double()
        known = torch.isfinite(flat)
        count = known.sum(0).clamp_min(1)
        middle = torch.where(known, flat, 0.0).sum(0) / count
        away = torch.where(known, flat - middle, 0.0)
        reach = SPREADS * (away.square().sum(0) / count).sqrt()
        constant = reach <= 1e-9 * (1 + middle.abs())
        self.middle.copy_(middle)
        self.reach.copy_(torch.where(constant, 1.0, reach))

    def forward(self, rows: Tensor) -> Tensor:
        """Brings rows ``(..., D)`` to the models' range."""
        scaled = (rows.float() - self.middle) / self.reach
        return torch.nan_to_num(scaled, nan=0.0)

    def back(self, scaled: Tensor) -> Tensor:
        """Brings rows of the models' range to the units that they came in."""
        return scaled * self.reach + self.middle


def scale_for(shape: Sequence[int]) -> Scale | None:
    """The scale of inputs of a shape; ``None`` for images, whose bytes say it all."""
    return None if kind_of(shape) == "image" else Scale(shape[-1])


def take(inputs: Tensor, scale: Scale | None) -> Tensor:
    """Brings inputs at rest to the models' range."""
    return to_model(inputs) if scale is None else scale(inputs)
