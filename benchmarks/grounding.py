"""Grounding of handwritten digits over seeds: the default, ablations, few examples, the ceiling.

    python -m benchmarks.grounding --seeds 5 --jobs 1 --out runs/benchmark

writes ``benchmarks/results/grounding.md``, and a part of it into the README, from the runs'
``metrics.json``. Finished runs in the output folder are kept, so the command can be repeated to go
on. With ``--jobs 1`` and nothing else running its times are those of one run alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from groundkit.report.compare import Criterion, RunResult, compare

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "grounding.md"
COLUMNS = {
    "grounding.accuracy": "accuracy",
    "grounding.accuracy_matched": "matched",
    "grounding.nmi": "NMI",
    "grounding.collapse": "collapse",
    "query.accuracy": "query accuracy",
    "identify.examples.count": "maps that the examples leave",
    "ood.fashion-mnist.auroc": "AUROC fashion",
    "ood.fashion-mnist.scores.max_softmax.auroc": "by max-softmax",
    "generation.agreement": "samples agree",
    "timing.first_names_s": "s to first names",
    "timing.total_s": "s in all",
}
README_COLUMNS = ("accuracy", "matched", "NMI", "AUROC fashion", "by max-softmax", "s in all")
README_CASES = ("default", "few", "thirty", "no-reground", "symbolic")
START, END = "<!-- table of benchmarks.grounding -->", "<!-- end of the table -->"
NET = "networks.mnist_net.perception"
HELD = (f"{NET}.assignment=1", f"{NET}.assignment_fades=false")
# Ablations leave the generative term out, which has no part in names, and compute with bfloat16.
QUICK = (f"{NET}.generative=0", "networks.mnist_net.bfloat16=true")


@dataclass(frozen=True)
class Case:
    """One row of the table: a program and what it overrides."""

    label: str
    program: str = "addition"
    settings: tuple[str, ...] = ()
    seeds: int | None = None
    """Fewer seeds than the others, for a row that costs much and says little more."""


CASES = {
    "default": Case("all-digit addition, 1,000 triplets (default)"),
    "few": Case(
        "100 triplets and the pool, self-labelling to the end",
        settings=("examples.count=100", *HELD),
    ),
    "thirty": Case(
        "30 triplets and the pool, self-labelling to the end",
        settings=("examples.count=30", "train.batch=32", *HELD),
    ),
    "ten": Case(
        "10 triplets and the pool, self-labelling to the end",
        settings=("examples.count=10", "train.batch=16", *HELD),
    ),
    "many": Case("10,000 triplets", settings=("examples.count=10000", "train.epochs=4"), seeds=1),
    "sum": Case("observed sum, 1,000 pairs", program="sum", seeds=2),
    "no-reground": Case(
        "without clustering phase and re-grounding",
        settings=("train.reground=false", "train.cluster_steps=0", *QUICK),
    ),
    "clustered-no-reground": Case(
        "without re-grounding", settings=("train.reground=false", *QUICK)
    ),
    "symbolic": Case(
        "symbolic term alone",
        settings=(
            "train.reground=false",
            "train.cluster_steps=0",
            f"{NET}.prior=0",
            f"{NET}.invariance=0",
            *QUICK,
        ),
    ),
    "no-generative": Case("without the generative term", settings=QUICK),
    **{
        f"no-{term}": Case(
            f"without the generative and the {term} term", settings=(*QUICK, f"{NET}.{term}=0")
        )
        for term in ("prior", "invariance")
    },
    **{
        schedule: Case(
            f"30 triplets, symbolic term {schedule}",
            settings=("examples.count=30", *QUICK, f'train.schedule="{schedule}"'),
        )
        for schedule in ("constant", "annealed", "clusters-first", "tempered")
    },
}


def run_case(case: Case, seed: int, folder: Path) -> RunResult | None:
    """Makes one run in a process of its own, unless it is there."""
    metrics = folder / "metrics.json"
    if not metrics.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "groundkit", "run", f"programs/{case.program}.pl"]
        command += ["--seed", str(seed), "--out", str(folder)]
        for setting in case.settings:
            command += ["--set", setting]
        with (folder / "log.txt").open("w") as log:
            done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            print(f"{folder}: exit code {done.returncode}, see log.txt", flush=True)
            return None
    found = json.loads(metrics.read_text())
    stages = ("ground", "identify", "train", "evaluate", "generate")
    found["timing"]["total_s"] = sum(found["timing"][f"{stage}_s"] for stage in stages)
    print(f"{case.label}, seed {seed}: {found['grounding']['accuracy']:.4f}", flush=True)
    return {"label": case.label, "seed": seed, "metrics": found}


def ceiling(seed: int) -> float:
    """Trains the same network on all 4,000 labels with the same augmentation; test accuracy."""
    import torch

    from groundkit.data import sources
    from groundkit.perception.augment import AUGMENTATIONS
    from groundkit.perception.pixels import to_model
    from groundkit.task.networks import build_model
    from groundkit.task.spec import NetworkSpec

    data = sources.load_data("mnist5k")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = build_model(NetworkSpec(), data.train.shape, 10)
    labels = torch.from_numpy(data.train.labels)
    steps, batch = 600, 256
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 2e-3, total_steps=steps, pct_start=0.15
    )
    for _ in range(steps):
        rows = torch.randint(len(labels), (batch,), generator=generator)
        images = AUGMENTATIONS["digits"](to_model(data.train.pixels[rows]), generator)
        loss = torch.nn.functional.cross_entropy(model(images), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        predicted = model(data.test.floats()).argmax(1)
    return float((predicted.numpy() == data.test.labels).mean())


def main() -> None:
    """Runs the cases and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--ceiling-seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmark")
    parser.add_argument("--finished", action="store_true", help="make the tables of what is there")
    wanted = parser.parse_args()
    work = [
        (CASES[name], seed, wanted.out / name / str(seed))
        for name in wanted.cases
        for seed in range(min(wanted.seeds, CASES[name].seeds or wanted.seeds))
        if not wanted.finished or (wanted.out / name / str(seed) / "metrics.json").exists()
    ]
    with ThreadPoolExecutor(wanted.jobs) as workers:
        runs = [run for run in workers.map(lambda job: run_case(*job), work) if run is not None]
    write_tables(runs, [ceiling(seed) for seed in range(wanted.ceiling_seeds)], wanted.jobs)


