"""The symbol model: one set of logits that is both a clustering and an energy.

Logits are ``f_y(x) = u_y . g(x) / tau`` with an embedding ``g`` and one prototype ``u_y`` a symbol
(Sansone and Manhaeve, arXiv 2401.00873). ``p(y|x) = softmax f(x)``, ``E(x) = -logsumexp_y f_y(x)``
and ``E(x, y) = -f_y(x)`` are three readings of the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from groundkit.errors import NetworkError
from groundkit.perception.backbones import Backbone
from groundkit.perception.encoders import Encoder
from groundkit.perception.ink import as_drawing
from groundkit.perception.inputs import Scale, Shape, kind_of, take
from groundkit.report.words import counted


def log_probs(logits: Tensor) -> Tensor:
    """Log-distribution over symbols ``log p(y|x)``, ``(B, K)`` from logits ``(B, K)``."""
    return functional.log_softmax(logits, dim=-1)


def energy(logits: Tensor) -> Tensor:
    """Energy ``E(x) = -logsumexp_y f_y(x)``, ``(B,)`` from logits ``(B, K)``; low is likely."""
    return -torch.logsumexp(logits, dim=-1)


class SymbolModel(nn.Module):
    """Backbone, projector for the contrastive term, and symbol prototypes.

    Args:
        backbone: Maps images ``(B, C, H, W)`` to features ``(B, F)``.
        symbols: Number of symbols K, at least 2.
        normalise: Put embedding and prototypes on the unit sphere, as the authors do. Logits then
            lie within ``1 / temperature`` of zero and the energy moves by at most
            ``2 / temperature`` nats, which also caps what it can tell apart.
        temperature: ``tau``; every logit is divided by it. 0.1 is the authors' with
            ``normalise``; free logits learn their own scale and want 1.
        projection: Width D of the projector's output.
        scale: Brings rows of features to the models' range; images need none.
        encoder: Turns images into such rows ahead of everything else.
        bfloat16: Whether the backbone computes with bfloat16; its weights, the embedding and all
            that follows stay in single precision.

    Raises:
        NetworkError: If there are fewer than two symbols or the temperature is not positive.
    """

    drawings: Tensor

    def __init__(
        self,
        backbone: Backbone,
        symbols: int,
        *,
        normalise: bool = False,
        temperature: float = 1.0,
        projection: int = 64,
        bfloat16: bool = False,
        scale: Scale | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__()
        if symbols < 2:
            raise NetworkError(
                f"a symbol model with {counted(symbols, 'symbol')}", expected="at least 2"
            )
        if temperature <= 0:
            raise NetworkError(f"temperature {temperature}", expected="a number above 0")
        # Convolutions are faster with the channels of a pixel side by side.
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.scale = scale
        self.encoder = encoder
        self._bfloat16 = bfloat16
        self.symbols = symbols
        self.normalise = normalise
        self.temperature = temperature
        self.projector = nn.Sequential(
            nn.Linear(backbone.features, backbone.features),
            nn.SiLU(),
            nn.Linear(backbone.features, projection),
        )
        # In the weights' file, and as a value that the host knows without asking a GPU.
        self.register_buffer("drawings", torch.zeros(()))
        self._drawings = False
        self.prototypes = nn.Linear(backbone.features, symbols, bias=not normalise)

    @property
    def sees_drawings(self) -> bool:
        """Whether the backbone sees where an image's ink is and not its colours."""
        return self._drawings

    @sees_drawings.setter
    def sees_drawings(self, value: bool) -> None:
        self._drawings = value
        self.drawings.fill_(float(value))

    def learn_scale(self, pool: Tensor) -> None:
        """Learns where the columns of rows lie, from training rows ``(N, ..., D)`` at rest."""
        if self.scale is not None:
            self.scale.fit(pool)

    def encode(self, inputs: Tensor) -> Tensor:
        """Turns images into their features, ``(B, F)``; without an encoder nothing changes."""
        if self.encoder is None or kind_of(inputs.shape[1:]) != "image":
            return inputs
        return self.encoder(inputs)

    def encoded(self, shape: Shape) -> Shape:
        """The shape of what :meth:`encode` makes of an input of a shape."""
        return shape if self.encoder is None else (self.encoder.features,)

    def take(self, inputs: Tensor) -> Tensor:
        """Brings inputs as they rest to the range of :meth:`forward`, through any encoder.

        Args:
            inputs: Images ``(B, C, H, W)`` of bytes or in [-1, 1], rows ``(B, D)`` or sequences
                ``(B, T, D)`` in units of their own.
        """
        return take(self.encode(inputs), self.scale)

    def see(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` as the backbone sees them."""
        return as_drawing(x) if self._drawings else x

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        # Weights of an earlier version do not say: their networks saw images as they are.
        known = state_dict.setdefault(f"{prefix}drawings", torch.zeros(()))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._drawings = bool(known)

    def embed(self, x: Tensor) -> Tensor:
        """Embedding ``g(x)``, ``(B, F)``; of unit norm if the model normalises."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._bfloat16):
            features: Tensor = self.backbone(self.see(x))
        if self._bfloat16:
            features = features.float()
        return functional.normalize(features, dim=-1) if self.normalise else features

    def project(self, embedding: Tensor) -> Tensor:
        """Unit-norm projection ``(B, D)`` of an embedding ``(B, F)``, for the contrastive term."""
        return functional.normalize(self.projector(embedding), dim=-1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits ``(B, K)`` of an embedding ``(B, F)`` that :meth:`embed` returned."""
        weight = self.prototypes.weight
        if self.normalise:
            weight = functional.normalize(weight, dim=-1)
        return functional.linear(embedding, weight, self.prototypes.bias) / self.temperature

    def logits(self, x: Tensor) -> Tensor:
        """Logits ``f(x)``, ``(B, K)``."""
        return self.classify(self.embed(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``f(x)``, ``(B, K)``; same as :meth:`logits`."""
        return self.logits(x)

    @torch.no_grad()
    def permute_symbols(self, permutation: Sequence[int] | Tensor) -> None:
        """Renames symbols: the new symbol k takes the prototype of old symbol ``permutation[k]``.

        Afterwards ``logits`` equals the earlier ``logits[:, permutation]``.

        Args:
            permutation: A permutation of ``0..K-1``.

        Raises:
            NetworkError: If it is not one.
        """
        order = torch.as_tensor(permutation, dtype=torch.long, device=self.prototypes.weight.device)
        if sorted(order.tolist()) != list(range(self.symbols)):
            raise NetworkError(
                f"{order.tolist()} is not a permutation", expected=f"of 0..{self.symbols - 1}"
            )
        for parameter in self.prototypes.parameters():
            parameter.copy_(parameter[order])

    @torch.no_grad()
    def split_symbol(self, unused: int, source: int) -> None:
        """Lets a symbol that is never predicted share the mass of another one evenly.

        Args:
            unused: Takes the prototype of ``source``; both logits fall by log 2, where prototypes
                have a bias.
            source: The symbol whose cluster seems to hold both.
        """
        for parameter in self.prototypes.parameters():
            parameter[unused] = parameter[source]
        if self.prototypes.bias is not None:
            self.prototypes.bias[[unused, source]] -= math.log(2.0) * self.temperature

    @torch.no_grad()
    def set_prototypes(self, centres: Tensor, sharpness: float = 1.0) -> None:
        """Starts the prototypes from cluster centres of the embedding.

        With free logits ``f_y(x) = s (c_y . g - |c_y|^2 / 2)``, so that ``p(y|x)`` is the
        posterior of a mixture of equal spherical Gaussians of precision ``s`` around the centres
        and ``argmax f`` the nearest centre. On the unit sphere the prototypes are the centres'
        directions and ``sharpness`` has no part.

        Args:
            centres: ``(K, F)``.
            sharpness: Precision ``s``, in inverse squared units of the embedding.

        Raises:
            NetworkError: If the shape differs.
        """
        weight = self.prototypes.weight
        if centres.shape != weight.shape:
            raise NetworkError(
                f"centres of shape {tuple(centres.shape)}", expected=f"{tuple(weight.shape)}"
            )
        centres = centres.to(weight)
        if self.normalise:
            weight.copy_(functional.normalize(centres, dim=-1))
            return
        scale = sharpness * self.temperature
        weight.copy_(scale * centres)
        self.prototypes.bias.copy_(-0.5 * scale * centres.square().sum(-1))
