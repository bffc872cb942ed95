"""Answers one program's queries, cold and within a limit, and prints what came of it as JSON.

``python -m benchmarks.engine_one FILE SECONDS`` is what :mod:`benchmarks.engine` measures; it
imports nothing but the engine.
"""

from __future__ import annotations

import json
import sys

from groundkit.circuit.answer import ask_queries
from groundkit.errors import GroundkitError
from groundkit.program.limits import Limits
from groundkit.program.source import load_program

_BUSY = 8
"""Wall seconds that a second of CPU may take on a busy machine."""


def main(file: str, seconds: str) -> None:
    """Prints the answers, or why there are none."""
    try:
        # The limit here is of wall time: on a busy machine that of CPU time comes first.
        found = ask_queries(load_program(file), limits=Limits(_BUSY * float(seconds)))
    except GroundkitError as error:
        print(json.dumps({"failed": error.found}))
        return
    row = {
        "ground_s": round(found.ground_seconds, 2),
        "compile_s": round(found.compile_seconds, 2),
        "nodes": found.nodes,
        "reason": found.reason,
        "answers": found.probabilities,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(*sys.argv[1:])
