"""Sets of inputs in NumPy's files, read without unpickling and without unfolding a bomb."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from groundkit.data.images import DataSource, ImageSet, Labels, split
from groundkit.data.levels import Order, take_images
from groundkit.data.rows import LAYOUTS, refuse_empty_columns, take_rows, words_of
from groundkit.errors import DataError
from groundkit.files import WEIGHTS_LIMIT, open_file, shown

# An archive may unfold to so many bytes, for flat images compress well, or so many times its size.
MAX_UNFOLDED, MAX_UNFOLDING = 1 << 28, 100
_INPUTS = ("images", *LAYOUTS)
_KNOWN = (*_INPUTS, "labels", "order")


def load_npz(path: Path, seed: int = 0) -> DataSource:
    """Reads an ``.npz`` of inputs and optionally ``labels``; pickled arrays are refused.

    Inputs are ``images``, ``rows`` of features ``(N, D)``, ``sequences`` ``(N, T, D)`` or
    ``tokens`` ``(N, T)``: see :func:`~groundkit.data.levels.take_images`, of whose axes an array
    ``order`` may name the order, ``NCHW`` or ``NHWC``, and
    :func:`~groundkit.data.rows.take_rows`.

    Raises:
        DataError: The file is missing, damaged, no set of inputs, or unfolds beyond measure.
    """
    arrays = read_arrays(path)
    found = input_set(path, arrays)
    if "labels" not in arrays:
        return split(found, seed)
    labels, classes = _labels(path, arrays["labels"], len(found))
    return split(replace(found, labels=labels, classes=classes), seed)


def load_npy(path: Path, seed: int = 0) -> DataSource:
    """Reads an ``.npy`` of inputs without labels; what they are is told by axes and type.

    Two axes are rows of features; three of floats are sequences, three of anything else grey
    images; four are images.

    Raises:
        DataError: The file is missing, damaged, or none of these.
    """
    return split(input_set(path, read_arrays(path)), seed)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Reads the arrays of an ``.npz`` that are known, or the one of an ``.npy`` under its kind.

    Raises:
        DataError: The file is missing, damaged, or unfolds beyond measure.
    """
    kind = path.suffix.lower() or ".npz"
    try:
        with open_file(path, WEIGHTS_LIMIT, error=DataError) as stream:
            if kind == ".npy":
                array = _read_npy(stream)
                return {_told_by_axes(array): array}
            return _read(path, stream)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"there is no file '{shown(path)}'") from None
    except MemoryError:
        raise DataError(
            f"'{shown(path)}' cannot be read as {kind}: it does not fit into memory",
            remedy="name a smaller part of the set",
        ) from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{shown(path)}' cannot be read as {kind}: {error}") from None
    except Exception as error:  # zipfile and struct have many ways to say "cut short"
        raise DataError(f"'{shown(path)}' is damaged: {error}") from None


def input_set(
    path: Path, arrays: dict[str, NDArray[Any]], *, fewest: int = 2, tokens: int | None = None
) -> ImageSet:
    """The inputs among arrays of a file, without their labels.

    Args:
        path: The file, for messages.
        arrays: What :func:`read_arrays` returned.
        fewest: Least number of inputs.
        tokens: Number of token ids, see :func:`~groundkit.data.rows.take_rows`.

    Raises:
        DataError: There are no inputs, several kinds of them, or they cannot be taken up.
    """
    given = [name for name in _INPUTS if name in arrays]
    if len(given) != 1:
        raise DataError(
            f"'{shown(path)}' holds {', '.join(sorted(arrays)) or 'nothing of the kind'}",
            expected=f"one of the arrays {', '.join(_INPUTS)}, and 'labels' if they are known",
        )
    kind = given[0]
    what = f"'{shown(path)}': {kind}"
    if kind == "images":
        taken = take_images(arrays[kind], what, order=_order(path, arrays), fewest=fewest)
        return ImageSet(str(path), taken.pixels(), assumed=taken.assumed)
    layout = next(name for name in LAYOUTS if name == kind)
    rows = take_rows(arrays[kind], layout, what, tokens=tokens)
    if len(rows) < fewest:
        raise DataError(f"{what} are {len(rows)}", expected=f"at least {fewest}")
    refuse_empty_columns(rows, what)
    return ImageSet(str(path), rows, assumed=words_of(rows, layout))


def _told_by_axes(array: NDArray[Any]) -> str:
    """What the array of an ``.npy`` is."""
    if array.ndim == 2:
        return "rows"
    return "sequences" if array.ndim == 3 and array.dtype.kind == "f" else "images"


def _read_npy(stream: BinaryIO) -> NDArray[Any]:
    """Reads an array whose header says no more than the file holds."""
    version = np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, kind = read_header(stream)
    if kind.hasobject:
        raise ValueError("its array is pickled")
    start = stream.tell()
    if math.prod(shape) * kind.itemsize > stream.seek(0, 2) - start:
        raise ValueError("its header speaks of more than the file holds")
    stream.seek(0)
    found: NDArray[Any] = np.load(stream, allow_pickle=False)
    return found


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
