"""What a user asks about, images or rows, brought to what a network reads and shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from groundkit.data.features import prepare_row
from groundkit.data.photos import Prepared, prepare_image
from groundkit.perception.in_distribution import InDistribution
from groundkit.perception.inputs import kind_of
from groundkit.perception.model import SymbolModel
from groundkit.report.rows import draw_inputs


def prepare(
    paths: Sequence[Path | str], known: InDistribution, contents: Mapping[str, bytes]
) -> list[Prepared]:
    """Brings the inputs of one neural call to what its network was trained on.

    Args:
        paths: Image files, or references to rows.
        known: What the network's training inputs look like.
        contents: Path -> the file, for images that are not on disk.

    Raises:
        DataError: One is missing, or of another kind.
    """
    first, *rest = known.shape
    if kind_of(known.shape) != "image":
        return [prepare_row(str(path), (first // len(paths), *rest)) for path in paths]
    height, width = rest
    shape = (first // len(paths), height, width)
    return [
        prepare_image(Path(path), shape, known.dark_border, contents.get(str(path)), known.levels)
        for path in paths
    ]


def picture(model: SymbolModel, inputs: Sequence[Prepared]) -> NDArray[np.uint8]:
    """Shows the inputs of one neural call side by side, as bytes ``(C, H, W)``."""
    if inputs[0].pixels.dim() == 3:
        images: NDArray[np.uint8] = torch.cat([one.pixels for one in inputs], dim=2).numpy()
        return images
    stacked = torch.cat([one.pixels for one in inputs])[None]
    scaled = model.take(stacked.to(model.prototypes.weight.device)).cpu()
    parts = [draw_inputs(part)[0] for part in torch.chunk(scaled, len(inputs), dim=1)]
    shown: NDArray[np.uint8] = np.rint(255 * np.concatenate(parts, axis=2)).astype(np.uint8)
    return shown
