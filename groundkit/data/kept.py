"""Decoded images of large sets, kept on disk so that they are decoded once and read as needed.

A file of the cache is a head of JSON and the images' bytes. Its name is a digest of everything
that they depend on; one that is damaged is made anew. Processes that share the folder see all of a
file or nothing, and one of them makes it while the others wait.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from torch import Tensor

from groundkit.data.levels import Levels, choose_levels
from groundkit.data.stored import LARGEST, as_stored
from groundkit.errors import GroundkitError, Location, RunError
from groundkit.files import alone, make_folder, open_file, shown, writing

Named = tuple[Path, Location | None]
"""An image file, and where it was named."""

ByKind = Mapping[str, Levels]
"""Which values are black and white, by the type of a picture's values, such as ``uint16``."""

_FORMAT = "groundkit-images-2"
_DAMAGED = (
    *(OSError, GroundkitError, LookupError, ValueError, TypeError, AttributeError),
    RecursionError,
)
"""What reading a file of the cache may raise that something else has written."""
_HEAD = 4096
"""Bytes of a file's head."""
_AT_ONCE = 512
"""Pictures that are decoded before they are written."""


@dataclass(frozen=True)
class Decoded:
    """A picture in the wanted frame ``(C, H, W)``, before its levels are known."""

    values: NDArray[Any]
    kind: np.dtype[Any]
    low: float
    high: float
    path: Path
    at: Location | None


@dataclass
class Extents:
    """The least and the largest values of pictures, by the type of their values."""

    _low: dict[np.dtype[Any], float] = field(default_factory=dict)
    _worst: dict[np.dtype[Any], Decoded] = field(default_factory=dict)

    def add(self, one: Decoded) -> None:
        """Takes those of a picture."""
        self._low[one.kind] = min(one.low, self._low.get(one.kind, one.low))
        worst = self._worst.get(one.kind)
        if worst is None or (one.high, -one.low) > (worst.high, -worst.low):
            self._worst[one.kind] = replace(one, values=one.values[:0])  # its pixels may go

    def levels(self, known: ByKind | None = None) -> dict[str, Levels]:
        """Decides black and white for every type.

        Args:
            known: Those of the images that a network was trained on.

        Raises:
            DataError: Values fit no range that images come in, or lie outside of known ones.
        """
        found = {}
        for kind, one in self._worst.items():
            given, what = (known or {}).get(str(kind)), f"'{shown(one.path)}'"
            if given is None:
                given = choose_levels(kind, self._low[kind], one.high, what, one.at)
            else:
                given.check(self._low[kind], one.high, what, one.at)
            found[str(kind)] = given
        return found


def assumed_of(levels: ByKind) -> tuple[str, ...]:
    """What was taken for granted, in words."""
    return tuple(sorted(one.assumed for one in levels.values() if one.assumed))


class KeptImages:
    """The images of files, as bytes in the cache.

    Args:
        named: The files, and where each was named.
        wanted: What else decides what is made of them, such as a shape.
    """

    def __init__(self, named: Sequence[Named], wanted: str) -> None:
        self._named = named
        digest = hashlib.sha256(f"{_FORMAT} {wanted} {PIL.__version__} {_code()}".encode())
        for path, _ in named:
            digest.update(os.fsencode(f"{path.absolute()}\0"))
            with contextlib.suppress(OSError, ValueError):  # told of when it is read
                status = path.stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        self._path = _folder() / f"{digest.hexdigest()}.images"

    def find(self) -> tuple[Tensor, ByKind] | None:
        """Returns images ``(N, C, H, W)`` that stay on disk, and which values were black and white.

        ``None`` where they are not kept, or the file is damaged.
        """
        try:
            with open_file(self._path, LARGEST, error=RunError) as stream:
                head = json.loads(stream.read(_HEAD))
                size = stream.seek(0, os.SEEK_END)
            shape = [int(length) for length in head["shape"]]
            sound = len(shape) == 4 and min(shape) > 0 and shape[0] == len(self._named)
            if not sound or size != _HEAD + math.prod(shape):
                return None
            levels = {
                str(kind): Levels(float(black), float(white), str(words))
                for kind, (black, white, words) in head["levels"].items()
            }
            return as_stored(self._path, _HEAD, shape), levels
        except _DAMAGED:
            return None

    def make(
        self,
        shape: Sequence[int],
        decode: Callable[[Named], Decoded],
        known: ByKind | None = None,
    ) -> tuple[Tensor, ByKind]:
        """Decodes the files, several at a time, unless another process does.

        Args:
            shape: ``(C, H, W)`` of an image.
            decode: Reads one of the files.
            known: Levels of black and white that hold for these as well.

        Returns:
            What :meth:`find` returns.

        Raises:
            DataError: A file is no image, or values fit no range that images come in.
            RunError: The cache cannot be written.
        """
        make_folder(self._path.parent)
        with alone(self._path.with_suffix(".lock")):
            found = self.find()
            if found is None:
                with ThreadPoolExecutor(os.cpu_count()) as workers:
                    self._write(shape, decode, known, workers)
                found = self.find()
        assert found is not None  # it has just been written
        return found

    def _write(
        self,
        shape: Sequence[int],
        decode: Callable[[Named], Decoded],
        known: ByKind | None,
        workers: ThreadPoolExecutor,
    ) -> None:
        """Writes bytes as they are; other pictures once more, when their levels are known."""
        extents = Extents()
        with writing(self._path) as stream:
            stream.write(bytes(_HEAD))
            for one in _decoded(self._named, decode, workers):
                extents.add(one)
                stream.write(one.values.astype(np.uint8, copy=False).tobytes())
            levels = extents.levels(known)
            if any(kind != "uint8" or level.assumed for kind, level in levels.items()):
                stream.seek(_HEAD)
                for one in _decoded(self._named, decode, workers):
                    stream.write(levels[str(one.kind)].to_bytes(one.values).tobytes())
            head = {
                "format": _FORMAT,
                "shape": [len(self._named), *shape],
                "levels": {k: (one.black, one.white, one.assumed) for k, one in levels.items()},
            }
            stream.seek(0)
            stream.write(json.dumps(head).encode().ljust(_HEAD))


def _decoded(
    named: Sequence[Named], decode: Callable[[Named], Decoded], workers: ThreadPoolExecutor
) -> Iterator[Decoded]:
    """Decodes files in their order, a few ahead of what is taken."""
    for first in range(0, len(named), _AT_ONCE):
        yield from workers.map(decode, named[first : first + _AT_ONCE])


def _folder() -> Path:
    """The folder of kept images: in ``GROUNDKIT_CACHE``, or in the user's cache."""
    return Path(os.environ.get("GROUNDKIT_CACHE", "~/.cache/groundkit")).expanduser() / "images"


@lru_cache(maxsize=1)
def _code() -> str:
    """Fingerprints the modules that decode, so that a corrected one is used."""
    names = ("files.py", "levels.py", "kept.py")
    return hashlib.sha256(
        b"".join((Path(__file__).parent / name).read_bytes() for name in names)
    ).hexdigest()
