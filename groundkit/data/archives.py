"""Sets of images in NumPy's archives, read without unpickling and without unfolding a bomb."""

from __future__ import annotations

import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.data import stored
from groundkit.data.images import DataSource, ImageSet, Labels, split
from groundkit.data.levels import Order, arrange, choose_levels, take_images
from groundkit.data.stored import LARGEST, as_stored
from groundkit.errors import DataError
from groundkit.files import WEIGHTS_LIMIT, open_file, shown

# An archive may unfold to so many bytes, for flat images compress well, or so many times its size.
MAX_UNFOLDED, MAX_UNFOLDING = 1 << 28, 100
_KNOWN = ("images", "labels", "order")
_AT_ONCE = 1000


def load_npz(path: Path, seed: int = 0) -> DataSource:
    """Reads an ``.npz`` with ``images`` and optionally ``labels``; pickled arrays are refused.

    Images of a large file that are bytes, saved by ``numpy.savez``, stay on disk.

    ``images`` is read by :func:`~groundkit.data.levels.take_images`; an array ``order`` may name
    the order of its axes, ``NCHW`` or ``NHWC``.

    Raises:
        DataError: The file is missing, damaged, no set of images, or unfolds beyond measure.
    """
    try:
        place = _in_place(path)
        with open_file(path, LARGEST if place else WEIGHTS_LIMIT, error=DataError) as stream:
            arrays = _read(path, stream, but="images" if place else "")
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"there is no file '{shown(path)}'") from None
    except MemoryError:
        raise DataError(
            f"'{shown(path)}' cannot be read as .npz: it does not fit into memory",
            remedy="name a smaller part of the set",
        ) from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{shown(path)}' cannot be read as .npz: {error}") from None
    except Exception as error:  # zipfile and struct have many ways to say "cut short"
        raise DataError(f"'{shown(path)}' is damaged: {error}") from None
    if place is None and "images" not in arrays:
        raise DataError(
            f"'{shown(path)}' holds {', '.join(sorted(arrays)) or 'nothing of the kind'}",
            expected="an array 'images', and 'labels' if they are known",
        )
    pixels, assumed = _taken(path, arrays) if place is None else _stored(path, arrays, place)
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    if "labels" in arrays:
        labels, classes = _labels(path, arrays["labels"], len(pixels))
    return split(ImageSet(str(path), pixels, labels, classes, assumed=assumed), seed)


def _taken(path: Path, arrays: dict[str, NDArray[Any]]) -> tuple[Tensor, tuple[str, ...]]:
    """The images in memory, and what was taken for granted."""
    what, order = f"'{shown(path)}': images", _order(path, arrays)
    taken = take_images(arrays["images"], what, order=order, fewest=2)
    return taken.pixels(), taken.assumed


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array's bytes stand in a file, and its shape."""

    start: int
    shape: tuple[int, ...]


def _in_place(path: Path) -> _Place | None:
    """Finds images that can be read where they stand; ``None`` where they are few, or cannot."""
    with open_file(path, LARGEST, error=DataError) as stream:
        if stream.seek(0, 2) <= stored.MOST_IN_MEMORY:
            return None
        try:
            return _standing(stream)
        except (zipfile.BadZipFile, ValueError, struct.error):
            return None  # whoever reads it into memory tells what it is


def _standing(stream: BinaryIO) -> _Place | None:
    """Finds an array ``images`` of bytes that is not compressed."""
    with zipfile.ZipFile(stream) as archive:
        found = [i for i in archive.infolist() if i.filename == "images.npy"]
    if len(found) != 1 or found[0].compress_type != zipfile.ZIP_STORED:
        return None
    stream.seek(found[0].header_offset + 26)  # the lengths of a name and of an extra field
    stream.seek(sum(struct.unpack("<HH", stream.read(4))), 1)
    begin = stream.tell()
    if np.lib.format.read_magic(stream) != (1, 0):
        return None
    shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
    start, size = stream.tell(), math.prod(shape)
    if begin + found[0].file_size != start + size or stream.seek(0, 2) < start + size:
        return None
    few = size <= stored.MOST_IN_MEMORY or shape[0] < 2
    return None if few or fortran or kind != np.uint8 else _Place(start, shape)


