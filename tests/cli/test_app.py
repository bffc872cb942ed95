"""Every wrong input: exit code 2, one message with its place and a remedy, no traceback."""

import json
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

from groundkit.cli import terminal
from groundkit.cli.app import app
from tests.small import PROGRAM, SPEC, write_task

runner = CliRunner()


@pytest.fixture
def folder(tmp_path):
    return write_task(tmp_path)


def refused(*words):
    result = runner.invoke(app, [str(word) for word in words])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("groundkit: ")
    assert result.stderr.count("groundkit: ") == 1
    return result.stderr


def test_check_finds_everything_in_order(folder):
    result = runner.invoke(app, ["check", str(folder / "add.pl"), "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["examples"], found["networks"]["net"]["symbols"]) == (60, 5)


def test_missing_program(folder):
    assert "none.pl" in refused("check", folder / "none.pl")


def test_missing_spec(folder):
    (folder / "add.toml").unlink()
    said = refused("check", folder / "add.pl")
    assert "add.toml" in said
    assert "groundkit new" in said


def test_unknown_network(folder):
    said = refused("check", folder / "add.pl", "--set", "networks.nett.backbone=mlp")
    assert "did you mean 'net'" in said


def test_wrong_domain_size(folder):
    (folder / "add.pl").write_text(PROGRAM + "nn(net, [X], Y, [a,b]) :: letter(X, Y).\n")
    said = refused("check", folder / "add.pl")
    assert "add.pl:5" in said
    assert "net" in said


def test_unknown_data_set(folder):
    assert "did you mean 'digits8'" in refused(
        "check", folder / "add.pl", "--set", "examples.data=digit8"
    )


def test_unknown_foreign_set_is_refused_before_training(folder):
    said = refused("run", folder / "add.pl", "--set", 'evaluate.ood=["nois"]')
    assert "did you mean 'noise'" in said


def test_goal_variable_that_is_not_bound(folder):
    said = refused("check", folder / "add.pl", "--set", 'examples.images=["X","Y","Q"]')
    assert said.startswith("groundkit: --set examples.images=")
    assert "'Q' is not in the goal" in said


def test_goal_without_solution(folder):
    said = refused(
        "check", folder / "add.pl", "--set", 'query.goal="impossible(X)"',
        "--set", 'examples.images=["X"]',
    )  # fmt: skip
    assert "impossible" in said


def test_syntax_error_in_the_program(folder):
    (folder / "add.pl").write_text(PROGRAM + "broken(X :- digit(X, 1).\n")
    said = refused("check", folder / "add.pl")
    assert "add.pl:5" in said


def test_unknown_key_of_the_spec(folder):
    (folder / "add.toml").write_text(SPEC.replace("epochs", "epoch"))
    said = refused("run", folder / "add.pl")
    assert "did you mean 'epochs'" in said


def test_backbones_of_others_need_trust(folder):
    said = refused("check", folder / "add.pl", "--set", "networks.net.backbone=module:os:path")
    assert "--trust" in said


def test_identify_counts(folder):
    result = runner.invoke(app, ["identify", str(folder / "add.pl"), "--json"])
    assert json.loads(result.stdout)["count"] == 2


def test_datasets_lists_what_is_there():
    cards = json.loads(runner.invoke(app, ["datasets", "--json"]).stdout)
    assert {"mnist5k", "digits8", "fashion-mnist", "cifar10"} <= {card["name"] for card in cards}
    assert {c["name"] for c in cards if c["available"]} >= {"mnist5k", "digits8", "moons"}


def test_every_command_shows_an_example():
    for command in ("run", "check", "identify", "datasets"):
        result = runner.invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert f"groundkit {command}" in result.stdout


def test_help_does_not_import_torch():
    code = "import sys; from groundkit.cli.app import app; assert 'torch' not in sys.modules"
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] not enough memory: you tried to allocate"
        ),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_memory_that_is_not_there_is_no_internal_error(capsys, error):
    with pytest.raises(typer.Exit) as ended, terminal.reported(False):
        raise error
    said = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert said.startswith("groundkit: out of memory") and "remedy: raise the limit" in said


def test_an_address_space_too_small_for_the_libraries_is_said(monkeypatch, capsys):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, resource.RLIM_INFINITY))
    with pytest.raises(typer.Exit), terminal.reported(False):
        pytest.fail("the command has begun")
    said = capsys.readouterr().err
    assert "groundkit: the address space is limited to 1,024 MiB\n" in said
    assert "expected: at least 4,096 MiB" in said and "ulimit -v unlimited" in said


def test_a_command_whose_reader_has_gone_is_no_internal_error(capsys):
    with pytest.raises(BrokenPipeError), terminal.reported(False):  # click ends in silence then
        raise BrokenPipeError
    assert capsys.readouterr().err == ""
