"""Lets every write of a run fail, one after the other, in every way it can.

    python -m benchmarks.faults

A small run is started once for each fault: the file cannot be opened, the disk is full at its
first byte or half-way, flushing it fails, renaming it fails, a folder cannot be made. Then what is
left is read, the run goes on (or starts anew, if it had not begun), and its weights, metrics and
history are held against those of a run on a sound disk. The same is done to the cache of compiled
programs. The table goes to benchmarks/results/faults.md.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

from benchmarks.machine import circumstances
from tests.faults import WHOLE, blank_pictures
from tests.test_faults import Runs, cache_survives

HERE = Path(__file__).parent
KINDS = ("mkdir", *WHOLE)


def name_of(label: str) -> str:
    """Names what was written, without the run and the random part of a temporary name."""
    path = Path(*Path(label).parts[1:])
    if path.suffix == ".tmp":
        path = path.with_name(path.name[1:].rsplit(".", 2)[0])
    parts = ["STEP" if part.isdigit() and len(part) == 8 else part for part in path.parts]
    return "/".join(parts) or "the run's folder"


def main() -> None:
    """Injects all faults and writes the table."""
    warnings.simplefilter("ignore")
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    lost: list[str] = []
    with tempfile.TemporaryDirectory() as name, blank_pictures():
        os.environ["GROUNDKIT_CACHE"] = f"{name}/cache"
        (Path(name) / "runs").mkdir()
        runs = Runs(Path(name) / "runs")
        for number, (label, kinds) in enumerate(runs.writes):
            for kind in kinds:
                counts[name_of(label)][kind] += 1
                try:
                    runs.survives(number, kind)
                except (Exception, AssertionError) as error:
                    lost.append(f"{name_of(label)}, {kind}: {error!r}")
                print(number, kind, name_of(label), lost[-1:], flush=True)
        for kind in WHOLE:
            counts["entry of the cache"][kind] += 1
            folder = Path(name) / kind
            folder.mkdir()
            try:
                cache_survives(folder, kind)
            except (Exception, AssertionError) as error:
                lost.append(f"cache, {kind}: {error!r}")
    total = sum(sum(row.values()) for row in counts.values())
    lines = [
        "# Failing writes",
        "",
        f"Made by `python -m benchmarks.faults`, {circumstances('torch', 'safetensors')}.",
        "",
        f"{total} faults injected: {len(lost)} runs lost or files read that were not good. After "
        "each one the message names the file and a remedy, every file that is there is whole, and "
        "the run that goes on ends with the weights, metrics and history of an undisturbed one. "
        "Plots are written blank: drawing them takes nine tenths of the time.",
        "",
        "| written | " + " | ".join(KINDS) + " |",
        "|---|" + "---:|" * len(KINDS),
    ]
    for label, row in counts.items():
        lines.append(f"| {label} | " + " | ".join(str(row.get(k, "")) for k in KINDS) + " |")
    lines += ["", *(f"- {one}" for one in lost)] if lost else []
    (HERE / "results" / "faults.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
