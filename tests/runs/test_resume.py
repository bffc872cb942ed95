"""A run that is stopped or killed goes on, and ends as if nothing had happened."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from groundkit.errors import CheckpointError, RunError, SpecError, StoppedError
from groundkit.runs.folder import RunFolder
from groundkit.runs.progress import Silent
from groundkit.runs.run import run
from groundkit.training.states import States
from tests.small import PROGRAM, left_behind, write_task

HERE = os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
SETTINGS = ["train.min_steps=40", "train.checkpoint_every=7", "evaluate.samples=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_task(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def undisturbed(folder):
    run(folder / "add.pl", out=folder / "undisturbed", seed=3, settings=SETTINGS)
    return left_behind(folder / "undisturbed")


def stopped_after(folder, name, steps):
    """Starts a run and asks it to stop after so many steps."""
    asked = itertools.count(1)
    with pytest.raises(StoppedError, match=f"after step {steps} of 46") as error:
        run(
            folder / "add.pl",
            out=folder / name,
            seed=3,
            settings=SETTINGS,
            stop=nullcontext(lambda: next(asked) == steps),
        )
    return error.value


@pytest.mark.parametrize("steps", [1, 6, 7, 11, 30, 46])
def test_a_stopped_run_goes_on_bit_for_bit(folder, undisturbed, steps):
    error = stopped_after(folder, f"stopped-{steps}", steps)
    path = folder / f"stopped-{steps}"
    assert f"--resume {path}" in error.remedy
    result = run(folder / "add.pl", resume=path)
    assert left_behind(path) == undisturbed
    assert not (path / "state").exists()
    assert result.metrics["seed"] == 3


class Told(Silent):
    """Keeps what a run says."""

    def __init__(self):
        self.texts = []

    def say(self, text):
        self.texts.append(text)


def test_a_damaged_state_is_left_out_and_an_earlier_one_used(folder, undisturbed):
    stopped_after(folder, "damaged", 30)
    path = folder / "damaged"
    newest = sorted((path / "state" / "0").iterdir())[-1] / "training.safetensors"
    newest.write_bytes(newest.read_bytes()[:-10])
    with (path / "history.jsonl").open("a") as stream:
        stream.write('{"phase": "jo')
    told = Told()
    run(folder / "add.pl", resume=path, progress=told)
    assert [text for text in told.texts if text.startswith("left out a damaged state")]
    assert left_behind(path) == undisturbed


def test_killed_and_resumed(folder, undisturbed):
    path = folder / "killed"
    command = [sys.executable, "-m", "groundkit", "run", "add.pl", "--out", "killed", "--seed", "3"]
    for setting in SETTINGS:
        command += ["--set", setting]
    process = subprocess.Popen(command, cwd=folder, env=HERE, stderr=subprocess.DEVNULL)
    while not list(path.glob("state/0/000000*/manifest.json")):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (path / "metrics.json").exists()
    run(folder / "add.pl", resume=path)
    assert left_behind(path) == undisturbed


def test_sigterm_finishes_the_step_saves_and_says_how_to_go_on(folder):
    command = [sys.executable, "-m", "groundkit", "run", "add.pl", "--out", "term"]
    process = subprocess.Popen(
        [*command, "--set", "train.min_steps=5000"],
        cwd=folder,
        env=HERE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "term" / "history.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, message = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "stopped after step" in message
    assert "groundkit run add.pl --resume term" in message
    assert "Traceback" not in message
    assert list((folder / "term" / "state" / "0").iterdir())


def test_what_cannot_be_resumed_is_refused(folder, undisturbed, tmp_path):
    with pytest.raises(CheckpointError, match="has ended"):
        run(folder / "add.pl", resume=folder / "undisturbed")
    with pytest.raises(CheckpointError, match="not the folder of a run"):
        run(folder / "add.pl", resume=tmp_path)
    stopped_after(folder, "other", 1)
    with pytest.raises(SpecError, match="its own folder, spec, settings and seed"):
        run(folder / "add.pl", resume=folder / "other", settings=["train.batch=3"])
    (tmp_path / "add.pl").write_text(PROGRAM + "% changed\n")
    with pytest.raises(CheckpointError, match="is not the program of the run"):
        run(tmp_path / "add.pl", resume=folder / "other")
    with pytest.raises(SpecError, match="--resume"):
        run(folder / "add.pl", out=folder / "other").metrics  # noqa: B018


def test_the_last_states_and_the_best_are_kept(tmp_path):
    states = States(tmp_path / "states")
    for step, score in ((1, -3.0), (2, -1.0), (3, -2.0), (4, None), (5, -2.5)):
        states.save(step, {"weights": torch.full((2,), float(step))}, {"score": score})
    kept = sorted(int(path.name) for path in (tmp_path / "states").iterdir())
    assert kept == [2, 4, 5]
    assert torch.equal(states.latest().state["weights"], torch.tensor([5.0, 5.0]))
    assert states.latest(up_to=4).step == 4


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {
        0: {"step": torch.tensor(3.0), "betas": (0.9, 0.999)},
        "empty": {},
        "list": [1, None, True, "text", 2**100, float("inf")],
        "bytes": torch.arange(3, dtype=torch.uint8),
    }
    States(tmp_path).save(1, state, {})
    found = States(tmp_path).latest().state
    assert torch.equal(found[0].pop("step"), state[0].pop("step"))
    assert torch.equal(found.pop("bytes"), state.pop("bytes"))
    assert found == state


def test_a_state_of_what_cannot_be_kept_is_refused(tmp_path):
    with pytest.raises(TypeError, match="a state cannot hold object"):
        States(tmp_path).save(1, {"x": object()}, {})
    assert not list(tmp_path.iterdir())


def edited(path, before, after):
    spec = path / "spec.toml"
    spec.write_text(spec.read_text().replace(before, after, 1))


EDITS = [
    ("min_steps = 40", "min_steps = 41", "train.min_steps is 41, the run was started with 40",
     "set it back to 40"),
    ("pool = true", "pool = false", "examples.pool is false, the run was started with true",
     "set it back to true"),
    ("epochs = 1\n", "", "train.epochs is not given, the run was started with 1", "set it back"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "words", "remedy"), EDITS)
def test_a_run_whose_spec_was_edited_is_not_gone_on_with(
    folder, tmp_path, before, after, words, remedy
):
    path = folder / f"edited-{tmp_path.name}"
    stopped_after(folder, path.name, 8)
    edited(path, before, after)
    with pytest.raises(CheckpointError, match=words) as info:
        run(folder / "add.pl", resume=path)
    assert remedy in info.value.remedy
    assert f"groundkit run {folder / 'add.pl'} --spec {path / 'spec.toml'}" in info.value.remedy
    if after:  # the remedy, followed
        edited(path, after, before)
        RunFolder.reopen(path).check_spec(folder / "add.pl")


def test_comments_in_a_spec_and_a_spec_that_is_lost_change_nothing(folder, undisturbed):
    stopped_after(folder, "lost", 8)
    edited(folder / "lost", "[train]", "# mine\n[train]")
    RunFolder.reopen(folder / "lost").check_spec(folder / "add.pl")
    (folder / "lost" / "spec.toml").unlink()
    run(folder / "add.pl", resume=folder / "lost")
    assert left_behind(folder / "lost") == undisturbed


class Removing(Silent):
    """Takes the run's folder away after so many steps, or before it is evaluated."""

    def __init__(self, path, at, take):
        self.path, self.at, self.take = path, at, take

    def step(self, done, total, what):
        if done == self.at:
            self.take(self.path)

    def say(self, text):
        if self.at is None and text.startswith("evaluating"):
            self.take(self.path)


