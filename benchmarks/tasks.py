"""Programs of several concepts and goals of many shapes: every network beside its ceiling.

    python -m benchmarks.tasks --seeds 0 1 2

trains each program by ``groundkit run`` and its networks on labels besides, with as many images.
A row a run goes to
``benchmarks/results/tasks.json``, from which ``benchmarks/results/tasks.md`` is made; rows that
are there are kept, and so is a finished run in ``--out``. Seeds are the outer loop, so that a
stopped call leaves every program with some.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

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
from benchmarks.supervised import ceiling
from groundkit.task.load import read_task

ROWS = RESULTS / "tasks.json"
PROGRAMS = (
    "concepts", "kandinsky", "road", "leaf", "hwf", "clutrr", "total", "sort", "anbncn",
    "warcraft_like",
)  # fmt: skip
STAGES = ("ground", "identify", "train", "evaluate", "generate")
HEAD = (
    "program", "network", "maps", "accuracy", "matched", "ceiling", "queries", "minutes", "seeds",
)  # fmt: skip
PAGE = """# Programs of several concepts and many shapes

{made}

Accuracy is that of held-out images by name, `matched` after the best renaming of the clusters; the
ceiling is the same network trained on the labels of the training images, on as many images as the
joint training reads. `maps`: admitted ones of the joint symbols. Queries are held-out ones.
Minutes are wall time of the whole run, on one thread, beside other work. Median over seeds (least
to most). Where a command has `--quick`, it set what the specs now say: small images, 400 joint
steps, no generative term.

{table}"""


def measure(program: str, seed: int, folder: Path) -> dict[str, Any] | None:
    """Trains a program and its ceilings; returns the row, ``None`` where the run failed."""
    if program == "clutrr":
        subprocess.run([sys.executable, "programs/clutrr.py"], cwd=ROOT, check=True)
    found = run_case(Case(program, program), seed, folder)
    if found is None:
        return None
    metrics = found["metrics"]
    task = read_task(ROOT / "programs" / f"{program}.pl")
    steps = json.loads((folder / "history.jsonl").read_text().splitlines()[-1])["step"]
    networks = {}
    for name, network in metrics["networks"].items():
        scores = network["grounding"]
        batch = task.spec.train.cluster_batch
        # Images of a table have labels for scoring alone.
        known = task.banks(0)[name].labels is not None
        top = ceiling(task, name, seed, steps=steps, batch=batch) if known else None
        networks[name] = {key: scores[key] for key in ("accuracy", "accuracy_matched")}
        networks[name]["ceiling"] = top
        print(f"{program} {seed} {name}", networks[name], flush=True)
    return {
        "program": program,
        "seed": seed,
        "admitted": metrics["identify"]["count"],
        "networks": networks,
        "query": metrics["query"],
        "minutes": round(sum(metrics["timing"][f"{stage}_s"] for stage in STAGES) / 60, 2),
        "steps": steps,
    }


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    there = table(HEAD, lines(rows)) + not_measured(PROGRAMS, {row["program"] for row in rows})
    return PAGE.format(made=circumstances_of(rows), table=there)


def lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Words a line a network."""
    found = []
    for program in PROGRAMS:
        own = [row for row in rows if row["program"] == program]
        for network in own[0]["networks"] if own else ():
            scores = [row["networks"][network] for row in own]
            count = own[0]["admitted"]
            found.append(
                [program, network, "not counted" if count is None else f"{count:,}"]
                + [spread([one[key] for one in scores]) for key in ("accuracy", "accuracy_matched")]
                + [spread(tops) if (tops := _known(scores, "ceiling")) else "no labels"]
                + [_queries([row["query"] for row in own])]
                + [spread(_known(own, "minutes"), 1), str(len(own))]
            )
    return found


def _known(scores: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """Returns the values that are there."""
    return [one[key] for one in scores if one[key] is not None]


def _queries(scores: Sequence[dict[str, Any]]) -> str:
    """Words the share of right queries, of each query of the spec apart."""
    if "queries" not in scores[0]:
        return spread([one["accuracy"] for one in scores])
    return "; ".join(
        f"{name}: {spread([one['queries'][name]['accuracy'] for one in scores])}"
        for name in scores[0]["queries"]
    )


def main() -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "tasks")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for seed, program in itertools.product(wanted.seeds, wanted.programs):
        if not find(ROWS, program=program, seed=seed):
            row = measure(program, seed, wanted.out / program / str(seed))
            if row is not None:
                keep(row | made(), ROWS, "program", "seed")
    (RESULTS / "tasks.md").write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
