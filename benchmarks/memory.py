"""Resident memory over 20 epochs of training on 60,000 images.

    python -m benchmarks.memory

A run of ``programs/clusters.pl`` on Fashion-MNIST's training images, with all terms of the bound:
a small network and large batches, since what could grow is what a step leaves behind. The table
and the plot go to benchmarks/results/memory.md and memory.png.
"""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.machine import circumstances
from groundkit import run

HERE = Path(__file__).parent
EPOCHS, IMAGES, BATCH = 20, 60_000, 2_000
STEPS = IMAGES // BATCH
CLUSTER_STEPS = 10
SETTINGS = [
    'examples.data="fashion-mnist"', "networks.digit_net.backbone=mlp",
    "networks.digit_net.options.width=16",
    "networks.digit_net.perception.augmentation=none", f"train.pool_batch={BATCH}",
    f"train.min_steps={EPOCHS * STEPS}", "train.epochs=1",
    f"train.cluster_steps={CLUSTER_STEPS}", "train.checkpoint_every=100", "evaluate.ood=[]",
    "evaluate.samples=0",
]  # fmt: skip


def resident_mb() -> float:
    """Returns the resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Watch:
    """Measures at the end of every epoch of joint training."""

    def __init__(self) -> None:
        self.resident: list[float] = []

    def say(self, text: str) -> None:
        """Prints what happens."""
        print(text, flush=True)

    def step(self, done: int, total: int, what: str) -> None:
        """Measures after an epoch's last step."""
        joint = done - CLUSTER_STEPS
        if joint > 0 and joint % STEPS == 0:
            self.resident.append(resident_mb())
            print(f"epoch {joint // STEPS}: {self.resident[-1]:.0f} MB", flush=True)


def draw(resident: list[float]) -> None:
    """Draws memory against epochs."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(resident) + 1), resident, marker="o")
    axes.set(xlabel="epoch", ylabel="resident memory, MB", ylim=(0, 1.15 * max(resident)))
    axes.set_xticks(range(0, len(resident) + 1, 5))
    figure.savefig(HERE / "results" / "memory.png", dpi=120, metadata={"Software": None})


def main() -> None:
    """Trains, measures, and writes table and plot."""
    torch.set_num_threads(1)
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        result = run(
            HERE.parent / "programs" / "clusters.pl",
            out=Path(folder) / "run",
            settings=SETTINGS,
            device="cpu",
            progress=watch,
        )
    resident = watch.resident
    late = resident[EPOCHS // 2 :]
    slope = float(np.polyfit(np.arange(len(late)), late, 1)[0])
    lines = [
        "# Memory over epochs",
        "",
        f"Made by `python -m benchmarks.memory`, {circumstances('torch', 'numpy')}.",
        "",
        f"{EPOCHS} epochs of {IMAGES:,} images of Fashion-MNIST, {STEPS} steps of {BATCH:,} images "
        f"each, all terms of the bound. Resident memory is {resident[0]:.0f} MB after the first "
        f"epoch and {resident[-1]:.0f} MB after the last; over the last {len(late)} it changes by "
        f"{slope:+.2f} MB an epoch, {slope / BATCH * 2**20 / STEPS:+.1f} bytes an image. The run's "
        f"peak, loading and evaluation with it, is {result.metrics['memory']['peak_mb']:.0f} MB.",
        "",
        "![resident memory against epochs](memory.png)",
        "",
        "| epoch | resident, MB |",
        "|---:|---:|",
        *(f"| {epoch} | {value:.0f} |" for epoch, value in enumerate(resident, start=1)),
    ]
    (HERE / "results" / "memory.md").write_text("\n".join(lines) + "\n")
    draw(resident)


if __name__ == "__main__":
    main()
