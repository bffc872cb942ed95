"""Maps of joint symbols, counted by ``identify`` and by brute force, on random goals.

``python -m benchmarks.joint_identify [COUNT]`` draws goals over two networks that read the same
images and counts the admitted maps and the bijective ones both ways. It writes
``results/joint_identify.json``, a row for every 100 goals, and ``results/joint_identify.md``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from hypothesis import assume

from benchmarks.draws import draw_group
from benchmarks.machine import circumstances, commit
from tests.identifiability.test_images import cases, counts

RESULTS = Path(__file__).parent / "results"
GROUP = 100


def run_group(number: int, version: str) -> dict[str, Any]:
    """Draws and counts one group of goals; returns its row."""
    equal, most, different = 0, 0, []

    def look(case: Any) -> None:
        nonlocal equal, most
        both = counts(case)
        assume(both is not None)
        assert both is not None
        most = max(most, both[1][0])
        if both[0] == both[1]:
            equal += 1
        else:
            different.append(f"{both}: {case}")

    start = time.process_time()
    draw_group(number, GROUP, cases(), look)
    return {
        "seed": number,
        "equal": equal,
        "different": different,
        "most_maps": most,
        "cpu_s": round(time.process_time() - start, 1),
        "commit": version,
        "where": circumstances("hypothesis"),
    }


def main(count: int) -> None:
    """Counts group after group, and keeps what is done."""
    rows: list[dict[str, Any]] = []
    version = commit()
    for number in range(count // GROUP):
        rows.append(run_group(number, version))
        (RESULTS / "joint_identify.json").write_text(json.dumps(rows, indent=1) + "\n")
        equal = sum(row["equal"] for row in rows)
        different = sum(len(row["different"]) for row in rows)
        text = f"""# Maps of joint symbols against brute force

`python -m benchmarks.joint_identify {equal + different}`, {rows[-1]["where"]}. Random goals over
two networks of two or three symbols that read the same images: `identify` counts the admitted maps
of the joint symbols and the bijective ones; brute force tries every map.

| goals | equal | different | most maps of a goal | CPU s |
|--:|--:|--:|--:|--:|
| {equal + different} | {equal} | {different} | {max(row["most_maps"] for row in rows):,} | \
{sum(row["cpu_s"] for row in rows):.0f} |
"""
        (RESULTS / "joint_identify.md").write_text(text)
        print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
