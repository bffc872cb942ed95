"""Tables of examples as a user writes them: CSV or Parquet, a column a variable, or JSON Lines.

A line of JSON Lines is one example::

    {"Xs": ["a.png", "b.png"], "N": 7, "facts": ["edge(a,b)"], "Xs.truth": ["3", "4"]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundkit.data.files import read_probability, read_table
from groundkit.data.parquet import is_parquet, read_rows
from groundkit.errors import DataError, Location, choose_from
from groundkit.files import DATA_LIMIT, read_text, shown
from groundkit.report.words import listing

TARGET = "probability"
FACTS = "facts"
TRUTH = ".truth"

Value = str | tuple[str, ...]
"""What a variable is bound to: an image's path, a symbol, or a list of these."""


@dataclass(frozen=True)
class RawExample:
    """One example as it was written.

    Attributes:
        values: Variable -> its value.
        truth: Column such as ``X.truth`` -> the true symbols, where they are given.
        facts: Facts that hold for this example alone.
        target: The probability that the query is to have.
        at: Where it was read.
    """

    values: Mapping[str, Value]
    truth: Mapping[str, Value]
    facts: tuple[str, ...]
    target: float
    at: Location


def read_raw(file: Path, variables: Sequence[str], inputs: Sequence[str]) -> list[RawExample]:
    """Reads a table of examples.

    Args:
        file: ``.csv``; ``.jsonl`` or ``.parquet`` for lists and facts.
        variables: The variables of the goal; each needs a value in every example.
        inputs: Those of them that are images, or lists of images.

    Raises:
        DataError: A variable is missing, a column unknown, or a value of a wrong kind.
    """
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        found = [_from_json(at, row, variables, inputs) for at, row in _json_lines(file)]
    elif is_parquet(file):
        found = [_from_json(at, row, variables, inputs) for at, row in _parquet_rows(file)]
    elif file.suffix.lower() == ".json":
        raise DataError(
            f"'{shown(file)}' is JSON",
            expected="JSON Lines, one object per example",
            remedy="write each object on a line of its own, and name the file "
            f"'{shown(file.with_suffix('.jsonl').name)}'",
        )
    else:
        found = _from_csv(file, variables, inputs)
    if not found:
        raise DataError("there is no example in the file", at=Location(file, 1))
    return found


def _from_csv(file: Path, variables: Sequence[str], inputs: Sequence[str]) -> list[RawExample]:
    header, rows = read_table(file, "a table with a column for every variable of the goal")
    top = Location(file, 1)
    for name in variables:
        if name not in header:
            raise DataError(
                f"there is no column '{name}'",
                expected=f"the columns {', '.join(variables)}",
                remedy=f"name it so in the first line, which has {listing(header)}",
                at=top,
            )
    known = {*variables, TARGET}
    for name in header:
        if name not in known and not _is_truth(name, inputs):
            raise DataError(
                f"unknown column '{name}'",
                remedy="facts stand in a JSON Lines file, or in a Parquet table"
                if name == FACTS
                else f"leave it out, or correct its name: {choose_from(name, known)}",
                at=top,
            )
    found = []
    for at, row in rows:
        for name in variables:
            if not row[name]:
                raise DataError(
                    f"column {name} is empty",
                    expected="an image's path" if name in inputs else "a symbol",
                    remedy="fill it in, or leave the row out",
                    at=at,
                )
        truth = {name: value for name, value in row.items() if _is_truth(name, inputs) and value}
        values = {name: row[name] for name in variables}
        found.append(RawExample(values, truth, (), _target(row.get(TARGET) or "1", at), at))
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object of its keys, each of which stands once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key in found if sum(one == key for one, _ in pairs) > 1)
        raise ValueError(f"the key '{twice}' stands twice")
    return found


