"""Thousands of random programs against the enumeration of their worlds.

``python -m benchmarks.random_programs [COUNT]`` prints how many agree within 1e-9.
"""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, Phase, assume, given, settings

from groundkit.circuit.reasoner import build_reasoner
from groundkit.errors import ProgramError
from groundkit.program.query import parse_goal
from groundkit.program.source import parse_program
from tests.circuit.random_programs import RandomProgram, programs


def main(count: int) -> None:
    """Draws ``count`` programs with possible evidence and compares every query's probability."""
    seen = {"agree": 0, "refused by ProbLog's engine": 0}
    stages = {"a": 0, "b": 0, "c": 0}
    worst = 0.0

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(programs())
    def compare(program: RandomProgram) -> None:
        nonlocal worst
        expected = program.probabilities()
        assume(expected is not None and max(expected.values()) > 0.0)
        try:
            goal = parse_goal("ask(Q)")
            reasoner = build_reasoner(parse_program(program.text(False)), goal, [])
        except ProgramError as error:
            if "inside the recursion" in error.found:
                seen["refused by ProbLog's engine"] += 1
                return
            raise AssertionError(f"{error}\n{program.text(False)}") from error
        stages[reasoner.compiled.stage] += 1
        found = dict(zip(reasoner.answers, reasoner({})[0].exp().tolist(), strict=True))
        assert expected is not None
        error = max(abs(found.get((q,), 0.0) - p) for q, p in expected.items())
        assert error <= 1e-9, program.text(False)
        worst = max(worst, error)
        seen["agree"] += 1

    start = time.perf_counter()
    compare()
    print(f"{sum(seen.values())} programs in {time.perf_counter() - start:.0f} s: {seen}")
    print(f"largest difference {worst:.1e}; stages {stages}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
