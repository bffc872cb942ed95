"""The commands. torch is imported only by a command that needs it, so that help is instant."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from groundkit.errors import GroundkitError

app = typer.Typer(
    name="groundkit",
    help="Images become the symbols of a ProbLog program, without labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_PLAIN_EVERY_S = 10.0

ProgramArgument = Annotated[Path, typer.Argument(metavar="PROGRAM", help="The .pl program.")]
SpecOption = Annotated[
    Path | None, typer.Option("--spec", help="The .toml spec; default: beside the program.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=V", help="Override a key of the spec.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Allow the program and backbones to run Python code.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


@contextmanager
def _reported(debug: bool) -> Iterator[None]:
    """Turns an error into one message on stderr and its exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except GroundkitError as error:
        if debug:
            raise
        typer.echo(f"groundkit: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except Exception as error:
        if debug:
            raise
        typer.echo(
            f"groundkit: internal error, {type(error).__name__}: {error}\n"
            "  remedy: run again with --debug and report what it shows",
            err=True,
        )
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("groundkit: interrupted", err=True)
        raise typer.Exit(1) from None


class _Terminal:
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
        self._started = time.monotonic()
        self._told = self._started

    def __enter__(self) -> _Terminal:
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
        if self._live:
            self._bar.update(
                self._task, completed=done, total=total, description=what, visible=True
            )
            return
        now = time.monotonic()
        if now - self._told >= _PLAIN_EVERY_S or done == total:
            self._told = now
            left = (now - self._started) / done * (total - done)
            typer.echo(f"{what}: step {done} of {total}, about {left:.0f} s left", err=True)


@app.command(epilog="Example: groundkit run programs/addition.pl --seed 1 --set train.epochs=40")
def run(
    program: ProgramArgument,
    spec: SpecOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: runs/NAME/DATE-SEED.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of training.")] = 0,
    settings: SetOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    trust: TrustOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Ground the symbols of a program: train, evaluate and write a report."""
    with _reported(debug):
        from groundkit.run import run as run_program

        with _Terminal() as terminal:
            result = run_program(
                program,
                spec,
                out=out,
                seed=seed,
                settings=settings or (),
                device=device,
                trust=trust,
                progress=terminal,
            )
        if as_json:
            typer.echo(json.dumps({"folder": str(result.folder), "metrics": result.metrics}))
            return
        typer.echo(f"{result.verdict.found} {result.verdict.advice}")
        for line in _headlines(result.metrics):
            typer.echo(f"  {line}")
        typer.echo(f"report: {result.folder / 'report.html'}")


def _headlines(metrics: dict[str, Any]) -> Iterator[str]:
    """Words the numbers that people look for first."""
    grounding = metrics["grounding"]
    if grounding["accuracy"] is not None:
        yield (
            f"symbols right {grounding['accuracy']:.1%} (after the best renaming "
            f"{grounding['accuracy_matched']:.1%}), collapse {grounding['collapse']:.2f}"
        )
    if metrics["query"] is not None:
        yield f"queries right {metrics['query']['accuracy']:.1%} on held-out images"
    for name, scores in metrics["ood"].items():
        if scores.get("auroc") is None:
            yield f"out of distribution, {name}: {scores.get('reason')}"
        else:
            yield f"out of distribution, {name}: AUROC {scores['auroc']:.3f} by energy"


@app.command(epilog="Example: groundkit check programs/addition.pl")
def check(
    program: ProgramArgument,
    spec: SpecOption = None,
    settings: SetOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Hold program, spec, data and networks against each other, without training."""
    with _reported(debug):
        from groundkit.check import check_program

        found = check_program(program, spec, settings=settings or (), trust=trust)
        if as_json:
            typer.echo(json.dumps(found.to_dict()))
            return
        typer.echo(str(found))


@app.command(epilog="Example: groundkit identify programs/addition.pl --json")
def identify(
    program: ProgramArgument,
    spec: SpecOption = None,
    settings: SetOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Count the groundings that a program and its observations admit."""
    with _reported(debug):
        from groundkit.check import read_task
        from groundkit.grounding.assess import identify_task

        found = identify_task(read_task(program, spec, settings=settings or (), trust=trust))
        typer.echo(json.dumps(found.to_dict()) if as_json else str(found))


@app.command(epilog="Example: groundkit datasets")
def datasets(
    get: Annotated[
        str | None, typer.Option(metavar="NAME", help="Download a data set of torchvision.")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the data sets: what is there, where it is from, how to get the rest."""
    with _reported(debug):
        from groundkit.data.download import download
        from groundkit.data.sources import CARDS, data_root

        if get is not None:
            download(get)
            typer.echo(f"{get} is in {data_root()}")
            return
        cards = [
            {
                "name": card.name,
                "available": card.available(),
                "summary": card.summary,
                "origin": card.origin,
                "get": card.get,
            }
            for card in CARDS.values()
        ]
        if as_json:
            typer.echo(json.dumps(cards))
            return
        for card in cards:
            typer.echo(f"{card['name']} ({'there' if card['available'] else 'not there'})")
            typer.echo(f"  {card['summary']}")
            typer.echo(f"  from {card['origin']}")
            if not card["available"]:
                typer.echo(f"  get it: {card['get']}")


def main() -> None:
    """Runs the command line."""
    app()
