"""Runs side by side: one row per label, medians and spread over its seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypedDict

from groundkit.report.html import number, template
from groundkit.report.verdict import GOOD, UNKNOWN

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
        middle = number(self.median)
        if self.n == 1 or self.low == self.high:
            return middle
        return f"{middle} ({number(self.low)} to {number(self.high)})"


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
        return (
            "Median over the runs of a row, smallest and largest in brackets; "
            f"success means {self.criterion}."
        )

    def _texts(self, row: Row) -> list[str]:
        """The cells of a row as text, in the order of the columns."""
        cells = [row.cells[key] for key in self.columns]
        return [UNKNOWN if cell is None else str(cell) for cell in cells]

    def to_markdown(self) -> str:
        """The table in Markdown, with its note."""
        head = ["", "runs", "success", *self.columns.values()]
        lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
        lines += [[r.label, str(len(r.seeds)), r.success, *self._texts(r)] for r in self.rows]
        table = "\n".join("| " + " | ".join(_plain(c) for c in line) + " |" for line in lines)
        return f"{table}\n\n{self.note}\n"

    def to_html(self, title: str = "Comparison", command: str = "") -> str:
        """A self-contained page with the table.

        Args:
            title: Heading of the page.
            command: Command line that makes it again.
        """
        rows = [(r.label, len(r.seeds), r.success, self._texts(r)) for r in self.rows]
        return template("compare.html.j2").render(
            title=title, columns=list(self.columns.values()), rows=rows, note=self.note,
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
            found[name] = float(value)
    return found


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
    return Spread(median(known), min(known), max(known), len(known))


def _cell(cell: Spread) -> dict[str, float]:
    return {"median": cell.median, "min": cell.low, "max": cell.high, "n": cell.n}


def _plain(text: str) -> str:
    """Text that cannot break out of a cell of a Markdown table, nor bring in HTML."""
    flat = " ".join(text.split())
    for sign in "\\|<>[]`*_":
        flat = flat.replace(sign, f"\\{sign}")
    return flat
