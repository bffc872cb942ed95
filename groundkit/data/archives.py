"""Sets of images in NumPy's archives, read without unpickling and without unfolding a bomb."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from groundkit.data.images import DataSource, ImageSet, Labels, split
from groundkit.data.levels import Order, take_images
from groundkit.errors import DataError
from groundkit.files import WEIGHTS_LIMIT, open_file, shown

# An archive may unfold to so many bytes, for flat images compress well, or so many times its size.
MAX_UNFOLDED, MAX_UNFOLDING = 1 << 28, 100
_KNOWN = ("images", "labels", "order")


def load_npz(path: Path, seed: int = 0) -> DataSource:
    """Reads an ``.npz`` with ``images`` and optionally ``labels``; pickled arrays are refused.

    ``images`` is read by :func:`~groundkit.data.levels.take_images`; an array ``order`` may name
    the order of its axes, ``NCHW`` or ``NHWC``.

    Raises:
        DataError: The file is missing, damaged, no set of images, or unfolds beyond measure.
    """
    try:
        with open_file(path, WEIGHTS_LIMIT, error=DataError) as stream:
            arrays = _read(path, stream)
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
    if "images" not in arrays:
        raise DataError(
            f"'{shown(path)}' holds {', '.join(sorted(arrays)) or 'nothing of the kind'}",
            expected="an array 'images', and 'labels' if they are known",
        )
    taken = take_images(
        arrays["images"], f"'{shown(path)}': images", order=_order(path, arrays), fewest=2
    )
    pixels = taken.pixels()
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    if "labels" in arrays:
        labels, classes = _labels(path, arrays["labels"], len(pixels))
    return split(ImageSet(str(path), pixels, labels, classes, assumed=taken.assumed), seed)


def _read(path: Path, stream: BinaryIO) -> dict[str, NDArray[Any]]:
    """Reads the arrays that are known, once their sizes have been looked at."""
    with zipfile.ZipFile(stream) as archive:
        wanted = [i for i in archive.infolist() if i.filename.removesuffix(".npy") in _KNOWN]
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
        return {name: archive[name] for name in archive.files if name in _KNOWN}


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
