"""Counts of admitted groundings and the time they take.

    python benchmarks/identify.py

Every program of programs/ whose goal has few enough combinations to list, through the whole chain
(ground, compile, list the combinations, count), then relations that are harder than those. The
table goes to benchmarks/results/identify.md.
"""

from __future__ import annotations

import itertools
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from groundkit.errors import GroundkitError
from groundkit.identifiability.identification import Identification
from groundkit.identifiability.identify import Observable, identify
from groundkit.identifiability.relations import Relation
from groundkit.runs.identify import identify_task
from groundkit.task.load import read_task

HERE = Path(__file__).parent
PROGRAMS = HERE.parent / "programs"
HEAD = (
    "| {} | combinations | count | permutations | collapses | ground and list, s | count, s |\n"
    "|---|---|---|---|---|---|---|\n"
)


def relation(size: int, calls: int, answer: Callable[..., object]) -> Relation:
    """All combinations of one network's symbols; ``None`` means that there is no proof."""
    rows: list[tuple[int, ...]] = []
    answers: list[int] = []
    known: dict[object, int] = {}
    for row in itertools.product(range(size), repeat=calls):
        result = answer(*row)
        if result is not None:
            rows.append(row)
            answers.append(known.setdefault(result, len(known)))
    domain = [str(value) for value in range(size)]
    return Relation.build({"net": domain}, ["net"] * calls, rows, answers)


def line(name: str, found: Identification, before: float) -> str:
    """A row of the table."""
    numbers = [found.combinations, found.count, found.permutations, found.collapses]
    words = ["unknown" if number is None else short(number) for number in numbers]
    return f"| {name} | {' | '.join(words)} | {before:.2f} | {found.seconds:.2f} |\n"


def short(number: int) -> str:
    """Prints astronomic numbers by their power of ten."""
    return str(number) if number < 10**12 else f"{float(number):.3g}"


def program_rows() -> str:
    """Rows of all programs with a spec."""
    text = ""
    for path in sorted(PROGRAMS.glob("*.toml")):
        start = time.perf_counter()
        try:
            task = read_task(path.with_suffix(".pl"))
            if not task.asks:
                continue
            for goal in task.goals:
                goal.reasoner.support()
            before = time.perf_counter() - start
            found = identify_task(task)
        except GroundkitError as error:
            text += f"| {path.stem} | {error.found} | | | | | |\n"
            continue
        text += line(path.stem, found, before)
        if found.examples is not None and found.examples.count != found.count:
            text += line(f"{path.stem}, drawn examples", found.examples, 0.0)
        print(path.stem, found.count, flush=True)
    return text


def hard_rows() -> str:
    """Rows of relations of 20 symbols, with all and with few combinations."""
    cases: dict[str, tuple[Relation, tuple[int, ...]]] = {
        "a + b, 20 symbols": (relation(20, 2, lambda a, b: a + b), (100, 30)),
        "(a + b) mod 20": (relation(20, 2, lambda a, b: (a + b) % 20), (100, 30)),
        "a + b = c, 20 symbols": (
            relation(20, 3, lambda a, b, c: True if a + b == c else None),
            (100, 30, 20, 15, 10),
        ),
        "equality of 20 symbols": (relation(20, 2, lambda a, b: a == b), (100, 30)),
        "parity of 20 symbols": (relation(20, 2, lambda a, b: (a + b) % 2), (100,)),
        "two-digit sums, digits unseen": (
            relation(10, 5, lambda a, b, c, d, e: True if 10 * (a + c) + b + d == 11 * e else None),
            (100,),
        ),
    }
    text = ""
    for name, (whole, sizes) in cases.items():
        text += line(f"{name}: all", identify([Observable(whole)]), 0.0)
        for size in sizes:
            rng = np.random.default_rng(size)
            few = whole.select(rng.choice(len(whole), min(size, len(whole)), replace=False))
            found = identify([Observable(whole, few)]).examples
            assert found is not None
            text += line(f"{name}: {size} drawn", found, 0.0)
            print(name, size, found.count, flush=True)
    return text


def main() -> None:
    """Makes both tables."""
    text = (
        "# Counting groundings\n\n"
        f"Made by `python benchmarks/identify.py` on one core of {platform.machine()}, Python "
        f"{platform.python_version()}, OMP_NUM_THREADS=1. The last column is the whole of "
        "`identify`: both counts, witnesses, what the prior removes, and the suggestions with "
        "their recounts. Unknown: not counted within 20 s.\n\n"
        f"{HEAD.format('program')}{program_rows()}\n{HEAD.format('relation')}{hard_rows()}"
    )
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "identify.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
