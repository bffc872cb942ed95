"""Makes the tables anew, the most important ones first, as many as fit into a budget of time.

    python -m benchmarks all --budget 6h [--out FOLDER] [--only NAME ...] [--dry]

The commands run one after the other on a copy of the tree, which is left at ``OUT/tree`` with their
runs (a copy that is there is used again, so that a stopped call can go on): tables go to
``OUT/results``, by default below ``runs/``, and nothing in this tree changes. A table that is
expected to take longer than what is left of the budget is left out, and one that takes longer is
stopped. ``OUT/results/remade.md`` says of each what became of it and how long it took, and so does
the last line of each table. ``--dry`` prints what would be done.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import circumstances
from benchmarks.mutants import copy_tree

ROOT = Path(__file__).parent.parent
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Table:
    """One command and the tables that it makes.

    Attributes:
        name: Its module.
        says: What the table is of.
        minutes: Expected time on one core, which decides whether it is begun: an estimate, what
            it took stands in ``remade.md``.
        arguments: Of the command.
        needs: Module that it cannot do without.
    """

    name: str
    says: str
    minutes: int
    arguments: tuple[str, ...] = ()
    needs: str = ""

    @property
    def command(self) -> list[str]:
        """The command line after the interpreter."""
        return ["-m", f"benchmarks.{self.name}", *self.arguments]


TABLES = (
    Table("grounding", "symbols without labels: README's first table", 150, ("--seeds", "0")),
    Table("generative", "what the generative term costs", 60, ("--seeds", "0")),
    Table("sooner", "observed sums: accuracy against seconds", 3),
    Table("reasoning", "the engine beside DeepProbLog and dynamic programs", 10),
    Table("layer", "a program in one's own training loop", 15),
    Table("engine", "hard programs beside ProbLog", 25),
    Table("inexact", "bounds and samples where exact reasoning ends", 20),
    Table(
        "development",
        "data that is not MNIST, with the spec that `groundkit new` writes",
        60,
        ("colour", "zeros", "both", "noisy", "--side", "28", "--seeds", "0"),
    ),
    Table("identify", "counts of admitted groundings", 5),
    Table("reground", "the search for names", 15),
    Table("zoo", "which admitted grounding is learnt", 60, ("--seeds", "0")),
    Table("tasks", "several concepts of one image, goals of many shapes", 60),
    Table("shapes", "mixed batches and hundreds of shapes", 10),
    Table("doubt", "what a program leaves open, and the labels that settle it", 120),
    Table("verdicts", "failures on purpose, and whether the advice mends them", 60),
    Table("inputs", "rows and sequences", 30, ("--cases", "wine", "pixels", "--seeds", "0")),
    Table(
        "perception",
        "clusters without a program",
        15,
        ("--data", "moons", "circles", "digits8", "--seeds", "0", "1", "2"),
    ),
    Table("clustering_baselines", "clusterers and detectors on pixels", 15),
    Table("perception_speed", "training against plain loops", 10),
    Table("digits", "addition of long numbers from sums alone", 60, ("--lengths", "1", "2")),
    Table("random_programs", "random programs against their worlds", 15, ("1000",)),
    Table("stability", "seeds and weights that differ by a factor", 20),
    Table("mutants", "wrong lines that the tests find", 60, ("--out", "benchmarks/results")),
    Table("kills", "runs killed and resumed", 15, ("--kills", "20")),
    Table("faults", "every write of a run fails once", 20),
    Table("distributed", "several processes against one", 20),
    Table("memory", "memory over 20 epochs", 40),
    Table("large", "sets larger than memory, of 15 GB on disk", 60),
    Table("rank_kills", "processes of a run killed at random", 30, ("--kills", "10")),
    Table("joint_identify", "counts of joint maps against brute force", 5, ("500",)),
    Table("deepproblog_examples", "DeepProbLog's example programs through both engines", 10),
    Table("canary", "programs that try to load", 15, ("--programs", "10000")),
    Table("fuzz", "readers of strange files", 30, ("--inputs", "5000"), needs="atheris"),
)
"""All tables that a machine without a GPU and without a network can make, by importance. ``swav``
adds rows to ``perception`` and wants lightly; ``golden`` reads ProbLog's own repository; ``gpu``
wants a card."""


def seconds(text: str) -> float:
    """Reads a time such as ``6h``, ``90m`` or ``3600``.

    Raises:
        ValueError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(h|min|m|s)?", text.strip())
    if found is None:
        raise ValueError(f"'{text}' is no time, such as 6h, 90m or 3600")
    return float(found[1]) * UNITS[found[2] or "s"]


