"""Where chains of a symbol start, and how low in energy they may go.

The samplers in use are far colder than ``p(x)`` (see :mod:`groundkit.perception.langevin`): the
longer a chain runs, the likelier and the more alike its images become. So a chain of a symbol
starts from a Gaussian of the images that the model itself gives that symbol, and stands still as
soon as its energy has come down to that of one of them, drawn at random. Samples then have the
energies that the data has. No label is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from groundkit.perception.inputs import Shape
from groundkit.perception.langevin import principal_components

# Values kept of a symbol's energies: every hundredth part of its images.
LEVELS = 100
# A symbol with fewer images than this starts from the Gaussian and the levels of all images.
FEWEST = 10


class SymbolStart(nn.Module):
    """A Gaussian a symbol on common principal components, and the energies of its images.

    It is saved and moved with ``state_dict`` and ``.to``.

    Args:
        image_shape: ``(C, H, W)``, or the shape of another input.
        symbols: Number of symbols K.
        components: Number of principal components, at most the number of pixels.
    """

    mean: Tensor
    directions: Tensor
    centres: Tensor
    spreads: Tensor
    levels: Tensor
    shares: Tensor

    def __init__(self, image_shape: Shape, symbols: int, components: int = 50) -> None:
        super().__init__()
        pixels = math.prod(image_shape)
        kept = min(components, pixels)
        self.image_shape = image_shape
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("directions", torch.zeros(kept, pixels))
        self.register_buffer("centres", torch.zeros(symbols, kept))
        self.register_buffer("spreads", torch.zeros(symbols, kept, kept))
        self.register_buffer("levels", torch.zeros(symbols, LEVELS))
        self.register_buffer("shares", torch.full((symbols,), 1 / symbols))

    @torch.no_grad()
    def fit(self, images: Tensor, logits: Tensor) -> SymbolStart:
        """Fits every symbol to the images of which it is the most probable symbol.

        Args:
            images: Unlabelled images, ``(N, C, H, W)`` in [-1, 1].
            logits: What the model makes of them, ``(N, K)``.

        Returns:
            Itself.
        """
        flat = images.flatten(1).to(self.mean)
        mean, directions, _ = principal_components(flat, len(self.directions))
        self.mean.copy_(mean)
        self.directions.copy_(directions)
        factors = ((flat - self.mean) @ self.directions.T).double()
        chosen = logits.argmax(-1)
        self.shares.copy_(torch.bincount(chosen, minlength=len(self.shares)) / len(chosen))
        parts = torch.linspace(0, 1, LEVELS, dtype=torch.double, device=logits.device)
        for symbol in range(len(self.centres)):
            mine = chosen == symbol
            if mine.sum() < FEWEST:
                mine = torch.ones_like(mine)
            covariance = torch.cov(factors[mine].T, correction=0).reshape(
                self.spreads[symbol].shape
            )
            values, vectors = torch.linalg.eigh(covariance)
            self.centres[symbol] = factors[mine].mean(0)
            self.spreads[symbol] = vectors * values.clamp_min(0).sqrt()
            self.levels[symbol] = torch.quantile(-logits[mine, symbol].double(), parts)
        return self

    @torch.no_grad()
    def permute_symbols(self, permutation: Sequence[int]) -> None:
        """Renames symbols: the new symbol k is the old ``permutation[k]``."""
        order = torch.as_tensor(permutation, device=self.mean.device)
        for tensor in (self.centres, self.spreads, self.levels, self.shares):
            tensor.copy_(tensor[order])

    @torch.no_grad()
    def draw_symbols(self, count: int, generator: Generator | None = None) -> Tensor:
        """Symbols ``(count,)`` by their shares of the images."""
        return torch.multinomial(self.shares, count, replacement=True, generator=generator)

    @torch.no_grad()
    def draw(self, symbols: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draws a start and an energy to stop at for each wanted symbol.

        Args:
            symbols: ``(B,)``.
            generator: Source of randomness, on the module's device.

        Returns:
            Images ``(B, C, H, W)`` in [-1, 1], and energies ``E(x, y)``, ``(B,)``.
        """
        device = self.mean.device
        size = (len(symbols), self.centres.shape[1])
        normal = torch.randn(size, generator=generator, device=device)
        factors = self.centres[symbols] + torch.einsum("bij,bj->bi", self.spreads[symbols], normal)
        flat = self.mean + factors @ self.directions
        places = torch.randint(LEVELS, (len(symbols),), generator=generator, device=device)
        return flat.clamp(-1, 1).reshape(-1, *self.image_shape), self.levels[symbols, places]
