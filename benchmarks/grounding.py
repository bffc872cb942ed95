"""Grounding of handwritten digits over seeds: the default, ablations, few examples, the ceiling.

    python -m benchmarks.grounding --seeds 0 1 2 --jobs 1 --out runs/benchmark

keeps a row a run in ``benchmarks/results/grounding.json``, from which
``benchmarks/results/grounding.md`` and a part of the README are made. Rows that are there are kept,
and so are finished runs in the output folder, so that the command can be repeated to go on. Times
are kept of runs on a processor; with ``--jobs 1`` and nothing else running they are those of one
run alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rows import RESULTS, circumstances_of, find, keep, made, not_measured, read, spread
from benchmarks.supervised import ceiling
from groundkit.report.compare import Criterion, RunResult, compare
from groundkit.task.load import read_task

ROOT = Path(__file__).resolve().parent.parent
ROWS = RESULTS / "grounding.json"
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
    "timing.train_s": "s of training",
    "timing.total_s": "s in all",
}
TIMES = ("timing.first_names_s", "timing.train_s", "timing.total_s")
README_COLUMNS = ("accuracy", "matched", "NMI", "AUROC fashion", "by max-softmax")
CEILING = "ceiling"
VIEWS_STEPS, VIEWS_BATCH = 1_800, 256
"""The ceiling's training: it sees 460,800 views of images, as many as the default does in 300 steps
on two views of 256 images and 600 on two views of 64 images and of 64 triplets."""
README_CASES = ("default", "to-the-end", "few", "thirty", "no-reground", "symbolic")
START, END = "<!-- table of benchmarks.grounding -->", "<!-- end of the table -->"
NET = "networks.mnist_net.perception"
HELD = (f"{NET}.assignment=1", f"{NET}.assignment_fades=false")
# Ablations leave the generative term out, which has no part in names.
QUICK = (f"{NET}.generative=0",)
TO_THE_END = (f"{NET}.sampler.until=1",)


@dataclass(frozen=True)
class Case:
    """One row of the table: a program, what it overrides, and how many processes train it."""

    label: str
    program: str = "addition"
    settings: tuple[str, ...] = ()
    processes: int = 1


CASES = {
    "default": Case("all-digit addition, 1,000 triplets (default)"),
    "to-the-end": Case("the generative term to the end", settings=TO_THE_END),
    "two-processes": Case("the same by torchrun, two processes", settings=TO_THE_END, processes=2),
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
    "many": Case("10,000 triplets", settings=("examples.count=10000", "train.epochs=4")),
    "sum": Case("observed sum, 1,000 pairs", program="sum"),
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
        command = [sys.executable]
        if case.processes > 1:
            torchrun = Path(sys.executable).with_name("torchrun")
            command = [str(torchrun), "--nproc-per-node", str(case.processes)]
        command += ["-m", "groundkit", "run", f"programs/{case.program}.pl"]
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


def measure(name: str, seed: int, folder: Path) -> dict[str, Any] | None:
    """Makes a run of a case; returns its row, ``None`` where it failed."""
    case = CASES[name]
    found = run_case(case, seed, folder)
    if found is None:
        return None
    metrics = found["metrics"]
    where = metrics["environment"]
    timed = where["device"] == "cpu"
    return {
        "case": name,
        "seed": seed,
        "settings": case.settings,
        "device": where["device"],
        "threads": where["threads"],
        "metrics": _only(metrics, [key for key in COLUMNS if timed or key not in TIMES]),
        **({"pace": pace(folder / "history.jsonl")} if timed else {}),
    }


def pace(history: Path) -> dict[str, float]:
    """Returns the median seconds between two rows of the history that are 20 steps apart."""
    taken: dict[str, list[float]] = {"cluster": [], "joint": []}
    before: dict[str, Any] | None = None
    for row in map(json.loads, history.read_text().splitlines()):
        if "terms" in row:
            if before and row["phase"] == before["phase"] and row["step"] == before["step"] + 20:
                taken[row["phase"]].append(row["seconds"] - before["seconds"])
            before = row
    return {phase: round(statistics.median(all_), 2) for phase, all_ in taken.items() if all_}


def _only(metrics: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Returns the metrics with those dotted keys that are there, nested as they were."""
    found: dict[str, Any] = {}
    for key in keys:
        *tables, last = key.split(".")
        table: Any = metrics
        for name in tables:
            table = table.get(name) or {}
        if last in table:
            place = found
            for name in tables:
                place = place.setdefault(name, {})
            place[last] = table[last]
    return found


def main() -> None:
    """Measures what is missing and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=[*CASES, CEILING], default=[*CASES, CEILING])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmark")
    wanted = parser.parse_args()
    work = [
        (name, seed, wanted.out / name / str(seed))
        for seed in wanted.seeds
        for name in wanted.cases
        if name != CEILING and not find(ROWS, case=name, seed=seed)
    ]
    with ThreadPoolExecutor(wanted.jobs) as workers:
        for row in workers.map(lambda job: measure(*job), work):
            if row is not None:
                keep(row | made(), ROWS, "case", "seed")
                write_tables(read(ROWS))
    task = read_task(ROOT / "programs" / "addition.pl")
    for seed in wanted.seeds if CEILING in wanted.cases else ():
        if not find(ROWS, case=CEILING, seed=seed):
            top = ceiling(task, "mnist_net", seed, steps=VIEWS_STEPS, batch=VIEWS_BATCH)
            keep({"case": CEILING, "seed": seed, "accuracy": top} | made(), ROWS, "case", "seed")
    write_tables(read(ROWS))


def write_tables(rows: Sequence[dict[str, Any]]) -> None:
    """Writes the table of all runs, and that of the main ones into the README."""
    trained = [row for row in rows if row["case"] != CEILING]
    tops = [row["accuracy"] for row in rows if row["case"] == CEILING]
    runs: list[RunResult] = [
        {"label": CASES[name].label, "seed": row["seed"], "metrics": row["metrics"]}
        for name in CASES
        for row in trained
        if row["case"] == name
    ]
    top = (
        "\nThe ceiling, the same network trained on all 4,000 labels with the same augmentation "
        f"and as many views of images: {spread(tops, 4)} over {len(tops)} seeds.\n"
        if tops
        else ""
    )
    good = Criterion("grounding.accuracy", 0.95)
    speeds = "".join(
        f"\n20 steps of clustering and of joint training, {CASES[name].label}, on a processor: "
        f"{' and '.join(spread([p[phase] for p in own], 1) for phase in own[0])} s.\n"
        for name in ("default", "to-the-end", "two-processes")
        if (own := [row["pace"] for row in rows if row["case"] == name and "pace" in row])
    )
    last = not_measured([case.label for case in CASES.values()], {run["label"] for run in runs})
    (RESULTS / "grounding.md").write_text(
        "# Symbols grounded without labels, mnist5k\n\n"
        f"{circumstances_of(rows)}\n\nAblations and schedules have no generative term. "
        "Times are of runs on a processor alone.\n\n"
        f"{compare(runs, COLUMNS, good).to_markdown()}{top}{speeds}{last}"
    )
    shown = {CASES[name].label for name in README_CASES}
    columns = {key: title for key, title in COLUMNS.items() if title in README_COLUMNS}
    table = compare([run for run in runs if run["label"] in shown], columns, good).to_markdown()
    put_into_readme(f"\n{table}{top}")


def put_into_readme(text: str) -> None:
    """Replaces the text between the README's two markers."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(START)
    readme.write_text(before + START + text + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
