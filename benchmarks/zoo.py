"""Which of the admitted groundings is learnt, for every program of the zoo.

    python -m benchmarks.zoo --seeds 0 1 2 --out runs/zoo

trains each program without the generative term, which has no part in names, for 300 joint steps.
A program that admits several groundings is trained a second time with a few labels
of the symbols that ``groundkit identify`` suggests. A row a run goes to
``benchmarks/results/zoo.json``, from which ``benchmarks/results/zoo.md`` is made; rows that are
there are kept, and so are finished runs in ``--out``.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import tasks
from benchmarks.grounding import ROOT, Case, run_case
from benchmarks.rows import (
    RESULTS,
    circumstances_of,
    find,
    keep,
    made,
    not_measured,
    read,
    spread,
    table,
)
from groundkit.task.load import read_task

ROWS = RESULTS / "zoo.json"
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
    "coins",
    "kinship",
    "poker",
    "any_sum",
    "noisy_addition",
    "multi_addition",
    "carry",
    "forth_add",
    "forth_sort",
)
ELSEWHERE = {
    "grounding": ("addition",),
    "tasks": (*tasks.PROGRAMS,),
    "perception": ("clusters",),
    "doubt": ("mnmath",),
}
"""Table -> the programs of the zoo that stand there."""
LABELS = 5
"""Labelled images of each suggested symbol."""


def case(program: str, label: str, *settings: str) -> Case:
    """Returns a run of a program that is shorter than its own spec says."""
    task = read_task(ROOT / "programs" / f"{program}.pl")
    fixed = ["train.min_steps=300", "train.epochs=1", "evaluate.samples=0"]
    fixed += ['evaluate.ood=["noise"]']
    fixed += [f"networks.{name}.perception.generative=0" for name in task.neural]
    return Case(label, program, (*fixed, *settings))


def suggested(identify: Mapping[str, Any], networks: list[str]) -> tuple[str, ...]:
    """Returns the settings that label the symbols which would leave one grounding."""
    for one in identify.get("suggestions", ()):  # none where there are too many maps to count
        if one["kind"].startswith("labels") and one["items"]:
            symbols: dict[str, list[str]] = {}
            for item in one["items"]:
                network, _, symbol = item.rpartition(": ")
                symbols.setdefault(network or networks[0], []).append(f'"{symbol}"')
            return tuple(
                setting
                for network, own in symbols.items()
                for setting in (
                    f"networks.{network}.labels.per_symbol={LABELS}",
                    f"networks.{network}.labels.symbols=[{', '.join(own)}]",
                )
            )
    return ()


def measure(program: str, seed: int, folder: Path, *labels: str) -> dict[str, Any] | None:
    """Trains a program, with labels or without; returns the row, ``None`` where the run failed."""
    wanted = case(program, program, *labels)
    found = run_case(wanted, seed, folder)
    if found is None:
        return None
    metrics = found["metrics"]
    learnt = metrics["identify"].get("learnt") or {}
    return {
        "program": program,
        "seed": seed,
        "labels": list(labels),
        "settings": wanted.settings,
        "admitted": metrics["identify"]["count"],
        "learnt": learnt.get("number"),
        "is_admitted": bool(learnt.get("admitted")),
        "accuracy": {
            name: one["grounding"]["accuracy"] for name, one in metrics["networks"].items()
        },
        "suggested": suggested(metrics["identify"], list(metrics["networks"])),
    }


def trained(program: str, seed: int, out: Path, *labels: str) -> dict[str, Any] | None:
    """Returns the row of a program, measured and kept where it is not there yet."""
    row = find(ROWS, program=program, seed=seed, labels=list(labels))
    if row is None:
        row = measure(program, seed, out / str(seed), *labels)
        if row is not None:
            keep(row | made(), ROWS, "program", "seed", "labels")
            (RESULTS / "zoo.md").write_text(page(read(ROWS)), encoding="utf-8")
    return row


def lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Words a line for each program, with labels and without."""
    found = []
    for program, taught in itertools.product(PROGRAMS, (False, True)):
        own = [row for row in rows if row["program"] == program and bool(row["labels"]) == taught]
        if not own:
            continue
        symbols = " and ".join(one.partition("=")[2] for one in own[0]["labels"][1::2])
        which = Counter(_which(row) for row in own)
        worst = [min(row["accuracy"].values()) for row in own]
        found.append(
            [
                f"{program}, {LABELS} labels of {symbols}" if taught else program,
                "not counted" if own[0]["admitted"] is None else f"{own[0]['admitted']:,}",
                str(len(own)),
                "" if own[0]["admitted"] is None else str(sum(row["is_admitted"] for row in own)),
                ", ".join(f"{name} ({times})" for name, times in which.items()),
                spread(worst),
            ]
        )
    return found


def _which(row: Mapping[str, Any]) -> str:
    if row["admitted"] is None:
        return "unknown"
    if row["learnt"] is None:
        return "none of them"
    return "the identity" if row["learnt"] == 1 else f"number {row['learnt']}"


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    head = ("program", "admitted", "seeds", "learnt an admitted one", "which", "accuracy")
    others = "; ".join(
        f"{', '.join(names)}: [{file}.md]({file}.md)" for file, names in ELSEWHERE.items()
    )
    return (
        f"# The grounding that is learnt\n\n{circumstances_of(rows)}\n\n"
        "300 joint steps, no generative term. Accuracy is that of held-out images by name, of the "
        "worst network where there are two: median over seeds (least to most). Settings stand in "
        "`zoo.json`: some rows compute with bfloat16.\n\n"
        f"{table(head, lines(rows))}{not_measured(PROGRAMS, {row['program'] for row in rows})}"
        f"\nElsewhere: {others}.\n"
    )


def main() -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "zoo")
    wanted = parser.parse_args()
    for seed, program in itertools.product(wanted.seeds, wanted.programs):
        untaught = trained(program, seed, wanted.out / program)
        if untaught is not None and untaught["suggested"]:
            trained(program, seed, wanted.out / f"{program}-labels", *untaught["suggested"])


if __name__ == "__main__":
    main()
