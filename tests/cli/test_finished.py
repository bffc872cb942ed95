"""The commands: what they print, what they leave, and how they refuse."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from groundkit.cli.app import app
from groundkit.cli.finished import runs

COINS = "0.4 :: h1.\n0.3 :: h2.\nwin :- h1.\nwin :- h2.\nquery(win).\nquery(h1).\n"


@pytest.fixture
def call():
    def invoke(*arguments, code=0):
        found = CliRunner().invoke(app, [str(a) for a in arguments])
        assert found.exit_code == code, found.output
        return found

    return invoke


def as_json(found):
    (line,) = found.stdout.strip().splitlines()
    return json.loads(line)


def test_help_answers_at_once_and_without_torch():
    """The best of three: a busy machine is not the program's fault."""
    code = "import sys, groundkit.cli.app as c; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "groundkit", "--help"], capture_output=True, check=True
        )
        times.append(time.perf_counter() - start)
    assert b"explain" in done.stdout
    assert min(times) < 0.5 or (os.getloadavg()[0] > (os.cpu_count() or 1) and min(times) < 2)


def test_check_loads_nothing_heavy_that_it_does_not_need():
    heavy = "{'torchvision', 'sklearn', 'matplotlib'}"
    code = f"import sys, groundkit.runs.check; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "command",
    [
        command.name or command.callback.__name__
        for command in (*app.registered_commands, *runs.registered_commands)
    ],
)
def test_every_command_has_an_example_and_json(call, command):
    words = call(command, "--help").stdout
    assert "Example" in words
    assert "--json" in words and "--debug" in words


def test_query_of_a_run(call, finished, digits):
    found = as_json(call("query", finished, "sum('1.png','2.png',Z)", "--json"))
    assert sum(found["answers"].values()) == pytest.approx(1.0)
    assert found["images"]["1.png"].keys() >= {"symbol", "energy", "out_of_distribution"}
    assert "sum('1.png','2.png'," in call("query", finished, "sum('1.png','2.png',Z)").stdout


def test_query_of_a_program_without_networks(call, digits):
    (digits / "coins.pl").write_text(COINS)
    assert as_json(call("query", "coins.pl", "--json")) == pytest.approx({"win": 0.58, "h1": 0.4})
    assert call("query", "coins.pl", "h2").stdout == "h2: 0.3000\n"


def test_explain_draws_and_names_the_goal_that_fails(call, finished, digits):
    found = as_json(call("explain", finished, "sum('1.png','2.png',Z)", "--json", "--proofs", 2))
    assert len(found["proofs"]) == 2
    assert (digits / found["picture"]).read_bytes().startswith(b"\x89PNG")
    failed = call("explain", finished, "sum('1.png','2.png',42)").stdout
    assert "42 is A+B fails" in failed


def test_evaluate_measures_what_the_run_measured(call, finished):
    found = as_json(call("evaluate", finished, "--json"))
    metrics = json.loads((finished / "metrics.json").read_text())
    assert found["grounding"]["confusion"] == metrics["grounding"]["confusion"]
    assert found["grounding"]["ece"] == pytest.approx(metrics["grounding"]["ece"], rel=1e-4)
    assert found["query"]["nll"] == pytest.approx(metrics["query"]["nll"], rel=1e-4)
    assert "symbol accuracy" in call("evaluate", finished, "--set", "evaluate.ood=[]").stdout


def test_sample_writes_a_grid(call, finished, digits):
    files = as_json(
        call("sample", finished, "--count", 2, "--steps", 2, "--out", "grids", "--json")
    )
    assert (digits / files["net"]).stat().st_size > 1000


def test_compare_puts_runs_into_a_table(call, finished, digits):
    table = call("compare", finished, finished, "--html", "page.html").stdout
    assert re.search(r"^sum +2 +2 of 2 ", table, re.MULTILINE)
    assert "<table" in (digits / "page.html").read_text()


def test_plan_counts_and_times(call, finished):
    program = finished.parent / "sum.pl"
    found = as_json(call("plan", program, "--json"))
    assert [shape["worlds"] for shape in found["shapes"]] == [25]
    assert found["train_s"] > 0
    assert "of training on this CPU" in call("plan", program).stdout


@pytest.mark.parametrize("like", ["addition", "sum", "own"])
def test_new_writes_what_passes_the_check(call, digits, like):
    files = as_json(call("new", "mine", "--like", like, "--in", "fresh", "--json"))
    assert "in order" in call("check", files[0]).stdout
    assert "is there already" in call("new", "mine", "--like", like, "--in", "fresh", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("query", "nowhere", "p(X)"), "there is no run 'nowhere'"),
        (("query", "nowhere.pl"), "there is no program"),
        (("explain", "RUN", "sum('absent.png',1,Z)"), "there is no image 'absent.png'"),
        (("query", "RUN"), "there is no goal"),
        (("evaluate", "nowhere"), "there is no run"),
        (("sample", "nowhere"), "there is no run"),
        (("compare", "nowhere"), "has no metrics.json"),
        (("plan", "nowhere.pl"), "there is no program"),
        (("new", "two words"), "is not a name"),
        (("new", "mine", "--like", "summ"), "did you mean 'sum'"),
        (("evaluate", "RUN", "--set", "evaluate.odd=[]"), "did you mean 'ood'"),
    ],
)
def test_wrong_input_is_one_message_and_code_2(call, finished, digits, arguments, words):
    chosen = [finished if a == "RUN" else a for a in arguments]
    found = call(*chosen, code=2)
    assert words in found.stderr
    assert found.stderr.count("groundkit: ") == 1
    assert "Traceback" not in found.stderr and found.stdout == ""


def test_debug_shows_where_it_comes_from(finished):
    found = CliRunner().invoke(app, ["query", str(finished), "p('a.png')", "--debug"])
    assert found.exit_code == 1 and found.exception is not None
