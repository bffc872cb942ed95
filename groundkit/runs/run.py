"""One run: check, identify, train, evaluate, report."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from groundkit.device import choose_device
from groundkit.errors import LimitError, RunError, SpecError, StoppedError
from groundkit.files import write_atomically
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.identifiability.identification import Identification
from groundkit.identifiability.images import factored
from groundkit.perception.ascent import Factories, OptimiserFactory, SchedulerFactory
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.history import RollbackRow, Row
from groundkit.perception.own_modules import Module
from groundkit.presets.bounds import check_seed
from groundkit.report.html import write_report
from groundkit.report.verdict import Verdict, judge
from groundkit.runs.ambiguity import read_examples, weigh_readings
from groundkit.runs.assess import (
    assess_generation,
    assess_network,
    assess_queries,
    symbol_starts,
)
from groundkit.runs.contradictions import contradicted
from groundkit.runs.folder import History, Origin, RunFolder, new_path
from groundkit.runs.identify import identify_task
from groundkit.runs.keep import save_networks
from groundkit.runs.labels import predict_with, settled_scores
from groundkit.runs.progress import Progress, Silent
from groundkit.runs.results import Outcome, collect_metrics, report_data
from groundkit.task.anchor import anchored
from groundkit.task.load import read_task
from groundkit.task.networks import check_pool
from groundkit.task.task import Task
from groundkit.training.callbacks import Callback, check_callbacks, ending, tell
from groundkit.training.history import RenameRow, SplitRow
from groundkit.training.trainer import Trainer
from groundkit.training.weights import read_manifest, rewrite_facts


@dataclass(frozen=True)
class RunResult:
    """What a run left behind.

    Attributes:
        folder: The run's folder.
        metrics: The content of ``metrics.json``.
        verdict: What came out, in words.
        accuracy: Share of held-out images whose most probable symbol is the true one.
        accuracy_matched: The same after the best renaming of symbols.
        nmi: Normalised mutual information of symbols and truth.
        query_accuracy: Share of held-out queries answered correctly.

    A score is ``None`` where it does not apply, or true symbols are not known.
    """

    folder: Path
    metrics: dict[str, Any]
    verdict: Verdict
    accuracy: float | None
    accuracy_matched: float | None
    nmi: float | None
    query_accuracy: float | None

    @classmethod
    def of(cls, folder: Path, metrics: dict[str, Any], verdict: Verdict) -> RunResult:
        """The result whose scores stand in the content of ``metrics.json``."""
        scores, queries = metrics["grounding"], metrics["query"] or {}
        return cls(
            folder,
            metrics,
            verdict,
            accuracy=scores["accuracy"],
            accuracy_matched=scores["accuracy_matched"],
            nmi=scores["nmi"],
            query_accuracy=queries.get("accuracy"),
        )

    def _repr_html_(self) -> str:
        from html import escape

        shown = "unknown" if self.accuracy is None else f"{self.accuracy:.1%}"
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
    networks: Mapping[str, Module] | None = None,
    optimiser: OptimiserFactory | None = None,
    scheduler: SchedulerFactory | None = None,
    callbacks: Sequence[Callback] = (),
    resume: Path | str | None = None,
    progress: Progress | None = None,
    stop: AbstractContextManager[Callable[[], bool]] | None = None,
) -> RunResult:
    """Grounds the symbols of a program and writes a run folder.

    Under ``torchrun`` the processes share every batch, and the first one writes.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` file; by default the one beside the program.
        out: The run's folder; by default ``runs/NAME/DATE-SEED``.
        seed: Seed of training.
        settings: ``--set`` texts, ``a.b=value``.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: ``circuit``, or ``deepproblog`` to train by DeepProbLog's own engine.
        trust: Allow the program and the backbones to run Python code.
        networks: Network -> your own module, or a class or function that makes it, in place
            of the backbone that the spec names.
        optimiser: A function from parameters to an optimiser, in place of AdamW.
        scheduler: A function from an optimiser and a phase's number of steps to a scheduler;
            without one, your own optimiser keeps its rate.
        callbacks: Told about training and evaluation as they go.
        resume: The folder of a run that was stopped or killed, to go on with it under its own
            spec, seed and engine.
        progress: Told what is being done.
        stop: A context that is entered for training and gives a function, which is called after
            every step; once it returns true, the state is saved and the run ends in
            :class:`~groundkit.errors.StoppedError`.

    Returns:
        The folder, its metrics and the verdict.

    Raises:
        InputError: Program, spec and data do not fit each other.
        RunError: Training failed or was stopped, or a file of the run cannot be written.

    Example:
        >>> import groundkit
        >>> quick = ["networks.net.backbone=mlp", "train.cluster_steps=20", "train.min_steps=20"]
        >>> quick += ["train.epochs=1", "evaluate.ood_count=20", "evaluate.sample_steps=2"]
        >>> result = groundkit.run("tiny.pl", out="runs/tiny", settings=quick)
        >>> (result.folder / "report.html").exists()
        True
    """
    check_seed(seed)
    progress, stop = progress or Silent(), stop or nullcontext(lambda: False)
    check_callbacks(callbacks)
    program = Path(program)
    where = choose_device(device)
    processes = ProcessGroup.join(where)
    if not processes.leads:
        progress = Silent()
    times = _Times()
    if resume is not None:
        if spec is not None or out is not None or settings or seed:
            raise SpecError(
                "a resumed run goes on with its own folder, spec, settings and seed",
                remedy="leave out what is given beside --resume, or start a new run",
            )
        folder = RunFolder.reopen(Path(resume), processes.rank)
        folder.check_spec(program)
        origin, spec = folder.origin, folder.path / "spec.toml"
    else:
        command = command_of(program, spec, seed, settings, device, engine=engine, trust=trust)
        origin = Origin(seed, engine, command)
    task = read_task(
        program,
        spec,
        settings=settings,
        trust=trust,
        engine=origin.engine,
        on_shape=lambda done, total: progress.step(done, total, "compiling shapes"),
        modules=networks,
    )
    task.prepare()
    for name in task.neural:  # before a folder is made, which would be in the way of the next try
        check_pool(task, name)
    times.lap("ground")
    if resume is not None:
        folder.check_program(task.program.text, program)
    else:
        folder = _make_folder(task, Path(out) if out else None, origin, processes)
    progress.say(f"writing to {folder.path}")
    found = _identify(task, progress)
    times.lap("identify")
    told = callbacks if processes.leads else ()
    with ending(told):
        trainer, history = _train(
            task,
            where,
            folder,
            found,
            progress=progress,
            stop=stop,
            trust=trust,
            processes=processes,
            factories=Factories(optimiser, scheduler),
            callbacks=told,
        )
        times.lap("train")
        times.seconds["train"] = history.seconds
        result = None
        if processes.leads:
            result = _finish(trainer, history, found, folder, times=times, progress=progress)
            for one in told:
                one.on_evaluate(result.metrics)
    result = processes.agree(result)
    processes.leave()
    assert result is not None  # the first process has it, and the others have agreed
    return result


def _make_folder(
    task: Task, out: Path | None, origin: Origin, processes: ProcessGroup
) -> RunFolder:
    """Makes the folder of a new run; the first process of several does."""
    path = processes.agree(new_path(out, task.sources.program.stem, origin.seed))
    if not processes.leads:
        return RunFolder(path, origin, processes.rank)
    spec = anchored(task.spec, task.sources.spec.parent, task.sources.program.parent).to_toml()
    files = {"spec.toml": spec, "program.pl": task.program.text}
    return RunFolder.make(path, replace(origin, spec=spec), files)


def _check_there(
    folder: RunFolder, trainer: Trainer, history: History, done: int, state: dict[str, Any]
) -> None:
    """Raises an error where the run's folder has vanished, once what there is has been saved."""
    if not trainer.processes.leads or not folder.vanished:
        return
    task = trainer.task
    spec = folder.origin.spec or task.spec.to_toml()
    there = folder.rescue({"spec.toml": spec, "program.pl": task.program.text}, history.rows)
    there.save_state(done, state, trainer.score, history, trainer.processes.size)
    raise RunError(
        f"the run's folder '{folder.path}' was removed or moved while the run went on",
        remedy=f"everything so far is saved in '{there.path}'; "
        + _going_on(task.sources.program, there.path),
    )


def _going_on(program: Path, folder: Path) -> str:
    """Words how to go on with a run that has not ended."""
    again = shlex.join(["groundkit", "run", str(program)])
    return f"go on with: {again} --resume {shlex.quote(str(folder))}"


def _train(
    task: Task,
    device: torch.device,
    folder: RunFolder,
    found: Identification | str | None,
    *,
    progress: Progress,
    stop: AbstractContextManager[Callable[[], bool]],
    trust: bool,
    processes: ProcessGroup,
    factories: Factories,
    callbacks: Sequence[Callback],
) -> tuple[Trainer, History]:
    """Trains, from the newest state in the folder if there is one."""
    saved = folder.shared_state(processes)
    if saved is not None:
        for one in saved.damaged:
            progress.say(f"left out a damaged state: {one}")
        progress.say(f"going on after step {saved.step}")
    with folder.history(saved, kept=processes.leads) as history, stop as asked:

        def keep(row: Row) -> None:
            history.add(row)
            tell(callbacks, history.rows[-1])
            if isinstance(row, RenameRow | SplitRow | RollbackRow):
                progress.say(f"step {row.step}: {row.words}")

        def keep_state(done: int, state: dict[str, Any]) -> None:
            _check_there(folder, trainer, history, done, state)
            folder.save_state(done, state, trainer.score, history, processes.size)

        trainer = Trainer(
            task,
            device,
            folder.origin.seed,
            on_row=keep,
            on_step=progress.step,
            on_state=keep_state,
            stop=asked,
            trust=trust,
            rivals=_rivals(found, task),
            processes=processes,
            factories=factories,
        )
        for name, learner in trainer.learners.items():
            progress.say(f"augmentation of {name}: {learner.chosen.words}")
        progress.say(trainer.steps_in_words)
        if saved is not None:
            trainer.load_state_dict(saved.state)
        again = shlex.join(["groundkit", "run", str(task.sources.program)])
        remedy = f"go on with: {again} --resume {shlex.quote(str(folder.path))}"
        try:
            with processes.together(remedy):
                trainer.train()
        except StoppedError as error:
            remedy = _going_on(task.sources.program, folder.path)
            processes.leave()  # all processes stop together
            raise StoppedError(error.found, remedy=remedy) from None
    return trainer, history


def _rivals(found: Identification | str | None, task: Task) -> list[dict[str, tuple[int, ...]]]:
    """Lists the admitted maps that rename the symbols of each network by itself."""
    if not isinstance(found, Identification):
        return []
    maps = (factored(listed, task.domains) for listed in found.listed)
    return [moved for moved in maps if moved is not None]


def _finish(
    trainer: Trainer,
    history: History,
    found: Identification | str | None,
    folder: RunFolder,
    *,
    times: _Times,
    progress: Progress,
) -> RunResult:
    """Saves the weights, evaluates on held-out images and writes the report."""
    task, path, origin, learners = trainer.task, folder.path, folder.origin, trainer.learners
    state = trainer.state_dict()  # as training left it: what follows draws random numbers
    _check_there(folder, trainer, history, trainer.total_steps, state)
    starts = symbol_starts(learners)
    scores = save_networks(path, task, learners, starts, origin.seed)
    progress.say("evaluating on held-out images")
    times.lap("save")
    assessed = {
        name: assess_network(task, name, learner, scores[name], seed=origin.seed)
        for name, learner in learners.items()
    }
    queries = assess_queries(task, learners, task.held_out) if task.asks else None
    shapes = read_examples(task, predict_with(learners)) if task.asks else None
    readings = weigh_readings(task, found, predict_with(learners), shapes)
    times.lap("evaluate")
    for name, learner in learners.items():
        assess_generation(task, name, learner, starts.get(name), assessed[name])
    times.lap("generate")
    _check_there(folder, trainer, history, trainer.total_steps, state)
    ambiguity = _note_ambiguity(trainer, readings, path)
    outcome = Outcome(
        task,
        trainer,
        history.rows,
        assessed,
        queries,
        found,
        times.seconds,
        trainer.device,
        origin,
        ambiguity,
        None if shapes is None else contradicted(shapes),
    )
    metrics = collect_metrics(outcome)
    write_atomically(path / "metrics.json", json.dumps(metrics, indent=2).encode())
    write_report(report_data(outcome, metrics), path)
    folder.clear_states()
    verdict = judge(
        {name: network["grounding"] for name, network in metrics["networks"].items()},
        metrics["identify"],
        metrics["query"],
        metrics["reasoning"],
        signs=metrics,
    )
    return RunResult.of(path, metrics, verdict)


def _note_ambiguity(
    trainer: Trainer, readings: FactoredPosterior | str | None, path: Path
) -> dict[str, Any] | None:
    """Notes beside the weights what the learnt symbols may stand for; returns its scores."""
    if isinstance(readings, FactoredPosterior):
        facts = read_manifest(path / "checkpoint")["facts"]
        rewrite_facts(path / "checkpoint", {**facts, "ambiguity": readings.to_dict()})
    return settled_scores(trainer.task, readings, predict_with(trainer.learners), path)


def _identify(task: Task, progress: Progress) -> Identification | str | None:
    """Counts the admitted groundings; a text says why that was not possible."""
    if not task.asks:
        return None
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


def command_of(
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
