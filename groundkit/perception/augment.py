"""Random augmentation of whole batches on their own device, one independent draw an image.

An image is warped once, by the sum of an affine map and a smooth elastic field, and its strokes
are then thickened or thinned. Libraries either draw one transform for the whole batch
(torchvision.transforms.v2) or launch many small kernels an operation; one ``grid_sample`` over a
combined grid is both independent by image and fast, and it needs no further dependency.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from groundkit.perception.readback import send

# Control points along the shorter side of the elastic field, whose displacements vary over about a
# quarter of that side; a longer one has more, within bounds.
ELASTIC_GRID, MOST_POINTS = 4, 64


class Rows(NamedTuple):
    """Rows of a batch: ``own`` are the positions ``(b,)`` among its ``total``, in order."""

    total: int
    own: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Returns the own rows of ``(total, ...)`` values, on any device."""
        # A single process has them all: nothing has to be sent to the device.
        return values if len(self.own) == self.total else values[send(self.own, values.device)]


@dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers for each image, on its device and in its dtype."""

    like: Tensor
    generator: Generator | None
    among: Rows | None

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on [-1, 1), ``(B, *shape)``."""
        return 2 * self._own(torch.rand, shape) - 1

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, ``(B, *shape)``."""
        return self._own(torch.randn, shape)

    def _own(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        count = len(self.like) if self.among is None else self.among.total
        options = {"device": self.like.device, "dtype": self.like.dtype}
        drawn = draw((count, *shape), generator=self.generator, **options)
        return drawn if self.among is None else self.among.of(drawn)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The distribution of ``T(x'|x)``; calling it draws one ``x'`` for each image of a batch.

    All ranges are symmetric around "no change", and 0 switches a part off.

    Attributes:
        rotation: Largest rotation, in degrees, whatever the image's proportions.
        scale: Largest relative change of size, drawn for each axis: 0.1 is 0.9 to 1.1.
        shear: Largest horizontal shear (slant), in pixels to the side per pixel of height.
        translate: Largest shift along each side, as a fraction of that side.
        elastic: Standard deviation of the elastic displacement, as a fraction of the shorter side.
        thickness: Strongest thickening or thinning of strokes: the share of a one-pixel
            morphological dilation or erosion that is blended in, 0 to 1.
        flip: Probability of a horizontal mirror image.
        contrast: Largest relative change of contrast around mid grey.
        gain: Largest relative change of each channel's contrast by itself, around mid grey.
        shift: Largest shift of each channel by itself, of the range [-1, 1].
        inversion: Probability that an image's dark and bright change places.
        noise: Standard deviation of noise added to each value, of the range [-1, 1].
    """

    rotation: float = 15.0
    scale: float = 0.15
    shear: float = 0.3
    translate: float = 0.07
    elastic: float = 0.03
    thickness: float = 0.7
    flip: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    gain: float = 0.0
    shift: float = 0.0
    inversion: float = 0.0

    def __call__(
        self, x: Tensor, generator: Generator | None = None, among: Rows | None = None
    ) -> Tensor:
        """Draws one augmented image for each image.

        Args:
            x: ``(B, C, H, W)`` in [-1, 1].
            generator: Source of randomness, on the device of ``x``.
            among: The rows that ``x`` is of a batch which several processes share: each draws for
                the whole batch, so that together they augment as one would.

        Returns:
            ``(B, C, H, W)`` in [-1, 1]. What is warped in from outside takes the border's value.
        """
        draws = Draws(x, generator, among)
        y = x
        if self._warps():
            grid = self._grid(x, draws)
            y = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
        if self.thickness > 0:
            amount = self.thickness * draws.uniform(1, 1, 1)
            y = change_thickness(y, amount)
        if self.contrast > 0:
            y = y * (1 + self.contrast * draws.uniform(1, 1, 1))
        if self.gain > 0 or self.shift > 0:
            channels = (y.shape[1], 1, 1)
            y = y * (1 + self.gain * draws.uniform(*channels))
            y = y + self.shift * draws.uniform(*channels)
        if self.inversion > 0:
            coin = (draws.uniform(1, 1, 1) + 1) / 2
            y = torch.where(coin < self.inversion, -y, y)
        if self.noise > 0:
            y = y + self.noise * draws.normal(*y.shape[1:])
        return y.clamp(-1, 1)

    def _warps(self) -> bool:
        parts = (self.rotation, self.scale, self.shear, self.translate, self.elastic, self.flip)
        return any(part > 0 for part in parts)

    def _grid(self, x: Tensor, draws: Draws) -> Tensor:
        """Where each pixel of the result is read from: ``(B, H, W, 2)`` in [-1, 1]."""
        count, (height, width) = len(x), x.shape[-2:]
        draw = draws.uniform(6)
        angle = math.radians(self.rotation) * draw[:, 0]
        cos, sin = torch.cos(angle), torch.sin(angle)
        stretch_x, stretch_y = torch.exp(math.log1p(self.scale) * draw[:, 1:3]).unbind(1)
        if self.flip > 0:
            coin = (draws.uniform() + 1) / 2
            stretch_x = torch.where(coin < self.flip, -stretch_x, stretch_x)
        shear = self.shear * draw[:, 3]
        shift = 2 * self.translate * draw[:, 4:6]
        # Rotation after shear after stretch, as rows of the 2 x 3 matrices that map the result's
        # coordinates to the source's. Both run from -1 to 1 along either side, while angles are
        # those of pixels: what goes from one axis to the other changes its unit.
        tall = height / width
        across, down = cos * shear - sin * stretch_y, sin * stretch_x
        first = torch.stack([cos * stretch_x, across * tall, shift[:, 0]], dim=1)
        second = torch.stack([down / tall, sin * shear + cos * stretch_y, shift[:, 1]], dim=1)
        size = [count, 1, height, width]
        grid = functional.affine_grid(torch.stack([first, second], dim=1), size, False)
        if self.elastic > 0:
            grid = grid + self._field(height, width, draws).permute(0, 2, 3, 1)
        return grid

    def _field(self, height: int, width: int, draws: Draws) -> Tensor:
        """The elastic displacements ``(B, 2, H, W)``, as smooth along either side in pixels."""
        short = min(height, width)
        points = [min(round(ELASTIC_GRID * side / short), MOST_POINTS) for side in (height, width)]
        coarse = 2 * self.elastic * draws.normal(2, *points)
        field = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
        across, down = field.unbind(1)
        return torch.stack([across * (short / width), down * (short / height)], dim=1)


