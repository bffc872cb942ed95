"""From a network's table of the spec to its model and its learner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from groundkit.errors import DataError
from groundkit.perception.backbones import Backbone, build_backbone
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel
from groundkit.perception.own_modules import Module, build_own, is_own
from groundkit.task.spec import NetworkSpec
from groundkit.task.task import Task


def build_model(
    spec: NetworkSpec,
    shape: Sequence[int],
    symbols: int,
    *,
    trust: bool = False,
    trunk: Backbone | None = None,
    given: Module | None = None,
    beside: Path | None = None,
) -> SymbolModel:
    """Builds the symbol model that a network's settings describe, untrained.

    Args:
        spec: The settings.
        shape: ``(C, H, W)`` of its images.
        symbols: Number of symbols.
        trust: Allow a backbone from the user's own modules.
        trunk: The backbone of another network, for one that shares it.
        given: The user's own module, or what makes it, where it was handed over.
        beside: Folder of the program, in which a named module is looked for first.
    """
    channels, height, width = shape
    shape = (channels, height, width)
    if trunk is None and is_own(spec.backbone):
        trunk = build_own(
            spec.backbone, shape, spec.options, given=given, trust=trust, beside=beside
        )
    elif trunk is None:
        trunk = build_backbone(spec.backbone, shape, **spec.options)
    return SymbolModel(
        trunk,
        symbols,
        normalise=spec.normalise,
        temperature=spec.temperature,
        bfloat16=spec.bfloat16,
    )


def check_pool(task: Task, name: str) -> None:
    """Refuses a network that has fewer training images than symbols.

    Raises:
        DataError: It has.
    """
    images, symbols = len(task.pool(name)), len(task.domains[name])
    if images < symbols:
        raise DataError(
            f"network '{name}' has {images} training images for {symbols} symbols",
            expected="at least an image a symbol",
            remedy="give more images, or leave out symbols that none of them shows",
            at=task.at("examples"),
        )


def build_learners(
    task: Task,
    device: torch.device,
    seed: int,
    *,
    trust: bool = False,
    processes: ProcessGroup | None = None,
) -> dict[str, Learner]:
    """Builds a task's untrained networks and their learners, on a device, in program order."""
    found: dict[str, Learner] = {}
    for name in sorted(task.neural, key=lambda one: task.binding.trunk_of(one) is not None):
        shared = task.binding.trunk_of(name)
        trunk = None if shared is None else found[shared].model.backbone
        found[name] = _build_learner(
            task, name, device, seed, trust=trust, processes=processes, trunk=trunk
        )
    return {name: found[name] for name in task.neural}


def _build_learner(
    task: Task,
    name: str,
    device: torch.device,
    seed: int,
    *,
    trust: bool,
    processes: ProcessGroup | None,
    trunk: Backbone | None,
) -> Learner:
    pool, spec = task.pool(name).to(device), task.spec.network(name)
    domain = task.domains[name]
    check_pool(task, name)
    shape = tuple(pool.shape[1:])
    own = task.binding.own(name)
    model = build_model(spec, shape, len(domain), trust=trust, trunk=trunk, **own).to(device)
    learner = Learner(model, spec.perception, pool, seed=seed, symbols=domain, processes=processes)
    if name in task.labelled:
        known = task.labelled[name]
        learner.teach(known.pixels, known.targets, spec.labels.weight)
    return learner
