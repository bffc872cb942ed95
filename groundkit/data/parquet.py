"""Tables in Parquet, read by pyarrow where the extra ``parquet`` is installed."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundkit.errors import DataError
from groundkit.files import WEIGHTS_LIMIT, open_file, shown

SUFFIX = ".parquet"
MOST_VALUES, MOST_UNFOLDING = 1 << 25, 100
"""So many values a table may hold, for equal ones take no room, or so many a byte of the file."""
_INDEX = re.compile(r"__index_level_\d+__")


def is_parquet(path: Path) -> bool:
    """Whether a file is taken for a Parquet table."""
    return path.suffix.lower() == SUFFIX


def read_parquet(path: Path) -> dict[str, Any]:
    """Reads the columns of a table by their names, without the index that pandas keeps.

    Returns:
        Column -> its ``pyarrow.ChunkedArray``, all of one length.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: pyarrow is not installed, or the file is no such table, holds other values than
            numbers, texts and lists of these, or unfolds beyond measure.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"'{shown(path)}' is a Parquet table, which pyarrow reads, and that is not installed",
            remedy="pip install 'groundkit[parquet]', or save the table as CSV",
        ) from None
    with open_file(path, WEIGHTS_LIMIT, error=DataError) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        try:
            file = parquet.ParquetFile(stream)
            count = file.metadata.num_rows * file.metadata.num_columns
            if count > max(MOST_VALUES, MOST_UNFOLDING * size):
                raise DataError(
                    f"'{shown(path)}' unfolds to {count:,} values from {size:,} bytes",
                    expected=f"at most {max(MOST_VALUES, MOST_UNFOLDING * size):,}",
                )
            table = file.read()
        except DataError:
            raise
        except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "it is damaged"
            raise DataError(
                f"'{shown(path)}' cannot be read as Parquet: {reason}",
                expected="a whole file, such as pandas' to_parquet writes",
            ) from None
    found: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in found:
            raise DataError(f"the column '{shown(name)}' stands twice in '{shown(path)}'")
        if _INDEX.fullmatch(name) is None:
            _check_type(path, name, column.type)
            found[name] = column
    return found


def _check_type(path: Path, name: str, kind: Any) -> None:
    """Refuses a column whose values a program cannot speak of.

    Raises:
        DataError: They are no numbers, texts, or lists of these.
    """
    from pyarrow import types

    inner, _ = _within_lists(kind)
    if types.is_dictionary(inner):
        inner = inner.value_type
    plain = (
        *(types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_null),
        *(types.is_string, types.is_large_string, types.is_date, types.is_timestamp),
    )
    if not any(test(inner) for test in plain):
        raise DataError(
            f"column {shown(name)} of '{shown(path)}' has values of the type {shown(str(kind))}",
            expected="numbers, texts, or lists of these",
            remedy="save images as files and their paths in the table, or leave the column out",
        )


def _within_lists(kind: Any) -> tuple[Any, int]:
    """Returns the type of the values inside of lists, and how many lists deep they are."""
    from pyarrow import types

    depth = 0
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return kind, depth


def read_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Reads a table row by row: texts, numbers, lists of these, and ``None`` for nothing.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: See :func:`read_parquet`.
    """
    columns = {name: column.to_pylist() for name, column in read_parquet(path).items()}
    rows = zip(*columns.values(), strict=True)
    return list(columns), [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]


def _plain(value: Any) -> Any:
    """A value as JSON would have it."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if value is None or isinstance(value, (int, float, str)) else str(value)


def read_texts(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Reads a table as a CSV file of the same content would be read.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: See :func:`read_parquet`; or a column has lists.
    """
    header, rows = read_rows(path)
    for name in header:
        if any(isinstance(row[name], list) for row in rows):
            raise DataError(
                f"column {shown(name)} of '{shown(path)}' has lists", expected="one value a row"
            )
    return header, [{name: _text(value) for name, value in row.items()} for row in rows]


def column_texts(column: Any) -> list[str]:
    """The values of a column of :func:`read_parquet` as texts, empty where there is none."""
    return [_text(_plain(value)) for value in column.to_pylist()]


def _text(value: Any) -> str:
    """A plain value as a field of a CSV file would hold it."""
    return "" if value is None else str(value).strip()


def read_numbers(path: Path, name: str, column: Any) -> NDArray[np.float64]:
    """Brings a column to numbers, NaN where there is none.

    Args:
        path: The file, for messages.
        name: The column's name.
        column: The column, see :func:`read_parquet`.

    Returns:
        ``(N,)``; of lists of numbers ``(N, D)``, and of lists of such lists ``(N, T, D)``, shorter
        ones being filled up at their end.

    Raises:
        DataError: Values are no numbers, or lists of numbers have several lengths.
    """
    from pyarrow import types

    kind, depth = _within_lists(column.type)
    numbers = (types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
    if depth > 2 or not (types.is_null(kind) or any(test(kind) for test in numbers)):
        raise DataError(
            f"column {shown(name)} of '{shown(path)}' has values of the type {column.type}",
            expected="numbers, lists of numbers, or lists of these",
            remedy="save it as numbers, leave the column out, or name it 'label' if it holds the "
            "true symbols",
        )
    whole = _whole(column, depth)
    return _stacked(path, name, column.to_pylist(), depth) if whole is None else whole


def _whole(column: Any, depth: int) -> NDArray[np.float64] | None:
    """Numbers, or lists of one length at each depth, as an array; ``None`` for other lists."""
    from pyarrow import compute, types

    values, shape = column.combine_chunks(), [len(column)]
    for _ in range(depth):
        lengths = set(compute.unique(compute.list_value_length(values)).to_pylist())
        if len(lengths) != 1 or lengths <= {None, 0}:
            return None
        shape.append(lengths.pop())
        values = values.flatten()
    if types.is_boolean(values.type):
        values = values.cast("uint8")
    found: NDArray[np.float64] = values.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    return found.reshape(shape)


def _stacked(path: Path, name: str, values: list[Any], depth: int) -> NDArray[np.float64]:
    """Stacks lists of numbers, or of rows, as :func:`read_numbers` says."""
    rows = [[] if one is None else one for one in values]
    inner = rows if depth == 1 else [row or [] for one in rows for row in one]
    widths = {len(row) for row in inner if row}
    if len(widths) != 1:
        lengths = ", ".join(map(str, sorted(widths)[:3])) or "0"
        raise DataError(
            f"column {shown(name)} of '{shown(path)}' has lists of numbers of lengths {lengths}",
            expected="one length for all",
        )
    shape = (*widths,) if depth == 1 else (max(map(len, rows)), *widths)
    found = np.full((len(rows), *shape), np.nan)
    for place, one in enumerate(rows):
        if depth == 1:
            found[place, : len(one)] = list(map(_real, one))
            continue
        for step, row in enumerate(one):
            found[place, step, : len(row or [])] = list(map(_real, row or []))
    return found


def _real(value: Any) -> float:
    """A number, NaN where there is none."""
    return math.nan if value is None else float(value)
