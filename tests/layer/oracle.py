"""Random programs whose worlds are listed one by one, beside a layer of the same program."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, Phase, assume, settings

from groundkit.errors import ProgramError
from groundkit.layer.program_layer import ProgramLayer
from tests.circuit.random_programs import RandomProgram

SETTINGS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)


@dataclass(frozen=True)
class World:
    weight: float
    symbols: tuple[int, ...]
    heads: tuple[str | None, ...]
    model: frozenset[str]


def worlds_of(program: RandomProgram) -> list[World]:
    """Lists the worlds of positive probability with the values of all images."""
    options = [
        [(p, h) for p, h in zip(d.probabilities, d.heads, strict=True)]
        + ([] if d.image else [(1.0 - sum(d.probabilities), None)])
        for d in program.disjunctions
    ]
    found = []
    for world in itertools.product(*options):
        weight = math.prod(max(p, 0.0) for p, _ in world)
        if weight > 0.0:
            heads = [head for _, head in world]
            symbols = tuple(
                d.heads.index(head)
                for d, head in zip(program.disjunctions, heads, strict=True)
                if d.image
            )
            found.append(World(weight, symbols, tuple(heads), frozenset(program._model(heads))))
    return found


def layer_of(program: RandomProgram) -> tuple[ProgramLayer, dict[str, torch.Tensor], list[int]]:
    """Builds the layer with its log-probabilities and the image of every slot."""
    images = [f"I{i}" for i in range(len(program.images))]
    goal = f"ask({','.join(images)},Q)"
    try:
        layer = ProgramLayer(program.text(neural=True), goal, images, cache=None, limits=None)
    except ProgramError as error:
        assume(not any(w in error.found for w in ("no network looks at", "inside the recursion")))
        raise
    order = [images.index(call[0]) for call in layer.slots["net"]]
    rows = torch.tensor([program.images[i].probabilities for i in order], dtype=torch.float64)
    rows = rows / rows.sum(1, keepdim=True)
    return layer, {"net": rows.log().unsqueeze(0)}, order


def key_of(program: RandomProgram, atom: str) -> str:
    """Writes an atom as the program with networks does."""
    images = ",".join(f"I{i}" for i in range(len(program.images)))
    return f"{atom}({images})" if images else atom
