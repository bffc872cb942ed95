"""Several seeds: runs are kept, compared, and gone on with."""

import json

import pytest
from typer.testing import CliRunner

from groundkit.cli.app import app
from tests.small import left_behind, write_task


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


def test_seeds_run_at_a_time_and_go_on_like_those_one_by_one(folder):
    made = invoke(folder, "--seeds", "2", "--jobs", "2", "--out", str(folder / "jobs"))
    assert made.exit_code == 0, made.output
    one = invoke(folder, "--seeds", "2", "--out", str(folder / "one"))
    assert one.exit_code == 0, one.output
    for seed in ("0", "1"):
        assert left_behind(folder / "jobs" / seed) == left_behind(folder / "one" / seed)
        assert "report: " in (folder / "jobs" / f"{seed}.log").read_text()
    again = invoke(folder, "--seeds", "2", "--jobs", "2", "--out", str(folder / "jobs"))
    assert again.output.count("there already") == 2


def test_a_seed_that_fails_is_named_with_its_log(folder):
    log = folder / "failing" / "0.log"
    (folder / "failing" / "0").mkdir(parents=True)
    (folder / "failing" / "0" / "run.json").write_text("no run")
    made = invoke(folder, "--seeds", "2", "--jobs", "2", "--out", str(folder / "failing"))
    assert made.exit_code == 1
    assert "1 of 2 runs failed" in made.output and str(log) in made.output
    assert "cannot be read" in log.read_text()
    assert (folder / "failing" / "1" / "metrics.json").exists()


def test_jobs_that_make_no_sense_are_refused(folder, monkeypatch):
    assert "--seeds" in invoke(folder, "--jobs", "2").output
    assert invoke(folder, "--seeds", "2", "--jobs", "0").exit_code == 2
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused = invoke(folder, "--seeds", "2", "--jobs", "2", "--out", str(folder / "never"))
    assert refused.exit_code == 2 and "without torchrun" in refused.output