_OBJECTS = Augmentation(
    rotation=5,
    scale=0.2,
    shear=0.05,
    translate=0.1,
    elastic=0,
    thickness=0,
    flip=0.5,
    contrast=0.4,
)
AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(rotation=0, scale=0, shear=0, translate=0, elastic=0, thickness=0),
    "digits": Augmentation(),
    "small-digits": Augmentation(thickness=0, noise=0.3),
    "points": Augmentation(
        rotation=0, scale=0, shear=0, translate=0, elastic=0, thickness=0, noise=0.05
    ),
    "objects": _OBJECTS,
    "garments": replace(_OBJECTS, noise=0.3),
}
"""Augmentations by name: for written characters, those whose strokes are a pixel wide, points of a
plane, photographs, cut-out objects in grey whose fine texture says little, and none."""


def change_thickness(x: Tensor, amount: Tensor) -> Tensor:
    """Thickens (``amount`` > 0) or thins (``amount`` < 0) bright strokes.

    Blends in the maximum, or minimum, over each pixel's neighbourhood in the form of a plus.

    Args:
        x: ``(B, C, H, W)``.
        amount: ``(B, 1, 1, 1)`` in [-1, 1], the share of the dilated or eroded image.

    Returns:
        ``(B, C, H, W)``, within the range of ``x``.
    """
    sign = torch.where(amount < 0, -1.0, 1.0).to(x)
    signed = x * sign
    across = functional.max_pool2d(signed, (1, 3), stride=1, padding=(0, 1))
    down = functional.max_pool2d(signed, (3, 1), stride=1, padding=(1, 0))
    return torch.lerp(x, torch.maximum(across, down) * sign, amount.abs())
