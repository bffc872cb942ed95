"""Tasks without the user's cache and without limits, so that a test compiles in its own process."""

from groundkit.program.source import load_program
from groundkit.task.binding import Binding, Sources
from groundkit.task.spec import load_spec
from groundkit.task.task import Task


def load_task(program, *, settings=()):
    """Reads a program and the spec beside it."""
    file = program.with_suffix(".toml")
    return Task(
        Binding(
            load_program(program),
            load_spec(file, settings),
            Sources(program, file, tuple(settings)),
        )
    )
