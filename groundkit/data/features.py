"""Rows in files: a table or an array as a data set, and one row of it by its number.

``wine.csv#3`` is the fourth row of a table, ``voices.npz#0`` the first sequence of an archive; the
``#`` may be left out where a file holds one row.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from groundkit.data.archives import input_set, load_npy, load_npz, read_arrays
from groundkit.data.files import SUFFIXES, load_folder, read_table
from groundkit.data.images import DataSource, ImageSet, split
from groundkit.data.photos import Prepared
from groundkit.data.rows import refuse_empty_columns, take_rows, words_of
from groundkit.errors import DataError, Location
from groundkit.files import is_there, shown
from groundkit.perception.inputs import Shape, kind_of
from groundkit.report.words import counted

LABEL = "label"
"""The column of a table that holds the true symbols, to draw and to score with."""
ROW_SUFFIXES = frozenset({".csv", ".npy", ".npz"})
INPUT_SUFFIXES = SUFFIXES | ROW_SUFFIXES
_REFERENCE = re.compile(r"(?P<file>.*?)(?:#(?P<number>\d{1,12}))?", re.DOTALL)


def load_path(path: Path) -> DataSource | None:
    """Reads a folder of images, an ``.npz``, an ``.npy`` or a table; ``None`` for other paths."""
    try:
        if path.is_dir():
            return load_folder(path)
    except (OSError, ValueError):  # a name that is too long, or with a NUL
        return None
    load = {".npz": load_npz, ".npy": load_npy, ".csv": load_table}.get(path.suffix.lower())
    return load(path) if load is not None and is_there(path) else None


def load_table(path: Path, seed: int = 0) -> DataSource:
    """Reads a table of features: a row an input, a column a feature, perhaps a column ``label``.

    An empty field is a missing value.

    Raises:
        DataError: It is no such table, or a field is no number.
    """
    found, names = _read_features(path)
    if len(found) < 2:
        raise DataError(f"'{shown(path)}' has {counted(len(found), 'row')}", expected="at least 2")
    if not names:
        return split(found, seed)
    empty = names.index("") if "" in names else None
    if empty is not None:
        raise DataError(
            f"the column {LABEL} is empty",
            expected="a label in every row, or no such column",
            at=Location(path, empty + 2),
        )
    classes, labels = np.unique(np.array(names), return_inverse=True)
    return split(
        ImageSet(
            found.name,
            found.pixels,
            labels.astype(np.int64),
            tuple(map(str, classes)),
            assumed=found.assumed,
        ),
        seed,
    )


def _read_features(path: Path) -> tuple[ImageSet, list[str]]:
    """The features of a table, and its labels if it has any."""
    header, lines = read_table(path)
    columns = [name for name in header if name != LABEL]
    if not columns or not lines:
        missing = "no column of features" if not columns else "no row below the header"
        raise DataError(
            f"there is {missing}",
            expected=f"a column for every feature, and '{LABEL}' if labels are known",
            at=Location(path, 1),
        )
    values = np.empty((len(lines), len(columns)))
    for number, line in enumerate(lines):
        for place, name in enumerate(columns):
            values[number, place] = _number(line[name], name, Location(path, number + 2))
    what = f"'{shown(path)}': rows"
    rows = take_rows(values, "rows", what)
    refuse_empty_columns(rows, what)
    names = [line[LABEL] for line in lines] if LABEL in header else []
    words = (f"features are the columns {', '.join(columns)}", *words_of(rows, "rows"))
    return ImageSet(str(path), rows, assumed=words), names


def _number(text: str, column: str, at: Location) -> float:
    """Reads a field; an empty one is missing."""
    if not text:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"column {column} has '{shown(text)}'",
            expected="a number, or nothing where it is missing",
            remedy=f"write it as a number, leave the column out, or name it '{LABEL}' if it holds "
            "the true symbols",
            at=at,
        ) from None


def names_row(name: str) -> bool:
    """Whether a path, perhaps with a number, is that of rows rather than of an image."""
    return Path(split_reference(name)[0]).suffix.lower() in ROW_SUFFIXES


def split_reference(name: str) -> tuple[str, int | None]:
    """Takes the number of a row off a path: ``wine.csv#3`` is ``wine.csv`` and 3."""
    match = _REFERENCE.fullmatch(name)
    assert match is not None  # any text is a path without a number
    number = match["number"]
    return match["file"], None if number is None else int(number)


def read_bank(path: Path, at: Location | None = None, tokens: int | None = None) -> Tensor:
    """Reads all rows or sequences of a file, ``(N, D)`` or ``(N, T, D)``.

    Args:
        path: The file.
        at: Where it was named, for the message.
        tokens: Number of token ids, where the file holds such: that of the training data.

    Raises:
        DataError: It is no file of rows.
    """
    try:
        if path.suffix.lower() == ".csv":
            return _read_features(path)[0].pixels
        arrays = read_arrays(path)
        if path.suffix.lower() == ".npy" and (alone := next(iter(arrays.values()))).ndim == 1:
            return take_rows(alone[None], "rows", f"'{shown(path)}'")
        found = input_set(path, arrays, fewest=1, tokens=tokens)
    except DataError as error:
        error.at = error.at or at
        raise
    if kind_of(found.shape) == "image":
        raise DataError(
            f"'{shown(path)}' holds images",
            expected="rows, sequences or tokens",
            remedy="name the images one by one, each in a file of its own",
            at=at,
        )
    return found.pixels


def pick_row(bank: Tensor, name: str, at: Location | None = None) -> Tensor:
    """Returns the row that a reference names, ``(D,)`` or ``(T, D)``.

    Args:
        bank: The rows of the file, see :func:`read_bank`.
        name: The reference, such as ``wine.csv#3``.
        at: Where it was written.

    Raises:
        DataError: There is no such row, or it has to be said which one.
    """
    file, number = split_reference(name)
    if number is None and len(bank) == 1:
        return bank[0]
    last = len(bank) - 1
    if number is None:
        raise DataError(
            f"'{shown(file)}' has {len(bank)} rows",
            expected="the number of one of them",
            remedy=f"write '{shown(file)}#0' for the first, and so on to '{shown(file)}#{last}'",
            at=at,
        )
    if number > last:
        raise DataError(
            f"there is no row {number} in '{shown(file)}'",
            expected=f"a number from 0 to {last}",
            at=at,
        )
    return bank[number]


def prepare_row(name: str, shape: Shape) -> Prepared:
    """Reads the row that a reference names, for a network that reads inputs of a shape.

    Raises:
        DataError: There is no such row, or it has another shape.
    """
    path = Path(split_reference(name)[0])
    if not names_row(name):
        raise DataError(
            f"'{shown(name)}' is no row of features",
            expected=f"a file ending in {', '.join(sorted(ROW_SUFFIXES))}, and the row's number",
            remedy="write for instance 'features.npy#0'",
        )
    row = pick_row(read_bank(path, tokens=shape[-1]), name)
    if tuple(row.shape) != shape:
        raise DataError(
            f"'{shown(name)}' has the shape {'x'.join(map(str, row.shape))}",
            expected=f"{'x'.join(map(str, shape))}, as in training",
        )
    missing = int((~torch.isfinite(row)).sum())
    done = (
        (f"{counted(missing, 'missing value')}: their column's mean is taken",) if missing else ()
    )
    return Prepared(row, done)
