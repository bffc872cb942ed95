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
from pathlib import Path
from typing import Any

from benchmarks.engine_programs import PROGRAMS
from benchmarks.machine import circumstances

RESULTS = Path(__file__).parent / "results"
_AGREE = 1e-6


def measure(name: str, seconds: float, peer: bool) -> dict[str, Any]:
    """Measures one program with both engines."""
    row: dict[str, Any] = {"name": name, "where": circumstances("problog", "PySDD")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.pl"
        file.write_text(PROGRAMS[name]())
        row["groundkit"] = _run(
            [
                sys.executable,
                "-m",
                "benchmarks.engine",
                "--one",
                str(file),
                "--seconds",
                str(seconds),
            ],
            seconds + 15,
        )
        if peer:
            command = [str(Path(sys.executable).parent / "problog"), str(file)]
            row["problog"] = _run(command, seconds)
    both = (row["groundkit"].get("answers"), row.get("problog", {}).get("answers"))
    if all(both):
        row["differ"] = _difference(*both)
    return row


def _run(command: list[str], seconds: float) -> dict[str, Any]:
    """Runs a command; returns its CPU seconds and answers, or why there are none."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"over {seconds:g} s"}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if command[0] == sys.executable:
        found = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"failed": "crashed"}
        return {"cpu_s": round(cpu, 2), **found}
    answers = {
        match[1].strip(): float(match[2])
        for match in re.finditer(r"^\s*(.+?):\s+([0-9.e-]+)\s*$", done.stdout, re.MULTILINE)
    }
    if not answers:
        return {"cpu_s": round(cpu, 2), "failed": (done.stdout + done.stderr).strip()[-200:]}
    return {"cpu_s": round(cpu, 2), "answers": answers}


def _difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Returns the largest difference; an answer that one side leaves out has probability 0."""
    return max(
        abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in ours.keys() | theirs.keys()
    )


def one(file: Path, seconds: float) -> dict[str, Any]:
    """Answers a program's queries, cold and within a limit; what this process prints."""
    from groundkit.circuit.answer import reasoner_of_queries
    from groundkit.errors import GroundkitError
    from groundkit.program.limits import Limits
    from groundkit.program.source import load_program

    try:
        reasoner = reasoner_of_queries(load_program(file), None, Limits(seconds))
    except GroundkitError as error:
        return {"failed": error.found}
    chances = reasoner({})[0].exp().tolist()
    return {
        "ground_s": round(reasoner.ground_program.seconds, 2),
        "compile_s": round(reasoner.compiled.seconds, 2),
        "nodes": len(reasoner.compiled.circuit),
        "reason": reasoner.compiled.reason,
        "answers": {name: p for (name,), p in zip(reasoner.answers, chances, strict=True)},
    }


def render(rows: dict[str, Any]) -> str:
    """Writes the table."""
    lines = [
        "# The engine on hard programs",
        "",
        "Cold, each in a process of its own: CPU seconds of the whole command (groundkit's include "
        "some 2 s of importing torch), wall seconds of grounding and of compiling, nodes of the "
        "circuit. `python -m benchmarks.engine` makes this table; `differ` is the largest "
        "difference between the answers of the two. A limit (`over N s`) is wall time.",
        "",
        "| program | CPU s | ground s | compile s | nodes | compiled | problog CPU s | differ |",
        "|---|--:|--:|--:|--:|---|--:|--:|",
    ]
    for name in PROGRAMS:
        if name not in rows:
            continue
        row = rows[name]
        ours, theirs = row["groundkit"], row.get("problog", {})
        if "failed" in ours:
            cells = [ours["failed"], "", "", "", ""]
        else:
            cells = [ours["cpu_s"], ours["ground_s"], ours["compile_s"], f"{ours['nodes']:,}"]
            cells.append(_by(ours["reason"]))
        other = theirs.get("failed", theirs.get("cpu_s", ""))
        differ = f"{row['differ']:.0e}" if "differ" in row else ""
        lines.append(f"| {' | '.join(str(c) for c in [name, *cells, other, differ])} |")
    where = next(iter(rows.values()))["where"] if rows else ""
    return "\n".join([*lines, "", f"Measured {where}; wall times with other work beside.", ""])


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
    for name in options.names or PROGRAMS:
        before = rows.get(name, {}) if options.no_problog else {}
        rows[name] = before | measure(name, options.seconds, not options.no_problog)
        for engine in ("groundkit", "problog"):
            kept = rows[name].get(engine, {})
            kept.pop("answers", None)
        print(json.dumps(rows[name]), flush=True)
        file.write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "engine.md").write_text(render(rows))


if __name__ == "__main__":
    main()
