"""Every shell, console and Python block of README and docs runs, in order, page by page.

What a page needs beyond its blocks stands in HTML comments right above them:

- ``file: NAME`` writes the block to a file; above commands it makes the named images;
- ``small: LINE`` replaces the line of a Python block that assigns the same name.

A console block shows commands with what they print: the same must come out, but for the numbers in
it, and ``...`` stands for any lines. What it trains is the reader's own data.

``groundkit run`` trains at the size of ``SMALL``. ``torchrun`` and the SLURM script run with the
program's own data, network and sizes, shortened by ``STEPS`` alone. Programs and parts of specs are
read, and the examples of the reference of commands are parsed. ``ELSEWHERE`` lists what is left.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from click import Context
from typer.main import get_command
from typer.testing import CliRunner

from groundkit.cli.app import app
from groundkit.demo.server import DemoServer
from groundkit.errors import StoppedError
from groundkit.program.source import parse_program
from groundkit.runs.run import run
from groundkit.task.spec import parse_spec
from tests.trained import write_digit

ROOT = Path(__file__).parent.parent
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
         if page.exists()]  # fmt: skip
SMALL = [
    "examples.data=digits8",
    "examples.count=60",
    "examples.held_out=20",
    "train.cluster_steps=4",
    "train.cluster_batch=32",
    "train.min_steps=6",
    "train.epochs=1",
    "train.batch=16",
    "evaluate.ood=['noise']",
    "evaluate.ood_count=20",
    "evaluate.samples=1",
    "evaluate.sample_steps=2",
]
STEPS = [
    "train.cluster_steps=4",
    "train.min_steps=6",
    "train.epochs=1",
    "evaluate.sample_steps=2",
]
STEPS_AS_OPTIONS = [word for setting in STEPS for word in ("--set", setting)]
# Enough for the five symbols of `groundkit new --like own`.
TRANSCRIPT = [
    "networks.net.backbone=mlp",
    "train.cluster_steps=60",
    "train.min_steps=100",
    "train.epochs=1",
    "evaluate.ood_count=20",
    "evaluate.samples=1",
    "evaluate.sample_steps=2",
]
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-\d+)?")
# The only commands of the pages that no test runs, and what does.
ELSEWHERE = {
    "pip install .": ".ci/run, which installs the tests' packages with it",
    "pip install '.[dev]'": ".ci/run",
    "pytest": ".ci/run, and whoever reads this in its output",
}
BLOCK = re.compile(
    r"(?:^<!-- (?P<key>file|small): (?P<note>.*?) -->\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def interrupt(program, folder):
    """Leaves the folder of a run that was stopped."""
    with pytest.raises(StoppedError):
        run(program, out=folder, settings=SMALL, stop=nullcontext(lambda: True))


def run_processes(command, **environment):
    """Runs a command that starts several processes; returns what it printed."""
    done = subprocess.run(
        command,
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def run_shell(text):
    """Runs the lines of a shell block."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in line.split(" && "):
            words = shlex.split(part, comments=True)
            if not words or part.strip() in ELSEWHERE:
                continue
            if words[0] == "torchrun":
                run_processes([*words, *STEPS_AS_OPTIONS])
                continue
            assert words.pop(0) == "groundkit", f"a test cannot run: {part}"
            if "--resume" in words:
                interrupt(words[1], words[-1])
            elif words[0] == "run":
                words += [word for setting in SMALL for word in ("--set", setting)]
            found = CliRunner().invoke(app, words)
            assert found.exit_code == 0, f"{part}\n{found.output}"


