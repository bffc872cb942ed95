"""Where a key of a spec is written: a line of its file, or a ``--set`` text that overrides it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from groundkit.errors import Location

_OTHER_NAMES = {"images": "inputs"}
"""Second name of a key -> its name."""
_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+?)\s*=")
_SHOWN = 100


def place_of(
    file: Path | None,
    text: str,
    path: Sequence[str],
    settings: Sequence[str] = (),
    queries: Sequence[str] = (),
) -> Location:
    """Locates what a key's value was read from.

    Args:
        file: The spec.
        text: What it says.
        path: The key's parts; a number picks one of several queries.
        settings: ``--set`` texts, of which a later one overrides an earlier one and the file.
        queries: Names of the queries, in their order.
    """
    setting = setting_of(text, path, settings, queries)
    if setting is None:
        return Location(file, line_of(text, path))
    return Location(f"--set {setting if len(setting) <= _SHOWN else f'{setting[:_SHOWN]}...'}")


def setting_of(
    text: str, path: Sequence[str], settings: Sequence[str], queries: Sequence[str] = ()
) -> str | None:
    """Finds the last ``--set`` text that wrote a key; ``None`` where the file did."""
    forms = _forms(path)
    for setting in reversed(settings):
        keys = [_key(part) for part in setting.partition("=")[0].split(".")]
        if keys[0] == "query" and len(keys) > 1 and keys[1] in queries:
            keys[1] = str(queries.index(keys[1]))
        if any(form[: len(keys)] == keys for form in forms):
            return setting
        # A table that stands nowhere but in the text, such as that of a misspelt network.
        if any(form == keys[: len(form)] for form in forms):
            depth = _nearest(text, path)[0]
            if depth < min(map(len, forms)):
                return setting
    return None


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Finds the line (from 1) of a dotted key in TOML text, or of the nearest table above it.

    tomllib keeps no positions; tables and keys at the start of a line are what specs are made of.

    Args:
        text: The file.
        path: The key's parts; a number picks a table of an array of tables, and is passed over
            where there is one table only.
    """
    return _nearest(text, path)[1]


def _nearest(text: str, path: Sequence[str]) -> tuple[int, int | None]:
    """Returns how many of a key's parts are written somewhere, and on which line."""
    forms = _forms(path)
    table: list[str] = []
    met: Counter[str] = Counter()
    best: tuple[int, int | None] = (0, None)
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            parts = [_key(part) for part in match[2].split(".")]
            if len(match[1]) == 2:
                parts.append(str(met[match[2]]))
                met[match[2]] += 1
            elif met[parts[0]]:  # a table inside of the array's last one
                parts.insert(1, str(met[parts[0]] - 1))
            table = here = parts
        elif match := _KEY.match(line):
            here = table + [_key(part) for part in match[1].split(".")]
        else:
            continue
        if any(here == form[: len(here)] for form in forms) and len(here) > best[0]:
            best = (len(here), number)
    return best


def _forms(path: Sequence[str]) -> tuple[list[str], list[str]]:
    """A key's parts with the numbers of tables, and without."""
    wanted = [_key(part) for part in path]
    return wanted, [part for part in wanted if not part.isdigit()]


def _key(part: str) -> str:
    """Reads a part of a dotted key: without quotes, under the first of its names."""
    bare = part.strip().strip("\"'")
    return _OTHER_NAMES.get(bare, bare)