def _json_lines(file: Path) -> list[tuple[Location, Any]]:
    try:
        lines = read_text(file, error=DataError, limit=DATA_LIMIT).splitlines()
    except FileNotFoundError:
        raise DataError(
            f"there is no file '{file}'",
            expected="JSON Lines, one object per example",
            remedy="paths are relative to the spec's folder",
        ) from None
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append((Location(file, number), json.loads(line, object_pairs_hook=_once)))
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"the line is no JSON: {error}",
                    expected='an object, such as {"Xs": ["a.png", "b.png"], "N": 7}',
                    remedy="write each object on a line of its own, texts in double quotes, with "
                    "no [ before and no comma after it",
                    at=Location(file, number),
                ) from None
    return found


def _parquet_rows(file: Path) -> list[tuple[Location, Any]]:
    """The rows of a Parquet table as lines of JSON would have them, counted from 1."""
    try:
        _, rows = read_rows(file)
    except FileNotFoundError:
        raise DataError(
            f"there is no file '{file}'",
            expected="a Parquet table with a column for every variable of the goal",
            remedy="paths are relative to the spec's folder",
        ) from None
    absent = (TARGET, FACTS)
    return [
        (
            Location(file, number),
            {k: v for k, v in row.items() if v is not None or k not in absent},
        )
        for number, row in enumerate(rows, start=1)
    ]


def _from_json(
    at: Location, row: Any, variables: Sequence[str], inputs: Sequence[str]
) -> RawExample:
    if not isinstance(row, dict):
        raise DataError(
            "the line is no object",
            expected='{"X": "a.png", ...}',
            remedy="write each object on a line of its own, without [ and ]",
            at=at,
        )
    known = {*variables, TARGET, FACTS}
    for name in row:
        if name not in known and not _is_truth(name, inputs):
            remedy = f"leave it out, or correct its name: {choose_from(name, known)}"
            raise DataError(f"unknown key '{name}'", remedy=remedy, at=at)
    for name in variables:
        if name not in row:
            raise DataError(
                f"there is no '{name}'", expected=f"the keys {', '.join(variables)}", at=at
            )
    facts = row.get(FACTS, [])
    if not isinstance(facts, list) or not all(isinstance(fact, str) for fact in facts):
        raise DataError(
            f"{FACTS} is {json.dumps(facts)[:60]}",
            expected='a list of texts, such as ["edge(a,b)"]',
            at=at,
        )
    return RawExample(
        {name: _value(name, row[name], at, image=name in inputs) for name in variables},
        {name: _truth(name, v, at) for name, v in row.items() if _is_truth(name, inputs)},
        tuple(facts),
        _target(row.get(TARGET, 1), at),
        at,
    )


def _value(name: str, value: Any, at: Location, *, image: bool) -> Value:
    if isinstance(value, list):
        return tuple(_plain(name, part, at, image=image) for part in value)
    return _plain(name, value, at, image=image)


def _plain(name: str, value: Any, at: Location, *, image: bool) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool) and not image:
        return str(value)
    what = "an image's path" if image else "a symbol or a number"
    given = "empty" if value == "" else json.dumps(value)[:60]
    raise DataError(f"{name} is {given}", expected=f"{what}, or a list of these", at=at)


def _truth(name: str, value: Any, at: Location) -> Value:
    """Reads true symbols; null where one is not known."""
    if isinstance(value, list):
        return tuple("" if part is None else _plain(name, part, at, image=False) for part in value)
    return "" if value is None else _plain(name, value, at, image=False)


def _is_truth(name: str, inputs: Sequence[str]) -> bool:
    """Tells columns of true symbols: ``X.truth``, ``X.truth.NETWORK``, ``X,Y.truth``."""
    joined, sign, _ = name.partition(TRUTH)
    return bool(sign) and all(part in inputs for part in joined.split(","))


def _target(value: Any, at: Location) -> float:
    found = read_probability(str(value)) if not isinstance(value, bool) else None
    if found is None:
        raise DataError(
            f"{TARGET} is '{value}'", expected="a number from 0 to 1, or nothing for 1", at=at
        )
    return found
