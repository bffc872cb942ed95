"""From a network's table of the spec to its model and its learner."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from groundkit.perception.backbones import build_backbone
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel
from groundkit.task.spec import NetworkSpec
from groundkit.task.task import Task


def build_model(
    spec: NetworkSpec, shape: Sequence[int], symbols: int, *, trust: bool = False
) -> SymbolModel:
    """Builds the symbol model that a network's settings describe, untrained."""
    channels, height, width = shape
    backbone = build_backbone(spec.backbone, (channels, height, width), trust=trust, **spec.options)
    return SymbolModel(
        backbone,
        symbols,
        normalise=spec.normalise,
        temperature=spec.temperature,
        bfloat16=spec.bfloat16,
    )


def build_learner(
    task: Task,
    name: str,
    device: torch.device,
    seed: int,
    *,
    trust: bool = False,
    processes: ProcessGroup | None = None,
) -> Learner:
    """Builds an untrained network of a task and its learner, on a device."""
    pool, spec = task.pool(name).to(device), task.spec.network(name)
    symbols = len(task.domains[name])
    model = build_model(spec, tuple(pool.shape[1:]), symbols, trust=trust).to(device)
    learner = Learner(model, spec.perception, pool, seed=seed, processes=processes)
    if name in task.labelled:
        known = task.labelled[name]
        learner.teach(known.pixels, known.targets, spec.labels.weight)
    return learner
