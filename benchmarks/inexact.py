"""Bounds and samples where exact reasoning ends, against values known from another algorithm.

    python -m benchmarks.inexact [NAME ...] --seconds 60

asks the hard programs of ``benchmarks/engine_programs.py`` in the modes ``bounds`` and ``sample``,
each in a process of its own within the limit. The known values come from algorithms that are
written for one program each: a frontier of components for grids, convolutions for sums, a list of
all formulas, the number of sudoku grids (Felgenhauer and Jarvis, 2005), and for paths a million
grids drawn by numpy, whose own error is stated. A row a program goes to
``benchmarks/results/inexact.json``, from which ``benchmarks/results/inexact.md`` is made.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine_programs import PROGRAMS
from benchmarks.rows import RESULTS, circumstances_of, keep, made, not_measured, read, table

ROWS = RESULTS / "inexact.json"
MODES = ("bounds", "sample")
DRAWN = 1_000_000
DIGITS = 9
Distribution = dict[float, float]
"""Value of the last argument of an answer, or 1 where that is no number, with its probability."""

ONE = """
import json, sys
from groundkit.circuit.answer import ask_queries
from groundkit.program.limits import Limits
from groundkit.program.source import load_program
from groundkit.errors import GroundkitError
file, seconds, mode = sys.argv[1:]
try:
    found = ask_queries(load_program(file), limits=Limits(float(seconds), mode=mode))
    print(json.dumps({"answers": found.probabilities, "gaps": found.gaps, "mode": found.mode}))
except GroundkitError as error:
    print(json.dumps({"failed": error.found}))
"""


def connected(side: int, up: float = 0.8) -> Distribution:
    """Two corners of a grid: cells in reading order, components of the last ``side`` cells.

    A state maps every cell of the frontier to its component; component 0 has the first corner.
    """
    states: dict[tuple[int, ...], float] = {(): 1.0}
    for cell in range(side * side):
        row, column = divmod(cell, side)
        grown: dict[tuple[int, ...], float] = {}
        for state, weight in states.items():
            fresh = max((0, *state)) + 1 if cell else 0
            edges = [len(state) - 1] if column else []
            edges += [len(state) - side] if row else []
            for there in itertools.product((True, False), repeat=len(edges)):
                marks = [*state, fresh]
                for place, exists in zip(edges, there, strict=True):
                    if exists:
                        low, high = sorted((marks[place], marks[-1]))
                        marks = [low if mark == high else mark for mark in marks]
                chance = float(np.prod([up if one else 1 - up for one in there]))
                marks = marks[-side:]
                if 0 in marks:  # else the first corner is cut off
                    names: dict[int, int] = {0: 0}
                    new = tuple(names.setdefault(mark, len(names)) for mark in marks)
                    grown[new] = grown.get(new, 0.0) + weight * chance
        states = grown
    return {1.0: sum(weight for state, weight in states.items() if state[-1] == 0)}


def differing(bits: int) -> Distribution:
    """The number of differences of two words of noisy bits, by convolution."""
    counts = np.ones(1)
    for bit in range(bits):
        first, second = (bit % 8 + 1) / 10, (bit % 6 + 2) / 10
        differ = first * (1 - second) + second * (1 - first)
        counts = np.convolve(counts, [1 - differ, differ])
    return {float(n): float(p) for n, p in enumerate(counts)}


def sums(numbers: int, size: int) -> Distribution:
    """The sum of uniform numbers below ``size``, by convolution."""
    counts = np.ones(1)
    for _ in range(numbers):
        counts = np.convolve(counts, np.full(size, 1 / size))
    return {float(n): float(p) for n, p in enumerate(counts)}


def formulas(length: int) -> Distribution:
    """The value of a formula of uniform digits and operators, over all formulas."""
    signs, terms = "+-*/", (length + 1) // 2
    found: dict[Fraction, int] = {}
    for operators in itertools.product(signs, repeat=terms - 1):
        for digits in itertools.product(range(1, 10), repeat=terms):
            total, product = Fraction(0), Fraction(digits[0])
            for sign, digit in zip(operators, digits[1:], strict=True):
                if sign in "+-":
                    total, product = total + product, Fraction(digit if sign == "+" else -digit)
                else:
                    product = product * digit if sign == "*" else product / digit
            found[total + product] = found.get(total + product, 0) + 1
    count = len(signs) ** (terms - 1) * 9**terms
    return {float(value): times / count for value, times in found.items()}


def paths(side: int) -> Distribution:
    """The least cost of a way right and down, over grids that are drawn."""
    rng = np.random.default_rng(0)
    costs = rng.choice([1, 2, 3], size=(side, side, DRAWN), p=[0.5, 0.3, 0.2]).astype(np.int16)
    for row, column in itertools.product(range(side), repeat=2):
        before = [costs[row - 1, column]] if row else []
        before += [costs[row, column - 1]] if column else []
        if before:
            costs[row, column] += np.minimum.reduce(before)
    values, times = np.unique(costs[-1, -1], return_counts=True)
    return {float(v): float(t) / DRAWN for v, t in zip(values, times, strict=True)}


KNOWN: dict[str, Callable[[], Distribution]] = {
    "grid 4x4": lambda: connected(4),
    "grid 5x5": lambda: connected(5),
    "grid 6x6": lambda: connected(6),
    "Hamming 20 by findall": lambda: differing(20),
    "naive addition N=3": lambda: sums(2, 1000),
    "shortest path 6x6": lambda: paths(6),
    "shortest path 12x12": lambda: paths(12),
    "sudoku 9x9": lambda: {1.0: 6_670_903_752_021_072_936_960 / 9**81},
    "HWF 7": lambda: formulas(7),
}


def ask(name: str, mode: str, seconds: float) -> dict[str, Any]:
    """Asks a program in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.pl"
        file.write_text(PROGRAMS[name]())
        command = [sys.executable, "-c", ONE, str(file), str(seconds), mode]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines else {"failed": done.stderr.strip()[-200:] or "crashed"}


