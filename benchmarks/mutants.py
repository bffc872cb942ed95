"""Do the tests bite? Changes one line of the package at a time, and runs the tests that guard it.

``python -m benchmarks.mutants`` takes the lines of ``benchmarks/mutants.toml``, in which each has
the file, the line as it stands, the line that takes its place, and the tests to run. It works on a
copy of the tree; ``--only WORD ...`` takes the mutants whose file or line has one of the words,
``--out FOLDER`` says where ``mutants.json`` (a row per mutant) and ``mutants.md`` are written.
Rows of an earlier run with the same file are kept where their mutant is still on the list.
On two cores at a load of 3 to 5, 150 of them took 23 minutes.

The tests of a mutant run in a fork of a process that has loaded torch and its kin already, which
spares some seconds per mutant. A run that ends neither well nor badly within its time counts as
killed: what never ends does not pass unseen.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from benchmarks.machine import circumstances

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).parent / "mutants.toml"
LOADED = (
    *("torch", "torchvision", "scipy.stats", "sklearn.metrics", "sklearn.cluster", "pydantic"),
    *("sklearn.mixture", "problog.engine", "pysdd.sdd", "matplotlib.pyplot", "pytest", "rich"),
    *("torch.utils.data", "torch.distributed", "networkx", "hypothesis", "typer", "PIL.Image"),
)
LEFT_OUT = shutil.ignore_patterns(".git", "*.egg-info", "__pycache__", ".hypothesis", ".*_cache")
MOST_SECONDS = 240
NOTHING_RAN = (2, 3, 4, 5)
"""Statuses of pytest when no test was run: the entry is wrong, not the tests good."""


@dataclass(frozen=True)
class Mutant:
    """A line of the package and what takes its place.

    Attributes:
        file: The file, from the root of the tree.
        line: The line without its indentation; it stands in the file once.
        mutated: What takes its place.
        tests: What pytest is to run.
    """

    file: str
    line: str
    mutated: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str:
        """Returns a file's text with the line changed.

        Raises:
            ValueError: The line does not stand in it exactly once.
        """
        lines = text.splitlines(keepends=True)
        places = [n for n, one in enumerate(lines) if one.strip() == self.line]
        if len(places) != 1:
            raise ValueError(f"{self.file}: {len(places)} lines are '{self.line}', 1 is expected")
        lines[places[0]] = lines[places[0]].replace(self.line, self.mutated)
        return "".join(lines)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells mutants apart."""
        return self.file, self.line, self.mutated


def read_list(path: Path = LIST) -> list[Mutant]:
    """Reads the list."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Mutant(group["file"], line, mutated, tuple(tests or group["tests"]))
        for group in content["group"]
        for line, mutated, *tests in group["lines"]
    ]


def room(mutant: dict[str, Any]) -> str:
    """Names the room of a row's file."""
    parts = mutant["file"].split("/")
    return f"{parts[1]}/" if len(parts) > 2 else parts[1]


def copy_tree(to: Path) -> None:
    """Copies the tree without its history, caches and finished runs."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        own = {"runs"} if Path(folder) == ROOT else set()
        return {*LEFT_OUT(folder, names), *own, *({to.name} if Path(folder) == to.parent else ())}

    shutil.copytree(ROOT, to, ignore=left_out)


def outcome(tree: Path, tests: Sequence[str]) -> tuple[str, float]:
    """Runs tests on a tree in a fork; returns ``killed`` or ``lived``, and the seconds."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(_run(tree, tests))
    while time.monotonic() - start < MOST_SECONDS:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in NOTHING_RAN:
                raise SystemExit(f"pytest ended with {code} on {' '.join(tests)}")
            return ("lived" if code == 0 else "killed"), time.monotonic() - start
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed", time.monotonic() - start


def _run(tree: Path, tests: Sequence[str]) -> int:
    """Runs pytest on a tree, in a process of its own; returns its status."""
    os.setsid()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(tree)
    sys.path[:] = [str(tree), *(one for one in sys.path if one not in ("", str(ROOT)))]
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[name]
    os.environ["PYTHONPATH"] = str(tree)
    import pytest

    code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]))
    # A mutant that breaks the import of a test module is found too.
    broken = code == 2 and any(name.startswith("groundkit") for name in sys.modules)
    return 1 if broken else code


