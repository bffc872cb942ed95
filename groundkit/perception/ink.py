"""Images read as drawings: paper, ink, and how much of it each pixel has.

Where ink and paper may have any two colours, views of random colours teach a network little in any
number of steps that people wait for; a reader does not see the colours either, but where the ink
is. The same is done here, ahead of the network.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Part of the largest distance from paper beyond which a pixel is ink.
_INKED = 0.5


def ink_and_paper(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the two colours of images, and how much of the first each pixel has.

    Paper is the median colour of the border; ink the mean colour of what is far from it.

    Args:
        x: ``(B, C, H, W)``.

    Returns:
        Ink and paper ``(B, C)``, and the share of ink ``(B, 1, H, W)`` in [0, 1]; nothing is ink
        where all pixels are alike.
    """
    edges = torch.cat([x[..., 0, :], x[..., -1, :], x[..., 0], x[..., -1]], dim=2)
    paper = edges.median(dim=2).values
    away = x - paper[:, :, None, None]
    distance = away.detach().abs().mean(1, keepdim=True)
    inked = distance > _INKED * distance.amax((2, 3), keepdim=True)
    step = (away * inked).sum((2, 3)) / inked.sum((2, 3)).clamp_min(1)
    share = (away * step[:, :, None, None]).sum(1, keepdim=True)
    share = share / step.square().sum(1).clamp_min(1e-6)[:, None, None, None]
    return paper + step, paper, share.clamp(0, 1)


def as_drawing(x: Tensor) -> Tensor:
    """Draws images ``(B, C, H, W)`` in [-1, 1] anew, white on black; drawings stay as they are."""
    _, _, share = ink_and_paper(x)
    return (2 * share - 1).expand_as(x)
