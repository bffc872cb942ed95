"""One run: check, identify, train, evaluate, report."""

from __future__ import annotations

import datetime
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from groundkit.data.sources import anchored
from groundkit.errors import LimitError, SpecError
from groundkit.files import RowWriter, make_folder, write_atomically
from groundkit.grounding.assess import (
    assess_generation,
    assess_network,
    assess_queries,
    identify_task,
)
from groundkit.grounding.checkpoint import save_weights
from groundkit.grounding.familiar import measure
from groundkit.grounding.identification import Identification
from groundkit.grounding.task import Task, read_task
from groundkit.grounding.trainer import Trainer
from groundkit.perception.phases import Row
from groundkit.report.html import write_report
from groundkit.report.verdict import Verdict, judge
from groundkit.results import Outcome, collect_metrics, report_data


class Progress(Protocol):
    """How a run tells what it is doing."""

    def say(self, text: str) -> None:
        """Tells of something that has happened."""

    def step(self, done: int, total: int, what: str) -> None:
        """Tells how far long work has come."""


class Silent:
    """Tells nothing."""

    def say(self, text: str) -> None:
        """Tells nothing."""

    def step(self, done: int, total: int, what: str) -> None:
        """Tells nothing."""


@dataclass(frozen=True)
class RunResult:
    """What a run left behind.

    Attributes:
        folder: The run's folder.
        metrics: The content of ``metrics.json``.
        verdict: What came out, in words.
    """

    folder: Path
    metrics: dict[str, Any]
    verdict: Verdict

    def _repr_html_(self) -> str:
        from html import escape

        scores = self.metrics["grounding"]
        accuracy = scores.get("accuracy")
        shown = "unknown" if accuracy is None else f"{accuracy:.1%}"
        return (
            f"<p><b>{escape(self.verdict.found)}</b> {escape(self.verdict.advice)}</p>"
            f"<p>accuracy {shown}, report: {escape(str(self.folder / 'report.html'))}</p>"
        )


