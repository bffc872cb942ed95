"""Ground programs, circuits and errors as JSON: what the cache keeps and a child process answers.

No pickle: reading it cannot run code.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from groundkit import errors
from groundkit.circuit.compile import Compiled
from groundkit.circuit.entry import check_entry
from groundkit.circuit.ir import KINDS, Circuit
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
        "shared": program.shared,
        "circuit": compiled.circuit.lists(),
        "compiled": [compiled.stage, compiled.reason, compiled.seconds],
    }


def decode(data: Any) -> tuple[GroundProgram, Compiled]:
    """Makes the ground program and circuit that :func:`encode` was given.

    Raises:
        ValueError: It is not what :func:`encode` returns, or refers to what is not there.
    """
    check_entry(data)
    try:
        program, compiled = _decode(data)
        _check_program(program)
        _check_circuit(program, compiled.circuit)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a ground program and its circuit: {error!r}") from None
    return program, compiled


def _decode(data: dict[str, Any]) -> tuple[GroundProgram, Compiled]:
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
        shared=tuple(data.get("shared", ())),
    )
    return program, Compiled(Circuit.of(data["circuit"]), *data["compiled"])


def _source(kind: str, fields: dict[str, Any]) -> NeuralSource | FixedSource | LearnedSource:
    """Makes a choice's source; JSON has no tuples."""
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    source: NeuralSource | FixedSource | LearnedSource = _SOURCES[kind](**plain)
    return source


def _check_program(program: GroundProgram) -> None:
    """Raises a ValueError unless all references of a ground program point to what is there."""
    for choice in program.choices:
        source = choice.source
        if isinstance(source, NeuralSource):
            _require(0 <= source.slot < len(program.slots.get(source.network, ())))
        elif isinstance(source, FixedSource):
            _require(len(source.probabilities) == choice.size)
            _require(all(0 <= p <= 1 for p in source.probabilities))
    for index, node in enumerate(program.nodes):
        _require(node.kind in ("true", "leaf", "and", "or"))
        _require(all(-index <= child < index or child == ~0 for child in node.children))
        if node.kind == "leaf":
            _require(node.choice >= 0 and 0 < node.mask < program.choices[node.choice].full)
    size = len(program.nodes)
    references = [*program.roots, program.evidence, *(ref for _, ref in program.evidence_parts)]
    _require(all(-size <= reference < size for reference in references))
    _require(len(program.roots) == len(program.answers))
    _require(all(len(answer) == len(program.observed) for answer in program.answers))


def _check_circuit(program: GroundProgram, circuit: Circuit) -> None:
    """Raises a ValueError unless children stand before their parents and leaves have choices."""
    count, offsets = len(circuit.kinds), circuit.offsets
    _require(len(offsets) == count + 1 >= 3)
    _require(offsets[0] == 0 and offsets[-1] == len(circuit.items))
    _require(all(low <= high for low, high in pairwise(offsets)))
    _require(all(0 <= kind < len(KINDS) for kind in circuit.kinds))
    _require(len(circuit.roots) >= len(program.roots))
    _require(all(0 <= root < count for root in circuit.roots))
    sizes = [choice.size for choice in program.choices]
    for index in range(count):
        kind, items = circuit.node(index)
        if kind == "leaf":
            _require(len(items) > 1 and 0 <= items[0] < len(sizes))
            _require(all(0 <= outcome < sizes[items[0]] for outcome in items[1:]))
        elif kind in ("and", "or"):
            _require(len(items) > 0 and min(items) >= 0 and max(items) < index)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("a ground program or circuit refers to what is not there")


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