def measure(name: str, seconds: float) -> dict[str, Any]:
    """Asks for bounds and samples; returns them beside the known values."""
    row: dict[str, Any] = {"name": name, "limit_s": seconds}
    known = {round(value, DIGITS): p for value, p in KNOWN[name]().items()}
    drawn = name.startswith("shortest path")
    for mode in MODES:
        found = ask(name, mode, seconds)
        if "failed" in found:
            row[mode] = {"failed": found["failed"]}
            continue
        answers = {_value(text): p for text, p in found["answers"].items()}
        gaps = {_value(text): gap for text, gap in found["gaps"].items()}
        errors = {v: answers.get(v, 0.0) - p for v, p in known.items()}
        row[mode] = {
            "mode": found["mode"],
            "answers": len(answers),
            "largest_gap": max(gaps.values(), default=0.0),
            "largest_error": max(map(abs, errors.values())),
            "agree": sum(
                _agrees(mode, errors[v], gaps.get(v, 0.0), p, drawn) for v, p in known.items()
            ),
        }
        if len(known) == 1:
            row[mode] |= {"value": next(iter(answers.values())), "gap": max(gaps.values())}
    row |= {"values": len(known), "known": next(iter(known.values())) if len(known) == 1 else None}
    return row


def _value(text: str) -> float:
    """Reads the last argument of an answer, a number or a fraction; 1 where it is neither."""
    found = re.search(r"[(,]\s*(-?[\d.]+(?:[eE][-+]?\d+)?)(?:/(\d+))?\)$", text)
    return round(float(found[1]) / float(found[2] or 1), DIGITS) if found else 1.0


def _agrees(mode: str, error: float, gap: float, known: float, drawn: bool) -> bool:
    """Whether bounds hold, or an estimate is within three standard errors of the known value."""
    own = 3 * (known * (1 - known) / DRAWN) ** 0.5 if drawn else 1e-9
    if mode == "bounds":
        return -gap - own <= error <= own
    return abs(error) <= 3 * gap + own


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    head = ["program", "limit, s", "values", "known", "bounds", "widest gap", "hold"]
    head += ["estimate", "largest standard error", "largest error", "within 3 errors"]
    lines = []
    for row in sorted(rows, key=lambda one: list(KNOWN).index(one["name"])):
        cells = [row["name"], f"{row['limit_s']:g}", f"{row['values']:,}"]
        cells.append("" if row["known"] is None else f"{row['known']:.6g}")
        low, drawn = row["bounds"], row["sample"]
        if "failed" in low:
            cells += [low["failed"], "", ""]
        else:
            one = f"{low['value']:.6g} to {low['value'] + low['gap']:.6g}" if "value" in low else ""
            cells += [one, f"{low['largest_gap']:.2g}", f"{low['agree']} of {row['values']}"]
        if "failed" in drawn:
            cells += [drawn["failed"], "", "", ""]
        else:
            one = f"{drawn['value']:.6g}" if "value" in drawn else ""
            cells += [one, f"{drawn['largest_gap']:.2g}", f"{drawn['largest_error']:.2g}"]
            cells.append(f"{drawn['agree']} of {row['values']}")
        lines.append([cell.replace("|", "/") for cell in cells])
    return (
        f"# Where exact reasoning ends\n\n{circumstances_of(rows)}\n\n"
        "Bounds and estimates within a limit of wall time, against values known from an algorithm "
        "written for the program. Of a program with several answers the widest gap and the largest "
        "error are shown. Paths are known from a million drawn grids only, whose own error is "
        "counted in. A value that was never drawn has no error of its own, and does not count as "
        "within three.\n\n"
        f"{table(head, lines)}{not_measured(KNOWN, {row['name'] for row in rows})}"
    )


def main() -> None:
    """Measures what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(KNOWN))
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    for name in options.names or KNOWN:
        row = measure(name, options.seconds)
        print(row, flush=True)
        keep(row | made(), ROWS, "name")
        (RESULTS / "inexact.md").write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