@dataclass
class _Times:
    """Seconds of a run's stages, as ``timing`` in ``metrics.json``."""

    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, name: str) -> None:
        """Books the time since the last lap under a name."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.started
        self.started = now


class History:
    """The rows of ``history.jsonl``, written as they come."""

    def __init__(self, path: Path) -> None:
        self.rows: list[Row] = []
        self._file = RowWriter(path)
        self._started = time.perf_counter()

    def add(self, row: Row) -> None:
        """Writes a row with the seconds since the start."""
        row["seconds"] = round(time.perf_counter() - self._started, 2)
        self.rows.append(row)
        self._file.add(row)

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def choose_device(name: str) -> torch.device:
    """Picks the device: ``auto`` is CUDA where there is one.

    Raises:
        SpecError: The device is unknown or not on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise SpecError(f"unknown device '{name}'", expected="auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise SpecError("there is no CUDA device on this machine", remedy="use --device cpu")
    return torch.device(name)


def run(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    settings: Sequence[str] = (),
    device: str = "auto",
    engine: str = "circuit",
    trust: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Grounds the symbols of a program and writes a run folder.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` file; by default the one beside the program.
        out: The run's folder; by default ``runs/NAME/DATE-SEED``.
        seed: Seed of training.
        settings: ``--set`` texts, ``a.b=value``.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: ``circuit``, or ``deepproblog`` to train by DeepProbLog's own engine.
        trust: Allow the program and the backbones to run Python code.
        progress: Where to tell what is being done.

    Returns:
        The folder, its metrics and the verdict.

    Raises:
        InputError: Program, spec and data do not fit each other.
        RunError: Training failed, or a file of the run cannot be written.
    """
    progress = progress or Silent()
    program = Path(program)
    times = _Times()
    where = choose_device(device)
    task = read_task(program, spec, settings=settings, trust=trust, engine=engine)
    task.reasoner, task.roles, task.examples, task.held_out  # noqa: B018 - checked before a folder is made
    times.lap("ground")
    folder = _make_folder(Path(out) if out else None, program.stem, seed)
    spec_of_run = anchored(task.spec, task.sources.spec.parent)
    write_atomically(folder / "spec.toml", spec_of_run.to_toml().encode())
    write_atomically(folder / "program.pl", task.program.text.encode())
    progress.say(f"writing to {folder}")
    found = _identify(task, progress)
    times.lap("identify")
    with History(folder / "history.jsonl") as history:
        trainer = _trainer(task, where, seed, history, progress, trust=trust, rivals=_rivals(found))
        trainer.train()
    times.lap("train")
    save_weights(
        folder / "checkpoint",
        {name: learner.model for name, learner in trainer.learners.items()}
        | {f"{name}.buffer": learner.buffer for name, learner in trainer.learners.items()}
        | {
            f"{name}.start": learner.symbol_start()
            for name, learner in trainer.learners.items()
            if learner.settings.generative > 0
        }
        | {"program": task.reasoner},
        {
            "program": str(program),
            "seed": seed,
            "networks": {
                name: measure(learner.model, learner.pool).to_dict()
                for name, learner in trainer.learners.items()
            },
        },
    )
    progress.say("evaluating on held-out images")
    assessed = {
        name: assess_network(task, name, learner, seed=seed)
        for name, learner in trainer.learners.items()
    }
    queries = assess_queries(task, trainer.learners, task.held_out)
    times.lap("evaluate")
    for name, learner in trainer.learners.items():
        assess_generation(task, name, learner, assessed[name])
    times.lap("generate")
    outcome = Outcome(
        task,
        trainer,
        history.rows,
        assessed,
        queries,
        found,
        times.seconds,
        seed,
        where,
        _command(program, spec, seed, settings, device, engine=engine, trust=trust),
    )
    metrics = collect_metrics(outcome)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=2).encode())
    write_report(report_data(outcome, metrics), folder)
    verdict = judge(
        {name: network["grounding"] for name, network in metrics["networks"].items()},
        metrics["identify"],
        metrics["query"],
    )
    return RunResult(folder, metrics, verdict)


def _make_folder(wanted: Path | None, name: str, seed: int) -> Path:
    """Makes the run's folder, never one that holds another run."""
    if wanted is None:
        date = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
        wanted = Path("runs") / name / f"{date}-{seed}"
    if (wanted / "metrics.json").exists():
        raise SpecError(f"'{wanted}' holds a run already", remedy="name another folder with --out")
    make_folder(wanted)
    return wanted


def _identify(task: Task, progress: Progress) -> Identification | str:
    """Counts the admitted groundings; a text says why that was not possible."""
    try:
        found = identify_task(task)
    except LimitError as error:
        progress.say(f"identify: {error.found}")
        return error.found
    if found.count is not None:
        merged = found.collapses
        progress.say(
            f"identify: the program admits {found.count} grounding"
            + ("" if found.count == 1 else f"s, {merged} of them merge symbols")
        )
    return found


def _trainer(
    task: Task,
    device: torch.device,
    seed: int,
    history: History,
    progress: Progress,
    *,
    trust: bool,
    rivals: Sequence[Mapping[str, Sequence[int]]],
) -> Trainer:
    """Makes the trainer, which tells history and progress what it does."""

    def keep(row: Row) -> None:
        history.add(row)
        if "words" in row:
            progress.say(f"step {row['step']}: {row['words']}")
        elif "rollback" in row:
            progress.say(f"step {row['step']}: the energy diverged, went back")

    return Trainer(
        task, device, seed, on_row=keep, on_step=progress.step, trust=trust, rivals=rivals
    )


def _rivals(found: Identification | str) -> Sequence[Mapping[str, Sequence[int]]]:
    """Returns the admitted maps where they are few enough to be listed."""
    return () if isinstance(found, str) else found.listed


def _command(
    program: Path,
    spec: Path | str | None,
    seed: int,
    settings: Sequence[str],
    device: str,
    *,
    engine: str,
    trust: bool,
) -> str:
    """Words the command that repeats the run."""
    parts = ["groundkit", "run", str(program), "--seed", str(seed), "--device", device]
    if engine != "circuit":
        parts += ["--engine", engine]
    if spec is not None:
        parts += ["--spec", str(spec)]
    for setting in settings:
        parts += ["--set", setting]
    return shlex.join(parts + (["--trust"] if trust else []))
