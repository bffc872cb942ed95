"""What a run has measured, as ``metrics.json`` and as the data of its report."""

from __future__ import annotations

import datetime
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from groundkit.identifiability.identification import Identification
from groundkit.perception.health import Health, energy_verdict
from groundkit.perception.history import RollbackRow, Row, StepRow
from groundkit.perception.inputs import kind_of
from groundkit.report.html import Event, HealthNote, ReportData
from groundkit.report.rows import draw_inputs
from groundkit.runs.assess import NetworkAssessment, drawn
from groundkit.runs.folder import Origin
from groundkit.runs.identify import learnt
from groundkit.task.task import Task
from groundkit.training.history import RenameRow, SplitRow
from groundkit.training.trainer import Trainer

_PACKAGES = ("torch", "torchvision", "problog", "PySDD", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Outcome:
    """Everything a run has measured.

    Attributes:
        task: What was trained for.
        trainer: The trained networks, with their relabellings and clock.
        history: The history's rows.
        assessed: Network -> its scores on held-out images.
        queries: Scores of held-out queries, ``None`` without a goal.
        identification: The admitted groundings, or why they could not be counted.
        seconds: Stage -> seconds.
        device: Where it was trained.
        origin: Seed and command of the run.
        ambiguity: What is left open of the symbols' meanings, ``None`` without a goal.
        contradictions: The examples that the trained networks contradict, ``None`` without a goal.
    """

    task: Task
    trainer: Trainer
    history: Sequence[Row]
    assessed: Mapping[str, NetworkAssessment]
    queries: dict[str, Any] | None
    identification: Identification | str | None
    seconds: Mapping[str, float]
    device: torch.device
    origin: Origin
    ambiguity: dict[str, Any] | None = None
    contradictions: dict[str, Any] | None = None


def collect_metrics(outcome: Outcome) -> dict[str, Any]:
    """Returns the content of ``metrics.json``."""
    task, trainer = outcome.task, outcome.trainer
    networks = {
        name: one.to_dict() | {"augmentation": trainer.learners[name].chosen.words}
        for name, one in outcome.assessed.items()
    }
    timing = {f"{name}_s": round(value, 3) for name, value in outcome.seconds.items()}
    clock = trainer.clock.seconds
    for part in ("reason", "perceive", "sample", "reground"):
        timing[f"{part}_s"] = round(clock.get(part, 0.0), 3)
    searches = [row for row in outcome.history if isinstance(row, RenameRow)]
    if searches and searches[0].seconds is not None:
        timing["first_names_s"] = searches[0].seconds
    if task.asks:
        timing["compile_s"] = round(sum(g.reasoner.compiled.seconds for g in task.goals), 3)
    return over_networks(networks) | {
        "query": outcome.queries,
        "identify": _identify_metrics(outcome),
        "ambiguity": outcome.ambiguity,
        "contradictions": outcome.contradictions,
        "examples": task.count if task.asks else None,
        "reasoning": _reasoning(task),
        "learnable": _learned(task),
        "relabellings": [{"step": row.step, **row.found} for row in searches],
        "rollbacks": trainer.rollbacks,
        "timing": timing,
        "memory": {"peak_mb": _peak_mb()},
        "environment": environment(outcome.device),
        "seed": outcome.origin.seed,
        "split": {
            "seed": task.spec.examples.seed,
            "networks": {
                name: {"train": len(trainer.learners[name].pool), "held_out": len(one.images)}
                for name, one in outcome.assessed.items()
            },
        },
        "program": str(task.sources.program),
    }


def _reasoning(task: Task) -> dict[str, Any] | None:
    """Returns how exact reasoning was: that of the least exact shape, ``None`` without a goal."""
    found: list[dict[str, Any]] = [dict(goal.reasoner.reasoning()) for goal in task.goals]
    return max(found, key=lambda one: (one["mode"] != "exact", one["gap"]), default=None)


def _learned(task: Task) -> dict[str, float]:
    """Returns the present value of every learnable probability, by its head."""
    found: dict[str, float] = {}
    for goal in task.goals:
        found |= goal.reasoner.learned_probabilities()
    return found


def over_networks(networks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Puts what is asked of a run as a whole above the scores of its networks.

    Args:
        networks: Network -> ``grounding``, ``ood`` and ``generation``.

    Returns:
        ``grounding``, averaged over networks; ``ood`` and ``generation`` of the first one; and
        ``networks``.
    """
    first = next(iter(networks.values()))
    return {
        "grounding": mean_grounding(networks),
        "ood": first["ood"],
        "generation": first["generation"],
        "networks": dict(networks),
    }


def mean_grounding(networks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Averages the networks' scores, each of which stands under ``networks``; a single one's stay.

    Args:
        networks: Network -> at least ``grounding``.
    """
    scores = [network["grounding"] for network in networks.values()]
    if len(scores) == 1:
        return dict(scores[0])
    mean: dict[str, Any] = {}
    for key in ("accuracy", "accuracy_matched", "nmi", "ari", "collapse", "ece"):
        values = [score[key] for score in scores]
        mean[key] = None if None in values else sum(values) / len(values)
    mean["per_symbol"] = {
        f"{name}.{symbol}": value
        for name, network in networks.items()
        for symbol, value in network["grounding"]["per_symbol"].items()
    }
    return mean


def _identify_metrics(outcome: Outcome) -> dict[str, Any] | None:
    """Returns the identification with the map that was learnt, ``None`` without a goal."""
    found = outcome.identification
    if found is None:
        return None
    if isinstance(found, str):
        return {"count": None, "permutations": None, "collapses": None, "reason": found}
    result: dict[str, Any] = found.to_dict()
    one = learnt(outcome.task, found, outcome.assessed)
    if one is not None:
        result["learnt"] = one.to_dict()
    return result


def _peak_mb() -> float:
    """Returns the largest resident memory of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024.0 if sys.platform != "darwin" else 1024.0**2), 1)


def environment(device: torch.device) -> dict[str, Any]:
    """Says what a run ran on."""
    versions: dict[str, str | None] = {}
    for package in ("groundkit", *_PACKAGES):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(device)
        if device.type == "cpu"
        else f"{device} ({torch.cuda.get_device_name(device)})",
        "threads": torch.get_num_threads(),
        "versions": versions,
    }


def report_data(outcome: Outcome, metrics: dict[str, Any]) -> ReportData:
    """Returns what the report shows."""
    task, history = outcome.task, outcome.history
    return {
        "title": task.sources.program.stem,
        "subtitle": f"seed {metrics['seed']}, {metrics['environment']['device']}, "
        f"{datetime.date.today().isoformat()}",
        "command": outcome.origin.command,
        "networks": [
            {
                "name": name,
                "symbols": task.domains[name],
                "grounding": metrics["networks"][name]["grounding"],
                "reliability": None if one.scores.bins is None else one.scores.bins.to_dict(),
                "draw": partial(drawn, outcome.trainer.learners[name], one.images.pixels),
                "probs": one.probs,
                "truth": None if one.images.labels is None else one.scores.truth,
                "kind": kind_of(one.images.shape),
                "plane": one.plane,
                "energies": one.energies,
                "ood_energies": one.ood_energies,
                "ood": metrics["networks"][name]["ood"],
                "samples": None if one.samples is None else draw_inputs(one.samples),
                "asked": one.asked,
                "nearest": None if one.nearest is None else draw_inputs(one.nearest),
                "generation": metrics["networks"][name]["generation"],
            }
            for name, one in outcome.assessed.items()
        ],
        "query": metrics["query"],
        "identify": metrics["identify"],
        "reasoning": metrics["reasoning"],
        "ambiguity": metrics["ambiguity"],
        "contradictions": metrics["contradictions"],
        "examples": metrics["examples"],
        "history": [_flat(row) for row in history if isinstance(row, StepRow)],
        "events": _events(history),
        "health": _health(history),
        "timing": metrics["timing"],
        "memory": metrics["memory"],
        "environment": metrics["environment"],
        "program": task.program.text,
        "spec": task.spec.to_toml(),
    }


def _flat(row: StepRow) -> dict[str, float]:
    """Returns a history row as numbers for the curves."""
    flat = {"step": row.step, **row.terms}
    for name, health in row.health.items():
        prefix = f"{name}." if len(row.health) > 1 else ""
        flat[f"{prefix}effective_symbols"] = health.effective_symbols
        if health.energy_gap is not None:
            flat[f"{prefix}energy_gap"] = health.energy_gap
    return flat


def _events(history: Sequence[Row]) -> list[Event]:
    """Lists re-groundings that moved or split symbols, and rollbacks."""
    events: list[Event] = []
    for row in history:
        if isinstance(row, SplitRow) or (isinstance(row, RenameRow) and row.accepted):
            events.append({"step": row.step, "kind": "reground", "text": row.words})
        elif isinstance(row, RollbackRow):
            events.append({"step": row.step, "kind": "rollback", "text": row.words})
    return events


def _health(history: Sequence[Row]) -> list[HealthNote]:
    """Words the last health measurements of every network."""
    rows = [row for row in reversed(history) if isinstance(row, StepRow) and row.health]
    last: Mapping[str, Health] = rows[0].health if rows else {}
    notes: list[HealthNote] = []
    for name, health in last.items():
        texts = list(health.verdicts)
        if health.energy_gap is None:  # the generative term rests in the last steps
            gaps = (row.health[name].energy_gap for row in rows if name in row.health)
            verdict = energy_verdict(next((gap for gap in gaps if gap is not None), 0.0))
            texts += [] if verdict is None else [verdict]
        notes.extend({"name": name, "status": "warning", "text": text} for text in texts)
        if not texts:
            text = (
                f"{health.effective_symbols:.1f} effective symbols, views agree on "
                f"{health.view_agreement:.0%} of images, effective rank "
                f"{health.effective_rank:.1f}"
            )
            notes.append({"name": name, "status": "good", "text": text})
    return notes
