"""How often each symbol occurs: an estimate that goes along with training.

The prior term asks for known shares. Where nobody knows them, expectation maximisation estimates
them: the mean, over images, of the probability of each symbol given the image and what the program
says of it. By itself that estimate could follow a collapse, of which the term is to warn: a symbol
that is predicted less often is then expected less often. So an estimate moves only part of the
way at a time, and never below a floor.
"""

from __future__ import annotations

import torch
from torch import Tensor

DAMPING = 0.5
"""Part of the way to the shares found that an estimate moves at a time."""
FLOOR = 0.3
"""No symbol is expected less often than this part of an even share."""


def damped(present: Tensor, found: Tensor, damping: float = DAMPING) -> Tensor:
    """Moves an estimate of shares towards those that were found.

    Args:
        present: The estimate so far, ``(K,)``, summing to one.
        found: The shares of the images' symbols ``(K,)``, summing to one.
        damping: Part of the way to go.

    Returns:
        ``(K,)``, summing to one, no share below :data:`FLOOR` of an even one.
    """
    return with_floor(torch.lerp(present, found.to(present), damping))


def with_floor(shares: Tensor, floor: float = FLOOR) -> Tensor:
    """Raises small shares to a part of an even one, at the cost of the others in proportion.

    Args:
        shares: ``(K,)``, summing to one.
        floor: Part of an even share, below 1.
    """
    least = floor / len(shares)
    raised = shares
    # Those that pay may fall below the floor themselves; every round settles at least one.
    for _ in range(len(shares)):
        low = raised <= least
        rest = raised[~low]
        scaled = raised * ((1 - least * low.sum()) / rest.sum()) if len(rest) else raised
        raised = torch.where(low, torch.full_like(raised, least), scaled)
        if bool((raised >= least * (1 - 1e-9)).all()):
            break
    return raised / raised.sum()
