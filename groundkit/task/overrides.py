"""The texts of ``--set``: how settings of callers in Python are worded, and what a text sets."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tomli_w

from groundkit.errors import SpecError, choose_from


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Words a mapping of dotted keys as ``--set`` texts.

    Raises:
        SpecError: A value is none that a spec can hold.
    """
    found = []
    for key, value in values.items():
        try:
            found.append(f"{key}={_inline(value)}")
        except TypeError:
            raise SpecError(
                f"{key} is a {type(value).__name__}",
                expected="a number, a text, a truth value, a list or a mapping",
                remedy=f"leave {key} out for its default" if value is None else None,
            ) from None
    return found


def _inline(value: Any) -> str:
    """Writes a value as TOML on one line."""
    if isinstance(value, Mapping):
        parts = (f"{json.dumps(str(key))} = {_inline(one)}" for key, one in value.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, np.generic | np.ndarray):
        return _inline(value.tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"v": value}).partition("=")[2].strip()


def check_settings(settings: Any) -> None:
    """Refuses settings that are no list of ``--set`` texts.

    Raises:
        SpecError: They are one text, or a mapping.
    """
    if isinstance(settings, str | Mapping):
        raise SpecError(
            f"the settings are a {type(settings).__name__}",
            expected="a list of texts",
            remedy='for instance settings=["train.epochs=5"]',
        )


def set_key(data: dict[str, Any], override: str) -> None:
    """Sets one dotted key of the spec's nested tables in place.

    Args:
        data: The tables.
        override: A text ``a.b=value``; the value is read as TOML, otherwise as a text.

    Raises:
        SpecError: It is no such text, or a table on the way is a value.
    """
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise SpecError(
            f"'--set {override}' is not an assignment",
            expected="--set table.key=value",
            remedy="for instance --set train.epochs=5",
        )
    *tables, last = (part.strip() for part in key.split("."))
    for place, table in enumerate(tables, start=1):
        data = data.setdefault(table, {}) if isinstance(data, dict) else _named(data, table)
        if not isinstance(data, dict | list):
            raise SpecError(
                f"'--set {override}': '{table}' is a value, not a table",
                remedy=f"--set {'.'.join(tables[:place])}={value}",
            )
    if isinstance(data, list):
        names = [one for one in names_of(data) if one]
        example = f"{tables[-1]}.NAME.{last}={value}"
        raise SpecError(
            f"'--set {override}': there are several tables '{tables[-1]}'",
            remedy=f"name one of them: --set {example}, NAME being one of {', '.join(names)}"
            if names
            else f"give each a name in the spec, then name one of them: --set {example}",
        )
    try:
        data[last] = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        data[last] = value


def names_of(tables: Any) -> list[str]:
    """The names of several tables, empty for one without; none where it is a single table."""
    if not isinstance(tables, list):
        return []
    return [str(one.get("name", "")) if isinstance(one, dict) else "" for one in tables]


def _named(tables: list[Any], name: str) -> Any:
    """Picks one of several tables, such as the query `sums` of ``query.sums.weight=2``."""
    for table in tables:
        if isinstance(table, dict) and table.get("name") == name:
            return table
    names = [one for one in names_of(tables) if one]
    raise SpecError(f"there is no table named '{name}'", remedy=choose_from(name, names))
