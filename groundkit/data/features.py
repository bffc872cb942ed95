"""Rows in files: a table or an array as a data set, and one row of it by its number.

``wine.csv#3`` is the fourth row of a table, ``voices.npz#0`` the first sequence of an archive; the
``#`` may be left out where a file holds one row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.data.archives import input_set, load_npy, load_npz, read_arrays
from groundkit.data.files import SUFFIXES, load_folder, read_table
from groundkit.data.images import DataSource, ImageSet, split
from groundkit.data.parquet import SUFFIX as PARQUET
from groundkit.data.parquet import column_texts, is_parquet, read_numbers, read_parquet
from groundkit.data.photos import Prepared
from groundkit.data.rows import refuse_empty_columns, take_rows, words_of
from groundkit.errors import DataError, Location, located
from groundkit.files import is_there, shown
from groundkit.perception.inputs import Shape, kind_of
from groundkit.report.words import counted, listing

LABEL = "label"
"""The column of a table that holds the true symbols, to draw and to score with."""
TABLES = frozenset({".csv", PARQUET})
ROW_SUFFIXES = TABLES | {".npy", ".npz"}
_NAMELESS = re.compile(r"(Unnamed: \d+)?")
INPUT_SUFFIXES = SUFFIXES | ROW_SUFFIXES
_REFERENCE = re.compile(r"(?P<file>.*?)(?:#(?P<number>\d{1,12}))?", re.DOTALL)


def load_path(path: Path) -> DataSource | None:
    """Reads a folder of images, an ``.npz``, an ``.npy`` or a table; ``None`` for other paths.

    Raises:
        DataError: It is none of these, or a file of another kind.
    """
    try:
        if path.is_dir():
            return load_folder(path)
    except (OSError, ValueError):  # a name that is too long, or with a NUL
        return None
    if not is_there(path):
        return None
    suffix = path.suffix.lower()
    load = {".npz": load_npz, ".npy": load_npy}.get(suffix, load_table)
    if suffix in ROW_SUFFIXES:
        return load(path)
    raise DataError(
        f"'{shown(path)}' is a file of a kind that holds no data set",
        expected=f"a folder of images, or a file ending in {', '.join(sorted(ROW_SUFFIXES))}",
        remedy="put images into a folder and name that" if suffix in SUFFIXES else None,
    )


def load_table(path: Path, seed: int = 0) -> DataSource:
    """Reads a table of features: a row an input, a column a feature, perhaps a column ``label``.

    An empty field is a missing value. In Parquet, features may also stand in one column of lists,
    and sequences in one of lists of lists.

    Raises:
        DataError: It is no such table, or a field is no number.
    """
    found, names = _read_features(path)
    refuse_empty_columns(found.pixels, f"'{shown(path)}': rows")
    if len(found) < 2:
        raise DataError(f"'{shown(path)}' has {counted(len(found), 'row')}", expected="at least 2")
    if not names:
        return split(found, seed)
    empty = names.index("") if "" in names else None
    if empty is not None:
        raise DataError(
            f"the column {LABEL} is empty",
            expected="a label in every row, or no such column",
            at=Location(path, empty + (1 if is_parquet(path) else 2)),
        )
    classes, labels = np.unique(np.array(names), return_inverse=True)
    known = replace(found, labels=labels.astype(np.int64), classes=tuple(map(str, classes)))
    return split(known, seed)


def _read_features(path: Path) -> tuple[ImageSet, list[str]]:
    """The features of a table, and its labels if it has any."""
    if is_parquet(path):
        table = read_parquet(path)
        own = _label_of(list(table), path)
        labels = [] if own is None else column_texts(table.pop(own))
        named = {name: read_numbers(path, name, column) for name, column in table.items()}
    else:
        header, lines = read_table(path)
        _check_header(header, path)
        own = _label_of(header, path)
        labels = [] if own is None else [line[own] for _, line in lines]
        named = {
            name: np.array([_number(line[name], name, at) for at, line in lines])
            for name in header
            if name != own
        }
    if not named or not len(next(iter(named.values()))):
        missing = "no column of features" if not named else "no row below the header"
        raise DataError(
            f"there is {missing}",
            expected=f"a column for every feature, and '{LABEL}' if labels are known",
            at=Location(path, 1),
        )
    what = f"'{shown(path)}': rows"
    values = _joined(path, named)
    rows = take_rows(values, "sequences" if values.ndim == 3 else "rows", what)
    words = [f"features are the {_columns(named)}", *words_of(rows, "rows")]
    if own not in (None, LABEL):
        words.append(f"labels are the column {own}")
    return ImageSet(str(path), rows, assumed=tuple(words)), labels


def _columns(named: Mapping[str, NDArray[np.float64]]) -> str:
    one = len(named) == 1
    return f"column{'' if one else 's'} {listing(list(named), 12)}"


def _joined(path: Path, named: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Features ``(N, D)`` of columns, or the lists of the only one."""
    first, *others = named.values()
    if others and any(column.ndim > 1 for column in named.values()):
        raise DataError(
            f"'{shown(path)}' has {_columns(named)}, some of numbers, some of lists",
            expected=f"columns of numbers, or one column of lists, and '{LABEL}'",
            remedy="leave out the others",
        )
    return first if first.ndim > 1 else np.stack(list(named.values()), axis=1)


def _label_of(header: Sequence[str], path: Path) -> str | None:
    """Finds the column of true symbols, however it is capitalised.

    Raises:
        DataError: There are several.
    """
    found = [name for name in header if name.casefold() in (LABEL, f"{LABEL}s")]
    if len(found) > 1:
        raise DataError(
            f"the columns {' and '.join(found)} may both hold the true symbols",
            expected=f"one column '{LABEL}'",
            remedy="leave out the other one: labels may not be features",
            at=Location(path, 1),
        )
    return found[0] if found else None


def _check_header(header: Sequence[str], path: Path) -> None:
    """Refuses a first line that does not name every column.

    Raises:
        DataError: A name is missing, as that of an index is, or the line holds numbers.
    """
    at = Location(path, 1)
    nameless = next((n for n, name in enumerate(header) if _NAMELESS.fullmatch(name)), None)
    if nameless is not None:
        raise DataError(
            f"column {nameless + 1} has no name",
            expected="the name of a feature",
            remedy="name it, or leave it out: pandas leaves its index out with index=False",
            at=at,
        )
    if all(map(_is_number, header)) and list(header) != list(map(str, range(len(header)))):
        raise DataError(
            f"the first line holds numbers: {listing(list(header))}",
            expected="the names of the columns",
            remedy="put a line with a name for each column above it",
            at=at,
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
    with located(lambda: at):
        if path.suffix.lower() in TABLES:
            return _read_features(path)[0].pixels
        arrays = read_arrays(path)
        if path.suffix.lower() == ".npy" and (alone := next(iter(arrays.values()))).ndim == 1:
            return take_rows(alone[None], "rows", f"'{shown(path)}'")
        found = input_set(path, arrays, fewest=1, tokens=tokens)
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
