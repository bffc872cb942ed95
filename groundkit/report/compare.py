"""Runs side by side: one row per label, medians and spread over its seeds."""

from __future__ import annotations

import json
import math
import textwrap
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from statistics import median
from typing import Any, TypedDict

from groundkit.errors import CheckpointError, Location
from groundkit.files import DATA_LIMIT, read_text
from groundkit.report.html import template
from groundkit.report.verdict import GOOD
from groundkit.report.words import UNKNOWN, number

HEADLINES = {
    "grounding.accuracy": "accuracy",
    "grounding.accuracy_matched": "matched",
    "grounding.nmi": "NMI",
    "grounding.ari": "ARI",
    "grounding.collapse": "collapse",
    "grounding.ece": "ECE",
    "query.accuracy": "query accuracy",
    "query.nll": "query NLL",
    "generation.fid": "Frechet",
    "generation.agreement": "agreement",
    "timing.train_s": "train s",
}
"""Columns of a comparison, where some run has them; foreign sets' AUROC join by themselves."""


class RunResult(TypedDict):
    """One run that takes part."""

    label: str
    """Name of its row: runs that differ in nothing but the seed share one."""
    seed: int | None
    metrics: Mapping[str, Any]
    """Its ``metrics.json``."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What counts as a success of a run."""

    key: str = "grounding.accuracy"
    least: float = GOOD

    def holds(self, metrics: Mapping[str, float]) -> bool | None:
        """Whether a run succeeded; ``None`` when its metrics do not have the number."""
        value = metrics.get(self.key)
        return None if value is None else value >= self.least

    def __str__(self) -> str:
        return f"{HEADLINES.get(self.key, self.key)} at least {self.least:g}"


@dataclass(frozen=True, slots=True)
class Spread:
    """One number over the seeds that have it."""

    median: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        middle, low, high = number(self.median), number(self.low), number(self.high)
        return middle if low == high else f"{middle} ({low} to {high})"


