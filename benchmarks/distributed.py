"""Do several processes learn what one does, with every backbone? Compares terms step by step.

    python -m benchmarks.distributed [--steps 100] [--processes 2] [--cases mlp,convnet]

All terms but the generative, whose chains are each process's own. Each case asks about a batch's
images in unequal shares, as a program with several queries does, through a learnable probability
that the first process does not read. Numbers of 64 bits tell a fault from a rounding error, which
grows in steps of 32 bits. Writes ``results/distributed.md`` at 100 steps and more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from benchmarks.machine import circumstances
from groundkit.perception.ascent import PhaseSettings
from groundkit.perception.augment import Rows
from groundkit.perception.backbones import build_backbone
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.history import StepRow
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel
from groundkit.perception.phases import JointPhase, Queried
from groundkit.perception.settings import PerceptionSpec
from groundkit.perception.terms import Term

RESULTS = Path(__file__).parent / "results" / "distributed.md"
SHAPE, SYMBOLS, ASKED = (1, 28, 28), 10, 12
DTYPES = ("float32", "float64")
LEARNABLE_FROM = 3  # of the images asked about, those behind the first process's
CASES: dict[str, list[tuple[str, dict[str, int], bool]]] = {
    "mlp": [("mlp", {}, False)],
    "convnet": [("convnet", {}, False)],
    "resnet8": [("resnet8", {"width": 16}, False)],
    "resnet18": [("resnet18", {"width": 8, "features": 64}, False)],
    "convnet, bfloat16": [("convnet", {}, True)],
    "convnet and mlp": [("convnet", {}, False), ("mlp", {}, False)],
}
"""Networks that train together: backbone, its options, and whether it computes with bfloat16."""


def build(number: int, backbone: str, options: dict[str, int], bfloat16: bool, **more) -> Learner:
    """Builds an untrained network with images and some labels of its own."""
    torch.manual_seed(number)
    body = build_backbone(backbone, SHAPE, **options)
    model = SymbolModel(body, SYMBOLS, bfloat16=bfloat16)
    images = 2 * torch.rand(96, *SHAPE, generator=Generator().manual_seed(number)) - 1
    settings = PerceptionSpec(generative=0, contrastive=1, assignment=1)
    learner = Learner(model, settings, images, seed=0, **more)
    learner.clusters = torch.arange(96) % SYMBOLS
    learner.teach(images[:8], torch.eye(SYMBOLS)[:8])
    return learner


def ask(processes: ProcessGroup, generator: Generator) -> Queried:
    """Draws images that a program asks about, in unequal shares."""
    ends = [round(ASKED * (n / processes.size) ** 2) for n in range(processes.size + 1)]
    counts = tuple(end - start for start, end in pairwise(ends))
    own = torch.arange(ends[processes.rank], ends[processes.rank + 1])
    places = torch.randint(96, (ASKED,), generator=generator)[own]
    return Queried(places, Rows(ASKED, own), counts)


def train(case: str, steps: int, processes: ProcessGroup) -> list[dict[str, float]]:
    """Trains the networks of a case; returns the terms' values every 20 steps."""
    generator, odds = Generator().manual_seed(7), nn.Parameter(torch.zeros(()))
    learners = {
        str(n): build(n, *network, processes=processes) for n, network in enumerate(CASES[case])
    }
    rows: list[dict[str, float]] = []
    phase = JointPhase(
        learners,
        PhaseSettings(steps, 2e-3),
        48,
        generator,
        others=[odds],
        on_row=lambda row: rows.append(dict(row.terms)) if isinstance(row, StepRow) else None,
    )
    for _ in range(steps):
        queried = ask(processes, generator)
        mine = (queried.rows.own >= LEARNABLE_FROM).double()

        def program(views, mine=mine) -> list[Term]:
            total: Tensor = torch.zeros(())
            for first, _ in views.values():
                total = total + (first.log_softmax(-1)[:, 0] + mine * odds).sigmoid().sum()
            return [Term("symbolic", 0.1, total * processes.size / ASKED)]

        phase.step(dict.fromkeys(learners, queried), program)
    return rows


def work(arguments: argparse.Namespace) -> None:
    """Trains all cases as one of the processes; the first one writes what came out."""
    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, arguments.dtype))
    processes = ProcessGroup.join(torch.device("cpu"))
    wide = arguments.dtype == "float64"
    cases = [
        case
        for case in arguments.cases
        if not (wide and any(bfloat16 for _, _, bfloat16 in CASES[case]))
    ]
    found = {case: train(case, arguments.steps, processes) for case in cases}
    if processes.leads:
        arguments.worker.write_text(json.dumps(found))
    processes.leave()
    left = [thread for thread in threads() if "gloo" in thread]
    assert not left, f"threads of the group are left: {left}"


def threads() -> list[str]:
    """Names of this process's threads; none where the system does not list them."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


def launch(arguments: argparse.Namespace, dtype: str, count: int, to: Path) -> dict[str, list]:
    """Trains all cases in numbers of a kind, with so many processes; returns what came out."""
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [sys.executable, *(many if count > 1 else []), "-m", "benchmarks.distributed"]
    command += ["--worker", str(to)]
    command += ["--steps", str(arguments.steps), "--cases", ";".join(arguments.cases)]
    command += ["--dtype", dtype]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return json.loads(to.read_text())


def main() -> None:
    """Compares one process and several."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cases", type=lambda text: text.split(";"), default=list(CASES))
    parser.add_argument("--worker", type=Path)
    parser.add_argument("--dtype", help="of a worker")
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return
    worst: dict[str, dict[str, float]] = {case: {} for case in arguments.cases}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in DTYPES:
            one, many = (
                launch(arguments, dtype, count, Path(folder) / f"{count}.json")
                for count in (1, arguments.processes)
            )
            for case in one:
                pairs = zip(one[case], many[case], strict=True)
                worst[case][dtype] = max(abs(a[name] - b[name]) for a, b in pairs for name in a)
    lines = ["| networks | steps | " + " | ".join(DTYPES) + " |", "|---|---|---|---|"]
    for case, found in worst.items():
        cells = " | ".join(f"{found[dtype]:.1e}" if dtype in found else "" for dtype in DTYPES)
        lines.append(f"| {case} | {arguments.steps} | {cells} |")
    table = "\n".join(lines)
    print(table)
    if arguments.steps >= 100:
        command = f"python -m benchmarks.distributed --processes {arguments.processes}"
        RESULTS.write_text(
            f"# {arguments.processes} processes against one\n\n"
            "The largest difference of a term, by the kind of numbers that weights and images are "
            f"kept in.\n\n{table}\n\n"
            f"Made by `{command}`, {circumstances('torch')}.\n"
        )


if __name__ == "__main__":
    main()
