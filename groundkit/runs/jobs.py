"""Several runs at once on one machine, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from groundkit.errors import RunError, StoppedError

_POLL_S = 0.2


def run_jobs(
    commands: Mapping[int, Sequence[str]],
    jobs: int,
    folder: Path,
    *,
    say: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Makes runs, so many at a time.

    Args:
        commands: Seed -> the arguments of ``groundkit`` that make its run.
        jobs: How many at a time; they share the machine's threads.
        folder: Where what a run prints is kept, as ``SEED.log``.
        say: Tells what has begun and ended.
        stop: Once it answers true, the runs are asked to save their states and to end.

    Raises:
        RunError: Runs failed; the others have come to their end.
        StoppedError: It was asked to stop.
    """
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {"OMP_NUM_THREADS": threads} | dict(os.environ)
    waiting, running, failed = dict(commands), dict[int, subprocess.Popen[bytes]](), list[int]()
    asked = False
    while running or (waiting and not asked):
        while waiting and len(running) < jobs and not asked:
            seed = next(iter(waiting))
            command = [sys.executable, "-m", "groundkit", *waiting.pop(seed)]
            with (folder / f"{seed}.log").open("ab") as log:
                running[seed] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            say(f"seed {seed} has begun, see {folder / f'{seed}.log'}")
        if stop() and not asked:
            asked = True
            for process in running.values():
                process.terminate()
        for seed in [seed for seed, process in running.items() if process.poll() is not None]:
            if running.pop(seed).returncode == 0:
                say(f"seed {seed} has ended")
            else:
                failed.append(seed)
        time.sleep(_POLL_S)
    if asked:
        raise StoppedError("stopped; the runs have saved their states")
    if failed:
        logs = ", ".join(str(folder / f"{seed}.log") for seed in sorted(failed))
        raise RunError(
            f"{len(failed)} of {len(commands)} runs failed",
            expected="runs that end",
            remedy=f"read why in {logs}; the same command makes only those again",
        )
