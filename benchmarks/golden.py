"""ProbLog's own golden programs through this engine.

``python -m benchmarks.golden FOLDER [--trust]`` runs every ``.pl`` of FOLDER that states its
expected outcome in a comment, and writes ``benchmarks/results/golden.md``. ProbLog keeps these
programs (Apache 2.0) in the folder ``test`` of its source repository; they are read from there and
not part of this package. With ``--trust``, those that are refused because they load Python code or
data bases run a second time, trusted.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

from benchmarks.machine import circumstances
from groundkit.circuit.answer import answer_queries
from groundkit.errors import GroundkitError, InputError, LimitError
from groundkit.program.limits import Limits
from groundkit.program.source import load_program

RESULT = Path(__file__).parent / "results" / "golden.md"
TOLERANCE = 1e-6
"""The programs state their outcomes with seven digits or fewer."""


def expected_outcome(text: str) -> dict[str, float] | str | None:
    """Reads the outcome a program states: probabilities, the name of an error, or nothing."""
    results: dict[str, float] = {}
    reading = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("%Expected outcome:"):
            reading = True
        elif reading:
            if line.lower().startswith("% error"):
                return line[len("% error") :].strip() or "error"
            if line.startswith("% "):
                query, value = line[2:].rsplit(None, 1)
                results[query.strip()] = float(value)
            else:
                reading = False
        if line.startswith("query(") and "% outcome:" in line:
            query, _, value = line[6:].partition("% outcome:")
            results[query.strip().rstrip(".").rstrip()[:-1].strip()] = float(value)
    return results or None


def judge(path: Path, trust: bool) -> tuple[str, str]:
    """Runs one program; returns a verdict and details."""
    text = path.read_text(encoding="utf-8")
    expected = expected_outcome(text)
    if expected is None:
        return "states nothing", ""
    try:
        found = answer_queries(load_program(path, trust), limits=Limits(60.0, 4 << 30))
    except GroundkitError as error:
        if isinstance(expected, str):
            return "agrees (both refuse)", expected
        kind = "refused" if isinstance(error, InputError | LimitError) else "fails"
        return kind, str(error).splitlines()[0].replace(str(path.parent), "")
    if isinstance(expected, str):
        return "answers, ProbLog refuses", expected
    plain = {_plain(query): value for query, value in found.items()}
    wanted = {_plain(query): value for query, value in expected.items()}
    if set(plain) != set(wanted):
        return "differs", f"answers {sorted(plain)} for {sorted(wanted)}"
    worst = max((abs(plain[q] - wanted[q]) for q in wanted), default=0.0)
    return ("agrees", "") if worst < TOLERANCE else ("differs", f"by {worst:.2e}")


def _plain(query: str) -> str:
    """Makes printed queries comparable: no spaces, one name for variables."""
    return re.sub(r"\b(_\w*|X\d+|A\d+)\b", "_", re.sub(r"\s", "", query))


def main() -> None:
    """Runs all programs and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trust", action="store_true")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    rows = ["| program | verdict | detail |", "|---|---|---|"]
    for path in sorted(arguments.folder.glob("*.pl")):
        verdict, detail = judge(path, trust=False)
        if verdict == "refused" and arguments.trust:
            verdict = f"refused; with --trust: {judge(path, trust=True)[0]}"
        counts[verdict] += 1
        if not verdict.startswith(("agrees", "states")):
            rows.append(f"| {path.name} | {verdict} | {detail.replace('|', '/')} |")
            print(rows[-1], flush=True)
    totals = [f"- {count} {verdict}" for verdict, count in counts.most_common()]
    text = page(arguments.trust, totals, rows)
    print(text)
    RESULT.write_text(text)


def page(trust: bool, totals: list[str], rows: list[str]) -> str:
    """Words the results as a page."""
    return f"""# ProbLog's golden programs

`python -m benchmarks.golden FOLDER{" --trust" if trust else ""}`, FOLDER being `test` of ProbLog's
source repository. {circumstances("problog", "PySDD")}.
A program agrees when it gives exactly the stated queries, each probability within {TOLERANCE:g}.

{chr(10).join(totals)}

The others:

{chr(10).join(rows)}
"""


if __name__ == "__main__":
    main()
