"""Ground programs, circuits and errors as JSON: what the cache keeps and a child process answers.

No pickle: reading it cannot run code.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from groundkit import errors
from groundkit.circuit.compile import Compiled
from groundkit.circuit.ir import Circuit
from groundkit.errors import GroundkitError, Location
from groundkit.program.ground import (
    Choice,
    FixedSource,
    GroundProgram,
    LearnedSource,
    NeuralSource,
    Node,
)

_SOURCES: dict[str, Any] = {
    kind.__name__: kind for kind in (NeuralSource, FixedSource, LearnedSource)
}


def encode(program: GroundProgram, compiled: Compiled) -> dict[str, Any]:
    """Returns a ground program and its circuit as plain values."""
    choices = [
        [choice.label, choice.outcomes, type(choice.source).__name__, asdict(choice.source)]
        for choice in program.choices
    ]
    return {
        "choices": choices,
        "nodes": [[n.kind, n.children, n.choice, n.mask] for n in program.nodes],
        "slots": program.slots,
        "observed": program.observed,
        "answers": program.answers,
        "roots": program.roots,
        "evidence": program.evidence,
        "evidence_parts": program.evidence_parts,
        "seconds": program.seconds,
        "circuit": {name: array.tolist() for name, array in compiled.circuit.arrays().items()},
        "compiled": [compiled.stage, compiled.reason, compiled.seconds],
    }


def decode(data: dict[str, Any]) -> tuple[GroundProgram, Compiled]:
    """Makes the ground program and circuit that :func:`encode` was given."""
    program = GroundProgram(
        choices=tuple(
            Choice(label, tuple(outcomes), _source(kind, fields))
            for label, outcomes, kind, fields in data["choices"]
        ),
        nodes=tuple(Node(kind, tuple(c), choice, mask) for kind, c, choice, mask in data["nodes"]),
        slots={name: tuple(map(tuple, calls)) for name, calls in data["slots"].items()},
        observed=tuple(data["observed"]),
        answers=tuple(map(tuple, data["answers"])),
        roots=tuple(data["roots"]),
        evidence=data["evidence"],
        evidence_parts=tuple((name, ref) for name, ref in data["evidence_parts"]),
        seconds=data["seconds"],
    )
    arrays = {name: np.array(values, np.int64) for name, values in data["circuit"].items()}
    return program, Compiled(Circuit(**arrays), *data["compiled"])


def _source(kind: str, fields: dict[str, Any]) -> NeuralSource | FixedSource | LearnedSource:
    """Makes a choice's source; JSON has no tuples."""
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    source: NeuralSource | FixedSource | LearnedSource = _SOURCES[kind](**plain)
    return source


def encode_location(at: Location | None) -> list[Any] | None:
    """Returns a location as plain values."""
    if at is None:
        return None
    return [None if at.file is None else str(at.file), at.line, at.column]


def decode_location(data: list[Any] | None) -> Location | None:
    """Makes the location that :func:`encode_location` was given."""
    if data is None:
        return None
    file, line, column = data
    return Location(None if file is None else Path(file), line, column)


def encode_error(error: GroundkitError) -> dict[str, Any]:
    """Returns an error as plain values."""
    return {
        "kind": type(error).__name__,
        "found": error.found,
        "expected": error.expected,
        "remedy": error.remedy,
        "at": encode_location(error.at),
    }


def decode_error(data: dict[str, Any]) -> GroundkitError:
    """Makes the error that :func:`encode_error` was given."""
    error: GroundkitError = getattr(errors, data["kind"])(
        data["found"],
        expected=data["expected"],
        remedy=data["remedy"],
        at=decode_location(data["at"]),
    )
    return error
