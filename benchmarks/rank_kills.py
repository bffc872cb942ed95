"""Runs of two processes, one of which is killed at random, resumed with one, two or three.

    python -m benchmarks.rank_kills [--kills 10] [--seed 0]

Trains a small program (8x8 digits) under torchrun, kills one of its processes with SIGKILL at a
random step, notes how long the other needs to end, and goes on with the run to its report. Writes
benchmarks/results/rank_kills.json and rank_kills.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from itertools import cycle
from pathlib import Path

from benchmarks.machine import circumstances
from tests.small import write_task

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 30.0
STEPS = 90
SETTINGS = [
    f"train.min_steps={STEPS}", "train.checkpoint_every=5", "train.batch=12",
    "train.pool_batch=12", "train.cluster_batch=36",
    "networks.net.perception.sampler.batch=6",
]  # fmt: skip


def start(folder: Path, count: int, *arguments: str) -> subprocess.Popen[str]:
    """Starts groundkit in so many processes."""
    many = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"]
    command = [sys.executable, "-m", *many, "groundkit", "run", "add.pl", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ranks(process: subprocess.Popen[str]) -> dict[int, int]:
    """The processes that torchrun has started: rank -> number."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    found = {}
    for number in map(int, children):
        for word in Path(f"/proc/{number}/environ").read_text().split("\0"):
            if word.startswith("RANK="):
                found[int(word.removeprefix("RANK="))] = number
    return found


def saved(out: Path, rank: int) -> int:
    """The newest step that a process has saved, 0 before the first."""
    return max((int(path.name) for path in (out / "state" / str(rank)).glob("0*")), default=0)


def kill(folder: Path, out: Path, rng: random.Random) -> dict[str, object]:
    """Starts a run and kills one of its two processes; returns what came of it."""
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    process = start(folder, 2, "--out", str(out), *settings)
    target, rank = rng.randrange(1, STEPS), rng.randrange(2)
    while saved(out, rank) < target - target % 5:
        if process.poll() is not None:
            raise SystemExit(f"the run ended before it was killed:\n{process.communicate()[0]}")
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.2))
    os.kill(ranks(process)[rank], signal.SIGKILL)
    killed = time.monotonic()
    printed, _ = process.communicate()
    seconds = time.monotonic() - killed
    named = f"rank      : {rank}" in printed
    return {"rank": rank, "after_step": target, "stopped_s": round(seconds, 1), "named": named}


def main() -> None:
    """Kills, resumes, and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    rng, rows = random.Random(wanted.seed), []
    with tempfile.TemporaryDirectory() as name:
        folder = write_task(Path(name))
        for number, count in zip(range(wanted.kills), cycle((1, 2, 3)), strict=False):
            row = kill(folder, folder / str(number), rng)
            process = start(folder, count, "--resume", str(number))
            printed, _ = process.communicate()
            went_on = "going on after step" in printed
            finished = process.returncode == 0 and (folder / str(number) / "report.html").exists()
            rows.append(row | {"resumed_with": count, "went_on": went_on, "finished": finished})
            print(rows[-1], flush=True)
    report(rows, f"python -m benchmarks.rank_kills --kills {wanted.kills} --seed {wanted.seed}")


def report(rows: list[dict[str, object]], command: str) -> None:
    """Writes the rows, and the table of them."""
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=True)
    found = {
        "command": command,
        "commit": commit.stdout.strip(),
        "date": date.today().isoformat(),
        "circumstances": circumstances("torch"),
        "rows": rows,
    }
    results = ROOT / "benchmarks" / "results"
    (results / "rank_kills.json").write_text(json.dumps(found, indent=1) + "\n")
    stopped = sum(float(str(row["stopped_s"])) < LIMIT and bool(row["named"]) for row in rows)
    slowest = max(float(str(row["stopped_s"])) for row in rows)
    finished = sum(bool(row["finished"]) for row in rows)
    lines = [
        "# One of two processes killed", "",
        f"Made by `{command}`, {found['circumstances']}.", "",
        f"{stopped} of {len(rows)} runs ended within {LIMIT:.0f} s and named the process that had "
        f"been killed, the slowest after {slowest} s; {finished} of {len(rows)} were resumed and "
        "finished.", "",
        "| rank killed | after step | ended after, s | resumed with processes | finished |",
        "|---:|---:|---:|---:|---|",
        *(
            f"| {row['rank']} | {row['after_step']} | {row['stopped_s']} | {row['resumed_with']} | "
            f"{'yes' if row['finished'] else 'no'} |"
            for row in rows
        ),
    ]  # fmt: skip
    (results / "rank_kills.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
