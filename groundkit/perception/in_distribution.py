"""What a network's training images look like, so that a new image can be held against them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from groundkit.errors import CheckpointError
from groundkit.perception.foreign import ForeignScore, limit_of
from groundkit.perception.inputs import Shape, kind_of
from groundkit.perception.model import SymbolModel, energy
from groundkit.perception.parts import in_parts
from groundkit.perception.pixels import has_dark_border

_LARGEST = 1 << 16


@dataclass(frozen=True)
class InDistribution:
    """Facts of the unlabelled training images of one network.

    Attributes:
        shape: Shape of every input: ``(C, H, W)``, ``(T, D)`` or ``(D,)``.
        energy_limit: The energy E(x), in nats, that nearly all training images stay below, by
            :func:`~groundkit.perception.foreign.limit_of`: odd ones among them do not raise it.
        foreign_limit: The same of the :class:`~groundkit.perception.foreign.ForeignScore`, above
            which an image is flagged as out of distribution; ``None`` for a run of an earlier
            version, whose images are flagged by energy.
        references: Number of training images that score keeps.
        encoder: Key of the frozen encoder; empty where there is none.
        dark_border: Share of the training images whose border is dark. Near 0 or 1, an image
            with the other kind of border is taken for inverted. 0.5 for what has no border.
        levels: Which values of image files are black and white, by the type of these: ``uint16``
            and so on, where training read such files.
    """

    shape: Shape
    energy_limit: float
    dark_border: float
    foreign_limit: float | None = None
    references: int = 0
    encoder: str = ""
    levels: Mapping[str, tuple[float, float]] = field(default_factory=dict)

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
            limit, dark = values["energy_limit"], values["dark_border"]
            further, references = values.get("foreign_limit"), values.get("references", 0)
            sizes = tuple(values["shape"])
            known = 1 <= len(sizes) <= 3
            if not known or not all(type(n) is int and 1 <= n <= _LARGEST for n in sizes):
                raise ValueError("the shape of the inputs is no shape")
            numbers = (limit, dark, 0.0 if further is None else further)
            if not all(type(x) in (int, float) and math.isfinite(x) for x in numbers):
                raise ValueError("a number is missing or not finite")
            if type(references) is not int or references < 0:
                raise ValueError("the number of reference images is no number")
            found = None if further is None else float(further)
            encoder = values.get("encoder", "")
            if type(encoder) is not str:
                raise ValueError("the key of the encoder is no text")
            levels = {
                str(kind): (float(black), float(white))
                for kind, (black, white) in dict(values.get("levels", {})).items()
            }
            if not all(math.isfinite(b + w) and b < w for b, w in levels.values()):
                raise ValueError("what is black and white is no range")
            return InDistribution(
                sizes, float(limit), float(dark), found, references, encoder, levels
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(
                f"the checkpoint's facts of its images are damaged: {error}",
                expected="shape, energy_limit and dark_border, as `groundkit run` writes them",
                remedy="copy the run folder again from where it was made",
            ) from None


@torch.no_grad()
def measure(
    model: SymbolModel, pool: Tensor, images: Tensor | None = None
) -> tuple[InDistribution, ForeignScore]:
    """Measures the training images of a trained network.

    Args:
        model: The network.
        pool: Unlabelled training inputs ``(N, ...)`` as they rest, on the model's device.
        images: The images that the pool holds the encoder's features of.
    """
    energies = in_parts(lambda part: energy(model(model.take(part))), pool)
    images = pool if images is None else images
    shape = tuple(images.shape[1:])
    score, limit = ForeignScore.fit(model, pool)
    bordered = kind_of(shape) == "image"
    dark = 0.5
    if bordered:
        dark = float(in_parts(has_dark_border, images).double().mean())
    encoder = "" if model.encoder is None else model.encoder.key
    known = InDistribution(shape, limit_of(energies), dark, limit, score.references, encoder)
    return known, score