def write_tables(runs: list[RunResult], ceilings: list[float], jobs: int) -> None:
    """Writes the table of all runs, and that of the main ones into the README."""
    environment = runs[0]["metrics"]["environment"]
    made_by = (
        f"`{shlex.join(['python', '-m', 'benchmarks.grounding', *sys.argv[1:]])}`\n"
        f"on {datetime.date.today().isoformat()}, {os.cpu_count()} CPU cores, "
        f"{jobs} run(s) at a time, {environment['threads']} thread(s) a run, "
        f"torch {environment['versions']['torch']}, Python {environment['python']}. "
        "Ablations and schedules have no generative term and compute with bfloat16.\n"
    )
    top = (
        "The ceiling, the same network trained on all 4,000 labels with the same augmentation: "
        f"{median(ceilings):.4f} (seeds: {', '.join(f'{one:.4f}' for one in ceilings)}).\n"
        if ceilings
        else ""
    )
    good = Criterion("grounding.accuracy", 0.95)
    table = compare(runs, COLUMNS, good).to_markdown()
    title = "# Symbols grounded without labels, mnist5k\n"
    RESULT.write_text("\n".join([title, made_by, table, top]))
    print(RESULT.read_text())
    shown = {CASES[name].label for name in README_CASES}
    columns = {key: title for key, title in COLUMNS.items() if title in README_COLUMNS}
    table = compare([run for run in runs if run["label"] in shown], columns, good).to_markdown()
    put_into_readme("\n".join([made_by, table, top]))


def put_into_readme(text: str) -> None:
    """Replaces the text between the README's two markers."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(START)
    readme.write_text(before + START + "\n" + text + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
