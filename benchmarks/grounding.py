"""Grounding of handwritten digits over seeds: the default, ablations, few examples, the ceiling.

    python -m benchmarks.grounding --seeds 5 --jobs 1 --out runs/benchmark

writes ``benchmarks/results/grounding.md``, and the table of the README, from the runs'
``metrics.json``. Finished runs in the
output folder are kept, so the command can be repeated to go on. With ``--jobs 1`` and nothing
else running its times are those of one run alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from groundkit.report.compare import Criterion, compare

ROOT = Path(__file__).resolve().parent.parent
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


def run_case(case: Case, seed: int, folder: Path) -> dict[str, object] | None:
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
    from groundkit.grounding.networks import build_model
    from groundkit.perception.augment import AUGMENTATIONS
    from groundkit.perception.pixels import to_model
    from groundkit.spec import NetworkSpec

    data = sources.load("mnist5k")
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
    """Runs the cases and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--ceiling-seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmark")
    parser.add_argument("--finished", action="store_true", help="make the table of what is there")
    wanted = parser.parse_args()
    work = [
        (CASES[name], seed, wanted.out / name / str(seed))
        for name in wanted.cases
        for seed in range(min(wanted.seeds, CASES[name].seeds or wanted.seeds))
        if not wanted.finished or (wanted.out / name / str(seed) / "metrics.json").exists()
    ]
    with ThreadPoolExecutor(wanted.jobs) as workers:
        runs = [run for run in workers.map(lambda job: run_case(*job), work) if run is not None]
    table = compare(runs, COLUMNS, Criterion("grounding.accuracy", 0.95))
    top = [ceiling(seed) for seed in range(wanted.ceiling_seeds)]
    environment = runs[0]["metrics"]["environment"]  # type: ignore[index]
    lines = [
        "# Symbols grounded without labels, mnist5k",
        "",
        f"`python -m benchmarks.grounding {' '.join(sys.argv[1:])}`".replace(" `", "`"),
        f"on {datetime.date.today().isoformat()}, {os.cpu_count()} CPU cores, "
        f"{wanted.jobs} run(s) at a time, {environment['threads']} thread(s) a run, "
        f"torch {environment['versions']['torch']}, Python {environment['python']}.",
        "",
        table.to_markdown(),
        "The ceiling, the same network trained on all 4,000 labels with the same augmentation: "
        f"{sorted(top)[len(top) // 2]:.4f} (seeds: {', '.join(f'{a:.4f}' for a in top)}).",
    ]
    target = ROOT / "benchmarks" / "results" / "grounding.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines) + "\n")
    print(target.read_text())
    put_into_readme(lines[2:])


def put_into_readme(lines: list[str]) -> None:
    """Replaces the table between the README's two markers."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(START)
    readme.write_text(before + START + "\n".join(["", *lines, END]) + rest.split(END)[1])


if __name__ == "__main__":
    main()
