"""Trained networks written to a run's folder, with what their training images look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from groundkit.data.images import ImageSet
from groundkit.perception.foreign import ForeignScore
from groundkit.perception.in_distribution import measure
from groundkit.perception.learner import Learner
from groundkit.perception.symbol_start import SymbolStart
from groundkit.task.task import Task
from groundkit.training.weights import save_weights


def save_networks(
    folder: Path,
    task: Task,
    learners: Mapping[str, Learner],
    starts: Mapping[str, SymbolStart],
    seed: int,
) -> dict[str, ForeignScore]:
    """Writes the checkpoint from which :func:`~groundkit.runs.session.open_run` opens a folder.

    Args:
        folder: The run's folder.
        task: The task.
        learners: Its trained networks.
        starts: Network -> where chains of its samples start.
        seed: Seed of training.

    Returns:
        Network -> its score of how foreign an image is, fitted to its training images.

    Raises:
        RunError: A file cannot be written.
    """
    measured = {
        name: measure(learner.model, learner.pool, task.pool(name))
        for name, learner in learners.items()
    }
    facts = {
        name: replace(known, levels=_levels(task.banks(0)[name]))
        for name, (known, _) in measured.items()
    }
    save_weights(
        folder / "checkpoint",
        {name: learner.model for name, learner in learners.items()}
        | {f"{name}.buffer": learner.buffer for name, learner in learners.items()}
        | {f"{name}.start": start for name, start in starts.items()}
        | {f"{name}.foreign": score for name, (_, score) in measured.items()}
        | ({"program": task.binding.learnt} if task.asks else {}),
        {
            "program": str(task.sources.program),
            "seed": seed,
            "networks": {name: known.to_dict() for name, known in facts.items()},
            "declared": sorted(task.binding.declared),
            "handed_over": task.handed_over,
        },
    )
    return {name: score for name, (_, score) in measured.items()}


def _levels(images: ImageSet) -> dict[str, tuple[float, float]]:
    """Which values of files were black and white, by the type of these."""
    return {kind: (one.black, one.white) for kind, one in images.levels.items()}