def measure(mutants: Sequence[Mutant], tree: Path) -> Iterator[dict[str, Any]]:
    """Tries mutants on a copy of the tree, one after the other; yields their rows.

    Tests have to pass on the sound tree first: those that fail there would kill everything.
    """
    passing: set[tuple[str, ...]] = set()
    for number, mutant in enumerate(mutants, 1):
        if mutant.tests not in passing:
            if outcome(tree, mutant.tests)[0] != "lived":
                raise SystemExit(f"these fail without a mutant: {' '.join(mutant.tests)}")
            passing.add(mutant.tests)
        path = tree / mutant.file
        sound = path.read_text(encoding="utf-8")
        path.write_text(mutant.apply(sound), encoding="utf-8")
        try:
            found, seconds = outcome(tree, mutant.tests)
        finally:
            path.write_text(sound, encoding="utf-8")
        print(f"{number:3} {found:6} {seconds:5.1f} s  {mutant.file}: {mutant.mutated}", flush=True)
        yield {
            "file": mutant.file,
            "line": mutant.line,
            "mutated": mutant.mutated,
            "tests": list(mutant.tests),
            "outcome": found,
            "seconds": round(seconds, 1),
        }


def spread(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Orders mutants so that a run that is cut short has tried some of every file."""
    met: Counter[str] = Counter()
    order = []
    for place, mutant in enumerate(mutants):
        order.append((met[mutant.file], place, mutant))
        met[mutant.file] += 1
    return [mutant for _, _, mutant in sorted(order, key=lambda one: one[:2])]


def render(rows: Sequence[dict[str, Any]], where: str, listed: int) -> str:
    """Words the table."""
    total = Counter(room(row) for row in rows)
    killed = Counter(room(row) for row in rows if row["outcome"] == "killed")
    share = sum(killed.values()) / max(len(rows), 1)
    minutes = sum(row["seconds"] for row in rows) / 60
    lines = [
        "# Mutants",
        "",
        f"`python -m benchmarks.mutants`. {where}.",
        f"{len(rows)} of {listed} lines of the list tried, in {minutes:.0f} minutes: "
        f"{sum(killed.values())} killed, {share:.1%}.",
        "",
        "| room | mutants | killed |",
        "|---|---:|---:|",
        *(f"| `{name}` | {count} | {killed[name]} |" for name, count in sorted(total.items())),
        "",
    ]
    lived = [row for row in rows if row["outcome"] == "lived"]
    if lived:
        lines += ["Lived:", "", "| file | line | mutated |", "|---|---|---|"]
        lines += [f"| {row['file']} | `{row['line']}` | `{row['mutated']}` |" for row in lived]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="words of files or lines")
    parser.add_argument("--new", action="store_true", help="only those without a row that killed")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "mutants")
    args = parser.parse_args()
    listed = read_list()
    file = args.out / "mutants.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    keys = {mutant.key for mutant in listed}
    known = {
        key: row for row in rows if (key := (row["file"], row["line"], row["mutated"])) in keys
    }
    chosen = [
        one
        for one in listed
        if (not args.only or any(word in one.file or word in one.line for word in args.only))
        and not (args.new and known.get(one.key, {}).get("outcome") == "killed")
    ]
    for name in LOADED:
        importlib.import_module(name)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        copy_tree(tree)
        # By their content and not by their time: two versions of a file come within a second.
        compileall.compile_dir(
            tree / "groundkit", quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH
        )
        for row in measure(spread(chosen), tree):
            known[row["file"], row["line"], row["mutated"]] = row
            found = [known[one.key] for one in listed if one.key in known]
            where = circumstances("torch", "pytest")
            file.write_text(json.dumps({"where": where, "rows": found}, indent=1) + "\n")
            (args.out / "mutants.md").write_text(render(found, where, len(listed)))
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
