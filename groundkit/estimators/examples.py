"""Examples of a goal in every form that ``Grounder`` takes, brought to columns and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from groundkit.data.rows import take_rows
from groundkit.data.tables import RawExample, Value
from groundkit.errors import DataError, Location, SpecError, choose_from
from groundkit.estimators.arrays import ArrayError, in_one_range, plain_array
from groundkit.layer.collate import collate
from groundkit.perception.inputs import Kind
from groundkit.task.binding import Binding, BoundGoal, BoundQuery
from groundkit.task.contents import Contents
from groundkit.task.gather import Table

Columns: TypeAlias = Mapping[str, Any]
"""Variable of the goal -> images ``(n, C, H, W)`` or ``(n, H, W)``, rows ``(n, D)`` or sequences
``(n, T, D)``, or ``n`` observed symbols; for a variable that is a list, ``n`` lists of these."""

Given: TypeAlias = Columns | Iterable[Any]
"""What ``Grounder`` takes as examples: columns, a DataFrame of them, a data set or a sequence of
single examples, or a loader of batches."""

NO_IMAGES = torch.zeros((0, 1, 1, 1), dtype=torch.uint8)
"""The images of an empty list."""
_IMAGE = 3
"""Most axes of a single image."""


def as_columns(examples: Given, query: BoundQuery) -> Columns:
    """Brings examples to columns.

    Args:
        examples: A mapping from the goal's variables to columns; a DataFrame of them, whose cells
            hold images, lists of images, or symbols; a data set or a sequence of examples, each a
            mapping or a tuple in the order of the goal's variables; or a ``DataLoader`` of batches
            of either kind.
        query: The query.

    Raises:
        DataError: They have none of these forms, or there are none.
    """
    variables = query.goal.variables
    if isinstance(examples, Mapping):
        return examples
    if hasattr(examples, "columns") and hasattr(examples, "itertuples"):
        frame: Any = examples
        return {str(name): _gathered([[*frame[name]]]) for name in frame.columns}
    if not isinstance(examples, Iterable) and not hasattr(examples, "__getitem__"):
        raise DataError(
            f"the examples are a {type(examples).__name__}",
            expected="a mapping of columns, a DataFrame, a data set or a DataLoader",
        )
    if isinstance(examples, DataLoader):
        batches = [_named(batch, variables) for batch in examples]
    else:
        found = [_named(one, variables) for one in _each(examples)]
        batches = [collate(found)] if found else []
    if not batches:
        raise DataError("there is no example", expected="at least one")
    return {name: _gathered([batch[name] for batch in batches]) for name in batches[0]}


def _each(examples: Any) -> Iterable[Any]:
    """Goes through a sequence or a data set, which may have no end of its own to tell."""
    if hasattr(examples, "__len__") and hasattr(examples, "__getitem__"):
        return (examples[number] for number in range(len(examples)))
    found: Iterable[Any] = examples
    return found


def _named(one: Any, variables: Sequence[str]) -> Mapping[str, Any]:
    """Names the parts of an example, or of a batch."""
    if isinstance(one, Mapping):
        return one
    if not isinstance(one, list | tuple) or len(one) != len(variables):
        several = isinstance(one, list | tuple)
        raise DataError(
            f"an example has {len(one)} values"
            if several
            else f"an example is one {type(one).__name__}",
            expected=f"a mapping, or a tuple ({', '.join(variables)})",
        )
    return dict(zip(variables, one, strict=True))


def _gathered(parts: Sequence[Any]) -> Any:
    """Joins the parts of a column; single images of one shape become one array."""
    values = [value for part in parts for value in part]
    single = all(isinstance(v, Tensor | np.ndarray) and 1 < v.ndim <= _IMAGE for v in values)
    if not single or len({tuple(value.shape) for value in values}) > 1:
        return values
    tensors = isinstance(values[0], Tensor)
    return torch.stack(values) if tensors else np.stack([plain_array(value) for value in values])


def only_query(binding: Binding) -> BoundQuery:
    """Returns the query that arrays are examples of.

    Raises:
        SpecError: There are several.
    """
    if len(binding.queries) != 1:
        raise SpecError(
            f"the spec has {len(binding.queries)} queries, and arrays are examples of one",
            remedy="leave the others out, or give examples in files",
        )
    return binding.queries[0]


def check_columns(columns: Columns, wanted: Sequence[str], query: BoundQuery) -> int:
    """Checks that there is a column for each wanted variable, all of one length.

    Returns:
        The number of examples.

    Raises:
        DataError: A variable is missing or unknown, or lengths differ.
    """
    for name in columns:
        if name not in query.goal.variables:
            raise DataError(
                f"the goal has no variable '{name}'",
                remedy=choose_from(name, query.goal.variables),
            )
    for name in wanted:
        if name not in columns:
            raise DataError(f"the variable '{name}' is missing", expected=", ".join(wanted))
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        raise DataError(
            f"the variables have {', '.join(f'{n} {c}' for n, c in counts.items())} examples",
            expected="one number, above 0",
        )
    return next(iter(counts.values()))


def as_table(query: BoundQuery, columns: Columns, *, sequences: bool = False) -> Table:
    """Makes examples of the user's arrays; nothing is known of the images' symbols.

    Args:
        query: The query.
        columns: Variable -> images ``(n, C, H, W)`` or ``(n, H, W)``; rows ``(n, D)``; ``n`` lists
            of these; or ``n`` observed symbols.
        sequences: Whether inputs of two axes are sequences ``(T, D)`` rather than images.

    Raises:
        DataError: A variable is missing or unknown, or lengths differ.
    """
    wanted = query.goal.variables
    count = check_columns(columns, wanted, query)
    table = Table(query, Contents("examples"))
    kinds = {name: _kind_in(name, columns[name], sequences=sequences) for name in query.inputs}
    pixels = {name: _pixels(name, columns[name], kinds[name]) for name in query.inputs}
    _check_one_shape(pixels)
    for row in range(count):
        values: dict[str, Value] = {}
        keys: dict[str, list[str]] = {}
        for name in wanted:
            if name in pixels:
                images = pixels[name][row]
                keys[name] = [table.contents.add_array(image) for image in images]
                listed = lists_inputs(columns[name])
                values[name] = tuple(keys[name]) if listed else keys[name][0]
            else:
                values[name] = _as_value(columns[name][row])
        table.add(RawExample(values, {}, (), 1.0, Location(f"example {row + 1}")), keys)
    return table


def _kind_in(name: str, column: Any, *, sequences: bool) -> Kind:
    """Tells what a column's inputs are, by the axes of the first of them.

    Raises:
        ArrayError: They are single values.
    """
    listed = lists_inputs(column)
    found = [one for one in column if len(one)] if listed else column
    if not len(found):
        return "image"
    axes = np.ndim(plain_array(found[0][0] if listed else found[0]))
    if not axes and np.asarray(found[0][0] if listed else found[0]).dtype.kind not in "biuf":
        raise ArrayError(
            f"{name} holds {found[0]!r:.60}",
            expected="images, rows of numbers, or lists of these",
            remedy="read files into arrays, or name a table of them in the spec: [examples] file",
        )
    if not axes:
        raise ArrayError(
            f"{name} holds single values",
            expected="images, rows of numbers, or lists of these",
            remedy=f"give a column of numbers as rows of one: {name}[:, None]",
        )
    if axes == 1:
        return "row"
    return "sequence" if sequences and axes == 2 else "image"


def _pixels(name: str, column: Any, kind: Kind) -> list[Tensor]:
    """Brings a column to what networks read: for every example, the inputs of its list."""
    if lists_inputs(column):
        return [as_inputs(name, images, kind) if len(images) else NO_IMAGES for images in column]
    return list(as_inputs(name, column, kind).unsqueeze(1))


def _check_one_shape(pixels: Mapping[str, Sequence[Tensor]]) -> None:
    shapes = {n: tuple(i.shape[1:]) for n, images in pixels.items() for i in images if len(i)}
    if len(set(shapes.values())) > 1:
        words = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
        raise DataError(f"the inputs have several shapes ({words})", expected="one shape")


def is_list(column: Any) -> bool:
    """Whether a column holds a list of symbols for every example."""
    return bool(len(column)) and isinstance(column[0], list | tuple)


def lists_inputs(column: Any) -> bool:
    """Whether a column holds a list of inputs for every example; a row may be a list of numbers."""
    if not len(column):
        return False
    first = column[0]
    if isinstance(first, list | tuple):
        return not first or np.ndim(plain_array(first[0])) > 0
    return getattr(first, "ndim", 0) > _IMAGE


def _as_value(value: Any) -> Value:
    if isinstance(value, list | tuple):
        return tuple(_printed(one) for one in value)
    return _printed(value)


def _printed(value: Any) -> str:
    """Prints a symbol as the program does, without the type that an array gives it."""
    value = value.item() if isinstance(value, Tensor | np.generic | np.ndarray) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def symbols_of(goal: BoundGoal, name: str, columns: Columns) -> tuple[str, ...]:
    """Returns an observed symbol of every example, by its flat variable."""
    variable, place = next((v, n.index(name)) for v, n in goal.names.items() if name in n)
    column = columns[variable]
    if variable in goal.query.given and is_list(column):
        return tuple(_printed(row[place]) for row in column)
    printed = (_as_value(value) for value in column)
    return tuple(v if isinstance(v, str) else f"[{','.join(v)}]" for v in printed)


def stacked(goal: BoundGoal, call: Sequence[str], columns: Columns, kind: Kind) -> NDArray[Any]:
    """Stacks the inputs that one call reads along their first axis, ``(n, C, H, W)`` of images."""
    parts = []
    for flat in call:
        variable, place = next((v, n.index(flat)) for v, n in goal.names.items() if flat in n)
        images = _pixels(variable, columns[variable], kind)
        parts.append(torch.stack([one[place] for one in images]))
    found: NDArray[Any] = torch.cat(parts, dim=1).numpy()
    return found


def as_inputs(name: str, values: Any, kind: Kind) -> Tensor:
    """Brings inputs of a kind to what networks read.

    Args:
        name: What they are, for messages.
        values: An array, or a sequence of arrays of one shape.
        kind: The kind.

    Returns:
        Bytes ``(N, C, H, W)`` of images; floats ``(N, D)`` of rows, ``(N, T, D)`` of sequences.

    Raises:
        ArrayError: They have several shapes, or another type or range.
    """
    array = plain_array(values)
    if isinstance(array, list | tuple):
        parts = [np.asarray(plain_array(one)) for one in array]
        shapes = sorted({one.shape for one in parts})
        if len(shapes) > 1:
            raise ArrayError(
                f"{name}: {kind}s of the shapes {', '.join(map(str, shapes[:3]))}",
                expected="one shape",
                remedy="fill the end of shorter ones with numpy.nan"
                if kind == "sequence"
                else f"bring all {kind}s to one shape",
            )
        array = np.stack(parts)
    if kind == "image":
        return in_one_range(array, name).pixels()
    try:
        return take_rows(array, "rows" if kind == "row" else "sequences", name)
    except DataError as error:
        raise ArrayError(error.found, expected=error.expected, remedy=error.remedy) from None
