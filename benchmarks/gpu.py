"""What a graphics card gains: training, its parts and circuits, in one table.

    python -m benchmarks.gpu [--device cuda] [--data fashion-mnist] [--colour road]

``--data`` is a set of ``groundkit datasets`` with a preset: the default has as many images of
the same size as MNIST and needs no download. ``--colour`` is a set of 32x32 colour images, which
the network, sampler and augmentation of the preset ``svhn`` read. Parts are measured in units a
second, the best of several rounds; how often the host waits for the card in a step of joint
training is counted by torch's own debugging mode. ``--device cpu`` runs the same on a processor,
with ``--small`` for a few steps. Writes benchmarks/results/gpu.md, but for ``--small``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.carry import CARRY, by_reasoner, carry_goal, draw, forward_backward
from benchmarks.machine import circumstances
from benchmarks.perception_speed import Speed
from groundkit import run
from groundkit.circuit.prepare import prepare
from groundkit.circuit.reasoner import Reasoner
from groundkit.program.engine import Shape
from groundkit.program.source import load_program
from groundkit.runs.progress import Silent

HERE = Path(__file__).parent
CIRCUIT_BATCH, DIGITS, ROUNDS = 4096, (1, 4, 15), 5
SMALL = ["train.min_steps=10", "train.epochs=1", "train.cluster_steps=4", "train.pool_batch=4000",
         "evaluate.ood=[]", "evaluate.samples=0"]  # fmt: skip
Row = tuple[str, str]


def best(device: torch.device, work: Callable[[], object]) -> float:
    """Wall seconds of a call, the best of some rounds after one to warm up."""
    work()
    found = float("inf")
    for _ in range(ROUNDS):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        found = min(found, time.perf_counter() - start)
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def waits(device: torch.device) -> Iterator[list[str]]:
    """Collects where the host waits for the card."""
    found: list[str] = []
    if device.type != "cuda":
        yield found
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found += [f"{one.filename}:{one.lineno}" for one in told if "synchroniz" in str(one.message)]


class Steps(Silent):
    """Counts waits over the steps of joint training between the first and the last ten."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.steps, self.found, self.total = device, 0, 0, 0
        self._counting: tuple[AbstractContextManager[list[str]], list[str]] | None = None

    def step(self, done: int, total: int, what: str) -> None:
        """Opens a count before a step, and closes it after."""
        if self._counting is not None:
            manager, found = self._counting
            manager.__exit__(None, None, None)
            self._counting, self.steps, self.found = None, self.steps + 1, self.found + len(found)
        if what == "joint training":
            self.total = total
        if what == "joint training" and done < total - 10:
            manager = waits(self.device)
            self._counting = (manager, manager.__enter__())


def training(data: str, device: torch.device, settings: list[str]) -> list[Row]:
    """The full bound on a data set: time, accuracy, memory, waits."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    watch = Steps(device)
    with tempfile.TemporaryDirectory() as folder:
        result = run(
            HERE.parent / "programs" / "clusters.pl",
            out=Path(folder) / "run",
            settings=[f'examples.data="{data}"', *settings],
            device=device.type,
            progress=watch,
        )
    seconds = result.metrics["timing"]["train_s"]
    rows = [
        (f"{data}: steps of training, clustering phase and all", f"{watch.total:,}"),
        (f"{data}: seconds of training, all terms of the bound", f"{seconds:,.0f}"),
        (f"{data}: accuracy after the best renaming", f"{result.accuracy_matched:.3f}"),
    ]
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
        rows += [
            (f"{data}: peak memory of the card, MB", f"{peak:,.0f}"),
            (f"{data}: waits for the card a step", f"{watch.found / max(1, watch.steps):.2f}"),
        ]
    return rows


def parts(data: str, preset: str, device: torch.device) -> list[Row]:
    """Sampling, augmentation and joint steps against the plain loops, and in bfloat16."""
    return [
        (
            f"{data}: {what}: plain loop, ours, ours in bfloat16",
            f"{plain:,.0f}, {ours:,.0f} ({ours / plain:.1f}x), {half:,.0f} ({half / plain:.1f}x)",
        )
        for what, plain, ours, half in Speed(data, device.type, preset).rows()
    ]


def circuits(digits: int, device: torch.device, size: int) -> list[Row]:
    """Queries a second of addition with a carry, forward and backward."""
    program = load_program(CARRY)
    goal, images = carry_goal(digits)
    with tempfile.TemporaryDirectory() as folder:
        shape = Shape(program, goal, tuple(images))
        reasoner = Reasoner(program, goal, *prepare(shape, Path(folder), None)).to(device)
    batch = draw(digits, size, torch.float32)
    given = {n: t.detach().to(device) for n, t in by_reasoner(reasoner, batch).items()}
    leaf = given["mnist_net"].requires_grad_()
    call = forward_backward(lambda: reasoner(given), leaf)
    what = f"circuit of {digits}-digit addition, batch {size:,}, queries a second"
    rows = [(what, f"{size / best(device, call):,.0f}")]
    if device.type == "cuda":
        rows.append((f"{what}, replayed as a CUDA graph", _replayed(call, device, size)))
    return rows


def _replayed(call: Callable[[], Tensor], device: torch.device, size: int) -> str:
    """Queries a second where the whole call is captured once and replayed."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            call()
    except RuntimeError as error:
        return f"cannot be captured: {str(error).splitlines()[0]}"
    return f"{size / best(device, graph.replay):,.0f}"


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--colour", default="road")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    wanted = parser.parse_args()
    device = torch.device(wanted.device)
    torch.manual_seed(0)
    size = 64 if wanted.small else CIRCUIT_BATCH
    rows = [row for digits in DIGITS for row in circuits(digits, device, size)]
    rows += training(wanted.data, device, wanted.settings + (SMALL if wanted.small else []))
    if not wanted.small:
        rows += parts(wanted.data, wanted.data, device)
        rows += parts(wanted.colour, "svhn", device)
    command = " ".join(["python -m benchmarks.gpu", *sys.argv[1:]])
    lines = [
        "# On a graphics card", "",
        f"Made by `{command}`, {circumstances('torch')}.", "",
        "| what | value |", "|---|---:|", *(f"| {what} | {value} |" for what, value in rows),
    ]  # fmt: skip
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if not wanted.small:
        (HERE / "results" / "gpu.md").write_text(text)


if __name__ == "__main__":
    main()
