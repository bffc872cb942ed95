"""What a program will cost to ground, compile and train, measured in seconds of trying."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from groundkit.circuit.answer import reasoner_of_queries
from groundkit.circuit.cache import cache_folder
from groundkit.circuit.plan import Plan
from groundkit.circuit.plan import plan as time_circuit
from groundkit.perception.learner import Learner
from groundkit.perception.terms import add_up
from groundkit.program.source import load_program
from groundkit.report.words import ShownAsPrinted, counted, seconds
from groundkit.task.load import read_task
from groundkit.task.networks import build_model, encoder_of, layers_of, views_of
from groundkit.task.spec import parse_spec
from groundkit.task.task import Task

_TRIED_IMAGES = 64


@dataclass(frozen=True)
class Planned(ShownAsPrinted):
    """The expected cost of a run on this machine's CPU.

    Attributes:
        program: The program's file.
        shapes: Size and cost of every shape's circuit, as many as the examples have.
        peak_megabytes: Most memory of a process that grounded and compiled; ``None`` where all
            shapes were in the cache.
        reason_s: Seconds of an epoch in the circuit.
        perceive_s: Seconds of an epoch in augmentation and networks.
        sample_s: Seconds of an epoch in Langevin sampling.
        cluster_s: Seconds of the clustering phase.
        epochs: Epochs of joint training.
    """

    program: str
    shapes: tuple[Plan, ...]
    peak_megabytes: float | None
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
        lines = [f"{self.program}: about {seconds(self.train_s)} of training on this CPU"]
        if self.shapes:
            lines += _circuit_lines(self.shapes, self.peak_megabytes)
        lines.append(
            f"  an epoch: reasoning {seconds(self.reason_s)}, networks "
            f"{seconds(self.perceive_s)}, sampling {seconds(self.sample_s)}; "
            f"{self.epochs} epochs after {seconds(self.cluster_s)} of clustering"
        )
        return "\n".join(lines)


@dataclass(frozen=True)
class PlannedQueries(ShownAsPrinted):
    """The cost of a program's own queries, without networks.

    Attributes:
        program: The program's file.
        circuit: Size and cost of their circuit.
        peak_megabytes: Most memory of the process that made it; ``None`` where it was in the cache.
    """

    program: str
    circuit: Plan
    peak_megabytes: float | None

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = _circuit_lines([self.circuit], self.peak_megabytes)
        return "\n".join([f"{self.program}: its own queries", *lines])


def _circuit_lines(shapes: Sequence[Plan], peak: float | None) -> list[str]:
    """Words what circuits cost: the largest one, and the sums over all."""
    largest = max(shapes, key=lambda one: one.circuit_edges)
    memory = "" if peak is None else f", {peak:.0f} MB at most"
    calls = ", ".join(f"{n} of {name}" for name, n in largest.calls.items())
    per_example = f" ({calls} per example)" if calls else ""
    several = f"{len(shapes)} shapes, the largest: " if len(shapes) > 1 else ""
    return [
        f"  grounding {seconds(sum(one.ground_seconds for one in shapes))}, compiling "
        f"{seconds(sum(one.compile_seconds for one in shapes))}{memory}",
        f"  {several}{largest.choices} random choices{per_example}, "
        f"{_count(largest.worlds)} worlds",
        f"  circuit of {largest.circuit_nodes} nodes and {largest.circuit_edges} edges for "
        f"{counted(largest.answers, 'answer')}: {largest.reason}",
        f"  {largest.queries_per_second:,.0f} queries a second, forward and backward",
    ]


def plan_program(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    trust: bool = False,
) -> Planned | PlannedQueries:
    """Grounds and compiles a program under limits, and times a little of everything.

    A program without networks needs no spec: its own ``query/1`` facts are planned.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` spec; by default the one beside the program.
        settings: ``--set`` texts.
        trust: Allow the program and the backbones to run Python code.

    Raises:
        InputError: Program, spec and data do not fit each other.
        LimitError: Grounding or compiling takes too long or too much memory.

    Example:
        >>> import groundkit
        >>> "epoch" in str(groundkit.plan_program("tiny.pl"))
        True
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if spec is None and not Path(program).with_suffix(".toml").exists():
        parsed = load_program(Path(program), trust=trust)
        if not parsed.neural:
            limits = parse_spec("", None, settings).reasoning.limits
            reasoner = reasoner_of_queries(parsed, cache_folder(), limits)
            return PlannedQueries(str(program), time_circuit(reasoner), _peak(before))
    task = read_task(program, spec, settings=settings, trust=trust)
    counts = [len(shaped) for shaped in task.examples]
    peak = _peak(before)
    shapes = tuple(time_circuit(goal.reasoner) for goal in task.goals)
    train = task.spec.train
    images = max(len(task.pool(name)) for name in task.neural)
    per_epoch = train.epoch_steps(task.count, images)
    perceive = sample = cluster = 0.0
    for name in task.neural:
        image, chains = _try(task, name, trust=trust)
        calls = sum(
            count * len(goal.reasoner.slots.get(name, ()))
            for count, goal in zip(counts, task.goals, strict=True)
        )
        perceive += image * (calls + per_epoch * train.pool_batch)
        sampler = task.spec.network(name).perception.sampler
        sample += sampler.until * chains * per_epoch / sampler.every
        cluster += image * train.cluster_steps * train.cluster_batch
    pairs = zip(counts, shapes, strict=True)
    return Planned(
        program=str(program),
        shapes=shapes,
        peak_megabytes=peak,
        reason_s=sum(count / shape.queries_per_second for count, shape in pairs),
        perceive_s=perceive,
        sample_s=sample,
        cluster_s=cluster,
        epochs=-(-train.joint_steps(task.count, images) // per_epoch),
    )


def _peak(before: int) -> float | None:
    """Returns the megabytes that child processes took since, ``None`` where there was none."""
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, KiB on Linux
    return after / unit if after > before else None


def _try(task: Task, name: str, *, trust: bool) -> tuple[float, float]:
    """Times one network, forward and backward.

    Returns:
        Seconds of an image in both views, and of one generative step, 0 without that term.
    """
    settings, pool = task.spec.network(name), task.pool(name)
    symbols = len(task.domains[name])
    shape = tuple(pool.shape[1:])
    owner = task.binding.trunk_of(name) or name
    own, encoder = task.binding.own(owner), encoder_of(task.binding, name, shape, trust=trust)
    with layers_of(task.binding, owner):
        model = build_model(
            task.spec.network(owner), shape, symbols, trust=trust, encoder=encoder, **own
        )
    if encoder is not None:
        pool = model.encode(pool[:_TRIED_IMAGES])
    model.learn_scale(pool)
    with views_of(task.binding, name):
        learner = Learner(model, settings.perception, pool, seed=0)
    generator = torch.Generator().manual_seed(0)
    images = torch.arange(_TRIED_IMAGES) % len(pool)
    chains_of = torch.arange(learner.chains)

    def views() -> None:
        reading = learner.view(learner.augmented(images, generator))
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
