"""Bodies of the backbones that read sequences ``(B, T, D)``, step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gru(nn.Module):
    """A gated recurrent network in both directions, its outputs averaged over time.

    Args:
        columns: Width D of a step.
        width: Units of either direction.
        features: Number of features F.
        depth: Number of layers.
    """

    def __init__(self, columns: int, width: int, features: int, *, depth: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(columns, width, depth, batch_first=True, bidirectional=True)
        self.read_out = nn.Linear(2 * width, features)

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(B, F)`` of sequences ``(B, T, D)``."""
        steps, _ = self.recurrent(x)
        found: Tensor = self.read_out(steps.mean(1))
        return found


class Transformer(nn.Module):
    """Attention among the steps of a sequence, which know their places; averaged over time.

    Args:
        shape: ``(T, D)``.
        width: Width of a step's vector.
        features: Number of features F.
        depth: Number of layers.
        heads: Attention heads of a layer.
    """

    def __init__(
        self, shape: tuple[int, int], width: int, features: int, *, depth: int, heads: int
    ) -> None:
        super().__init__()
        steps, columns = shape
        self.enter = nn.Linear(columns, width)
        self.places = nn.Parameter(0.02 * torch.randn(steps, width))
        # No dropout: two readings of one input must agree, and the sampler follows its gradient.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                2 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, features))

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(B, F)`` of sequences ``(B, T, D)``."""
        steps = self.enter(x) + self.places
        for layer in self.layers:
            steps = layer(steps)
        found: Tensor = self.leave(steps.mean(1))
        return found
