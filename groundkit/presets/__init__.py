"""Settings for known data sets, each labelled with where it is from.

A preset is a TOML file beside this one: the data set and its number of symbols, a ``[network]``
table with keys of the spec's ``[networks.NAME]``, and a ``[train]`` table with keys of the spec's.
Every key's line ends in a comment, ``paper``, ``inferred`` (from the paper's code or from JEM) or
``ours``.
"""

from __future__ import annotations

import copy
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from groundkit.errors import SpecError, choose_from

ORIGINS = ("paper", "inferred", "ours")
_LINE = re.compile(r"^(?P<key>\w+) = .*?(#\s*(?P<origin>\w+))?\s*$")
_TABLE = re.compile(r"^\[(?P<table>[\w.]+)\]\s*$")


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings for a data set.

    Attributes:
        name: Its name.
        data: The data set.
        symbols: Its number of symbols.
        network: Keys of the spec's ``[networks.NAME]``.
        train: Keys of the spec's ``[train]``.
        origins: Dotted key, such as ``network.perception.prior`` -> ``paper``, ``inferred``,
            ``ours``.
    """

    name: str
    data: str
    symbols: int
    network: dict[str, Any]
    train: dict[str, Any]
    origins: dict[str, str]


def preset_names() -> list[str]:
    """Names of all presets."""
    files = resources.files(__package__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_preset(name: str) -> Preset:
    """Reads a preset.

    Raises:
        SpecError: There is none of this name.
    """
    names = preset_names()
    if name not in names:
        raise SpecError(f"unknown preset '{name}'", remedy=choose_from(name, names))
    text = (resources.files(__package__) / f"{name}.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    return Preset(name, **values, origins=_origins(text))


def fill_in(given: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    """Returns ``given`` with the preset's value for every key that it does not have."""
    filled = copy.deepcopy(preset)
    for key, value in given.items():
        below = filled.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            filled[key] = fill_in(value, below)
        else:
            filled[key] = value
    return filled


def _origins(text: str) -> dict[str, str]:
    """Reads the comment at the end of every key's line."""
    table, found = "", {}
    for line in text.splitlines():
        if match := _TABLE.match(line):
            table = match["table"] + "."
        elif match := _LINE.match(line):
            found[table + match["key"]] = match["origin"] or ""
    return found
