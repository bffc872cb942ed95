"""Images that stay on disk: a tensor whose rows are read when something is computed with them."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map_only

from groundkit.data.levels import Order
from groundkit.errors import DataError
from groundkit.files import open_file, shown

LARGEST = 1 << 62
"""Bytes of a file that is read as needed: as many as a disk holds."""
MOST_IN_MEMORY = 1 << 28
"""Bytes of a set of images that is held in memory; larger ones stay on disk."""


class PixelFile:
    """Bytes of images, one after the other in a file.

    They are read, not mapped into memory: pages of a map count as memory of the process, and a
    file that is cut short while it is mapped ends the process without a word.

    Args:
        path: The file.
        start: Where the first image begins.
        shape: ``(N, C, H, W)``, or ``(N, H, W, C)`` for the order NHWC.
        order: The order of the axes.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no regular file, or cannot be opened.
    """

    def __init__(self, path: Path, start: int, shape: Sequence[int], order: Order = "NCHW") -> None:
        self.path, self._start, self._row, self._order = path, start, tuple(shape[1:]), order
        self._size = int(np.prod(self._row))
        self._stream = open_file(path, LARGEST, error=DataError).detach()
        self._lock = threading.Lock()

    def read(self, places: NDArray[np.int64]) -> Tensor:
        """Reads the images at places ``(n,)``, in the file's order; bytes ``(n, C, H, W)``.

        Raises:
            DataError: The file has become shorter, or cannot be read.
        """
        rows = np.empty((len(places), self._size), dtype=np.uint8)
        ascending = np.argsort(places, kind="stable")
        moved = places[ascending]
        # Neighbours in the file are read at once, where they are neighbours in the answer as well.
        breaks = (np.diff(moved) != 1) | (np.diff(ascending) != 1)
        edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(places)]
        with self._lock:
            for first, end in itertools.pairwise(edges):
                if first < end:
                    place = int(ascending[first])
                    self._fill(rows[place : place + end - first], int(moved[first]))
        images = torch.from_numpy(rows.reshape(len(places), *self._row))
        return images if self._order == "NCHW" else images.permute(0, 3, 1, 2).contiguous()

    def _fill(self, rows: NDArray[np.uint8], number: int) -> None:
        """Reads rows from the image of a number on."""
        rest = rows.reshape(-1).data
        try:
            self._stream.seek(self._start + number * self._size)
            while rest:
                count = self._stream.readinto(rest)
                if not count:
                    raise OSError("it is shorter than when it was opened")
                rest = rest[count:]
        except OSError as error:
            raise DataError(
                f"images of '{shown(self.path)}' cannot be read: {error.strerror or error}",
                remedy="leave the file alone while a run reads it, and start the run again",
            ) from error


class StoredImages(Tensor):
    """Images ``(N, C, H, W)`` of a file, as bytes.

    Indexing and splitting choose images and read none. Whatever else is computed with them reads
    those that were chosen, so that code for tensors is right with it, and takes little memory if it
    works on a part at a time. Moved to another device, parts are read to that device.
    """

    _file: PixelFile
    _places: NDArray[np.int64]

    @staticmethod
    def of(
        file: PixelFile,
        places: NDArray[np.int64],
        image: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> StoredImages:
        """Chooses images of a file.

        Args:
            file: The file.
            places: Which of its images, ``(N,)``.
            image: ``(C, H, W)``.
            device: Where images are read to.
        """
        made: StoredImages = Tensor._make_wrapper_subclass(
            StoredImages, (len(places), *image), dtype=torch.uint8, device=torch.device(device)
        )
        made._file, made._places = file, places
        return made

    def read(self) -> Tensor:
        """The images in memory, ``(N, C, H, W)`` on their device."""
        return self._file.read(self._places).to(self.device)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"StoredImages({tuple(self.shape)} of '{self._file.path}')"

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _SHAPE_ONLY:
            return super().__torch_function__(func, types, args, given)  # type: ignore[no-untyped-call]
        choose = _CHOOSING.get(func)
        found = NotImplemented
        if choose is not None and isinstance(args[0], StoredImages):
            found = choose(*args, **given)
        if found is not NotImplemented:
            return found
        return cls.__torch_dispatch__(func, types, args, given)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # declared as a function of no class
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Reads what was chosen, and computes with that."""
        held = tree_map_only(StoredImages, StoredImages.read, (tuple(args), dict(kwargs or {})))
        return func(*held[0], **held[1])

    def _chosen(self, places: NDArray[np.int64]) -> StoredImages:
        return StoredImages.of(self._file, places, self.shape[1:], self.device)


def _index(images: StoredImages, index: Any) -> Any:
    """Chooses by a slice, or by a row of places or of truth values; reads a single image."""
    if isinstance(index, int):
        return images._chosen(images._places[[index]]).read()[0]
    if isinstance(index, Tensor):
        index = index.cpu().numpy()
    if isinstance(index, slice) or (isinstance(index, np.ndarray) and index.ndim == 1):
        return images._chosen(images._places[index])
    return NotImplemented


def _split(images: StoredImages, size: int, dim: int = 0) -> Any:
    """Splits into parts of some images each."""
    if dim != 0 or not isinstance(size, int):
        return NotImplemented
    return tuple(images[start : start + size] for start in range(0, len(images), size))


def _to(images: StoredImages, *where: Any, **more: Any) -> Any:
    """Moves to another device; a change of type reads."""
    device = where[0] if len(where) == 1 and not more else None
    if not isinstance(device, torch.device | str):
        return NotImplemented
    return StoredImages.of(images._file, images._places, images.shape[1:], device)


_SHAPE_ONLY = {
    *(Tensor.__len__, Tensor.dim, Tensor.size, Tensor.numel, Tensor.__repr__),
    *(
        getattr(Tensor, name).__get__
        for name in ("shape", "dtype", "device", "ndim", "is_cuda", "requires_grad", "layout")
    ),
}
_CHOOSING: dict[Callable[..., Any], Callable[..., Any]] = {
    Tensor.__getitem__: _index,
    Tensor.split: _split,
    torch.split: _split,
    Tensor.to: _to,
}


def as_stored(path: Path, start: int, shape: Sequence[int], order: Order = "NCHW") -> Tensor:
    """All images of a file; see :class:`PixelFile`."""
    image = tuple(shape[1:]) if order == "NCHW" else (shape[3], shape[1], shape[2])
    return StoredImages.of(PixelFile(path, start, shape, order), np.arange(shape[0]), image)


def fitting(images: Tensor) -> Tensor:
    """The first images that memory is spent on; all, if they are in memory already."""
    if not isinstance(images, StoredImages):
        return images
    most = max(1, MOST_IN_MEMORY // math.prod(images.shape[1:]))
    return images._chosen(images._places[:most]).read()
