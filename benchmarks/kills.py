"""Runs killed at random moments and resumed: each has to end as one that was left alone.

    python -m benchmarks.kills --kills 50

trains a small program (8x8 digits), kills the process with SIGKILL at a random moment of the run,
goes on with it, and compares weights, metrics and history with those of an undisturbed run.
Writes ``benchmarks/results/kills.md``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.machine import circumstances
from groundkit.runs.run import run
from tests.small import left_behind, write_task

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ("train.min_steps=60", "train.cluster_steps=30", "train.checkpoint_every=5")


def start(folder: Path, out: Path) -> int:
    """Forks a process that runs the program, or goes on with its run; returns its number."""
    process = os.fork()
    if process:
        return process
    try:
        begun = (out / "run.json").exists()
        run(
            folder / "add.pl",
            **({"resume": out} if begun else {"out": out, "seed": 1, "settings": SETTINGS}),
        )
    except BaseException as error:  # a forked process must not go on as its parent
        print(f"{out.name}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Kills and resumes, and writes the count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(wanted.seed)
    killed = equal = before_folder = while_writing = 0
    with tempfile.TemporaryDirectory() as name:
        folder = write_task(Path(name))
        os.waitpid(start(folder, folder / "warm"), 0)
        begun = time.perf_counter()
        os.waitpid(start(folder, folder / "alone"), 0)
        seconds = time.perf_counter() - begun
        alone = left_behind(folder / "alone")
        while killed < wanted.kills:
            out = folder / "killed"
            process = start(folder, out)
            time.sleep(rng.uniform(0, seconds))
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            if not os.WIFSIGNALED(status):
                shutil.rmtree(out)  # it had ended before
                continue
            killed += 1
            before_folder += not (out / "run.json").exists()
            while_writing += bool(list(out.rglob("*.tmp")))
            if not (out / "report.html").exists() or not (out / "metrics.json").exists():
                os.waitpid(start(folder, out), 0)
            equal += left_behind(out) == alone
            shutil.rmtree(out)
            print(f"{killed} killed, {equal} ended as the undisturbed run", flush=True)
    text = (
        "# Runs killed and resumed\n\n"
        f"`python -m benchmarks.kills --kills {wanted.kills} --seed {wanted.seed}` on "
        f"{circumstances('torch')}.\n\n"
        f"{killed} runs were killed with SIGKILL at random moments of the {seconds:.1f} s that an "
        f"undisturbed run takes ({before_folder} of them before their folder was made, "
        f"{while_writing} in the middle of writing a file). "
        f"{equal} of {killed} ended with the undisturbed run's weights, byte for byte, its metrics "
        "and its history.\n"
    )
    (ROOT / "benchmarks" / "results" / "kills.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
