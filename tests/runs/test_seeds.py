"""Several seeds: runs are kept, compared, and gone on with."""

import json

import pytest
from typer.testing import CliRunner

from groundkit.cli.app import app
from tests.small import write_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_task(tmp_path_factory.mktemp("seeds"))


def invoke(folder, *arguments):
    return CliRunner().invoke(
        app, ["run", str(folder / "add.pl"), "--set", "train.min_steps=6", *arguments]
    )


def test_seeds_are_runs_of_their_own_in_one_row(folder):
    made = invoke(folder, "--seeds", "2", "--seed", "4", "--out", str(folder / "out"))
    assert made.exit_code == 0, made.output
    for seed in (4, 5):
        metrics = json.loads((folder / "out" / str(seed) / "metrics.json").read_text())
        assert metrics["seed"] == seed
    assert "of 2" in made.stdout  # so many successes
    assert (folder / "out" / "comparison.html").read_text().startswith("<!")
    before = (folder / "out" / "4" / "metrics.json").stat().st_mtime_ns
    again = invoke(folder, "--seeds", "2", "--seed", "4", "--out", str(folder / "out"), "--json")
    assert (folder / "out" / "4" / "metrics.json").stat().st_mtime_ns == before
    assert json.loads(again.stdout)["folder"] == str(folder / "out")


def test_seeds_and_resume_exclude_each_other(folder):
    refused = invoke(folder, "--seeds", "2", "--resume", str(folder))
    assert refused.exit_code == 2
    assert "--seeds makes several" in refused.output
    assert invoke(folder, "--seeds", "0").exit_code == 2
