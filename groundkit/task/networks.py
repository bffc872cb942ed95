"""From a network's table of the spec to its model and its learner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from groundkit.errors import DataError, NetworkError, located
from groundkit.perception.backbones import Backbone, OptionError, build_backbone
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.encoder_kinds import load_encoder
from groundkit.perception.encoders import Encoder
from groundkit.perception.inputs import Shape, kind_of, scale_for
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel
from groundkit.perception.own_modules import Module, build_own
from groundkit.perception.own_names import is_own
from groundkit.report.words import counted
from groundkit.task.binding import Binding
from groundkit.task.spec import NetworkSpec
from groundkit.task.task import Task

_AT_ONCE = 1000


def build_model(
    spec: NetworkSpec,
    shape: Sequence[int],
    symbols: int,
    *,
    trust: bool = False,
    trunk: Backbone | None = None,
    given: Module | None = None,
    beside: Path | None = None,
    encoder: Encoder | None = None,
) -> SymbolModel:
    """Builds the symbol model that a network's settings describe, untrained.

    Args:
        spec: The settings.
        shape: ``(C, H, W)`` of its images, or the shape of its other inputs.
        symbols: Number of symbols.
        trust: Allow a backbone from the user's own modules.
        trunk: The backbone of another network, for one that shares it.
        given: The user's own module, or what makes it, where it was handed over.
        beside: Folder of the program, in which a named module is looked for first.
        encoder: The frozen encoder of its images.
    """
    shape = tuple(shape) if encoder is None else (encoder.features,)
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
        scale=scale_for(shape),
        encoder=encoder,
    )


@contextmanager
def layers_of(binding: Binding, name: str) -> Iterator[None]:
    """Says which key of the spec it is, where the layers of a network cannot be built."""
    try:
        yield
    except NetworkError as error:
        key = ("options", error.option) if isinstance(error, OptionError) else ("backbone",)
        error.at = error.at or binding.at("networks", name, *key)
        raise


def views_of(binding: Binding, name: str) -> AbstractContextManager[None]:
    """Says which key of the spec it is, where no two views of a network's inputs can be made."""
    return located(lambda: binding.at("networks", name, "perception", "augmentation"))


def encoder_of(binding: Binding, name: str, shape: Shape, *, trust: bool) -> Encoder | None:
    """Loads the encoder of a network, that of its trunk if it shares one; ``None`` without.

    Args:
        binding: Program and spec.
        name: The network.
        shape: Shape of its inputs.
        trust: Allow an encoder from the user's own modules.

    Raises:
        NetworkError: It cannot be loaded.
    """
    owner = binding.trunk_of(name) or name
    spec = binding.spec.network(owner)
    if spec.encoder is None:
        if spec.encoder_weights is not None:
            raise NetworkError(
                f"network '{owner}' has encoder_weights and no encoder",
                remedy="name the encoder, such as encoder = 'torchvision:resnet18'",
                at=binding.at("networks", owner, "encoder_weights"),
            )
        return None
    base = binding.sources.spec.parent
    with located(lambda: binding.at("networks", owner, "encoder")):
        return load_encoder(
            spec.encoder,
            spec.encoder_weights,
            shape,
            base=base,
            trust=trust,
            cache=binding.cache,
        )


def check_pool(task: Task, name: str) -> None:
    """Refuses a network that has nothing to tell apart: one symbol, few inputs, or equal ones.

    Raises:
        NetworkError: It has one symbol.
        DataError: It has fewer training inputs than symbols, or all of them are equal.
    """
    pool, domain = task.pool(name), task.domains[name]
    kind = kind_of(pool.shape[1:])
    if len(domain) < 2:
        raise NetworkError(
            f"network '{name}' has {counted(len(domain), 'symbol')}: {', '.join(domain)}",
            expected=f"at least two, which it tells apart by its {kind}s",
            remedy="add the other symbols to the list in nn(...)",
            at=task.program.networks[name].location,
        )
    if len(pool) < len(domain):
        raise DataError(
            f"network '{name}' has {counted(len(pool), f'training {kind}')} for "
            f"{len(domain)} symbols",
            expected=f"at least one {kind} a symbol",
            remedy=f"give more {kind}s, or leave out symbols that none of them shows",
            at=task.at("examples"),
        )
    if _all_equal(pool):
        raise DataError(
            f"the {len(pool):,} training {kind}s of network '{name}' are all equal",
            expected=f"{kind}s that differ from symbol to symbol",
            remedy="check that [examples] names the right data, and that it was saved with its "
            "values",
            at=task.at("examples"),
        )


def _all_equal(pool: Tensor) -> bool:
    """Whether all inputs ``(N, ...)`` are the same, missing values too; reads as few as it can."""
    first = torch.nan_to_num(pool[:1])
    return all(
        bool((torch.nan_to_num(part) == first).all()) for part in torch.split(pool, _AT_ONCE)
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
    images, spec = task.pool(name), task.spec.network(name)
    domain = task.domains[name]
    check_pool(task, name)
    shape = tuple(images.shape[1:])
    own = task.binding.own(name)
    own["encoder"] = encoder_of(task.binding, name, shape, trust=trust)
    with layers_of(task.binding, name):
        model = build_model(spec, shape, len(domain), trust=trust, trunk=trunk, **own).to(device)
    pool = model.encode(images.to(device))
    model.learn_scale(pool)
    with views_of(task.binding, name):
        learner = Learner(
            model,
            spec.perception,
            pool,
            seed=seed,
            symbols=domain,
            processes=processes,
            alone=len(task.group_of(name)) == 1,
        )
    if name in task.labelled:
        known = task.labelled[name]
        learner.teach(model.encode(known.pixels.to(device)), known.targets, spec.labels.weight)
    return learner
