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

RATE = 0.15
"""Part of the way to the shares found that an estimate moves at a time."""
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
        state: The estimate ``(K,)``, summing to one.
    """

    def __init__(self, symbols: int, device: torch.device) -> None:
        self.state = torch.full((symbols,), 1 / symbols, device=device)

    @property
    def target(self) -> Tensor:
        """The shares ``(K,)`` that the prior asks for, none of them near zero."""
        return (1 - EVEN) * self.state + EVEN / len(self.state)

    def move(self, found: Tensor) -> None:
        """Moves the estimate towards shares ``(K,)`` that were found among images."""
        if bool(torch.isfinite(found).all()):
            shares = found.to(self.state).clamp_min(0)
            self.state = torch.lerp(self.state, shares / shares.sum().clamp_min(1e-9), RATE)

    def permute(self, permutation: Sequence[int]) -> None:
        """Follows names: the new symbol k is the old ``permutation[k]``."""
        self.state = self.state[list(permutation)]

    def split(self, dead: int, source: int) -> None:
        """Shares what two symbols have between them, one of which had taken all."""
        self.state = self.state.clone()
        self.state[[dead, source]] = (self.state[dead] + self.state[source]) / 2