def _stored(
    path: Path, arrays: dict[str, NDArray[Any]], place: _Place
) -> tuple[Tensor, tuple[str, ...]]:
    """The images where they stand, and what was taken for granted.

    Raises:
        DataError: They are no images of bytes, or their axes can be read in several ways.
    """
    what = f"'{shown(path)}': images"
    # How axes are arranged shows without an image: one value stands for all.
    arranged, words = arrange(np.broadcast_to(np.uint8(0), place.shape), what, _order(path, arrays))
    first = len(place.shape) == 3 or arranged.shape == place.shape
    shape = arranged.shape if first else place.shape
    images = as_stored(path.resolve(), place.start, shape, "NCHW" if first else "NHWC")
    found = [torch.aminmax(part) for part in torch.split(images, _AT_ONCE)]
    low, high = min(int(one.min) for one in found), max(int(one.max) for one in found)
    levels = choose_levels(np.dtype(np.uint8), low, high, what)
    if (levels.black, levels.white) != (0, 255):
        raise DataError(
            f"{what} are {place.shape[0]:,} of bytes whose largest value is {high}",
            expected="255 for white in a set that is too large for memory",
            remedy="multiply them by 255 before they are saved",
        )
    return images, tuple(text for text in (words, levels.assumed) if text)


def _read(path: Path, stream: BinaryIO, but: str) -> dict[str, NDArray[Any]]:
    """Reads the arrays that are known but one, once their sizes have been looked at."""
    names = [name for name in _KNOWN if name != but]
    with zipfile.ZipFile(stream) as archive:
        wanted = [i for i in archive.infolist() if i.filename.removesuffix(".npy") in names]
        unfolded = sum(member.file_size for member in wanted)
    size = stream.seek(0, 2)
    stream.seek(0)
    most = max(MAX_UNFOLDED, MAX_UNFOLDING * size)
    if unfolded > most:
        raise DataError(
            f"'{shown(path)}' unfolds to {unfolded:,} bytes from {size:,}",
            expected=f"at most {most:,} bytes",
            remedy="if the images are yours, save them with numpy.savez, which does not compress",
        )
    with np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name in names}


def _order(path: Path, arrays: dict[str, NDArray[Any]]) -> Order | None:
    if "order" not in arrays:
        return None
    found = str(arrays["order"])
    if found == "NCHW":
        return "NCHW"
    if found == "NHWC":
        return "NHWC"
    raise DataError(f"'{shown(path)}': order is '{shown(found)}'", expected="NCHW or NHWC")


def _labels(path: Path, raw: NDArray[Any], count: int) -> tuple[Labels, tuple[str, ...]]:
    """Reads labels of any type as positions in the sorted classes.

    Raises:
        DataError: There is not one for each image, or one is no number.
    """
    raw = raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw
    if raw.shape != (count,):
        raise DataError(
            f"'{shown(path)}': labels have shape {raw.shape}, there are {count} images",
            expected=f"one label for each image, of shape ({count},)",
        )
    if raw.dtype.kind in "fc":
        odd = np.flatnonzero(~np.isfinite(raw))
        if odd.size:
            raise DataError(
                f"'{shown(path)}': {odd.size} labels are not finite, the first is that of image "
                f"{odd[0]}",
                expected="a label for each image",
                remedy="leave out the images that have no label, or save them without labels",
            )
    if raw.dtype.kind == "f" and (raw == raw.round()).all() and np.abs(raw).max() < 2**53:
        raw = raw.astype(np.int64)
    if raw.dtype.kind == "S":
        raw = np.char.decode(raw, "utf-8", "replace")
    names, labels = np.unique(raw, return_inverse=True)
    return labels.astype(np.int64), tuple(str(name) for name in names)
