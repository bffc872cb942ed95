"""From a network's table of the spec to its model and its learner."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from groundkit.perception.backbones import Backbone, build_backbone
from groundkit.perception.distributed import World
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel
from groundkit.task.spec import NetworkSpec
from groundkit.task.task import Task


def build_model(
    spec: NetworkSpec,
    shape: Sequence[int],
    symbols: int,
    *,
    trust: bool = False,
    trunk: Backbone | None = None,
) -> SymbolModel:
    """Builds the symbol model that a network's settings describe, untrained.

    Args:
        spec: The settings.
        shape: ``(C, H, W)`` of its images.
        symbols: Number of symbols.
        trust: Allow a backbone from the user's own modules.
        trunk: The backbone of another network, for one that shares it.
    """
    channels, height, width = shape
    if trunk is None:
        trunk = build_backbone(
            spec.backbone, (channels, height, width), trust=trust, **spec.options
        )
    return SymbolModel(
        trunk,
        symbols,
        normalise=spec.normalise,
        temperature=spec.temperature,
        bfloat16=spec.bfloat16,
    )


def build_learners(
    task: Task,
    device: torch.device,
    seed: int,
    *,
    trust: bool = False,
    world: World | None = None,
) -> dict[str, Learner]:
    """Builds a task's untrained networks and their learners, on a device, in program order."""
    found: dict[str, Learner] = {}
    for name in sorted(task.neural, key=lambda one: task.binding.trunk_of(one) is not None):
        shared = task.binding.trunk_of(name)
        trunk = None if shared is None else found[shared].model.backbone
        found[name] = _build_learner(
            task, name, device, seed, trust=trust, world=world, trunk=trunk
        )
    return {name: found[name] for name in task.neural}


def _build_learner(
    task: Task,
    name: str,
    device: torch.device,
    seed: int,
    *,
    trust: bool,
    world: World | None,
    trunk: Backbone | None,
) -> Learner:
    pool, spec = task.pool(name).to(device), task.spec.network(name)
    symbols = len(task.domains[name])
    shape = tuple(pool.shape[1:])
    model = build_model(spec, shape, symbols, trust=trust, trunk=trunk).to(device)
    learner = Learner(model, spec.perception, pool, seed=seed, world=world)
    if name in task.labelled:
        known = task.labelled[name]
        learner.teach(known.pixels, known.targets, spec.labels.weight)
    return learner
