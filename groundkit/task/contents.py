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
from groundkit.data.files import read_image
from groundkit.errors import DataError, Location


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
            if not path.is_file():
                what = "is no file" if path.exists() else "does not exist"
                raise DataError(
                    f"the image '{name}' {what}",
                    remedy=f"paths are relative to {folder}",
                    at=at,
                )
            with path.open("rb") as stream:
                key = hashlib.file_digest(stream, "sha256").hexdigest()
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

    def read(self, keys: Sequence[str], shape: tuple[int, ...]) -> Tensor:
        """Returns images stacked along channels, ``(len(keys) * C, H, W)`` bytes.

        Args:
            keys: The images of one neural call.
            shape: ``(C, H, W)`` that files are brought to.

        Raises:
            DataError: A file is no image, or an array has another shape.
        """
        return torch.cat([self._one(key, shape) for key in keys])

    def _one(self, key: str, shape: tuple[int, ...]) -> Tensor:
        if key in self._paths:
            path, at = self._paths[key]
            return read_image(path, shape, at)
        return self._arrays[key]
