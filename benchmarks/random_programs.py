"""Thousands of random programs against the enumeration of their worlds.

``python -m benchmarks.random_programs [COUNT]`` draws programs in groups of 250 until ``COUNT`` of
them have been compared, and keeps a row of every group in ``results/random_programs.json``; a group
that has its row is not drawn again, so that an interrupted run goes on where it stopped.
``results/random_programs.md`` adds the rows up. Half of the programs are propositional with
recursion, half are over lists, strings, quoted atoms, shared images, constraints, ``findall`` and
several goals. The enumeration knows nothing of ProbLog. Programs are grounded and compiled in this
process, D4 and PySDD too: they are small, and a process for each would take most of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.draws import draw_group
from benchmarks.machine import circumstances, commit
from benchmarks.rows import RESULTS, keep, read
from groundkit.circuit.approximate import reasoner_of
from groundkit.circuit.attempts import COMPILERS
from groundkit.circuit.compile import compile_program
from groundkit.circuit.ir import Circuit, CircuitBuilder
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import ProgramError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.ground import GroundProgram
from groundkit.program.source import Program, parse_program
from tests.circuit.random_programs import RandomProgram, programs
from tests.circuit.random_terms import TermProgram, term_programs
from tests.circuit.test_random_terms import compare as differences

GROUP = 250
TOLERANCE = 1e-9
STAGES = {
    "a": "every answer's structure proved",
    "b": "compiled as a whole",
    "c": "compiled in parts",
}


class InProcess:
    """Runs compilers in this process, their prints swallowed."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()

    def run(
        self, name: str, program: GroundProgram, references: Sequence[int], seconds: float | None
    ) -> Circuit:
        """See :class:`groundkit.circuit.attempts.Attempts`; a limit of time is not kept."""
        builder = CircuitBuilder()
        self.used[name] += 1
        with _silence():
            return builder.finish(COMPILERS[name](program, references, builder))


@contextmanager
def _silence() -> Iterator[None]:
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


@dataclass
class Group:
    """What comparing one group of programs found."""

    kind: str
    seed: int
    verdicts: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    compilers: InProcess = field(default_factory=InProcess)
    worst: float = 0.0
    disagreements: list[str] = field(default_factory=list)

    def build(self, program: Program, goal: Goal, images: Sequence[str]) -> Reasoner:
        """Grounds and compiles like :func:`~groundkit.circuit.build.build_reasoner`, in here."""
        found = ground(Shape(program, goal, tuple(images)))
        compiled = compile_program(found, attempts=self.compilers)
        reasoner = reasoner_of(program, goal, found, compiled)
        reasoner.refuse_impossible()
        self.stages[compiled.stage] += 1
        return reasoner

    def compare(self, program: RandomProgram | TermProgram) -> None:
        """Compares one program."""
        try:
            if isinstance(program, TermProgram):
                self.worst = max(self.worst, differences(program, self.build))
                self.verdicts["agree"] += 1
            else:
                self.verdicts[self._propositional(program)] += 1
        except Exception as error:
            text = program.text if isinstance(program, TermProgram) else program.text(False)
            self.verdicts["disagree"] += 1
            self.disagreements.append(f"{type(error).__name__}: {error}\n{text}")

    def _propositional(self, program: RandomProgram) -> str:
        expected = program.probabilities()
        impossible = expected is None or max(expected.values()) == 0.0
        try:
            reasoner = self.build(parse_program(program.text(False)), parse_goal("ask(Q)"), [])
        except ProgramError as error:
            if "inside the recursion" in error.found:
                return "refused by ProbLog's engine"
            if impossible:
                return "impossible, and refused as such"
            raise
        assert expected is not None and not impossible, "answers where nothing is possible"
        found = dict(zip(reasoner.answers, reasoner({})[0].exp().tolist(), strict=True))
        furthest = max(abs(found.get((q,), 0.0) - p) for q, p in expected.items())
        assert furthest <= TOLERANCE, f"differs by {furthest}"
        self.worst = max(self.worst, furthest)
        return "agree"

    def row(self, seconds: float, version: str) -> dict[str, Any]:
        """Returns what is kept."""
        return {
            "kind": self.kind,
            "seed": self.seed,
            "verdicts": dict(self.verdicts),
            "stages": dict(self.stages),
            "compilers": dict(self.compilers.used),
            "worst": self.worst,
            "disagreements": self.disagreements,
            "cpu_s": round(seconds, 2),
            "commit": version,
            "where": circumstances("problog", "PySDD"),
        }


def run_group(kind: str, number: int, version: str) -> dict[str, Any]:
    """Draws and compares one group of programs; returns its row."""
    group = Group(kind, number)

    strategy = programs() if kind == "propositional" else term_programs()
    start = time.process_time()
    draw_group(number, GROUP, strategy, group.compare)
    return group.row(time.process_time() - start, version)


def render(rows: Sequence[dict[str, Any]]) -> str:
    """Adds the groups up."""
    total: Counter[str] = Counter()
    lines = []
    for kind in ("propositional", "over terms and images"):
        some = [row for row in rows if row["kind"] == kind]
        verdicts = sum((Counter(row["verdicts"]) for row in some), Counter())
        total += verdicts
        lines += [f"| {kind}: {words} | {n} |" for words, n in sorted(verdicts.items())]
    stages = sum((Counter(row["stages"]) for row in rows), Counter())
    compilers = sum((Counter(row["compilers"]) for row in rows), Counter())
    shapes = [f"| {words} | {stages[name]} |" for name, words in STAGES.items()]
    used = [f"| a part went to {name} | {n} |" for name, n in sorted(compilers.items())]
    newline = "\n"
    return f"""# Random programs against the enumeration of their worlds

`python -m benchmarks.random_programs {sum(total.values())}`, {rows[-1]["where"]}.
The first kind has facts, disjunctions, negation, recursion and evidence; the second lists, strings,
quoted atoms, images that several predicates read, constraints, findall and several goals. The
largest difference of a probability is {max(row["worst"] for row in rows):.1e}, at most
{TOLERANCE:g} is allowed. ProbLog's engine refuses programs that negate a predicate inside its own
recursion. {sum(row["cpu_s"] for row in rows):.0f} CPU seconds; a row for every {GROUP} programs
stands in `random_programs.json`, with the text of every program that disagrees.

| | programs |
|---|--:|
{newline.join(lines)}

A goal is compiled by itself; elimination, which is tried first, is not counted:

| | goals |
|---|--:|
{newline.join([*shapes, *used])}
"""


def main() -> None:
    """Compares what has no row yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=5000)
    count = parser.parse_args().count
    file = RESULTS / "random_programs.json"
    rows = read(file)
    version = commit()
    done = {(row["kind"], row["seed"]) for row in rows}
    for number in range(count // (2 * GROUP)):
        for kind in ("propositional", "over terms and images"):
            if (kind, number) in done:
                continue
            rows.append(run_group(kind, number, version))
            keep(rows[-1], file, "kind", "seed")
            (RESULTS / "random_programs.md").write_text(render(rows))
            print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
