"""How often each symbol occurs: an estimate that goes along with training.

The prior term asks for the symbols' shares. Where nobody knows them, expectation maximisation
estimates them: the mean, over images, of the probability of each symbol given the image and what
the program says of it. By itself that estimate would follow a collapse, of which the term is to
warn: a symbol that is predicted less often would be expected less often. So the estimate moves a
part of the way at a time, and what the prior asks for is a mixture of it and of even shares.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

RATE, WHOLE_RATE = 0.15, 0.5
"""Part of the way to the shares found that an estimate moves at a time: to those of a step's
images, and to those of all."""
EVEN = 0.3
"""Part of what the prior asks for that is even."""
EVERY = 5
"""Steps between estimates."""


class Shares:
    """The estimated shares of a network's symbols, even at first.

    Args:
        symbols: Number of symbols K.
        device: Where to keep them.

    Attributes:
        estimate: The shares ``(K,)``, summing to one.
        moved: Whether anything was found yet.
    """

    def __init__(self, symbols: int, device: torch.device) -> None:
        self.estimate = torch.full((symbols,), 1 / symbols, device=device)
        self.moved = False

    @property
    def target(self) -> Tensor:
        """The shares ``(K,)`` that the prior asks for, none of them near zero."""
        return (1 - EVEN) * self.estimate + EVEN / len(self.estimate)

    def move(self, found: Tensor, rate: float = RATE) -> None:
        """Moves the estimate a part of the way to shares ``(K,)`` that were found among images.

        Shares that are no finite numbers move nothing; the device decides, so that it need not
        wait for the host.
        """
        shares = found.to(self.estimate).clamp_min(0)
        moved = torch.lerp(self.estimate, shares / shares.sum().clamp_min(1e-9), rate)
        self.estimate = torch.where(torch.isfinite(found).all(), moved, self.estimate)
        self.moved = True

    def permute(self, permutation: Sequence[int]) -> None:
        """Follows names: the new symbol k is the old ``permutation[k]``."""
        self.estimate = self.estimate[list(permutation)]

    def split(self, dead: int, source: int) -> None:
        """Shares what two symbols have between them, one of which had taken all."""
        self.estimate = self.estimate.clone()
        self.estimate[[dead, source]] = (self.estimate[dead] + self.estimate[source]) / 2
