"""The table of other systems, with every row in which one of them is better.

``python -m benchmarks.peers`` renders ``benchmarks/results/peers.json`` into ``docs/peers.md``.
Each row says where its numbers come from: ``measured`` stands in the named table of
``benchmarks/results``; ``earlier`` was measured on this project's machine while the peers were
looked at, once, and its raw rows were not kept; ``published`` are the peer's own numbers beside a
measured one of ours. ``tests/benchmarks/test_peers.py`` holds rows to the tables they name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "benchmarks" / "results" / "peers.json"
PAGE = ROOT / "docs" / "peers.md"
KINDS = {
    "measured": "measured, {source}",
    "earlier": "measured once, raw rows not kept",
    "published": "theirs published, ours in {source}",
}
EVEN = 0.02
"""Times that differ by less than this share are no difference on such a machine."""
HEAD = """# Beside other systems

<!-- Made by python -m benchmarks.peers from benchmarks/results/peers.json; do not edit. -->

Both sides have the same data, and the same network if one is trained, unless the row says
otherwise. The last column says where the numbers come from; the tables that it names are in the
folder `benchmarks/results` of the source. Rows that were measured once have no raw rows: read them
as an order of magnitude. Measurements were made on two cores that other work kept busy, except
groundkit's accuracy on triplets, which is that of `grounding.md` and was measured on an H100.

"""
TAIL = """
DeepLog needs Python 3.12 and a KLay that cannot be installed beside groundkit's, so it ran in an
environment of its own. On pairs with their sum, ABLkit reaches 0.928 after 10 CPU seconds, 0.963
after 20 and 0.954 after 40, and DeepProbLog 0.920 after 47. Where nothing is observed, both end
with one symbol for everything, which satisfies the program; groundkit's prior rules that out.

DeepLog does three things that groundkit does not: it reads a semantic loss from DIMACS, estimates
gradients by score functions, and lets a user define an algebra.
"""


def number(text: str) -> float:
    """Reads a cell: ``7,647``, ``over 60``."""
    return float(text.removeprefix("over ").replace(",", ""))


def ahead(row: dict[str, Any]) -> str:
    """Who is better: the peer, groundkit, or neither."""
    theirs, ours = number(row["theirs"]), number(row["ours"])
    timed = "second" in row["measure"]
    if timed and abs(theirs - ours) <= EVEN * max(theirs, ours):
        return "even"
    return "groundkit" if (ours > theirs) == (row["better"] == "higher") else "**peer**"


def render(rows: list[dict[str, Any]]) -> str:
    """Words the page."""
    lines = ["| task | measure | peer | theirs | groundkit | ahead | numbers |"]
    lines.append("|---|---|---|---:|---:|---|---|")
    for row in rows:
        kind = KINDS[row["kind"]].format(source=f"`{row.get('source')}`")
        cells = [row[key] for key in ("task", "measure", "peer", "theirs", "ours")]
        lines.append(f"| {' | '.join([*cells, ahead(row), kind])} |")
    return HEAD + "\n".join(lines) + "\n" + TAIL


def main() -> None:
    """Writes the page."""
    PAGE.write_text(render(json.loads(ROWS.read_text())["rows"]), encoding="utf-8")


if __name__ == "__main__":
    main()