def why_not(table: Table, left: float) -> str:
    """Says why a table is not begun with so many seconds left; empty where it is."""
    if table.needs and importlib.util.find_spec(table.needs) is None:
        return f"left out: {table.needs} is not installed"
    if 60 * table.minutes > left:
        return f"left out: {max(left, 0) / 60:.0f} minutes of the budget were left"
    return ""


def run(command: Sequence[str], tree: Path, log: Path, limit: float) -> str:
    """Runs a command on a tree; returns what became of it."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    environment.setdefault("OMP_NUM_THREADS", "1")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=tree,
            stdout=out,
            stderr=out,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
        except BaseException as stopped:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(stopped, subprocess.TimeoutExpired):
                return "stopped at the end of the budget"
            raise
    return "made" if code == 0 else f"failed with {code}, see {log.name}"


def remake(tables: Sequence[Table], budget: float, out: Path) -> list[dict[str, Any]]:
    """Makes tables in their order until the budget is spent; writes a row for each as it ends."""
    tree, logs, end = out / "tree", out / "logs", time.monotonic() + budget
    logs.mkdir(parents=True, exist_ok=True)
    if not tree.exists():
        copy_tree(tree)
    rows: list[dict[str, Any]] = []
    for table in tables:
        start = time.monotonic()
        outcome = why_not(table, end - start)
        if not outcome:
            print(f"{table.name}: {table.says}, about {table.minutes} min", flush=True)
            outcome = run(table.command, tree, logs / f"{table.name}.log", end - start)
        minutes = (time.monotonic() - start) / 60
        rows.append(
            {
                "table": table.name,
                "command": f"python {' '.join(table.command)}",
                "outcome": outcome,
                "expected_minutes": table.minutes,
                "minutes": round(minutes, 1),
            }
        )
        print(f"{table.name}: {outcome}, {minutes:.1f} min", flush=True)
        page = tree / "benchmarks" / "results" / f"{table.name}.md"
        if outcome == "made" and page.exists():
            page.write_text(f"{page.read_text().rstrip()}\n\nMade in {minutes:.1f} minutes.\n")
        shutil.copytree(page.parent, out / "results", dirs_exist_ok=True)
        where = circumstances("torch", "problog")
        (out / "results" / "remade.json").write_text(
            json.dumps({"where": where, "rows": rows}, indent=1) + "\n"
        )
        (out / "results" / "remade.md").write_text(render(rows, where))
    return rows


def render(rows: Sequence[dict[str, Any]], where: str) -> str:
    """Words what became of each table."""
    lines = [
        "# Tables made anew",
        "",
        f"`python -m benchmarks all`. {where}.",
        "",
        "| table | command | outcome | minutes |",
        "|---|---|---|---:|",
    ]
    lines += [
        f"| {row['table']} | `{row['command']}` | {row['outcome']} | {row['minutes']} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=["all"])
    parser.add_argument("--budget", type=seconds, default=seconds("6h"), help="such as 6h or 90m")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "tables")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in TABLES])
    parser.add_argument("--dry", action="store_true", help="print what would be done")
    given = parser.parse_args(arguments)
    chosen = [one for one in TABLES if given.only is None or one.name in given.only]
    if given.dry:
        left = given.budget
        for table in chosen:
            why = why_not(table, left)
            left -= 0 if why else 60 * table.minutes
            print(f"{table.minutes:4} min  {' '.join(table.command)}  {why}".rstrip())
        return 0
    rows = remake(chosen, given.budget, given.out.resolve())
    return int(any(row["outcome"].startswith("failed") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
