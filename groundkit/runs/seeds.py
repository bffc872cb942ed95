"""A program trained with several seeds: how often it succeeds, not whether it did once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from groundkit.errors import SpecError
from groundkit.files import make_folder, write_atomically
from groundkit.report.compare import Comparison
from groundkit.runs.commands import compare
from groundkit.runs.folder import has_ended, new_path
from groundkit.runs.run import Progress, Silent, run


def run_seeds(
    program: Path | str,
    seeds: int,
    *,
    seed: int = 0,
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
    progress = progress or Silent()
    program = Path(program)
    folder = Path(out) if out else new_path(None, program.stem, seeds)
    make_folder(folder)
    numbers = range(seed, seed + seeds)
    for number in numbers:
        path = folder / str(number)
        if has_ended(path):
            progress.say(f"seed {number}: there already")
            continue
        progress.say(f"seed {number} of {numbers.start} to {numbers.stop - 1}")
        asked = stop() if stop else None
        if (path / "run.json").exists():
            device, trust = options.get("device", "auto"), options.get("trust", False)
            run(program, resume=path, device=device, trust=trust, progress=progress, stop=asked)
        else:
            run(program, out=path, seed=number, progress=progress, stop=asked, **options)
    found = compare(*(folder / str(number) for number in numbers))
    write_atomically(folder / "comparison.html", found.to_html().encode())
    return folder, found
