"""The commands that work on finished runs; torch is imported inside of them only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from groundkit.cli.terminal import (
    DebugOption,
    JsonOption,
    MemoryOption,
    ModeOption,
    SecondsOption,
    SetOption,
    Terminal,
    TrustOption,
    headlines,
    interruptible,
    reported,
    with_limits,
)
from groundkit.errors import DataError
from groundkit.files import write_atomically

runs = typer.Typer(rich_markup_mode=None)

_ROWS_SHOWN = 10

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
GoalArgument = Annotated[
    str, typer.Argument(metavar="GOAL", help="A goal with image files in quotes.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
PickOption = Annotated[
    bool,
    typer.Option("--pick", help="Take the learnt meaning of the symbols, where several are left."),
]


@runs.command(
    epilog="Examples: groundkit query runs/addition/2026-01-01-0 \"addition('a.png','b.png',Z)\"; "
    "groundkit query coins.pl --json; groundkit query coins.pl --task mpe"
)
def query(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A finished run, or a .pl without networks.")
    ],
    goal: Annotated[
        str | None,
        typer.Argument(
            metavar="GOAL",
            help="A goal with image files in quotes; for a .pl, its query(...) facts when absent.",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Of a .pl, as ProbLog: mpe, map, sample, explain or lfi.")
    ] = None,
    examples: Annotated[
        list[Path] | None, typer.Option(help="Interpretations to learn from, for --task lfi.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Worlds of --task sample.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Seed of --task sample and lfi.")] = None,
    limit_seconds: SecondsOption = None,
    limit_memory: MemoryOption = None,
    mode: ModeOption = None,
    fixed: Annotated[
        list[str] | None, typer.Option("--set", help="Set a symbol: \"digit('a.png')=3\".")
    ] = None,
    facts: Annotated[
        list[str] | None, typer.Option(help='A fact for this question: "edge(a,b)".')
    ] = None,
    evidence: Annotated[
        list[str] | None, typer.Option(help='What is known to hold: "lucky", "\\+lucky".')
    ] = None,
    pick: PickOption = False,
    trust: TrustOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Answer a goal: its answers with probabilities, and how each image was read."""
    with reported(debug):
        limits = with_limits(None, limit_seconds, limit_memory, mode)
        from groundkit.runs.programs import ask_program, is_program

        if is_program(run) and not (fixed or facts or evidence):
            # A plain program is answered before the packages for networks would be loaded.
            answers = ask_program(
                run, goal, task=task, examples=examples or (), count=count, seed=seed,
                settings=limits, trust=trust,
            )  # fmt: skip
            typer.echo(json.dumps(answers.to_dict()) if as_json else str(answers))
            return
        from groundkit.runs.commands import query as ask

        found = ask(
            run, goal, task=task, examples=examples or (), count=count, seed=seed, pick=pick,
            fixed=fixed or (), facts=facts or (), evidence=evidence or (), settings=limits,
            trust=trust, device=device,
        )  # fmt: skip
        typer.echo(json.dumps(found.to_dict()) if as_json else str(found))


