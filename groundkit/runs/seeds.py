"""A program trained with several seeds: how often it succeeds, not whether it did once."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from groundkit.errors import SpecError
from groundkit.files import make_folder, write_atomically
from groundkit.report.compare import Comparison
from groundkit.runs.commands import compare
from groundkit.runs.folder import has_ended, new_path
from groundkit.runs.jobs import run_jobs
from groundkit.runs.progress import Progress, Silent
from groundkit.runs.run import command_of, run


def run_seeds(
    program: Path | str,
    seeds: int,
    *,
    seed: int = 0,
    jobs: int = 1,
    out: Path | str | None = None,
    progress: Progress | None = None,
    stop: Callable[[], AbstractContextManager[Callable[[], bool]]] | None = None,
    **options: Any,
) -> tuple[Path, Comparison]:
    """Runs a program once for each of several seeds and compares the runs.

    Runs that have ended in the folder already are kept, and one that was stopped is gone on with,
    so the same call goes on after an interruption.

    Args:
        program: The ``.pl`` file.
        seeds: Number of runs.
        seed: Seed of the first one; the others follow.
        jobs: How many runs at a time, each a process of its own; what it prints is then in
            ``SEED.log`` beside its folder.
        out: Folder of the runs, each in a folder named by its seed; by default
            ``runs/NAME/DATE-SEEDS``.
        progress: Where to tell what is being done.
        stop: Makes what :func:`~groundkit.runs.run.run` takes as ``stop``.
        options: Further arguments of :func:`~groundkit.runs.run.run`.

    Returns:
        The folder, with ``comparison.html`` in it, and the comparison.

    Raises:
        InputError: Program, spec and data do not fit each other.
        RunError: A run failed or was stopped.
    """
    if seeds < 2:
        raise SpecError(f"--seeds {seeds}", expected="at least 2", remedy="leave it out for one")
    if jobs < 1:
        raise SpecError(f"--jobs {jobs}", expected="at least 1")
    if jobs > 1 and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SpecError(
            f"--jobs {jobs} under torchrun, whose processes share every run",
            remedy="start groundkit without torchrun, or leave --jobs out",
        )
    progress = progress or Silent()
    program = Path(program)
    folder = Path(out) if out else new_path(None, program.stem, seeds)
    make_folder(folder)
    numbers = range(seed, seed + seeds)
    left = [number for number in numbers if not has_ended(folder / str(number))]
    for number in sorted(set(numbers) - set(left)):
        progress.say(f"seed {number}: there already")
    if jobs > 1:
        commands = {
            number: _words(program, folder / str(number), number, options) for number in left
        }
        with stop() if stop else nullcontext(lambda: False) as asked:
            run_jobs(commands, jobs, folder, say=progress.say, stop=asked)
        left = []
    for number in left:
        path = folder / str(number)
        progress.say(f"seed {number} of {numbers.start} to {numbers.stop - 1}")
        asked_here = stop() if stop else None
        if (path / "run.json").exists():
            device, trust = options.get("device", "auto"), options.get("trust", False)
            run(
                program, resume=path, device=device, trust=trust, progress=progress, stop=asked_here
            )
        else:
            run(program, out=path, seed=number, progress=progress, stop=asked_here, **options)
    found = compare(*(folder / str(number) for number in numbers))
    write_atomically(folder / "comparison.html", found.to_html().encode())
    return folder, found


def _words(program: Path, path: Path, seed: int, options: Mapping[str, Any]) -> list[str]:
    """The arguments of ``groundkit`` that make the run of a seed, or go on with it."""
    device, trust = options.get("device", "auto"), options.get("trust", False)
    if (path / "run.json").exists():
        words = ["run", str(program), "--resume", str(path), "--device", device]
        return words + (["--trust"] if trust else [])
    command = command_of(
        program,
        options.get("spec"),
        seed,
        options.get("settings", ()),
        device,
        engine=options.get("engine", "circuit"),
        trust=trust,
    )
    return [*shlex.split(command)[1:], "--out", str(path)]
