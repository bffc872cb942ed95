"""The commands. torch is imported only by a command that needs it, so that help is instant."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from groundkit.cli.finished import runs
from groundkit.cli.starters import LIKE, starts
from groundkit.cli.terminal import (
    DebugOption,
    JsonOption,
    MemoryOption,
    ModeOption,
    ProgramArgument,
    SecondsOption,
    SetOption,
    SpecOption,
    Terminal,
    TrustOption,
    asked_to_stop,
    headlines,
    leads,
    reported,
    with_limits,
)
from groundkit.errors import SpecError

app = typer.Typer(
    name="groundkit",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(runs)


def _tell_version(asked: bool) -> None:
    """Prints the version and ends, before any command is looked for."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"groundkit {version('groundkit')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Images become the symbols of a ProbLog program, without labels."""


@app.command(epilog="Example: groundkit run programs/addition.pl --seed 1 --set train.epochs=40")
def run(
    program: ProgramArgument,
    spec: SpecOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: runs/NAME/DATE-SEED.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of training.")] = 0,
    seeds: Annotated[
        int, typer.Option(help="Make so many runs, from --seed on, and compare them.")
    ] = 1,
    jobs: Annotated[
        int, typer.Option(help="How many runs of --seeds at a time, each in its own process.")
    ] = 1,
    settings: SetOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="circuit or deepproblog.")] = "circuit",
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Go on with the run in DIR, which was stopped or killed; "
            "its spec and seed are reused.",
        ),
    ] = None,
    limit_seconds: SecondsOption = None,
    limit_memory: MemoryOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Ground the symbols of a program: train, evaluate and write a report."""
    options: dict[str, Any] = {
        "spec": spec,
        "settings": with_limits(settings, limit_seconds, limit_memory),
        "device": device,
        "engine": engine,
        "trust": trust,
        "out": out,
        "seed": seed,
    }
    with reported(debug):
        if seeds != 1:
            options["jobs"] = jobs
            _run_seeds(program, seeds, options, resume=resume, as_json=as_json)
            return
        if jobs != 1:
            raise SpecError(
                "--jobs says how many runs are made at a time, and there is one",
                remedy="say with --seeds how many there are to be, or leave --jobs out",
            )
        from groundkit.runs.run import run as run_program

        with Terminal() as terminal:
            result = run_program(
                program, resume=resume, progress=terminal, stop=asked_to_stop(), **options
            )
        if not leads():
            return
        if as_json:
            typer.echo(json.dumps({"folder": str(result.folder), "metrics": result.metrics}))
            return
        typer.echo(f"{result.verdict.found} {result.verdict.advice}")
        for line in headlines(result.metrics):
            typer.echo(f"  {line}")
        typer.echo(f"report: {result.folder / 'report.html'}")


def _run_seeds(
    program: Path, seeds: int, options: dict[str, Any], *, resume: Path | None, as_json: bool
) -> None:
    """Makes several runs and tells how they compare."""
    from groundkit.runs.seeds import run_seeds

    if resume is not None:
        raise SpecError(
            "--resume goes on with one run, --seeds makes several",
            remedy="give --seeds and the folder of all runs as --out: it goes on where it stopped",
        )
    with Terminal() as terminal:
        folder, found = run_seeds(program, seeds, progress=terminal, stop=asked_to_stop, **options)
    if leads():
        typer.echo(json.dumps({"folder": str(folder), **found.to_dict()}) if as_json else found)
        typer.echo(f"comparison: {folder / 'comparison.html'}", err=as_json)


@app.command(epilog="Example: groundkit check programs/addition.pl")
def check(
    program: ProgramArgument,
    spec: SpecOption = None,
    settings: SetOption = None,
    limit_seconds: SecondsOption = None,
    limit_memory: MemoryOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check that program, spec, data and networks are consistent, without training."""
    with reported(debug):
        from groundkit.runs.check import check_program

        limited = with_limits(settings, limit_seconds, limit_memory)
        found = check_program(program, spec, settings=limited, trust=trust)
        if as_json:
            typer.echo(json.dumps(found.to_dict()))
            return
        typer.echo(str(found))


@app.command(epilog="Example: groundkit identify programs/addition.pl --json")
def identify(
    program: ProgramArgument,
    spec: SpecOption = None,
    settings: SetOption = None,
    limit_seconds: SecondsOption = None,
    limit_memory: MemoryOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Count the groundings that a program and its observations admit."""
    with reported(debug):
        from groundkit.runs.commands import identify as count

        limited = with_limits(settings, limit_seconds, limit_memory)
        found = count(program, spec, settings=limited, trust=trust)
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
    with reported(debug):
        from groundkit.data.download import download
        from groundkit.data.sources import CARDS, data_root

        if get is not None:
            download(get)
            typer.echo(f"{get} is in {data_root()}")
            return
        cards = [
            {
                "name": card.name,
                "available": card.there(),
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
            typer.echo(f"  source: {card['origin']}")
            if not card["available"]:
                typer.echo(f"  get it: {card['get']}")


@app.command(epilog="Example: groundkit plan programs/addition.pl")
def plan(
    program: ProgramArgument,
    spec: SpecOption = None,
    settings: SetOption = None,
    limit_seconds: SecondsOption = None,
    limit_memory: MemoryOption = None,
    mode: ModeOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what grounding, compiling and training will cost, before they run."""
    with reported(debug):
        from groundkit.runs.plan import plan_program

        limited = with_limits(settings, limit_seconds, limit_memory, mode)
        found = plan_program(program, spec, settings=limited, trust=trust)
        typer.echo(json.dumps(found.to_dict()) if as_json else str(found))


@app.command(epilog="Example: groundkit new mine --like sum")
def new(
    name: Annotated[str, typer.Argument(help="Name of the program.")],
    like: Annotated[
        str | None,
        typer.Option(help=f"The start: {', '.join(starts())}; asked for when absent."),
    ] = None,
    folder: Annotated[Path, typer.Option("--in", help="Folder to write to.")] = Path(),
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a program, its spec and a note that run at once, as a start of your own."""
    with reported(debug):
        from groundkit.cli.starters import write_starter

        files = write_starter(name, like or _ask_start(), folder)
        if as_json:
            typer.echo(json.dumps([str(file) for file in files]))
            return
        for file in files:
            typer.echo(f"wrote {file}")
        typer.echo(f"next: groundkit run {files[0]}")


def _ask_start() -> str:
    """Asks which start is wanted, on a terminal; takes the first one elsewhere."""
    if not sys.stdin.isatty():
        return next(iter(LIKE))
    for name, words in starts().items():
        typer.echo(f"  {name}: {words}", err=True)
    answer: str = typer.prompt("Start from", default=next(iter(LIKE)), err=True)
    return answer


def main() -> None:
    """Runs the command line."""
    app()
