"""Every message that a wrong program, spec or file is refused with, in one text to review.

``python -m tests.golden.messages`` writes ``messages.txt``; ``test_messages.py`` compares. A change
of wording so shows in the difference of a commit, as that of stanc3's compiler does.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from groundkit.cli.app import app
from groundkit.errors import GroundkitError
from groundkit.program.source import parse_program
from groundkit.task.spec import parse_spec
from tests.hostile.files import CHECKPOINTS, SPECS, TABLES
from tests.hostile.programs import AT_RUN_TIME, LOADING, UNREADABLE
from tests.program.test_source import REFUSED
from tests.task.test_spec import GOAL, SLIPS

FILE = Path(__file__).parent / "messages.txt"
HOSTILE = [*LOADING, *AT_RUN_TIME, *UNREADABLE, *SPECS, *TABLES, *CHECKPOINTS]
PROGRAM = """nn(net, [X], Y, [0,1,2,3]) :: digit(X, Y).
add(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
"""
SPEC = """[query]
goal = "add(X, Y, Z)"
[examples]
data = "digits8"
inputs = ["X", "Y"]
count = 30
[networks.net]
backbone = "mlp"
"""
COMMANDS: list[tuple[str, ...]] = [
    ("check", "absent.pl"),
    ("check", "a.toml"),
    ("run", "addition"),
    ("run", "a.pl", "--seed", "-1"),
    ("run", "a.pl", "--seeds", "2", "--resume", "r"),
    ("run", "a.pl", "--device", "tpu"),
    ("run", "a.pl", "--set", "train.epohcs=3"),
    ("run", "a.pl", "--set", "train.epochs"),
    ("run", "a.pl", "--set", 'evaluate.ood=["nois"]'),
    ("check", "a.pl", "--set", "examples.data=digit8"),
    ("check", "a.pl", "--set", 'examples.inputs=["X","Y","Q"]'),
    ("check", "a.pl", "--set", 'query.goal="absent(X)"', "--set", 'examples.inputs=["X"]'),
    ("check", "a.pl", "--set", 'query.goal="add(X"'),
    ("check", "a.pl", "--set", "networks.nett.backbone=mlp"),
    ("check", "a.pl", "--set", "networks.net.backbone=mpl"),
    ("check", "a.pl", "--set", "networks.net.backbone=module:os:path"),
    ("check", "a.pl", "--set", "networks.net.backbone=shared:other"),
    ("check", "a.pl", "--set", "networks.net=mlp"),
    ("check", "a.pl", "--set", "networks=3"),
    ("check", "a.pl", "--set", "train=3"),
    ("check", "a.pl", "--set", "examples.inputs=X"),
    ("check", "a.pl", "--set", "networks.net.backbone=gru"),
    ("check", "a.pl", "--set", "networks.net.encoder=module:os:path"),
    ("check", "a.pl", "--set", "networks.net.encoder=torchvision:resnet18"),
    ("check", "a.pl", "--set", "networks.net.encoder=resnet18"),
    ("check", "a.pl", "--set", "networks.net.perception.augmentation=features"),
    ("check", "a.pl", "--set", "examples.data=moons"),
    ("check", "a.pl", "--set", "examples.file=absent.csv"),
    ("check", "a.pl", "--set", "examples.file=absent.jsonl"),
    ("new", "two words"),
    ("new", "mine", "--like", "summ"),
    ("new", "a", "--like", "sum"),
    ("query", "absent", "p(X)"),
    ("query", "absent.pl"),
    ("query", "a.pl", "--task", "mpee"),
    ("explain", "absent", "p(X)"),
    ("compare", "absent"),
    ("datasets", "--get", "mnits"),
]


def _refused(name: str, folder: Path, attempt: object) -> str:
    """The message of what is refused, with the folder's name taken out."""
    assert callable(attempt)
    try:
        attempt()
    except GroundkitError as error:
        text = f"{type(error).__name__}: {error}"
    else:
        text = "accepted"
    return f"## {name}\n{_neutral(text, folder)}\n"


def _neutral(text: str, folder: Path) -> str:
    """A message without what differs by machine, or with each data set that is added."""
    text = re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", text.replace(str(folder), "FOLDER"))
    return re.sub(
        r"valid: ((?:[\w-]+, ){19,})[\w-]+$", "valid: MANY NAMES", text, flags=re.MULTILINE
    )


def _messages(folder: Path) -> Iterator[str]:
    """All messages, each case in a folder of its own."""
    yield "# Programs, specs and files of strangers\n"
    for number, case in enumerate(HOSTILE):
        own = folder / str(number)
        own.mkdir()
        case.prepare(own)
        yield _refused(case.name, own, lambda case=case, own=own: case.attempt(own))
    yield "# Wrong programs\n"
    for number, (text, *_) in enumerate(REFUSED):
        shown = text.strip() if len(text) < 200 else f"program {number}"
        yield _refused(shown, folder, lambda text=text: parse_program(text, Path("a.pl")))
    yield "# Slips in a spec\n"
    for override, _ in SLIPS:
        yield _refused(override, folder, lambda o=override: parse_spec(GOAL, Path("a.toml"), [o]))
    yield "# Commands\n"
    runner, commands = CliRunner(), folder / "commands"
    commands.mkdir()
    with contextlib.chdir(commands):
        Path("a.pl").write_text(PROGRAM)
        Path("a.toml").write_text(SPEC)
        for words in COMMANDS:
            found = runner.invoke(app, list(words))
            text = _neutral(found.stderr, folder)
            yield f"$ groundkit {' '.join(words)}\nexit {found.exit_code}\n{text}"


def render() -> str:
    """Renders the file."""
    with tempfile.TemporaryDirectory() as folder:
        return "\n".join(_messages(Path(folder)))


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
