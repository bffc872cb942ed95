"""The engine on programs that are hard for different reasons, beside the ``problog`` command.

``python -m benchmarks.engine [NAME ...] [--seconds 60]`` measures each program cold, in processes
of their own, and writes ``results/engine.json`` (the raw rows; those of other names are kept) and
``results/engine.md``.
"""

from __future__ import annotations

import argparse
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
_BUSY = 8
"""Wall seconds that a second of CPU may take on a busy machine."""


def measure(name: str, seconds: float, peers: Sequence[str]) -> dict[str, Any]:
    """Measures one program with this engine and with peers."""
    row: dict[str, Any] = {"name": name}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.pl"
        file.write_text(PROGRAMS[name]())
        mine = [sys.executable, "-m", "benchmarks.engine", "--one", str(file)]
        commands = {
            "groundkit": [*mine, "--seconds", str(seconds)],
            "problog": [str(Path(sys.executable).parent / "problog"), str(file)],
        }
        for engine in ("groundkit", *peers):
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
    if command[0] == sys.executable:
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


def one(file: Path, seconds: float) -> dict[str, Any]:
    """Answers a program's queries, cold and within a limit; what this process prints."""
    from groundkit.circuit.answer import ask_queries
    from groundkit.errors import GroundkitError
    from groundkit.program.limits import Limits
    from groundkit.program.source import load_program

    try:
        # The limit here is of wall time: on a busy machine that of CPU time comes first.
        found = ask_queries(load_program(file), limits=Limits(_BUSY * seconds))
    except GroundkitError as error:
        return {"failed": error.found}
    return {
        "ground_s": round(found.ground_seconds, 2),
        "compile_s": round(found.compile_seconds, 2),
        "nodes": found.nodes,
        "reason": found.reason,
        "answers": found.probabilities,
    }


def render(rows: dict[str, Any]) -> str:
    """Writes the table."""
    lines = [
        "# The engine on hard programs",
        "",
        "Cold, each in processes of its own: CPU seconds of the whole command with what it starts, "
        "wall seconds of grounding and of compiling (of a busy machine: they say where time goes, "
        "not how much), nodes of the circuit. `python -m benchmarks.engine` makes this table from "
        "`engine.json`, where every row has its commit, date, load and limit; `differ` is the "
        "largest difference between the answers of the two. A limit (`over N s`) is CPU time of a "
        "process.",
        "",
        "| program | CPU s | problog CPU s | ratio | nodes | compiled | ground s | compile s | "
        "differ |",
        "|---|--:|--:|--:|--:|---|--:|--:|--:|",
    ]
    known = [name for name in PROGRAMS if name in rows]
    lines += [f"| {' | '.join(_cells(name, rows[name]))} |" for name in known]
    where = next(iter(rows.values()))["groundkit"]["where"] if rows else ""
    return "\n".join([*lines, "", f"Measured {where}.", ""])


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    """Words a row of the table."""
    ours, theirs = row["groundkit"], row.get("problog", {})
    other = str(theirs.get("failed") or theirs.get("cpu_s", ""))
    if "failed" in ours:
        return [name, ours["failed"].replace("|", "/"), other, "", "", "", "", "", ""]
    ratio = f"{ours['cpu_s'] / theirs['cpu_s']:.1f}" if "failed" not in theirs and theirs else ""
    return [
        *(name, str(ours["cpu_s"]), other, ratio, f"{ours['nodes']:,}", _by(ours["reason"])),
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
    parser.add_argument("--no-problog", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(one(options.one, options.seconds)))
        return
    file = RESULTS / "engine.json"
    rows = json.loads(file.read_text()) if file.exists() else {}
    peers = [] if options.no_problog else ["problog"]
    for name in options.names or PROGRAMS:
        row = rows.get(name, {}) | measure(name, options.seconds, peers)
        answers = [row.get(engine, {}).pop("answers", None) for engine in ("groundkit", "problog")]
        if all(answers):
            row["differ"] = _difference(*answers)
        rows[name] = row
        print(json.dumps(row), flush=True)
        file.write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "engine.md").write_text(render(rows))


if __name__ == "__main__":
    main()
