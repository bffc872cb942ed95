"""The images that examples name, each known by its content.

The same file in two columns, two copies of a file, or one array given twice are one image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from groundkit.data.examples import inside
from groundkit.data.files import read_images
from groundkit.data.images import ImageSet
from groundkit.errors import DataError, Location
from groundkit.files import read_bytes


@dataclass
class Contents:
    """Images by a digest of their content.

    Attributes:
        name: Where they come from, for messages.
    """

    name: str
    _paths: dict[str, tuple[Path, Location]] = field(default_factory=dict)
    _arrays: dict[str, Tensor] = field(default_factory=dict)
    _known: dict[Path, str] = field(default_factory=dict)

    def add_file(self, folder: Path, name: str, at: Location) -> str:
        """Notes an image file; returns its key.

        Args:
            folder: The folder that paths are relative to, and may not leave.
            name: The path as written.
            at: Where it was written.

        Raises:
            DataError: The path leaves the folder, or there is no such file.
        """
        path = inside(folder, name, at)
        if path not in self._known:
            try:
                content = read_bytes(path, error=DataError, at=at)
            except FileNotFoundError:
                raise DataError(
                    f"there is no image '{name}'",
                    remedy=f"paths are relative to '{folder}'",
                    at=at,
                ) from None
            key = hashlib.sha256(content).hexdigest()
            self._known[path] = key
            self._paths.setdefault(key, (path, at))
        return self._known[path]

    def add_array(self, pixels: Tensor) -> str:
        """Notes an image ``(C, H, W)`` in bytes; returns its key."""
        whole = pixels.contiguous()
        head = f"{tuple(whole.shape)} {whole.dtype} ".encode()
        key = hashlib.sha256(head + whole.numpy().tobytes()).hexdigest()
        self._arrays.setdefault(key, whole)
        return key

    def read(self, calls: Sequence[Sequence[str]], shape: tuple[int, ...]) -> ImageSet:
        """Reads the images of neural calls, those of one call stacked along channels.

        Args:
            calls: The keys of the images of every call.
            shape: ``(C, H, W)`` that files are brought to.

        Raises:
            DataError: A file is no image.
        """
        keys = [key for call in calls for key in call]
        assumed: tuple[str, ...] = ()
        if self._arrays:
            pixels = torch.stack([self._arrays[key] for key in keys])
        else:
            pixels, assumed = read_images([self._paths[key] for key in keys], shape)
        stacked = pixels.reshape(len(calls), -1, *pixels.shape[2:])
        return ImageSet(self.name, stacked, assumed=assumed)
