"""Observed sums of two digits: how accurate the symbols are after how many processor seconds.

    python -m benchmarks.sooner [--seeds 0]

trains ``programs/sum.pl`` on 1,000 pairs of 3,200 of the training images of mnist5k, with small
networks and few steps and without clustering phase, and scores it on 800 other training images.
Seconds are those of the whole process: loading, grounding, training, evaluation. A row a run goes
to ``benchmarks/results/sooner.json``, from which ``benchmarks/results/sooner.md`` is made; rows
that are there are kept. ABLkit's and DeepProbLog's seconds are earlier ones of another machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import groundkit
from benchmarks.generative import divided
from benchmarks.grounding import NET, ROOT
from benchmarks.rows import RESULTS, circumstances_of, find, keep, made, read, spread, table

ROWS = RESULTS / "sooner.json"
NETWORK = NET.removesuffix(".perception")
FIXED = (
    'examples.data="mnist5k-divided"',
    "train.cluster_steps=0",
    "train.epochs=1",
    "train.pool_batch=0",
    "train.reground=false",
    f"{NET}.generative=0",
    "evaluate.ood=[]",
    "evaluate.samples=0",
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "convnet of width 8, 200 steps": ("train.min_steps=200", f"{NETWORK}.options={{width=8}}"),
    "convnet of width 16, 200 steps": ("train.min_steps=200", f"{NETWORK}.options={{width=16}}"),
}
EARLIER = (
    ("ABLkit 1.0, LeNet", "10", "0.928"),
    ("ABLkit 1.0, LeNet", "20", "0.963"),
    ("ABLkit 1.0, LeNet", "40", "0.954"),
    ("DeepProbLog 2.1", "110", "0.948"),
    ("groundkit, as the spec stood", "112", "0.974"),
)
PAGE = """# Observed sums: accuracy against processor seconds

{made}

1,000 pairs of images and their sum. Rows that are said to be earlier are of another machine and of
mnist5k's test images; the others are scored on 800 training images that training does not see.
Median over seeds (least to most).

{table}"""


def measure(variant: str, seed: int) -> dict[str, Any]:
    """Trains in a process of its own; returns the row."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.sooner", "--one", variant, str(seed), folder]
        subprocess.run(command, cwd=ROOT, check=True)
        row: dict[str, Any] = json.loads((Path(folder) / "row.json").read_text())
    return row


def one(variant: str, seed: int, folder: Path) -> None:
    """Trains in this process and writes the row."""
    groundkit.register_source("mnist5k-divided", divided)
    found = groundkit.run(
        ROOT / "programs" / "sum.pl",
        out=folder / "run",
        seed=seed,
        settings=[*FIXED, *VARIANTS[variant]],
        device="cpu",
    ).metrics
    row = {"variant": variant, "seed": seed, "accuracy": found["grounding"]["accuracy"]}
    row["cpu_s"] = round(time.process_time(), 1)
    (folder / "row.json").write_text(json.dumps(row))


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    lines = [[f"{name} (earlier)", seconds, accuracy, "1"] for name, seconds, accuracy in EARLIER]
    for variant in VARIANTS:
        own = [row for row in rows if row["variant"] == variant]
        if own:
            times = spread([row["cpu_s"] for row in own], 1)
            accuracies = spread([row["accuracy"] for row in own])
            lines.append([f"groundkit, {variant}", times, accuracies, str(len(own))])
    head = ("what", "processor s", "accuracy", "seeds")
    return PAGE.format(made=circumstances_of(rows), table=table(head, lines))


def main() -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    if wanted.one:
        variant, seed, folder = wanted.one
        one(variant, int(seed), Path(folder))
        return
    for seed, variant in itertools.product(wanted.seeds, VARIANTS):
        if not find(ROWS, variant=variant, seed=seed):
            keep(measure(variant, seed) | made(), ROWS, "variant", "seed")
    (RESULTS / "sooner.md").write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
