"""The engine on programs that are hard for different reasons, beside ``problog`` and DeepLog.

``python -m benchmarks.engine [NAME ...] [--seconds 60] [--engines groundkit problog]`` measures
each program cold, in processes of their own, and writes ``results/engine.json`` (the raw rows;
those of other names and engines are kept) and ``results/engine.md``. ``--deeplog PYTHON`` names an
interpreter in which pydeeplog 5 is installed; it asks for a klaycircuits that groundkit does not.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_programs import PROGRAMS
from benchmarks.machine import circumstances, commit

RESULTS = Path(__file__).parent / "results"
ENGINES = ("groundkit", "problog", "deeplog")


def measure(name: str, seconds: float, engines: Sequence[str], deeplog: str) -> dict[str, Any]:
    """Measures one program with some engines; ``deeplog`` is the interpreter of the last."""
    row: dict[str, Any] = {"name": name}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.pl"
        file.write_text(PROGRAMS[name]())
        commands = {
            "groundkit": [sys.executable, "-m", "benchmarks.engine_one", str(file), str(seconds)],
            "problog": [str(Path(sys.executable).parent / "problog"), str(file)],
            "deeplog": [deeplog, "-m", "benchmarks.engine_deeplog", name],
        }
        for engine in engines:
            row[engine] = {
                **_run(commands[engine], seconds),
                "limit_s": seconds,
                "commit": commit(),
                "where": circumstances("problog", "PySDD"),
            }
    return row


def _run(command: list[str], seconds: float) -> dict[str, Any]:
    """Runs a command, every process of it for some CPU seconds at most.

    Returns:
        Its CPU seconds and answers, or why there are none.
    """
    limit = int(seconds)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["/bin/sh", "-c", f'ulimit -t {limit}; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)
    if cpu >= 0.95 * limit and done.returncode:
        return {"cpu_s": cpu, "failed": f"over {limit} s"}
    if not command[0].endswith("problog"):
        lines = done.stdout.splitlines()
        return {"cpu_s": cpu, **(json.loads(lines[-1]) if lines else {"failed": "crashed"})}
    answers = {
        match[1].strip(): float(match[2])
        for match in re.finditer(r"^\s*(.+?):\s+([0-9.e-]+)\s*$", done.stdout, re.MULTILINE)
    }
    if not answers:
        return {"cpu_s": cpu, "failed": (done.stdout + done.stderr).strip()[-200:]}
    return {"cpu_s": cpu, "answers": answers}


def _difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Returns the largest difference; an answer that one side leaves out has probability 0."""
    return max(
        abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in ours.keys() | theirs.keys()
    )


def render(rows: dict[str, Any]) -> str:
    """Writes the table."""
    lines = [
        "# The engine on hard programs",
        "",
        "Cold, each in processes of its own: CPU seconds of the whole command with what it starts, "
        "wall seconds of grounding and of compiling (of a busy machine: they say where time goes, "
        "not how much), nodes of the circuit. `python -m benchmarks.engine` makes this table from "
        "`engine.json`, where every row has its commit, date, load and limit; `ratio` is against "
        "the faster of the others, `differ` the largest difference from their answers. A limit "
        "(`over N s`) is CPU time of a process. An empty cell was not measured.",
        "",
        "| program | CPU s | problog CPU s | DeepLog CPU s | ratio | nodes | compiled | ground s | "
        "compile s | differ |",
        "|---|--:|--:|--:|--:|--:|---|--:|--:|--:|",
    ]
    known = [name for name in PROGRAMS if name in rows]
    lines += [f"| {' | '.join(_cells(name, rows[name]))} |" for name in known]
    said = [f"- {name}: {row['deeplog']['failed']}" for name, row in rows.items() if _says_no(row)]
    if said:
        lines += ["", "What DeepLog says where it has no answer (`no`):", "", *said]
    where = next(iter(rows.values()))["groundkit"]["where"] if rows else ""
    return "\n".join([*lines, "", f"Measured {where}.", ""])


def _says_no(row: dict[str, Any]) -> bool:
    """Tells whether DeepLog ended without an answer, and not for lack of time."""
    failed = row.get("deeplog", {}).get("failed", "")
    return bool(failed) and not failed.startswith("over")


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    """Words a row of the table."""
    ours, peers = row.get("groundkit", {}), [row.get(engine, {}) for engine in ENGINES[1:]]
    others = [str(peer.get("failed") or peer.get("cpu_s", "")) for peer in peers]
    if _says_no(row):
        others[1] = "no"
    if not ours or "failed" in ours:
        over = ours and ours["cpu_s"] >= ours["limit_s"]
        words = f"over {ours['limit_s']:g} s" if over else ours.get("failed", "")
        return [name, words.replace("|", "/"), *others, *[""] * 6]
    times = [peer["cpu_s"] for peer in peers if peer and "failed" not in peer]
    ratio = f"{ours['cpu_s'] / min(times):.1f}" if times else ""
    return [
        *(name, str(ours["cpu_s"]), *others, ratio, f"{ours['nodes']:,}", _by(ours["reason"])),
        *(str(ours["ground_s"]), str(ours["compile_s"])),
        f"{row['differ']:.0e}" if "differ" in row else "",
    ]


def _by(reason: str) -> str:
    """Shortens how a circuit came about."""
    found = re.search(r"compiled by ([^(]+)", reason)
    return found[1].strip() if found else "structure proved"


def main() -> None:
    """Measures what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROGRAMS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["groundkit", "problog"])
    parser.add_argument("--deeplog", default=sys.executable, metavar="PYTHON")
    options = parser.parse_args()
    compileall.compile_dir(Path(__file__).parents[1] / "groundkit", quiet=2)
    file = RESULTS / "engine.json"
    for name in options.names or PROGRAMS:
        found = measure(name, options.seconds, options.engines, options.deeplog)
        # Read again for every row: another process may measure another engine.
        rows = json.loads(file.read_text()) if file.exists() else {}
        row = rows[name] = rows.get(name, {}) | found
        ours = row.get("groundkit", {}).get("answers")
        others = [row.get(engine, {}).get("answers") for engine in ENGINES[1:]]
        if ours and any(others):
            row["differ"] = max(_difference(ours, theirs) for theirs in others if theirs)
        print(json.dumps(found), flush=True)
        file.write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "engine.md").write_text(render(rows))


if __name__ == "__main__":
    main()
