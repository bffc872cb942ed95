"""Sets of inputs in NumPy's files, read without unpickling and without unfolding a bomb."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from groundkit.data.images import TRUE_OR_FALSE, DataSource, ImageSet, Labels, split
from groundkit.data.levels import Order, take_images
from groundkit.data.rows import LAYOUTS, refuse_empty_columns, take_rows, words_of
from groundkit.data.standing import find_standing, read_standing
from groundkit.data.stored import LARGEST
from groundkit.errors import DataError
from groundkit.files import WEIGHTS_LIMIT, open_file, shown
from groundkit.perception.inputs import kind_of
from groundkit.report.words import counted, listing

# An archive may unfold to so many bytes, for flat images compress well, or so many times its size.
MAX_UNFOLDED, MAX_UNFOLDING = 1 << 28, 100
_INPUTS = ("images", *LAYOUTS)
_KNOWN = (*_INPUTS, "labels", "order")
_PLAIN = {
    "labels": "save labels=numpy.array(labels, dtype=str)",
    "sequences": "fill the end of shorter sequences with numpy.nan, so that all have one length",
    "tokens": "fill the end of shorter texts with -1, so that all have one length",
    "images": "bring all to one shape: numpy.stack(images)",
}
"""How to save what NumPy makes an array of objects of."""


def load_npz(path: Path, seed: int = 0) -> DataSource:
    """Reads an ``.npz`` of inputs and optionally ``labels``; pickled arrays are refused.

    Inputs are ``images``, ``rows`` of features ``(N, D)``, ``sequences`` ``(N, T, D)`` or
    ``tokens`` ``(N, T)``: see :func:`~groundkit.data.levels.take_images`, of whose axes an array
    ``order`` may name the order, ``NCHW`` or ``NHWC``, and
    :func:`~groundkit.data.rows.take_rows`. Images of a large file that are bytes, saved by
    ``numpy.savez``, stay on disk.

    Raises:
        DataError: The file is missing, damaged, no set of inputs, or unfolds beyond measure.
    """
    place = find_standing(path)
    if place is None:
        arrays = read_arrays(path)
        found = input_set(path, arrays)
    else:
        arrays = read_arrays(path, but="images")
        pixels, assumed = read_standing(path, place, _order(path, arrays))
        found = ImageSet(str(path), pixels, assumed=assumed)
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
    found = input_set(path, read_arrays(path))
    if kind_of(found.shape) == "sequence":
        words = "three axes of floats are sequences (N, T, D): images of floats belong into an .npz"
        found = replace(found, assumed=(words, *found.assumed))
    return split(found, seed)


def read_arrays(path: Path, but: str = "") -> dict[str, NDArray[Any]]:
    """Reads the arrays of an ``.npz`` that are known, or the one of an ``.npy`` under its kind.

    Args:
        path: The file.
        but: An array of an ``.npz`` that stays on disk.

    Raises:
        DataError: The file is missing, damaged, or unfolds beyond measure.
    """
    kind = path.suffix.lower() or ".npz"
    try:
        with open_file(path, LARGEST if but else WEIGHTS_LIMIT, error=DataError) as stream:
            if kind == ".npy":
                array = _read_npy(stream)
                return {_told_by_axes(array): array}
            return _read(path, stream, but)
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
            f"'{shown(path)}' holds {listing(list(map(shown, sorted(arrays)))) or 'nothing'}",
            expected=f"one of the arrays {', '.join(_INPUTS)}, and 'labels' if they are known",
            remedy="name them so: numpy.savez(file, images=..., labels=...)",
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
    if fewest > 1:  # one row by itself may lack a value
        refuse_empty_columns(rows, what)
    return ImageSet(str(path), rows, assumed=words_of(rows, layout))


def _told_by_axes(array: NDArray[Any]) -> str:
    """What the array of an ``.npy`` is."""
    if array.ndim <= 2:
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


def _read(path: Path, stream: BinaryIO, but: str) -> dict[str, NDArray[Any]]:
    """Reads the arrays that are known but one, once their sizes have been looked at."""
    with zipfile.ZipFile(stream) as archive:
        held = {one.filename.removesuffix(".npy"): one.file_size for one in archive.infolist()}
    names = [name for name in _KNOWN if name in held and name != but]
    unfolded = sum(held[name] for name in names)
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
        if not set(held) & set(_INPUTS):  # for the message
            return dict.fromkeys(held, np.empty(0))
        return {name: _member(path, archive, name) for name in names}


def _member(path: Path, archive: Any, name: str) -> NDArray[Any]:
    """Reads an array of an archive, if it is none of Python's objects."""
    try:
        found: NDArray[Any] = archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"'{shown(path)}': {name} are pickled Python objects",
            expected="an array of numbers, or of texts for labels",
            remedy=_PLAIN.get(name, _PLAIN["images"]),
        ) from None
    return found


def _order(path: Path, arrays: dict[str, NDArray[Any]]) -> Order | None:
    if "order" not in arrays:
        return None
    given = arrays["order"]
    found = str(given.astype(str).item() if given.size == 1 else given.tolist()).upper()
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
        shares = raw.ndim == 2 and len(raw) == count
        raise DataError(
            f"'{shown(path)}': labels have shape {raw.shape}, there are {count:,} inputs",
            expected=f"one label for each input, of shape ({count},)",
            remedy="save labels.argmax(1) if they have a column for each class" if shares else None,
        )
    if raw.dtype.kind not in "biufSU":
        raise DataError(
            f"'{shown(path)}': labels are of type {raw.dtype}",
            expected="numbers, truth values or texts",
            remedy=_PLAIN["labels"],
        )
    if raw.dtype.kind == "S":
        raw = np.char.decode(raw, "utf-8", "replace")
    texts = raw.dtype.kind == "U"
    raw = np.char.strip(raw) if texts else raw
    odd = np.flatnonzero(raw == "" if texts else ~np.isfinite(raw))
    if odd.size:
        what = "empty" if texts else "not finite"
        raise DataError(
            f"'{shown(path)}': {counted(odd.size, 'label')} "
            f"{'is' if odd.size == 1 else 'are'} {what}, the first is that of input {odd[0]}",
            expected="a label for each input",
            remedy="leave out the inputs that have no label, or save them without labels",
        )
    if raw.dtype.kind == "f" and (raw == raw.round()).all() and np.abs(raw).max() < 2**53:
        raw = raw.astype(np.int64)
    if raw.dtype.kind == "b":
        raw = np.where(raw, *TRUE_OR_FALSE)
    names, labels = np.unique(raw, return_inverse=True)
    return labels.astype(np.int64), tuple(str(name) for name in names)
