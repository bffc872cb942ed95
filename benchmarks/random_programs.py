"""Thousands of random programs against the enumeration of their worlds.

``python -m benchmarks.random_programs [COUNT]`` counts how many agree within 1e-9 and writes
``benchmarks/results/random_programs.md``. Half of them are propositional with recursion, half are
over lists, strings, quoted atoms, shared images, constraints, ``findall`` and several goals.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, assume, given, settings

from benchmarks.machine import circumstances
from groundkit.circuit.build import build_reasoner
from groundkit.errors import ProgramError
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program
from tests.circuit.random_programs import RandomProgram, programs
from tests.circuit.random_terms import TermProgram, term_programs
from tests.circuit.test_random_terms import compare as differences

RESULT = Path(__file__).parent / "results" / "random_programs.md"


def main(count: int) -> None:
    """Draws ``count`` programs with possible evidence and compares every query's probability."""
    seen = {
        "agree": 0,
        "refused by ProbLog's engine": 0,
        "agree, over terms and images": 0,
    }
    stages = {"a": 0, "b": 0, "c": 0}
    worst = 0.0

    @settings(
        max_examples=count // 2,
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

    @settings(
        max_examples=count - count // 2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(term_programs())
    def compare_terms(program: TermProgram) -> None:
        nonlocal worst
        worst = max(worst, differences(program))
        seen["agree, over terms and images"] += 1

    start = time.perf_counter()
    compare()
    compare_terms()
    seconds = time.perf_counter() - start
    rows = [f"| {words} | {number} |" for words, number in (*seen.items(), *_worded(stages))]
    text = f"""# Random programs against the enumeration of their worlds

`python -m benchmarks.random_programs {count}`, {circumstances("problog", "PySDD")}.
{sum(seen.values())} programs, the first kind of facts, disjunctions, negation, recursion and
evidence, the second over lists, strings, quoted atoms, images that several predicates read,
constraints, findall and several goals, in {seconds:.0f} s; the largest difference of a probability
is {worst:.1e}, at most 1e-9 is allowed.
ProbLog's engine refuses programs that negate a predicate inside its own recursion.

| | programs |
|---|---|
{chr(10).join(rows)}
"""
    print(text)
    RESULT.write_text(text)


def _worded(stages: dict[str, int]) -> list[tuple[str, int]]:
    """Words the stages that compiled the programs which agree."""
    meaning = {"a": "the ground program is a circuit", "b": "PySDD alone", "c": "PySDD for parts"}
    return [(f"stage {name}: {meaning[name]}", number) for name, number in stages.items()]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