def run_console(text):
    """Runs the commands of a console block and holds what they print against what is shown."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        words = shlex.split(command)
        assert words.pop(0) == "groundkit", f"a test cannot run: {command}"
        if words[0] == "run":
            words += [word for setting in TRANSCRIPT for word in ("--set", setting)]
        found = CliRunner().invoke(app, words)
        lines = [
            r"(?:.*\n)*?" if line == "..." else re.escape(NUMBER.sub("#", line)) + "\n"
            for line in shown.splitlines()
        ]
        printed = NUMBER.sub("#", "".join(f"{x.rstrip()}\n" for x in found.output.splitlines()))
        assert re.fullmatch("".join(lines), printed), f"{command} prints\n{found.output}"


def read_prolog(text):
    """Reads a program, or clauses beside those of one."""
    if "::" not in text:
        text = (ROOT / "programs" / "addition.pl").read_text() + text
    parse_program(text, ROOT / "docs" / "page.pl")


def read_toml(text):
    """Reads tables of a spec beside those of a program that has none of them."""
    whole = (ROOT / "programs" / "addition.toml").read_text() + text
    parse_spec(whole, ROOT / "programs" / "addition.toml", ())


def parse_examples(text):
    """Parses the examples of a command; its usage stands on a line of its own."""
    commands = get_command(app)
    _, said, examples = text.partition("Example")
    for example in re.split(r"; (?=groundkit )", examples.partition(": ")[2]) if said else ():
        words = shlex.split(example)
        assert words.pop(0) == "groundkit"
        name, command, rest = commands.resolve_command(Context(commands), words)
        command.make_context(name, rest)


RUNNERS = {"shell": run_shell, "console": run_console}
READERS = {"prolog": read_prolog, "toml": read_toml, "text": parse_examples}


def run_python(text, small, names):
    """Runs a Python block, with one assignment replaced where the page says so."""
    if small:
        name = small.split("=")[0].strip()
        pattern = re.compile(rf"^{name} = .*$", re.MULTILINE)
        assert pattern.search(text), f"no line assigns '{name}'"
        text = pattern.sub(lambda _: small, text, count=1)
    exec(compile(text, "block", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run_as_written(page, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "programs", tmp_path / "programs")
    # A page that is served ends at once, and opens nowhere.
    monkeypatch.setattr(DemoServer, "serve_forever", lambda self: None)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    names = {"SMALL": SMALL}
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        files = block["note"].split() if block["key"] == "file" else []
        if block["language"] in RUNNERS:
            for number, file in enumerate(files):
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                write_digit(tmp_path / file, number)
            RUNNERS[block["language"]](block["text"])
        elif block["language"] == "python":
            run_python(block["text"], block["note"] if block["key"] == "small" else None, names)
        elif files:
            (tmp_path / files[0]).write_text(block["text"])
        else:
            READERS[block["language"]](block["text"])


def test_no_block_is_overlooked_and_what_is_run_elsewhere_is_still_there():
    pages = {page: page.read_text(encoding="utf-8") for page in PAGES}
    for page, text in pages.items():
        fences = re.findall(r"^\s*```", text, re.MULTILINE)
        assert len(fences) == 2 * len(BLOCK.findall(text)), f"a block of {page.name} is overlooked"
    shell = [b["text"] for text in pages.values() for b in BLOCK.finditer(text)
             if b["language"] == "shell"]  # fmt: skip
    parts = {part.strip() for text in shell for line in text.splitlines()
             for part in line.split(" && ")}  # fmt: skip
    assert set(ELSEWHERE) <= parts
    ci = (ROOT / ".ci" / "run").read_text()
    assert "pip install '.[dev]'" in ci and re.search("^pytest$", ci, re.MULTILINE)


def test_references_are_what_the_code_says():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, page in generate.PAGES.items():
        written = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert written == page(), f"run python docs/generate.py: {name} is out of date"


def test_pages_are_in_the_navigation_and_links_lead_somewhere():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name in navigation
        for link in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_script_for_slurm_runs(tmp_path):
    """Its own commands, on one node with a process for each of two GPUs that are not there."""
    shutil.copytree(ROOT / "programs", tmp_path / "programs")
    script = (ROOT / "docs" / "slurm.sbatch").read_text()
    for before, after in {
        "--nproc-per-node 4": "--nproc-per-node 2",
        '"${arguments[@]}"': f'"${{arguments[@]}}" {shlex.join(STEPS_AS_OPTIONS)}',
        ":29500": ":0",
    }.items():
        assert script.count(before) == 1
        script = script.replace(before, after)
    (tmp_path / "short.sbatch").write_text(script)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, does in {"srun": 'exec "$@"', "scontrol": "echo localhost"}.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{does}\n")
        (bin_ / name).chmod(0o755)
    printed = run_processes(
        ["bash", "-c", f"PATH={bin_}:$PATH; cd {tmp_path}; . ./short.sbatch"],
        SLURM_JOB_ID="7",
        SLURM_NNODES="1",
        SLURM_JOB_NODELIST="localhost",
    )
    assert printed.count("report: runs/addition/7/report.html") == 1


def test_site_is_built_without_a_warning_and_shows_formulas_without_a_script(tmp_path):
    pytest.importorskip("material", reason="no mkdocs-material")
    pytest.importorskip("latex2mathml", reason="no latex2mathml")
    pytest.importorskip("mkdocstrings", reason="no mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "how-it-works" / "index.html").read_text(encoding="utf-8")
    written = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    formulas = written.count("$$") // 2 + written.count(r"\(")
    assert page.count("<math") == formulas > 0
    assert "arithmatex" not in page and r"\frac" not in page
    loaded = re.findall(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(.*?)"', page)
    assert loaded and not [address for address in loaded if "//" in address]
