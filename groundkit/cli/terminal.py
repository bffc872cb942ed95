"""What all commands share: their options, errors in words, and progress."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from groundkit.errors import GroundkitError, RunError, StoppedError
from groundkit.report.words import seconds

PLAIN_EVERY_S = 10.0
_LEAST_ADDRESS_SPACE = 4 << 30
_MEMORY = (
    "raise the limit of memory (ulimit -v shows that of the shell), or take fewer or smaller "
    "images, a smaller batch or a smaller network"
)

ProgramArgument = Annotated[Path, typer.Argument(metavar="PROGRAM", help="The .pl program.")]
SpecOption = Annotated[
    Path | None, typer.Option("--spec", help="The .toml spec; default: beside the program.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=V", help="Override a key of the spec.")
]
SecondsOption = Annotated[
    float | None,
    typer.Option(
        "--limit-seconds",
        metavar="S",
        help="Time for grounding and compiling a goal; default: the spec's, or 600.",
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--limit-memory",
        metavar="SIZE",
        help="Memory for grounding and compiling a goal, such as 8GB; default: the spec's, or 4GB.",
    ),
]
ModeOption = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="exact, or what to do where exact does not fit: auto, bounds or sample.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Allow the program and backbones to run Python code.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def with_limits(
    settings: Sequence[str] | None,
    seconds: float | None,
    memory: str | None,
    mode: str | None = None,
) -> list[str]:
    """Adds the options for limits to the ``--set`` texts, where they are given."""
    given = {"limit_seconds": seconds, "limit_memory": memory, "mode": mode}
    limits = [f'reasoning.{key}="{value}"' for key, value in given.items() if value is not None]
    return [*(settings or ()), *limits]


@contextmanager
def reported(debug: bool) -> Iterator[None]:
    """Turns an error into one message on stderr and its exit code."""
    try:
        _check_address_space()
        yield
    except (typer.Exit, BrokenPipeError):  # who reads the output has gone: click ends in silence
        raise
    except GroundkitError as error:
        if debug:
            raise
        if leads() or not isinstance(error, StoppedError):  # all processes stop together
            typer.echo(f"groundkit: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except MemoryError as error:
        if debug:
            raise
        typer.echo(f"groundkit: out of memory{f': {error}' if str(error) else ''}", err=True)
        typer.echo(f"  remedy: {_MEMORY}", err=True)
        raise typer.Exit(1) from None
    except Exception as error:
        if debug:
            raise
        if _ran_out(error):
            first = str(error).strip().splitlines()[0]
            typer.echo(f"groundkit: out of memory: {first}\n  remedy: {_MEMORY}", err=True)
            raise typer.Exit(1) from None
        typer.echo(
            f"groundkit: internal error, {type(error).__name__}: {error}\n"
            "  remedy: run again with --debug and report what it shows",
            err=True,
        )
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("groundkit: interrupted", err=True)
        raise typer.Exit(1) from None


def _check_address_space() -> None:
    """Refuses a limit under which PyTorch's libraries end the process without a word.

    Raises:
        RunError: The shell's limit is below what they map.
    """
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESS_SPACE:
        raise RunError(
            f"the address space is limited to {limit >> 20:,} MiB",
            expected=f"at least {_LEAST_ADDRESS_SPACE >> 20:,} MiB, most of which is only mapped",
            remedy="ulimit -v unlimited, in the shell that starts groundkit; to limit what a run "
            "takes, use a control group",
        )


def _ran_out(error: Exception) -> bool:
    """Whether an error is of memory that the system did not give, in one of its many words."""
    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN):
        return True
    words = ("not enough memory", "out of memory", "cannot allocate memory", "alloc", "map segment")
    text = str(error).lower()
    return isinstance(error, (RuntimeError, ImportError, OSError)) and any(
        word in text for word in words
    )


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Turns Ctrl-C and SIGTERM into a request, for work that asks for it after every step.

    A second Ctrl-C interrupts at once.
    """
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interruptible() -> None:
    """Lets Ctrl-C and SIGTERM interrupt, also a process that a shell has started in its background.

    Such a process inherits that Ctrl-C is ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def leads() -> bool:
    """Whether this process is the one of several that prints; torchrun numbers them."""
    return os.environ.get("RANK", "0") == "0"


class Terminal:
    """Shows progress: a bar with the time left on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, visible=False)
        self._told = time.monotonic()
        # Which work is under way, and the step and time it was first told of: what came before, and
        # steps of a run that is resumed, say nothing of how fast it is.
        self._total, self._first, self._since = 0, 0, self._told

    def __enter__(self) -> Terminal:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._live:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)

    def step(self, done: int, total: int, what: str) -> None:
        """Moves the bar, or prints a line now and then."""
        now = time.monotonic()
        anew = total != self._total or done < self._first
        if anew:
            self._total, self._first, self._since = total, done, now
        if self._live:
            if anew:
                self._bar.reset(self._task, total=total)
            self._bar.update(self._task, completed=done, description=what, visible=True)
            return
        if now - self._told >= PLAIN_EVERY_S or done == total:
            self._told = now
            typer.echo(f"{what}: step {done} of {total}{self._left(done, now)}", err=True)

    def _left(self, done: int, now: float) -> str:
        """Words how long the work under way still takes; nothing before its second step."""
        if done in (self._first, self._total):
            return ""
        left = (now - self._since) / (done - self._first) * (self._total - done)
        return f", about {seconds(left)} left"


def headlines(metrics: dict[str, Any]) -> Iterator[str]:
    """Words the numbers that people look for first."""
    grounding = metrics["grounding"]
    if grounding["accuracy"] is not None:
        yield (
            f"symbol accuracy {grounding['accuracy']:.1%} (after the best renaming "
            f"{grounding['accuracy_matched']:.1%}), collapse {grounding['collapse']:.2f}"
        )
    elif grounding["accuracy_matched"] is not None:
        yield (
            f"clusters right {grounding['accuracy_matched']:.1%} after the best renaming, "
            f"collapse {grounding['collapse']:.2f}"
        )
    else:
        unused = grounding["collapse"]
        shown = "" if unused is None else f"; {unused:.0%} of the symbols are never predicted"
        yield f"symbols are not scored: {grounding.get('reason') or 'no label is known'}{shown}"
    if metrics["query"] is not None:
        yield f"query accuracy {metrics['query']['accuracy']:.1%} on held-out images"
    for name, scores in metrics["ood"].items():
        if scores.get("auroc") is None:
            yield f"out of distribution, {name}: {scores.get('reason')}"
        else:
            yield f"out of distribution, {name}: AUROC {scores['auroc']:.3f} by energy"