@runs.command(
    epilog="Example: groundkit explain runs/addition/2026-01-01-0 \"addition('a.png','b.png',Z)\""
)
def explain(
    run: RunArgument,
    goal: GoalArgument,
    proofs: Annotated[int, typer.Option(min=1, help="How many proofs to tell.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="PNG of proofs and circuit; default: explanation.png.")
    ] = None,
    pick: PickOption = False,
    trust: TrustOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Explain the most probable answer by its proofs; without one, name the goal that fails."""
    with reported(debug):
        from groundkit.runs.commands import explain as why

        found = why(run, goal, count=proofs, pick=pick, trust=trust, device=device)
        drawn = None
        if found.answer is not None:
            drawn = found.draw(out or Path("explanation.png"))
        if as_json:
            typer.echo(json.dumps({**found.to_dict(), "picture": str(drawn) if drawn else None}))
            return
        typer.echo(str(found))
        if drawn is not None:
            typer.echo(f"picture: {drawn}")


@runs.command(epilog="Example: groundkit evaluate runs/addition/2026-01-01-0 --json")
def evaluate(
    run: RunArgument,
    settings: SetOption = None,
    seed: Annotated[int, typer.Option(help="Seed of samples and chosen images.")] = 0,
    trust: TrustOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure a finished run again: grounding, calibration, out of distribution, generation."""
    with reported(debug):
        from groundkit.runs.commands import evaluate as measure

        with Terminal() as terminal:
            terminal.say("evaluating on held-out images")
            metrics = measure(run, settings=settings or (), seed=seed, trust=trust, device=device)
        if as_json:
            typer.echo(json.dumps(metrics))
            return
        for line in headlines(metrics):
            typer.echo(line)
        wrong = metrics["contradictions"] or {"count": 0}
        if wrong["count"]:
            typer.echo(f"{wrong['count']} of {wrong['n']} examples contradict the networks:")
        for row in (wrong.get("rows") or [])[:_ROWS_SHOWN]:
            place = row["place"] or f"{row['split']} example"
            typer.echo(f"  {place}: {row['given']}; it looks like {row['read']}")


@runs.command(epilog="Example: groundkit sample runs/addition/2026-01-01-0 --count 8")
def sample(
    run: RunArgument,
    count: Annotated[int, typer.Option(min=1, help="Images of every symbol.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Most Langevin steps of an image.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of start and noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the grids; default: here.")] = None,
    trust: TrustOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Generate images and write them as grids, a row for every symbol."""
    with reported(debug):
        from groundkit.runs.commands import sample as generate
        from groundkit.runs.commands import write_grids

        made = generate(run, count, steps=steps, seed=seed, trust=trust, device=device)
        files = write_grids(made, out or Path())
        if as_json:
            typer.echo(json.dumps({name: str(file) for name, file in files.items()}))
            return
        for name, file in files.items():
            typer.echo(f"{name}: {file}")


@runs.command(epilog="Example: groundkit suggest runs/xor/2026-01-01-0")
def suggest(
    run: RunArgument,
    trust: TrustOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Name the fewest images whose labels leave one meaning of the symbols."""
    with reported(debug):
        from groundkit.runs.labels import suggest as ask

        found = ask(run, trust=trust, device=device)
        typer.echo(json.dumps(found.to_dict()) if as_json else str(found))


@runs.command(
    epilog="Example: groundkit label runs/xor/2026-01-01-0 "
    "runs/xor/2026-01-01-0/suggested/mnist-net-0.png 1"
)
def label(
    run: RunArgument,
    labels: Annotated[
        list[str], typer.Argument(metavar="IMAGE SYMBOL...", help="Images, each with its symbol.")
    ],
    network: Annotated[
        str | None, typer.Option(help="Whose symbols they are, where there are several networks.")
    ] = None,
    trust: TrustOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take up labels of a few images in seconds; labelling an image again corrects its label."""
    with reported(debug):
        from groundkit.runs.labels import label as take_up

        if len(labels) % 2:
            raise DataError(
                f"'{labels[-1]}' stands alone",
                expected="an image and its symbol, then perhaps others",
                remedy=f"groundkit label {run} IMAGE SYMBOL",
            )
        pairs = list(zip(labels[::2], labels[1::2], strict=True))
        found = take_up(run, pairs, network=network, trust=trust, device=device)
        typer.echo(json.dumps(found.to_dict()) if as_json else str(found))


@runs.command(epilog="Example: groundkit demo runs/addition/2026-01-01-0")
def demo(
    run: RunArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser.")] = False,
    trust: TrustOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Serve a page on this machine on which one draws images and sees the run answer."""
    with reported(debug):
        from groundkit.demo.page import demo as serve

        def say(url: str) -> None:
            typer.echo(json.dumps({"url": url}) if as_json else f"draw at {url} (Ctrl-C ends it)")

        interruptible()
        serve(run, port=port, open_browser=not no_open, trust=trust, device=device, say=say)


@runs.command(epilog="Example: groundkit compare runs/addition/* --html comparison.html")
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Finished runs.")],
    html: Annotated[Path | None, typer.Option(help="Also write a page with the table.")] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Put runs into one table: median and spread over the runs that differ in their seed."""
    with reported(debug):
        from groundkit.runs.commands import compare as side_by_side

        found = side_by_side(*folders)
        if html is not None:
            write_atomically(html, found.to_html().encode())
        typer.echo(json.dumps(found.to_dict()) if as_json else str(found))
