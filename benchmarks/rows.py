"""Raw rows of a table in a JSON file, and their words in Markdown."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import circumstances, commit

RESULTS = Path(__file__).parent / "results"


def read(file: Path) -> list[dict[str, Any]]:
    """Returns the rows of a file; none where there is no file yet."""
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return rows


def find(file: Path, **key: Any) -> dict[str, Any] | None:
    """Returns the row of a file that has these values; ``None`` where there is none."""
    fitting = (row for row in read(file) if all(row[name] == one for name, one in key.items()))
    return next(fitting, None)


def keep(row: dict[str, Any], file: Path, *key: str) -> None:
    """Adds a row to a file, in place of one of the same key."""
    kept = [one for one in read(file) if any(one[name] != row[name] for name in key)]
    kept.append(row)
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def made() -> dict[str, str]:
    """Says by what and where a row is made; where its runs are put says nothing of it."""
    module, given = Path(sys.argv[0]).stem, sys.argv[1:]
    if "--out" in given:
        place = given.index("--out")
        del given[place : place + 2]
    return {
        "command": " ".join(["python", "-m", f"benchmarks.{module}", *given]),
        "commit": commit(),
        "where": circumstances("torch", "problog"),
    }


def circumstances_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Words the commands and commits of the rows, each with where its first row was made."""
    places: dict[tuple[str, str], str] = {}
    for one in rows:
        places.setdefault((one["command"], one["commit"]), one["where"])
    return "\n".join(f"- `{c}` at {commit}; {where}" for (c, commit), where in places.items())


def not_measured(names: Iterable[str], there: Collection[str]) -> str:
    """Words which of some names have no row, as a paragraph; empty where all have one."""
    missing = "; ".join(name for name in names if name not in there)
    return f"\nNot measured: {missing}.\n" if missing else ""


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Words the median of values, and the range where they differ."""
    rounded = sorted(round(value, digits) for value in values)
    middle = f"{statistics.median(rounded):.{digits}f}"
    if rounded[0] == rounded[-1]:
        return middle
    return f"{middle} ({rounded[0]:.{digits}f} to {rounded[-1]:.{digits}f})"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Words lines as a table."""
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(one) + " |" for one in cells) + "\n"
