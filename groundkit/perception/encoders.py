"""Frozen encoders: networks of others that turn images into features, which are never trained.

The features of an image are computed once and kept by the image's content, in memory and in a file
of the user's cache. Nothing is downloaded: weights lie in a local file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from groundkit.errors import NetworkError, RunError
from groundkit.files import WEIGHTS_LIMIT, make_folder, read_bytes, write_atomically
from groundkit.perception.inputs import Shape, kind_of
from groundkit.perception.pixels import to_model

Encode = Callable[[Tensor], Tensor]
"""Images ``(B, C, H, W)`` in [-1, 1] to features ``(B, F)``."""
_AT_ONCE = 64
_MOST_KEPT = 200_000
"""Images whose features a file of the cache keeps."""


class Encoder:
    """An encoder, and the features that it has computed.

    Args:
        name: Its name in a spec, for messages.
        key: Digest of everything that its features depend on but the image.
        encode: Computes features.
        shape: ``(C, H, W)`` of the images.
        cache: Folder of computed features, or ``None`` to keep them in memory alone.

    Raises:
        NetworkError: It cannot read such images, or does not give a row of features for each.
    """

    def __init__(
        self, name: str, key: str, encode: Encode, *, shape: Shape, cache: Path | None = None
    ) -> None:
        if kind_of(shape) != "image":
            raise NetworkError(
                f"the encoder '{name}' reads images, the inputs are {kind_of(shape)}s",
                remedy="leave the key encoder out",
            )
        self.name = name
        self._encode = encode
        size = "x".join(map(str, shape))
        self.key = hashlib.sha256(f"{key} {size}".encode()).hexdigest()
        self._file = None if cache is None else cache / "features" / f"{self.key}.safetensors"
        self._known: dict[bytes, Tensor] = {}
        self.features = self._measured(shape)
        self._load()

    def __deepcopy__(self, memo: Any) -> Encoder:
        """Copies of a network share their encoder, which nothing changes."""
        return self

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features ``(N, F)`` of images ``(N, C, H, W)`` at rest, on their device."""
        keys = [_digest(image) for image in images.cpu()]
        new = list({key: n for n, key in enumerate(keys) if key not in self._known}.items())
        for start in range(0, len(new), _AT_ONCE):
            part = new[start : start + _AT_ONCE]
            chosen = images[torch.tensor([place for _, place in part], device=images.device)]
            found = self._encode(to_model(chosen)).float().cpu()
            for (key, _), row in zip(part, found, strict=True):
                self._known[key] = row.clone()
        if new:
            self._save()
        return torch.stack([self._known[key] for key in keys]).to(images.device)

    @torch.no_grad()
    def _measured(self, shape: Shape) -> int:
        """The number F of features, seen by encoding two blank images."""
        try:
            found = self._encode(torch.zeros(2, *shape))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise NetworkError(
                f"the encoder '{self.name}' fails on images of {'x'.join(map(str, shape))}: "
                f"{str(error).splitlines()[0]}",
                remedy="give image_shape the channels, height and width that it reads",
            ) from error
        if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != 2:
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise NetworkError(
                f"the encoder '{self.name}' turns 2 images into {what}", expected="(2, F)"
            )
        if not bool(torch.isfinite(found).all()):
            raise NetworkError(
                f"the encoder '{self.name}' turns a blank image into features that are no numbers",
                expected="finite numbers",
            )
        return int(found.shape[1])

    def _load(self) -> None:
        """Reads what earlier runs have computed; a file that is damaged is left out."""
        if self._file is None:
            return
        try:
            tensors = load_tensors(read_bytes(self._file, WEIGHTS_LIMIT, error=RunError))
            keys, rows = tensors["keys"], tensors["features"]
        except (FileNotFoundError, RunError, SafetensorError, KeyError):
            return
        sound = keys.dtype == torch.uint8 and keys.shape == (len(rows), 32)
        if sound and rows.dtype == torch.float32 and rows.shape[1:] == (self.features,):
            self._known = dict(zip(map(_bytes, keys), rows, strict=True))

    def _save(self) -> None:
        """Writes what is known for later runs; a cache that cannot be written is done without."""
        if self._file is None or len(self._known) > _MOST_KEPT:
            return
        keys = np.frombuffer(b"".join(self._known), dtype=np.uint8).reshape(-1, 32)
        tensors = {
            "keys": torch.from_numpy(keys.copy()),
            "features": torch.stack(list(self._known.values())),
        }
        try:
            make_folder(self._file.parent)
            write_atomically(self._file, save_tensors(tensors))
        except RunError:
            self._file = None


def _digest(image: Tensor) -> bytes:
    """Names an image at rest by its content."""
    whole = image.contiguous()
    return hashlib.sha256(f"{whole.dtype} ".encode() + whole.numpy().tobytes()).digest()


def _bytes(row: Tensor) -> bytes:
    return row.numpy().tobytes()


def pooled(features: Tensor) -> Tensor:
    """Features ``(B, F)`` of a network's output: means over time ``(B, T, F)`` or place."""
    if features.dim() == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.dim() == 3 else features


def in_colour(images: Tensor, channels: int) -> Tensor:
    """Repeats grey images where three channels are read."""
    return images.expand(-1, channels, -1, -1) if images.shape[1] == 1 else images


def at_least(images: Tensor, side: int) -> Tensor:
    """Enlarges images whose shorter side is below ``side``."""
    short = min(images.shape[-2:])
    if short >= side:
        return images
    size = [round(length * side / short) for length in images.shape[-2:]]
    return resized(images, size)


def resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Images ``(B, C, H, W)`` at another height and width."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return torch.nn.functional.interpolate(
        images, list(size), mode="bilinear", antialias=True, align_corners=False
    )
