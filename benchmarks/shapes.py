"""Goals of many shapes: the cost of a mixed batch, and the compiling of hundreds.

    python -m benchmarks.shapes [--shapes 300]

``mixed``: a training step on lists of one to four images, 64 of each, at random in one batch,
beside the four lengths in a batch each; both take turns, timed by processor time. ``compiled``: 300
examples with a graph of facts each, from an empty cache, with one and with two processes, beside
what ``groundkit plan`` says that grounding and compiling take. Writes
``benchmarks/results/shapes.json`` and ``shapes.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.grounding import ROOT
from benchmarks.layer import Convnet, alternate
from benchmarks.rows import RESULTS, circumstances_of, made, table
from groundkit.layer.neural_program import NeuralProgram
from groundkit.runs.plan import Planned, plan_program
from groundkit.task.load import read_task

ROWS = RESULTS / "shapes.json"
LENGTHS, EACH, REPEATS = (1, 2, 3, 4), 64, 5
GRAPH = """nn(net, [X], Y, [0,1,2,3]) :: place(X, Y).
linked(X, Y, yes) :- place(X, A), place(Y, B), path(A, B).
linked(X, Y, no) :- place(X, A), place(Y, B), \\+path(A, B).
path(A, A).
path(A, B) :- edge(A, C), path(C, B).
"""
SPEC = """[query]
goal = "linked(X, Y, V)"
[examples]
file = "graphs.jsonl"
inputs = ["X", "Y"]
[networks.net]
backbone = "mlp"
"""


def mixed(net: nn.Module, name: str) -> dict[str, Any]:
    """Times a step on a mixed batch beside one step a length."""
    torch.manual_seed(0)
    model = NeuralProgram(ROOT / "programs" / "total.pl", "total(Xs, N)", {"mnist_net": net})
    lists: list[list[Tensor]] = [
        list(torch.randn(length, 1, 28, 28)) for length in LENGTHS for _ in range(EACH)
    ]
    sums = [random.Random(i).randint(0, 9 * len(one)) for i, one in enumerate(lists)]
    order = torch.randperm(len(lists), generator=torch.Generator().manual_seed(0)).tolist()

    def step(rows: list[int]) -> None:
        found = model.log_prob(Xs=[lists[i] for i in rows], N=[sums[i] for i in rows])
        model.zero_grad()
        (-found.mean()).backward()

    apart = [list(range(k * EACH, (k + 1) * EACH)) for k in range(len(LENGTHS))]

    def one_by_one() -> None:
        for rows in apart:
            step(rows)

    ratios = []
    for _ in range(REPEATS):
        together, alone = alternate(lambda: step(order), one_by_one, rounds=5)
        ratios.append(together / alone)
    ratios.sort()
    return {
        "part": "mixed",
        "network": name,
        "step_s": round(together, 4),
        "alone_s": round(alone, 4),
        "ratio": round(ratios[REPEATS // 2], 3),
        "least": round(ratios[0], 3),
        "most": round(ratios[-1], 3),
    }


def write_graphs(folder: Path, count: int) -> Path:
    """Writes a program whose examples have a graph of facts each; returns the program."""
    rng, pixels = random.Random(0), np.random.default_rng(0)
    for i in range(8):
        image = pixels.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{i}.png")
    arcs = [(a, b) for a in range(4) for b in range(4) if a != b]
    graphs: set[tuple[tuple[int, int], ...]] = set()
    while len(graphs) < count:
        graphs.add(tuple(sorted(rng.sample(arcs, rng.randint(3, 7)))))
    lines = [
        json.dumps(
            {
                "X": f"{rng.randrange(8)}.png",
                "Y": f"{rng.randrange(8)}.png",
                "V": "yes",
                "facts": [f"edge({a},{b})" for a, b in graph],
            }
        )
        for graph in sorted(graphs)
    ]
    (folder / "graphs.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "graphs.toml").write_text(SPEC)
    program = folder / "graphs.pl"
    program.write_text(GRAPH)
    return program


def compiled(count: int, processes: int) -> dict[str, Any]:
    """Times the compiling of many shapes, from an empty cache."""
    seen: list[tuple[int, int]] = []
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(everything)[:processes])
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["GROUNDKIT_CACHE"] = str(Path(folder) / "cache")
            program = write_graphs(Path(folder), count)
            begun = time.perf_counter()
            task = read_task(program, on_shape=lambda done, total: seen.append((done, total)))
            assert task.goals
            elapsed = time.perf_counter() - begun
            planned = plan_program(program)
    finally:
        os.environ.pop("GROUNDKIT_CACHE")
        os.sched_setaffinity(0, everything)
    assert isinstance(planned, Planned) and seen[-1] == (count, count)
    told = sum(one.ground_seconds + one.compile_seconds for one in planned.shapes)
    return {
        "part": "compiled",
        "shapes": count,
        "processes": processes,
        "seconds": round(elapsed, 1),
        "plan_seconds": round(told, 1),
        "progress_reports": len(seen),
    }


def page(rows: list[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    steps = [
        [
            one["network"],
            f"{one['step_s']}",
            f"{one['alone_s']}",
            f"{one['ratio']} ({one['least']} to {one['most']})",
        ]
        for one in rows
        if one["part"] == "mixed"
    ]
    compiling = [
        [
            str(one[key])
            for key in ("shapes", "processes", "seconds", "plan_seconds", "progress_reports")
        ]
        for one in rows
        if one["part"] == "compiled"
    ]
    head = ("shapes", "processes", "wall s", "s by plan, all processes", "reports of progress")
    return (
        "# Goals of many shapes\n\n"
        f"{circumstances_of(rows)}\n\n"
        f"A training step on {len(LENGTHS) * EACH} lists of {LENGTHS[0]} to {LENGTHS[-1]} images, "
        "mixed in one batch, beside the sum of four steps of one length each (processor time; "
        f"median and range of {REPEATS} pairs).\n\n"
        + table(("network", "mixed, s", "four alone, s", "ratio"), steps)
        + "\nShapes of examples with a graph of facts each, from an empty cache.\n\n"
        + table(head, compiling)
    )


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--shapes", type=int, default=300)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    small = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
    rows = [mixed(Convnet(), "small convnet"), mixed(small, "mlp of 32")]
    print(rows, flush=True)
    rows += [compiled(wanted.shapes, processes) for processes in (1, 2)]
    rows = [row | made() for row in rows]
    ROWS.write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "shapes.md").write_text(page(rows))
    print(page(rows))


if __name__ == "__main__":
    main()
