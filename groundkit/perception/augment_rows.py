"""Random changes of rows of features and of sequences, one independent draw an input.

What keeps a row's meaning is not to be seen in it as it is in an image. Small noise and columns
that are missing are changes that rows of any kind meet; a sequence may besides lose some steps, and
start a little earlier or later.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from groundkit.perception.augment import Draws, Rows


@dataclass(frozen=True, slots=True)
class RowAugmentation:
    """The distribution of ``T(x'|x)``; calling it draws one ``x'`` for each input of a batch.

    Values are in the models' range, in which a column's standard deviation is a third and its
    middle 0. 0 switches a part off.

    Attributes:
        noise: Standard deviation of noise added to each value.
        masking: Probability of each column to be missing, which puts its middle there.
        time_masking: Largest share of a sequence that is missing, in one piece.
        shift: Largest shift in time, as a share of the sequence; its ends are repeated.
    """

    noise: float = 0.0
    masking: float = 0.0
    time_masking: float = 0.0
    shift: float = 0.0

    def __call__(
        self, x: Tensor, generator: Generator | None = None, among: Rows | None = None
    ) -> Tensor:
        """Draws one changed input for each input.

        Args:
            x: ``(B, D)`` or ``(B, T, D)`` in the models' range.
            generator: Source of randomness, on the device of ``x``.
            among: The rows that ``x`` is of a batch which several processes share.

        Returns:
            The same shape. Values may leave [-1, 1], as those of ``x`` may.
        """
        draws, y = Draws(x, generator, among), x
        if self.shift > 0:
            y = _shifted(y, self.shift * draws.uniform())
        if self.noise > 0:
            y = y + self.noise * draws.normal(*y.shape[1:])
        if self.masking > 0:
            coins = (draws.uniform(*[1] * (y.dim() - 2), y.shape[-1]) + 1) / 2
            y = torch.where(coins < self.masking, 0.0, y)
        if self.time_masking > 0:
            coins = (draws.uniform(2) + 1) / 2
            y = _interrupted(y, self.time_masking * coins[:, 0], coins[:, 1])
        return y


def _shifted(x: Tensor, shares: Tensor) -> Tensor:
    """Shifts sequences ``(B, T, D)`` by shares ``(B,)`` of their length, to whole steps."""
    steps = torch.arange(x.shape[1], device=x.device)
    moved = steps - (shares * x.shape[1]).round().long()[:, None]
    places = moved.clamp(0, x.shape[1] - 1)
    return x.gather(1, places[:, :, None].expand_as(x))


def _interrupted(x: Tensor, lengths: Tensor, starts: Tensor) -> Tensor:
    """Blanks one piece of sequences ``(B, T, D)``: shares of length ``(B,)``, where in the rest."""
    steps = (torch.arange(x.shape[1], device=x.device) + 0.5) / x.shape[1]
    first = (starts * (1 - lengths))[:, None]
    gone = (steps >= first) & (steps < first + lengths[:, None])
    return torch.where(gone[:, :, None], 0.0, x)


ROW_AUGMENTATIONS: dict[str, RowAugmentation] = {
    "none": RowAugmentation(),
    "points": RowAugmentation(noise=0.05),
    "features": RowAugmentation(noise=0.1, masking=0.2),
}
"""By name: rows as they are, points of a plane, and rows of features."""
SEQUENCE_AUGMENTATIONS: dict[str, RowAugmentation] = {
    "none": RowAugmentation(),
    "features": RowAugmentation(noise=0.1, masking=0.1),
    "sequences": RowAugmentation(noise=0.1, masking=0.1, time_masking=0.3, shift=0.1),
}
"""The same for sequences; ``features`` leaves time alone."""
