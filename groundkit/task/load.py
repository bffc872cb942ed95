"""Reads a task from its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from groundkit.circuit.cache import cache_folder
from groundkit.perception.own_modules import Module
from groundkit.program.source import load_program
from groundkit.task.binding import Binding, Sources, tell_nobody
from groundkit.task.overrides import check_settings
from groundkit.task.roles import own_settings
from groundkit.task.spec import load_spec
from groundkit.task.task import Task


def read_task(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    trust: bool = False,
    engine: str = "circuit",
    most: int | None = None,
    on_shape: Callable[[int, int], None] = tell_nobody,
    modules: Mapping[str, Module] | None = None,
) -> Task:
    """Reads a task as the commands do: with the user's cache and under the spec's limits.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` file; by default the one beside the program.
        settings: ``--set`` texts.
        trust: Allow the program to load Python and to touch files.
        engine: ``circuit`` or ``deepproblog``.
        most: Examples that are drawn at most; all by default.
        on_shape: Called with the number of shapes compiled, and of all.
        modules: Network -> the user's own module, or what makes it.

    Raises:
        InputError: Something does not fit.
    """
    check_settings(settings)
    program = Path(program)
    file = Path(spec) if spec else program.with_suffix(".toml")
    parsed = load_program(program, trust=trust)
    modules = modules or {}
    read = load_spec(file, [*settings, *own_settings(modules)])
    binding = Binding(
        parsed,
        read,
        Sources(program, file, tuple(settings)),
        cache=cache_folder(),
        limits=read.reasoning.limits,
        engine=engine,
        modules=modules,
    )
    return Task(binding, most=most, on_shape=on_shape)
