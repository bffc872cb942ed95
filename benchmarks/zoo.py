"""Which of the admitted groundings is learnt, for every program of the zoo.

    python -m benchmarks.zoo --seeds 5 --out runs/zoo

trains each program without the generative term, which has no part in names, for 300 joint steps
with bfloat16, and writes ``benchmarks/results/zoo.md``. A program that admits several groundings is
trained a second time with a few labels of the symbols that ``groundkit identify`` suggests.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.grounding import ROOT, Case, run_case
from groundkit.task.load import read_task

PROGRAMS = (
    "sum",
    "product",
    "maximum",
    "arithmetic",
    "garments",
    "xor",
    "half",
    "difference",
    "modulo",
    "equality",
    "parity",
    "even_odd",
    "sudoku",
)
LABELS = 5
"""Labelled images of each suggested symbol."""


def case(program: str, label: str, *settings: str) -> Case:
    """Returns a run of a program that is shorter than its own spec says."""
    task = read_task(ROOT / "programs" / f"{program}.pl")
    fixed = ["train.min_steps=300", "train.epochs=1", "evaluate.samples=0"]
    fixed += ['evaluate.ood=["noise"]']
    fixed += [f"networks.{name}.perception.generative=0" for name in task.neural]
    fixed += [f"networks.{name}.bfloat16=true" for name in task.neural]
    return Case(label, program, (*fixed, *settings))


def suggested(identify: Mapping[str, Any], networks: list[str]) -> tuple[str, ...]:
    """Returns the settings that label the symbols which would leave one grounding."""
    for one in identify["suggestions"]:
        if one["kind"].startswith("labels") and one["items"]:
            network = networks[0]
            symbols = [item.split()[-1] for item in one["items"]]
            listed = ", ".join(f'"{symbol}"' for symbol in symbols)
            return (
                f"networks.{network}.labels.per_symbol={LABELS}",
                f"networks.{network}.labels.symbols=[{listed}]",
            )
    return ()


def row(label: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """Words the runs of a program as a line of the table."""
    found = runs[0]["identify"]
    learnt = [run["identify"].get("learnt") or {} for run in runs]
    maps = [
        "the identity" if one.get("number") == 1 else f"number {one.get('number')}"
        for one in learnt
    ]
    counted: dict[str, int] = defaultdict(int)
    for name in maps:
        counted[name] += 1
    admitted = sum(bool(one.get("admitted")) for one in learnt)
    accuracies = sorted(run["grounding"]["accuracy"] for run in runs)
    names = ", ".join(f"{name} ({times})" for name, times in counted.items())
    return (
        f"| {label} | {found['count']} | {len(runs)} | {admitted} | {names} | "
        f"{accuracies[len(accuracies) // 2]:.3f} ({accuracies[0]:.3f} to {accuracies[-1]:.3f}) |"
    )


def train(wanted: Case, seeds: int, folder: Path, *, finished: bool) -> list[Mapping[str, Any]]:
    """Returns what the runs of a case measured, over seeds."""
    places = [folder / str(seed) for seed in range(seeds)]
    made = [
        run_case(wanted, seed, place)
        for seed, place in enumerate(places)
        if not finished or (place / "metrics.json").exists()
    ]
    return [run["metrics"] for run in made if run is not None]


def main() -> None:
    """Runs the programs and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "zoo")
    parser.add_argument("--finished", action="store_true", help="make the table of what is there")
    wanted = parser.parse_args()
    lines = []
    for program in wanted.programs:
        folder = wanted.out / program
        runs = train(case(program, program), wanted.seeds, folder, finished=wanted.finished)
        if not runs:
            continue
        lines.append(row(program, runs))
        labels = suggested(runs[0]["identify"], list(runs[0]["networks"]))
        if runs[0]["identify"]["count"] == 1 or not labels:
            continue
        taught = case(program, f"{program} with labels", *labels)
        folder = wanted.out / f"{program}-labels"
        if runs := train(taught, wanted.seeds, folder, finished=wanted.finished):
            lines.append(row(f"{program}, {LABELS} labels of {labels[1].partition('=')[2]}", runs))
    write(lines)


def write(lines: list[str]) -> None:
    """Writes the table."""
    text = [
        "# The grounding that is learnt",
        "",
        f"`python -m benchmarks.zoo {' '.join(sys.argv[1:])}`".replace(" `", "`"),
        f"on {datetime.date.today().isoformat()}, {os.cpu_count()} CPU cores; 300 joint steps, "
        "bfloat16, no generative term.",
        "",
        "| program | admitted | seeds | learnt an admitted one | which | accuracy |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
        *lines,
    ]
    target = ROOT / "benchmarks" / "results" / "zoo.md"
    target.write_text("\n".join(text) + "\n")
    print(target.read_text())


if __name__ == "__main__":
    main()
