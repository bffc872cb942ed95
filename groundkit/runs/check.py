"""Checks that program, spec, data and networks are consistent, in seconds, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from groundkit.errors import NetworkError
from groundkit.perception.augment_choice import choose
from groundkit.perception.inputs import kind_of
from groundkit.perception.model import SymbolModel
from groundkit.program.remarks import remarks
from groundkit.report.words import ShownAsPrinted, counted, listing
from groundkit.task.load import read_task
from groundkit.task.networks import build_model, check_pool, encoder_of, layers_of, views_of
from groundkit.task.task import Task

_DRAWN = 1000
"""Examples that are drawn at most: as good for finding mistakes as a million."""


@dataclass(frozen=True)
class Checked(ShownAsPrinted):
    """What was found in order.

    Attributes:
        program: The program's file.
        goal: The goal, or several.
        shapes: Number of different shapes of the examples.
        images: Image variable -> the networks that read it.
        observed: Variables whose symbols are observed.
        answers: Number of different answers of the goal.
        networks: Network -> symbols, parameters, data set and unlabelled images.
        examples: Number of training examples.
        circuit_nodes: Nodes of the compiled goal.
        warnings: What may not mean what it seems to.
    """

    program: str
    goal: str | None
    shapes: int
    images: dict[str, tuple[str, ...]]
    observed: tuple[str, ...]
    answers: int
    networks: dict[str, dict[str, Any]]
    examples: int
    circuit_nodes: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return asdict(self)

    @property
    def _all_images(self) -> bool:
        return all(facts["kind"] == "image" for facts in self.networks.values())

    def __str__(self) -> str:
        lines = [f"{self.program}: in order"]
        if self.goal is None:
            lines.append("  no goal: networks cluster their images without a program")
        else:
            observed = f"; observed {', '.join(self.observed)}" if self.observed else ""
            readers = [f"{v} by {' and '.join(n)}" for v, n in self.images.items()]
            lines += [
                f"  goal {self.goal}: {counted(self.answers, 'answer')}, "
                f"{self.circuit_nodes} circuit nodes"
                + (f" in {self.shapes} shapes" if self.shapes > 1 else ""),
                f"  {'images' if self._all_images else 'inputs'} {', '.join(readers)}{observed}",
                f"  {self.examples} training examples",
            ]
        lines += [_described(name, facts) for name, facts in self.networks.items()]
        lines += [f"  note: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def _described(name: str, facts: Mapping[str, Any]) -> str:
    """Words what was found of a network."""
    encoder = "" if facts["encoder"] is None else f" on features of {facts['encoder']}"
    shape = "x".join(map(str, facts["image_shape"]))
    line = (
        f"  network {name}: {facts['backbone']}{encoder} with {facts['parameters']} parameters for "
        f"{facts['symbols']} symbols, {facts['pool']} unlabelled {facts['kind']}s of "
        f"{facts['data']}, {shape}; augmentation {facts['augmentation']}"
    )
    if facts["invariance"] == 0:
        line += "; no invariance term"
        verb = "reads" if len(facts["beside"]) == 1 else "read"
        line += f", as {listing(facts['beside'])} {verb} the same images" if facts["beside"] else ""
    return line + "".join(f"\n    taken for granted: {text}" for text in facts["assumed"])


def check_program(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    trust: bool = False,
) -> Checked:
    """Checks everything that can be checked without training.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` spec; by default the one beside the program.
        settings: ``--set`` texts.
        trust: Allow the program and the backbones to run Python code.

    Returns:
        The goals, images, networks and numbers of examples; printed, it is what ``groundkit
        check`` says.

    Raises:
        InputError: The first thing that is found wrong.

    Example:
        >>> import groundkit
        >>> groundkit.check_program("tiny.pl").goal
        'pair(X, Y, Z)'
    """
    task = read_task(program, spec, settings=settings, trust=trust, most=_DRAWN)
    networks = {name: _check_network(task, name, trust=trust) for name in task.neural}
    task.prepare()
    goals = task.goals
    images: dict[str, tuple[str, ...]] = {}
    for goal in goals:
        for variable, names in goal.names.items():
            readers = (n for name in names for n in goal.roles.images.get(name, ()))
            known = images.get(variable, ())
            images |= {variable: tuple(dict.fromkeys([*known, *readers]))}
    return Checked(
        program=str(task.sources.program),
        goal="; ".join(query.goal.text for query in task.queries) if task.asks else None,
        shapes=len(goals),
        images={variable: readers for variable, readers in images.items() if readers},
        observed=tuple(dict.fromkeys(name for goal in goals for name in goal.roles.observed)),
        answers=sum(len(goal.reasoner.answers) for goal in goals),
        networks=networks,
        examples=task.wanted,
        circuit_nodes=sum(len(goal.reasoner.compiled.circuit) for goal in goals),
        warnings=(*remarks(task.program), *_shared_calls(task)),
    )


def _shared_calls(task: Task) -> list[str]:
    """Words which calls of a network several predicates make: they see one symbol."""
    shared = dict.fromkeys(call for g in task.goals for call in g.reasoner.ground_program.shared)
    return [
        f"{call} is one symbol, read by several predicates; DeepProbLog would draw one for each "
        "(for that, give each predicate a network of its own)"
        for call in shared
    ]


def _build(task: Task, name: str, *, trust: bool) -> SymbolModel:
    """Builds a network, on the backbone of another one where it shares that."""
    shared = task.binding.trunk_of(name)
    trunk = None if shared is None else _build(task, shared, trust=trust).backbone
    shape = tuple(task.pool(name).shape[1:])
    symbols = len(task.domains[name])
    encoder = encoder_of(task.binding, name, shape, trust=trust)
    spec, own = task.spec.network(name), task.binding.own(name)
    with layers_of(task.binding, name):
        return build_model(spec, shape, symbols, trust=trust, trunk=trunk, encoder=encoder, **own)


def _check_network(task: Task, name: str, *, trust: bool) -> dict[str, Any]:
    """Builds a network and reads two images with it."""
    pool = task.pool(name)
    settings = task.spec.network(name)
    seen, symbols = settings.perception, len(task.domains[name])
    check_pool(task, name)
    model = _build(task, name, trust=trust)
    with torch.no_grad():
        logits = model(torch.zeros(2, *model.encoded(tuple(pool.shape[1:]))))
    if logits.shape != (2, symbols) or not bool(torch.isfinite(logits).all()):
        raise NetworkError(
            f"network '{name}' gives outputs of shape {tuple(logits.shape)} for two inputs",
            expected=f"finite numbers of shape (2, {symbols})",
            at=task.program.networks[name].location,
        )
    # Of rows nothing but the shape is looked at, so that there is no need to encode them all.
    rests = pool if model.encoder is None else model.encode(pool[:2])
    beside = [other for other in task.group_of(name) if other != name]
    with views_of(task.binding, name):
        views = choose(seen.augmentation, rests, seen.invariant, task.domains[name])
    return {
        "backbone": settings.backbone,
        "encoder": settings.encoder,
        "symbols": symbols,
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": task.banks(0)[name].name,
        "pool": len(pool),
        "kind": kind_of(pool.shape[1:]),
        "image_shape": list(pool.shape[1:]),
        "assumed": list(task.banks(0)[name].assumed),
        "augmentation": views.words,
        "invariance": seen.invariance_weight(alone=not beside),
        "beside": beside if seen.invariance == "auto" else [],
    }
