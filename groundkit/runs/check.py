"""Holds program, spec, data and networks against each other in seconds, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from groundkit.errors import NetworkError
from groundkit.perception.augment_choice import choose
from groundkit.report.words import ShownAsPrinted
from groundkit.task.networks import build_model, check_pool
from groundkit.task.task import Task, read_task


@dataclass(frozen=True)
class Checked(ShownAsPrinted):
    """What was found in order.

    Attributes:
        program: The program's file.
        goal: The goal.
        images: Image variable -> the network that reads it.
        observed: Variables whose symbols are observed.
        answers: Number of different answers of the goal.
        networks: Network -> symbols, parameters, data set and unlabelled images.
        examples: Number of training examples.
        circuit_nodes: Nodes of the compiled goal.
    """

    program: str
    goal: str | None
    images: dict[str, str]
    observed: tuple[str, ...]
    answers: int
    networks: dict[str, dict[str, Any]]
    examples: int
    circuit_nodes: int

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.program}: in order"]
        if self.goal is None:
            lines.append("  no goal: networks cluster their images without a program")
        else:
            observed = f"; observed {', '.join(self.observed)}" if self.observed else ""
            lines += [
                f"  goal {self.goal}: {self.answers} answer(s), {self.circuit_nodes} circuit nodes",
                f"  images {', '.join(f'{v} by {n}' for v, n in self.images.items())}{observed}",
                f"  {self.examples} training examples",
            ]
        lines += [
            f"  network {name}: {facts['backbone']} with {facts['parameters']} parameters for "
            f"{facts['symbols']} symbols, {facts['pool']} unlabelled images of {facts['data']}, "
            f"{'x'.join(map(str, facts['image_shape']))}; augmentation {facts['augmentation']}"
            for name, facts in self.networks.items()
        ]
        return "\n".join(lines)


def check_program(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    trust: bool = False,
) -> Checked:
    """Checks everything that can be checked without training.

    Raises:
        InputError: The first thing found that is not in order.
    """
    task = read_task(program, spec, settings=settings, trust=trust)
    networks = {name: _check_network(task, name, trust=trust) for name in task.neural}
    task.prepare()
    return Checked(
        program=str(task.sources.program),
        goal=task.goal.text if task.asks else None,
        images=task.roles.images,
        observed=task.roles.observed,
        answers=len(task.reasoner.answers) if task.asks else 0,
        networks=networks,
        examples=len(task.examples),
        circuit_nodes=len(task.reasoner.compiled.circuit) if task.asks else 0,
    )


def _check_network(task: Task, name: str, *, trust: bool) -> dict[str, Any]:
    """Builds a network and reads two images with it."""
    pool = task.pool(name)
    settings = task.spec.network(name)
    seen, symbols = settings.perception, len(task.domains[name])
    check_pool(task, name)
    model = build_model(settings, tuple(pool.shape[1:]), symbols, trust=trust)
    with torch.no_grad():
        logits = model(torch.zeros(2, *pool.shape[1:]))
    if logits.shape != (2, symbols) or not bool(torch.isfinite(logits).all()):
        raise NetworkError(
            f"network '{name}' gives outputs of shape {tuple(logits.shape)} for two images",
            expected=f"finite numbers of shape (2, {symbols})",
            at=task.program.networks[name].location,
        )
    return {
        "backbone": settings.backbone,
        "symbols": symbols,
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": task.examples.banks[name].name,
        "pool": len(pool),
        "image_shape": list(pool.shape[1:]),
        "augmentation": choose(seen.augmentation, pool, seen.invariant, task.domains[name]).words,
    }
