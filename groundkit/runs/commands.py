"""What the commands do on finished runs, as functions of Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundkit.circuit.tasks import TaskResult
from groundkit.errors import CheckpointError, InputError, NoSolutionError, SpecError
from groundkit.files import make_folder, write_atomically
from groundkit.identifiability.identification import Identification
from groundkit.perception.foreign import ForeignScore
from groundkit.presets.bounds import check_seed
from groundkit.report import plots
from groundkit.report.compare import Comparison, load_runs
from groundkit.report.compare import compare as compare_runs
from groundkit.report.rows import draw_inputs, spread_evenly
from groundkit.runs.ambiguity import read_examples
from groundkit.runs.answers import Answers, ProgramAnswers
from groundkit.runs.assess import (
    assess_generation,
    assess_network,
    assess_queries,
    symbol_starts,
)
from groundkit.runs.contradictions import contradicted
from groundkit.runs.explain import Explanation
from groundkit.runs.explain import explain as explain_in
from groundkit.runs.identify import identify_task
from groundkit.runs.labels import scored
from groundkit.runs.programs import ask_program, is_program
from groundkit.runs.results import over_networks
from groundkit.runs.session import open_run
from groundkit.task.load import read_task


def query(
    run: Path | str,
    goal: str | None = None,
    *,
    task: str | None = None,
    examples: Sequence[Path | str] = (),
    count: int = 1,
    seed: int | None = None,
    settings: Sequence[str] = (),
    pick: bool = False,
    fixed: Sequence[str] = (),
    facts: Sequence[str] = (),
    evidence: Sequence[str] = (),
    trust: bool = False,
    device: str = "auto",
) -> Answers | ProgramAnswers | TaskResult:
    """Answers a goal of a finished run, or of a program without networks.

    Args:
        run: A run's folder, or a ``.pl`` file.
        goal: A goal with image files in quotes; a file's own ``query/1`` facts when absent.
        task: For a ``.pl`` file, another of ProbLog's tasks: ``mpe``, ``map``, ``sample``,
            ``explain`` or ``lfi``.
        examples: For ``lfi``, files of interpretations.
        count: For ``sample``, how many worlds.
        seed: Seed of ``sample`` and ``lfi``.
        settings: ``--set`` texts; for a ``.pl`` file, such as ``reasoning.limit_seconds=60``.
        pick: Take the learnt meaning of the symbols for granted, where several are left; answers
            are averaged over them otherwise.
        fixed: Of a run, symbols that are set for this question, such as ``digit('a.png') = 3``.
        facts: Of a run, facts that hold for this question.
        evidence: Of a run, what is known to hold for this question.
        trust: Allow the program to run Python code.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: The run, the program or the goal is wrong.

    Example:
        >>> import groundkit
        >>> goal = "pair('tiny-images/000.png', 'tiny-images/001.png', Z)"
        >>> answers = groundkit.query("runs/tiny", goal)
        >>> 0 < answers.best.probability <= 1
        True
    """
    path = Path(run)
    _check_task_options(
        task, {"examples": bool(examples), "count": count != 1, "seed": seed is not None}
    )
    if is_program(path):
        if fixed or facts or evidence:
            raise InputError(
                "symbols, facts and evidence are set for a question to a run",
                remedy="write facts and evidence(...) into the program",
            )
        return ask_program(
            path,
            goal,
            task=task,
            examples=examples,
            count=count,
            seed=seed,
            settings=settings,
            trust=trust,
        )
    if task is not None:
        raise InputError(
            f"the task {task} is asked of a program, not of a run",
            remedy=f"groundkit query FILE.pl --task {task}; of a run, `explain` tells the most "
            "probable explanation and `sample` draws images",
        )
    picked = (*settings, *_picking(pick))
    session = open_run(path, trust=trust, device=device, settings=picked)
    if goal is None:
        asked = session.spec.query[0].goal if session.spec.query else "addition('a.png','b.png',Z)"
        raise SpecError(
            "there is no goal",
            expected=f"groundkit query {run} GOAL",
            remedy=f"ask such as {asked}, an image file in quotes for each image",
        )
    try:
        return session.query(goal, fixed=fixed, facts=facts, evidence=evidence)
    except NoSolutionError as error:
        if not (fixed or facts or evidence):
            asked = shlex.quote(goal) if '"' in goal else f'"{goal}"'
            error.remedy = f"see what fails: groundkit explain {run} {asked}"
        raise


_TASKS_OF = {"examples": ("lfi",), "count": ("sample",), "seed": ("sample", "lfi")}
"""Option of a question -> the tasks that it is for."""


def _check_task_options(task: str | None, given: Mapping[str, bool]) -> None:
    """Refuses options that would have no effect.

    Raises:
        InputError: One is of another task.
    """
    for name, tasks in _TASKS_OF.items():
        if given[name] and task not in tasks:
            raise InputError(
                f"--{name} has no effect on {'a goal' if task is None else f'the task {task}'}",
                expected=f"it with --task {' or '.join(tasks)}, of a .pl without networks",
                remedy=f"leave --{name} out",
            )


def explain(
    run: Path | str,
    goal: str,
    *,
    count: int = 5,
    pick: bool = False,
    trust: bool = False,
    device: str = "auto",
) -> Explanation:
    """Explains the most probable answer of a goal, or why it has none.

    Args:
        run: A run's folder.
        goal: A goal with image files in quotes.
        count: How many proofs to tell.
        pick: Take the learnt meaning of the symbols for granted, where several are left.
        trust: Allow the program to run Python code.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: The run or the goal is wrong.

    Example:
        >>> import groundkit
        >>> goal = "pair('tiny-images/000.png', 'tiny-images/001.png', Z)"
        >>> groundkit.explain("runs/tiny", goal).draw("why.png").name
        'why.png'
    """
    session = open_run(run, trust=trust, device=device, settings=_picking(pick))
    return explain_in(session, goal, count)


def _picking(pick: bool) -> list[str]:
    """Words the choice of a meaning as a setting."""
    return ['evaluate.ambiguity="pick"'] if pick else []


def evaluate(
    run: Path | str,
    *,
    settings: Sequence[str] = (),
    seed: int = 0,
    trust: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Measures a finished run again.

    Args:
        run: A run's folder.
        settings: ``--set`` texts, such as ``evaluate.ood=["letters"]``.
        seed: Seed of samples and of the choice of out-of-distribution images.
        trust: Allow the program to run Python code.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        ``networks``, with ``grounding``, ``ood`` and ``generation`` of each; on top ``grounding``,
        averaged over networks, and the first one's ``ood`` and ``generation``; ``query``, and
        ``contradictions``, the examples that the networks contradict. All as in ``metrics.json``.

    Raises:
        InputError: The run is wrong, or its data is gone.

    Example:
        >>> import groundkit
        >>> metrics = groundkit.evaluate("runs/tiny", settings=["evaluate.samples=0"])
        >>> 0 <= metrics["query"]["accuracy"] <= 1
        True
    """
    check_seed(seed)
    session = open_run(run, trust=trust, device=device, settings=settings)
    task, learners = session.task, {name: session.learner(name, seed) for name in session.networks}
    starts = symbol_starts(learners) if task.spec.evaluate.samples else {}
    networks = {}
    for name, learner in learners.items():
        score, _ = ForeignScore.fit(learner.model, learner.pool)
        found = assess_network(task, name, learner, score, seed=seed)
        if session.doubt is not None and session.doubt.labelled:
            found.scores = scored(session, name)
        assess_generation(task, name, learner, starts.get(name), found)
        networks[name] = found.to_dict()
    shapes = read_examples(task, session.predict) if task.asks else None
    return over_networks(networks) | {
        "query": assess_queries(task, learners, task.held_out) if task.asks else None,
        "contradictions": None if shapes is None else contradicted(shapes),
    }


