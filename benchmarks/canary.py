"""Grounds random programs that try to load, beside files that must stay unread.

    python -m benchmarks.canary [--programs 100000] [--seconds N]

The programs are those of ``tests/fuzz/canary.py``: loaders named in pieces, every built-in
predicate of the installed ProbLog with odd arguments, inside whatever evaluates goals, some with a
letter changed. Each is grounded in this process, behind the guard but not confined, so that nothing
but the guard stands in the way. Counted are effects: a file of the folder read or changed, a file
written, a process, a connection, a database, a temporary file, a secret in what comes out. The
table goes to benchmarks/results/canary.md.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

from problog import clausedb

from benchmarks.machine import circumstances
from tests.fuzz.canary import attempt, write
from tests.hostile.crossing import Watch, lay_out

_read_file = clausedb.PrologFile
_parsed: dict[tuple[str, int], Any] = {}
RESULT = Path(__file__).parent / "results" / "canary.md"
MEMORY = 4 << 30


class Library:
    """A library's file, parsed once for all programs; grounding renames its facts, so it copies."""

    def __init__(self, file: str, identifier: int = 0, **options: Any) -> None:
        key = (file, identifier)
        if key not in _parsed:
            read = _read_file(file, identifier=identifier, **options)
            _parsed[key] = (list(read), read.line_info)
        self._statements, self.line_info = _parsed[key]

    def __iter__(self) -> Iterator[Any]:
        return map(copy, self._statements)


def table(outcomes: Counter[str], effects: int, slowest: float, seconds: float) -> str:
    """Words the counts."""
    total = sum(outcomes.values())
    return "\n".join(
        [
            "# Random programs beside files that must stay unread",
            "",
            f"Made by `python -m benchmarks.canary`, {seconds:.0f} s of computing, "
            f"{circumstances('problog')}. Grounded: the goal has an answer. Refused: an error of "
            "groundkit's own, such as a refused predicate, a syntax error, a goal without a "
            "solution. Stopped: by the clock of 5 s, or its memory.",
            "",
            "| programs | grounded | refused | stopped | other errors | effects | slowest, s |",
            "|---:|---:|---:|---:|---:|---:|---:|",
            f"| {total} | {outcomes['grounded']} | {outcomes['refused']} | {outcomes['stopped']} | "
            f"{outcomes['error']} | {effects} | {slowest:.1f} |",
            "",
        ]
    )


def main() -> None:
    """Grounds the programs and writes the table as it goes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    told = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    clausedb.PrologFile = Library
    outcomes: Counter[str] = Counter()
    effects, slowest, started = 0, 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        watch = Watch()
        for seed in range(given.programs):
            text, before = write(random.Random(seed), folder), time.process_time()
            try:
                outcome, seen = attempt(text, folder, watch)
            except Exception as error:
                outcome, seen = "error", []
                print(f"seed {seed}: {error!r}\n{text}\n", file=told, flush=True)
            outcomes[outcome] += 1
            slowest = max(slowest, time.process_time() - before)
            if seen:
                effects += 1
                print(f"seed {seed}: {seen}\n{text}\n", file=told, flush=True)
            over = time.monotonic() - started > given.seconds
            if seed % 1000 == 999 or over or seed == given.programs - 1:
                RESULT.write_text(table(outcomes, effects, slowest, time.process_time()))
                print(f"{seed + 1}: {dict(outcomes)}, {effects} effects", file=told, flush=True)
            if over:
                break
    sys.exit(1 if effects or outcomes["error"] else 0)


if __name__ == "__main__":
    main()
