"""What a network's training images look like, so that a new image can be held against them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from groundkit.errors import CheckpointError
from groundkit.perception.model import energy
from groundkit.perception.pixels import has_dark_border, to_model

QUANTILE = 0.99
_CHUNK = 1000
_LARGEST = 1 << 16


@dataclass(frozen=True)
class InDistribution:
    """Facts of the unlabelled training images of one network.

    Attributes:
        shape: ``(C, H, W)`` of every image.
        energy_limit: The energy E(x), in nats, that a share :data:`QUANTILE` of the training
            images stays below; an image above it is flagged as out of distribution.
        dark_border: Share of the training images whose border is dark. Near 0 or 1, an image
            with the other kind of border is taken for inverted.
    """

    shape: tuple[int, int, int]
    energy_limit: float
    dark_border: float

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> InDistribution:
        """Reads what :meth:`to_dict` returned.

        Raises:
            CheckpointError: Something is missing or of another kind.
        """
        try:
            channels, height, width = values["shape"]
            limit, dark = values["energy_limit"], values["dark_border"]
            if not all(type(n) is int and 1 <= n <= _LARGEST for n in (channels, height, width)):
                raise ValueError("the shape of the images is no shape")
            if not all(type(x) in (int, float) and math.isfinite(x) for x in (limit, dark)):
                raise ValueError("a number is missing or not finite")
            return InDistribution((channels, height, width), float(limit), float(dark))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(
                f"the checkpoint's facts of its images are damaged: {error}",
                expected="shape, energy_limit and dark_border, as `groundkit run` writes them",
                remedy="copy the run folder again from where it was made",
            ) from None


@torch.no_grad()
def measure(model: nn.Module, pool: Tensor) -> InDistribution:
    """Measures the training images of a trained network.

    Args:
        model: Gives logits ``(B, K)``.
        pool: Unlabelled training images, ``(N, C, H, W)`` bytes, on the model's device.
    """
    energies = torch.cat([energy(model(to_model(part))) for part in torch.split(pool, _CHUNK)])
    channels, height, width = pool.shape[1:]
    return InDistribution(
        (channels, height, width),
        float(torch.quantile(energies.double(), QUANTILE)),
        float(has_dark_border(pool).double().mean()),
    )