def sample(
    run: Path | str,
    count: int = 10,
    *,
    steps: int = 20,
    seed: int = 0,
    trust: bool = False,
    device: str = "auto",
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Generates images of every symbol with a finished run.

    Args:
        run: A run's folder.
        count: Images of every symbol.
        steps: Largest number of Langevin steps of an image.
        seed: Seed of start and noise.
        trust: Allow the program to run Python code.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        Network -> symbol -> ``(count, C, H, W)`` in [0, 1]; rows and sequences in units of their
        own.

    Raises:
        CheckpointError: The run has no generative term.

    Example:
        >>> import groundkit
        >>> made = groundkit.sample("runs/tiny", 2, steps=2)
        >>> len(made["net"]["0"])
        2
    """
    session = open_run(run, trust=trust, device=device)
    return {
        name: dict(zip(session.program.networks[name].domain, images, strict=True))
        for name, images in session.generate(count, steps=steps, seed=seed).items()
    }


def write_grids(
    made: Mapping[str, Mapping[str, NDArray[np.float32]]], folder: Path
) -> dict[str, Path]:
    """Writes generated images as one grid per network, one row per symbol.

    Args:
        made: What :func:`sample` returned.
        folder: Where ``samples-NETWORK.png`` goes; made when absent.

    Raises:
        RunError: The folder cannot be written.
    """
    files = {}
    for name, by_symbol in made.items():
        images = np.concatenate(list(by_symbol.values()))
        if images.ndim < 4:
            images = draw_inputs(spread_evenly(images))
        asked = np.repeat(np.arange(len(by_symbol)), [len(rows) for rows in by_symbol.values()])
        most = max(len(rows) for rows in by_symbol.values())
        png = plots.samples_grid(images, asked, list(by_symbol), per_symbol=most)
        files[name] = folder / f"samples-{''.join(c if c.isalnum() else '-' for c in name)}.png"
        make_folder(folder)
        write_atomically(files[name], png)
    return files


def compare(*runs: Path | str) -> Comparison:
    """Puts finished runs into one table.

    Args:
        runs: Folders of runs; those that differ in nothing but the seed share a row.

    Raises:
        CheckpointError: A folder is not that of a finished run.

    Example:
        >>> import groundkit
        >>> "tiny" in groundkit.compare("runs/tiny").to_markdown()
        True
    """
    if not runs:
        raise CheckpointError("there is no run to compare", remedy="name folders of runs")
    return compare_runs(load_runs([Path(run) for run in runs]))


def identify(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    trust: bool = False,
) -> Identification:
    """Counts the groundings that a program and its observations admit, before any training.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` spec; by default the one beside the program.
        settings: ``--set`` texts.
        trust: Allow the program to run Python code.

    Raises:
        InputError: Program, spec and data do not fit each other.
        LimitError: There are too many combinations to list.

    Example:
        >>> import groundkit
        >>> groundkit.identify("tiny.pl").count > 0
        True
    """
    return identify_task(read_task(program, spec, settings=settings, trust=trust))
