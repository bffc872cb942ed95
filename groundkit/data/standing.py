"""Images of an archive that are read where they stand, for sets larger than memory."""

from __future__ import annotations

import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from groundkit.data import stored
from groundkit.data.levels import Order, arrange, choose_levels
from groundkit.data.stored import LARGEST, as_stored
from groundkit.errors import DataError
from groundkit.files import open_file, shown

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array's bytes stand in a file, and its shape."""

    start: int
    shape: tuple[int, ...]


def find_standing(path: Path) -> Place | None:
    """Finds images of an ``.npz`` that can be read where they stand.

    ``None`` where they are few, are compressed or no bytes, or the file is none; whoever reads it
    into memory tells what it is.

    Raises:
        DataError: The file cannot be opened.
    """
    try:
        with open_file(path, LARGEST, error=DataError) as stream:
            if stream.seek(0, 2) <= stored.MOST_IN_MEMORY:
                return None
            return _standing(stream)
    except DataError:
        raise
    except Exception:  # zipfile and struct have many ways to say "cut short"
        return None


def _standing(stream: BinaryIO) -> Place | None:
    """Finds a large array ``images`` of bytes that is not compressed."""
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
    few = size <= stored.MOST_IN_MEMORY or min(shape) < 1 or shape[0] < 2
    return None if few or fortran or kind != np.uint8 else Place(start, shape)


def read_standing(path: Path, place: Place, order: Order | None) -> tuple[Tensor, tuple[str, ...]]:
    """The images ``(N, C, H, W)`` where they stand, and what was taken for granted.

    Raises:
        DataError: They are no images, their axes can be read in several ways, or their largest
            value is not white.
    """
    what = f"'{shown(path)}': images"
    # How axes are arranged shows without an image: one value stands for all.
    arranged, words = arrange(np.broadcast_to(np.uint8(0), place.shape), what, order)
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
