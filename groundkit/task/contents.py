"""The images, or rows, that examples name, each known by its content.

The same file in two columns, two copies of a file, or one array given twice are one input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from groundkit.data.examples import inside
from groundkit.data.features import names_row, pick_row, read_bank, split_reference
from groundkit.data.files import read_images
from groundkit.data.images import ImageSet
from groundkit.data.kept import ByKind, assumed_of
from groundkit.data.rows import refuse_empty_columns
from groundkit.errors import DataError, Location
from groundkit.files import read_bytes


@dataclass
class Contents:
    """Images, or rows, by a digest of their content.

    Attributes:
        name: Where they come from, for messages.
    """

    name: str
    _paths: dict[str, tuple[Path, Location]] = field(default_factory=dict)
    _arrays: dict[str, Tensor] = field(default_factory=dict)
    _known: dict[Path, str] = field(default_factory=dict)
    _banks: dict[Path, Tensor] = field(default_factory=dict)

    def add_file(self, folder: Path, name: str, at: Location) -> str:
        """Notes an image file, or a row such as ``wine.csv#3``; returns its key.

        Args:
            folder: The folder that paths are relative to, and may not leave.
            name: The path as written.
            at: Where it was written.

        Raises:
            DataError: The path leaves the folder, or there is no such file or row.
        """
        if names_row(name):
            return self._add_row(folder, name, at)
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

    def _add_row(self, folder: Path, name: str, at: Location) -> str:
        """Notes a row of a file, which is read once."""
        path = inside(folder, split_reference(name)[0], at)
        if path not in self._banks:
            bank = read_bank(path, at)
            refuse_empty_columns(bank, f"'{path.name}': rows")
            self._banks[path] = bank
        return self.add_array(pick_row(self._banks[path], name, at))

    @property
    def rows(self) -> bool:
        """Whether rows or arrays are noted, which have their shape from the start."""
        return bool(self._arrays)

    def add_array(self, pixels: Tensor) -> str:
        """Notes an image ``(C, H, W)`` in bytes, or a row or sequence; returns its key."""
        whole = pixels.contiguous()
        head = f"{tuple(whole.shape)} {whole.dtype} ".encode()
        key = hashlib.sha256(head + whole.numpy().tobytes()).hexdigest()
        self._arrays.setdefault(key, whole)
        return key

    def read(
        self,
        calls: Sequence[Sequence[str]],
        shape: tuple[int, ...],
        known: ByKind | None = None,
    ) -> ImageSet:
        """Reads the inputs of neural calls, those of one call stacked along their first axis.

        Args:
            calls: The keys of the images of every call.
            shape: ``(C, H, W)`` that image files are brought to.
            known: Which values are black and white in the set that they are to be held against.

        Raises:
            DataError: A file is no image, or inputs of one network have several shapes.
        """
        keys = [key for call in calls for key in call]
        levels: ByKind = {}
        if any(key in self._arrays for key in keys):
            pixels = torch.stack(self._alike(keys))
        else:
            pixels, levels = read_images([self._paths[key] for key in keys], shape, known=known)
        stacked = pixels.reshape(len(calls), -1, *pixels.shape[2:])
        return ImageSet(self.name, stacked, assumed=assumed_of(levels), levels=levels)

    def _alike(self, keys: Sequence[str]) -> list[Tensor]:
        """Returns the arrays of one network, if they have one shape."""
        if files := [key for key in keys if key not in self._arrays]:
            path, at = self._paths[files[0]]
            raise DataError(
                f"'{path.name}' is an image, other inputs of its network are rows",
                expected="images alone, or rows alone",
                at=at,
            )
        found = [self._arrays[key] for key in keys]
        shapes = {tuple(one.shape) for one in found}
        if len(shapes) > 1:
            shown = ", ".join("x".join(map(str, shape)) for shape in sorted(shapes))
            raise DataError(
                f"inputs of one network in '{self.name}' have the shapes {shown}",
                expected="one shape for all of them",
            )
        return found
