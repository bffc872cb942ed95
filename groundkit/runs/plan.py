"""What a program will cost to ground, compile and train, measured in seconds of trying."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from groundkit.circuit.cache import cache_folder
from groundkit.circuit.plan import Plan
from groundkit.circuit.plan import plan as plan_goal
from groundkit.perception.learner import Learner
from groundkit.perception.terms import add_up
from groundkit.report.words import ShownAsPrinted, seconds
from groundkit.task.networks import build_model
from groundkit.task.task import Task, read_task

_TRIED_IMAGES = 64


@dataclass(frozen=True)
class Planned(ShownAsPrinted):
    """The expected cost of a run on this machine's CPU.

    Attributes:
        program: The program's file.
        circuit: Size and cost of the goal's circuit.
        reason_s: Seconds of an epoch in the circuit.
        perceive_s: Seconds of an epoch in augmentation and networks.
        sample_s: Seconds of an epoch in Langevin sampling.
        cluster_s: Seconds of the clustering phase.
        epochs: Epochs of joint training.
    """

    program: str
    circuit: Plan
    reason_s: float
    perceive_s: float
    sample_s: float
    cluster_s: float
    epochs: int

    @property
    def epoch_s(self) -> float:
        """Seconds of one epoch."""
        return self.reason_s + self.perceive_s + self.sample_s

    @property
    def train_s(self) -> float:
        """Seconds of both phases of training."""
        return self.cluster_s + self.epochs * self.epoch_s

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return {**asdict(self), "epoch_s": self.epoch_s, "train_s": self.train_s}

    def __str__(self) -> str:
        c = self.circuit
        memory = "" if c.peak_megabytes is None else f", {c.peak_megabytes:.0f} MB at most"
        calls = ", ".join(f"{n} of {name}" for name, n in c.calls.items())
        return "\n".join(
            [
                f"{self.program}: about {seconds(self.train_s)} of training on this CPU",
                f"  grounding {seconds(c.ground_seconds)}, compiling "
                f"{seconds(c.compile_seconds)}{memory}",
                f"  {c.choices} random choices ({calls} per example), {_count(c.worlds)} worlds",
                f"  circuit of {c.circuit_nodes} nodes and {c.circuit_edges} edges for "
                f"{c.answers} answer(s): {c.reason}",
                f"  {c.queries_per_second:,.0f} queries a second, forward and backward",
                f"  an epoch: reasoning {seconds(self.reason_s)}, networks "
                f"{seconds(self.perceive_s)}, sampling {seconds(self.sample_s)}; "
                f"{self.epochs} epochs after {seconds(self.cluster_s)} of clustering",
            ]
        )


def plan_program(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    trust: bool = False,
) -> Planned:
    """Grounds and compiles a program under limits, and times a little of everything.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` spec; by default the one beside the program.
        settings: ``--set`` texts.
        trust: Allow the program and the backbones to run Python code.

    Raises:
        InputError: Program, spec and data do not fit each other.
        LimitError: Grounding or compiling takes too long or too much memory.
    """
    task = read_task(program, spec, settings=settings, trust=trust)
    assert task.spec.query is not None  # read_task refuses a spec without a goal
    circuit = plan_goal(
        task.program,
        task.goal,
        task.spec.examples.images,
        observed_values={
            name: [str(value) for value in values]
            for name, values in task.spec.query.answers.items()
        },
        cache=cache_folder(),
    )
    train = task.spec.train
    examples = len(task.examples)
    images = max(len(task.pool(name)) for name in task.neural)
    steps = train.epoch_steps(examples, images)
    perceive = sample = cluster = 0.0
    for name in task.neural:
        image, chains = _try(task, name, trust=trust)
        calls = len(task.reasoner.slots.get(name, ()))
        perceive += image * steps * (calls * train.batch + train.pool_batch)
        sample += chains * steps / task.spec.network(name).perception.sampler.every
        cluster += image * train.cluster_steps * train.cluster_batch
    return Planned(
        program=str(program),
        circuit=circuit,
        reason_s=examples / circuit.queries_per_second,
        perceive_s=perceive,
        sample_s=sample,
        cluster_s=cluster,
        epochs=-(-train.joint_steps(examples, images) // steps),
    )


def _try(task: Task, name: str, *, trust: bool) -> tuple[float, float]:
    """Times one network, forward and backward.

    Returns:
        Seconds of an image in both views, and of one generative step, 0 without that term.
    """
    settings, pool = task.spec.network(name), task.pool(name)
    symbols = len(task.roles.domains[name])
    shape = tuple(pool.shape[1:])
    model = build_model(settings, shape, symbols, trust=trust)
    learner = Learner(model, settings.perception, pool, seed=0)
    generator = torch.Generator().manual_seed(0)
    images = torch.arange(_TRIED_IMAGES) % len(pool)
    chains_of = torch.arange(settings.perception.sampler.batch) % len(pool)

    def views() -> None:
        reading = learner.views(images, generator)
        (reading.first + reading.second).sum().backward()  # type: ignore[no-untyped-call]

    def chains() -> None:
        contrast = learner.generative_terms(chains_of)
        add_up(contrast.terms).backward()  # type: ignore[no-untyped-call]

    sampling = _best_of_three(chains) if settings.perception.generative > 0 else 0.0
    return _best_of_three(views) / _TRIED_IMAGES, sampling


def _best_of_three(work: Callable[[], None]) -> float:
    """Returns the seconds of the fastest of three calls."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _count(number: int) -> str:
    """Words a number that may be astronomic."""
    return f"{number:,}" if number < 1_000_000 else f"{float(min(number, 10**300)):.1e}"