@dataclass(frozen=True, slots=True)
class Row:
    """All runs of one label."""

    label: str
    seeds: tuple[int | None, ...]
    cells: Mapping[str, Spread | None]
    successes: int
    judged: int
    """Runs whose success is known."""

    @property
    def success(self) -> str:
        """``4 of 5``, or a dash when nothing could be judged."""
        return f"{self.successes} of {self.judged}" if self.judged else UNKNOWN


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table of runs; ``columns`` maps a metric's dotted key to its title."""

    columns: Mapping[str, str]
    rows: tuple[Row, ...]
    criterion: Criterion = field(default_factory=Criterion)

    @property
    def note(self) -> str:
        """How to read the table, one sentence."""
        note = "Median over the runs of a row, smallest and largest in brackets"
        return f"{note}; success means {self.criterion}." if self.judged else f"{note}."

    @property
    def judged(self) -> bool:
        """Whether the success of any run is known; without, the table has no such column."""
        return any(row.judged for row in self.rows)

    def _texts(self, row: Row) -> list[str]:
        """The cells of a row as text, in the order of the columns."""
        cells = [row.cells[key] for key in self.columns]
        return [UNKNOWN if cell is None else str(cell) for cell in cells]

    def _head(self) -> list[str]:
        """The titles of the columns, the first of which names the row."""
        return ["", "runs", *(["success"] if self.judged else []), *self.columns.values()]

    def _line(self, row: Row) -> list[str]:
        """A row's cells as text, below :meth:`_head`."""
        known = [row.success] if self.judged else []
        return [row.label, str(len(row.seeds)), *known, *self._texts(row)]

    def to_markdown(self) -> str:
        """The table in Markdown, with its note."""
        head = self._head()
        lines = [head, ["---"] + ["---:"] * (len(head) - 1), *map(self._line, self.rows)]
        table = "\n".join("| " + " | ".join(_plain(c) for c in line) + " |" for line in lines)
        return f"{table}\n\n{self.note}\n"

    def to_text(self, width: int = 80) -> str:
        """The table for a terminal, with its note: in parts below each other where it is wide.

        Args:
            width: Characters of a line, at least 40.
        """
        head, *lines = (
            [_printable(cell) for cell in line]
            for line in (self._head(), *map(self._line, self.rows))
        )
        labels = [textwrap.wrap(line[0], width // 3) or [""] for line in lines]
        first = max((len(part) for label in labels for part in label), default=0)
        sizes = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
        parts: list[list[int]] = [[]]
        for place in range(1, len(head)):
            taken = first + sum(2 + sizes[one] for one in (*parts[-1], place))
            if parts[-1] and taken > width:
                parts.append([])
            parts[-1].append(place)

        def row(label: str, cells: Sequence[str], part: Sequence[int]) -> str:
            return label.ljust(first) + "".join("  " + cells[k].rjust(sizes[k]) for k in part)

        blocks = []
        for part in parts:
            found = [row("", head, part)]
            for label, line in zip(labels, lines, strict=True):
                found += [row(label[0], line, part), *label[1:]]
            blocks.append("\n".join(found))
        return "\n\n".join([*blocks, textwrap.fill(self.note, width)])

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        lines = (
            "".join(f"<td>{escape(cell)}</td>" for cell in line)
            for line in (self._head(), *map(self._line, self.rows))
        )
        rows = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table>{rows}</table><p>{escape(self.note)}</p>"

    def to_html(self, title: str = "Comparison", command: str = "") -> str:
        """A self-contained page with the table.

        Args:
            title: Heading of the page.
            command: Command line that makes it again.
        """
        rows = [(r.label, len(r.seeds), r.success, self._texts(r)) for r in self.rows]
        return template("compare.html.j2").render(
            title=title, judged=self.judged, columns=list(self.columns.values()), rows=rows,
            note=self.note,
            command=command,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The table for JSON."""
        return {
            "criterion": {"key": self.criterion.key, "least": self.criterion.least},
            "columns": dict(self.columns),
            "rows": [
                {
                    "label": row.label,
                    "seeds": list(row.seeds),
                    "successes": row.successes,
                    "judged": row.judged,
                    "cells": {k: None if c is None else _cell(c) for k, c in row.cells.items()},
                }
                for row in self.rows
            ],
        }


def compare(
    runs: Sequence[RunResult],
    columns: Mapping[str, str] | Sequence[str] | None = None,
    criterion: Criterion | None = None,
) -> Comparison:
    """Puts runs into one table.

    Args:
        runs: The runs, in any order; rows come in the order in which labels first occur.
        columns: Dotted keys of metrics, perhaps with titles; the headlines that occur when absent.
        criterion: What a success is; grounding accuracy of at least 0.9 when absent.
    """
    flat = [flatten(run["metrics"]) for run in runs]
    if columns is None:
        columns = _present(flat)
    titles = (
        dict(columns)
        if isinstance(columns, Mapping)
        else {key: HEADLINES.get(key, key) for key in columns}
    )
    chosen = criterion or Criterion()
    labels = dict.fromkeys(run["label"] for run in runs)
    rows = []
    for label in labels:
        members = [i for i, run in enumerate(runs) if run["label"] == label]
        verdicts = [chosen.holds(flat[i]) for i in members]
        rows.append(
            Row(
                label=label,
                seeds=tuple(runs[i]["seed"] for i in members),
                cells={k: _spread([flat[i].get(k) for i in members]) for k in titles},
                successes=sum(v is True for v in verdicts),
                judged=sum(v is not None for v in verdicts),
            )
        )
    return Comparison(titles, tuple(rows), chosen)


def flatten(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Dotted keys of all finite numbers of a nested dict; truth values are left out."""
    found: dict[str, float] = {}
    for key, value in metrics.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flatten(value, f"{name}.")
        elif (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        ):
            found[name] = value
    return found


def load_runs(folders: Sequence[Path]) -> list[RunResult]:
    """Reads the folders of runs and labels each by what sets it apart from the others.

    Args:
        folders: Folders with ``metrics.json`` and ``spec.toml``.

    Raises:
        CheckpointError: A folder is not that of a finished run.
    """
    metrics = [_read_json(folder / "metrics.json") for folder in folders]
    specs = [_read_toml(folder / "spec.toml") for folder in folders]
    names = [Path(str(m.get("program", folder.parent))).stem
             for m, folder in zip(metrics, folders, strict=True)]  # fmt: skip
    return [
        {"label": label, "seed": one.get("seed"), "metrics": one}
        for label, one in zip(label_runs(names, specs), metrics, strict=True)
    ]


def label_runs(programs: Sequence[str], specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names runs by their program, and by the keys in which specs of one program differ.

    Args:
        programs: Name of each run's program.
        specs: Its spec, as nested dicts.
    """
    leaves = [_leaves(spec) for spec in specs]
    labels = []
    for program, own in zip(programs, leaves, strict=True):
        peers = [leaf for name, leaf in zip(programs, leaves, strict=True) if name == program]
        keys = dict.fromkeys(key for leaf in peers for key in leaf)
        differing = [key for key in keys if any(leaf.get(key) != own.get(key) for leaf in peers)]
        settings = [f"{key}={own[key]}" if key in own else f"no {key}" for key in differing]
        labels.append(": ".join([program, ", ".join(settings)]) if settings else program)
    return labels


def _leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys of all values of a nested dict that are no dicts themselves."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a run's folder."""
    found = _parsed(path, json.loads)
    if not isinstance(found, dict):
        raise CheckpointError("not a JSON object", expected="metrics of a run", at=Location(path))
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    """A TOML table of a run's folder."""
    table: dict[str, Any] = _parsed(path, tomllib.loads)
    return table


def _parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    """A parsed file of a run's folder."""
    try:
        return parse(read_text(path, error=CheckpointError, limit=DATA_LIMIT, within=path.parent))
    except FileNotFoundError:
        raise CheckpointError(
            f"'{path.parent}' has no {path.name}",
            expected="the folder of a finished run",
            remedy="name folders that `groundkit run` wrote",
        ) from None
    except (ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"it cannot be read: {error}", at=Location(path)) from None


def _present(flat: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """The headline columns that some run has, and each foreign set's AUROC."""
    keys = list(dict.fromkeys(key for metrics in flat for key in metrics))
    titles = {k: title for k, title in HEADLINES.items() if k in keys}
    for key in keys:
        parts = key.split(".")
        if parts[0] == "ood" and parts[-1] == "auroc" and "scores" not in parts:
            titles[key] = f"AUROC {'.'.join(parts[1:-1])}"
    return titles


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    middle = median(known)
    if all(isinstance(v, int) for v in known) and middle == int(middle):
        middle = int(middle)  # counts look like counts
    return Spread(middle, min(known), max(known), len(known))


def _cell(cell: Spread) -> dict[str, float]:
    return {"median": cell.median, "min": cell.low, "max": cell.high, "n": cell.n}


def _printable(text: str) -> str:
    """Text on one line, without what would steer a terminal."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _plain(text: str) -> str:
    """Text that cannot break out of a cell of a Markdown table, nor bring in HTML."""
    flat = " ".join(text.split())
    for sign in "\\|<>[]`*_":
        flat = flat.replace(sign, f"\\{sign}")
    return flat