def emptied(path):
    shutil.rmtree(path)
    path.mkdir()


def moved(path):
    path.rename(path.with_name(f"{path.name}-away"))


@pytest.mark.parametrize(
    ("at", "take"), [(3, shutil.rmtree), (20, moved), (46, emptied), (None, shutil.rmtree)]
)
def test_a_run_whose_folder_vanished_says_so_and_saves_what_there_is(
    folder, undisturbed, tmp_path, at, take
):
    path, saved = tmp_path / "out", tmp_path / "out-rescued-1"
    with pytest.raises(RunError, match="out' was removed or moved while the run") as info:
        run(
            folder / "add.pl",
            out=path,
            seed=3,
            settings=SETTINGS,
            progress=Removing(path, at, take),
        )
    assert f"everything so far is saved in '{saved}'" in info.value.remedy
    again = f"go on with: groundkit run {folder / 'add.pl'} --resume {saved}"
    assert info.value.remedy.endswith(again)
    run(folder / "add.pl", resume=saved)
    assert left_behind(saved) == undisturbed


@pytest.mark.parametrize("seed", [-5, -1, 2**32, 10**30])
def test_seeds_that_no_generator_takes_are_refused(folder, seed):
    with pytest.raises(SpecError, match=f"the seed {seed}\n  expected: a whole number from 0"):
        run(folder / "add.pl", seed=seed)
