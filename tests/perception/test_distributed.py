"""Several processes learn what one would, each writes only its own state."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from groundkit.errors import SpecError
from groundkit.perception.distributed import ProcessGroup
from groundkit.runs.folder import Origin, RunFolder
from tests.small import write_task

TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def folder(tmp_path):
    return write_task(tmp_path)


def start(folder, *arguments, two=False):
    """Starts groundkit, in two processes if wanted."""
    command = [sys.executable, *(TWO if two else []), "-m", "groundkit", "run", "add.pl"]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def groundkit(folder, *arguments, two=False):
    """Runs groundkit to its end; returns what it printed."""
    process = start(folder, *arguments, two=two)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return printed


def terms(path):
    rows = [json.loads(line) for line in (path / "history.jsonl").open()]
    return {
        (row["phase"], row["step"], name): value
        for row in rows
        for name, value in row.get("terms", {}).items()
    }


def test_two_processes_learn_what_one_does(folder):
    """100 steps of all terms but the generative, whose chains are each process's own."""
    settings = [
        "train.min_steps=100",
        "train.cluster_steps=0",
        "networks.net.perception.generative=0",
        "networks.net.perception.contrastive=1",
        'networks.net.perception.augmentation="digits"',
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    groundkit(folder, "--out", "one", *options)
    printed = groundkit(folder, "--out", "two", *options, two=True)
    assert printed.count("report: two/report.html") == 1
    one, two = terms(folder / "one"), terms(folder / "two")
    assert one.keys() == two.keys()
    assert {name for _, _, name in one} == {"prior", "invariance", "contrastive", "symbolic"}
    assert two == pytest.approx(one, abs=1e-5)
    scores = [json.loads((folder / name / "metrics.json").read_text()) for name in ("one", "two")]
    assert scores[1]["grounding"]["accuracy"] == scores[0]["grounding"]["accuracy"]
    assert scores[1]["query"]["nll"] == pytest.approx(scores[0]["query"]["nll"], abs=1e-5)


def test_every_backbone_learns_in_two_processes_what_it_does_in_one(tmp_path):
    """Several networks, unequal shares, and a probability that one process alone reads."""
    command = [sys.executable, "-m", "benchmarks.distributed", "--steps", "20"]
    done = subprocess.run(
        [*command, "--cases", "resnet8;convnet and mlp"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [row[1].strip() for row in rows] == ["resnet8", "convnet and mlp"]
    assert all(float(row[3]) < 1e-5 and float(row[4]) < 1e-12 for row in rows), done.stdout


def children(process):
    """The processes that another has started: number -> environment."""
    listed = subprocess.run(
        ["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=True
    )
    return {
        int(number): Path(f"/proc/{number}/environ").read_text().split("\0")
        for number in listed.stdout.split()
    }


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="ranks are seen in /proc")
def test_a_process_that_dies_ends_the_others_and_the_run_goes_on_with_any_number(folder):
    settings = ["--set", "train.min_steps=90", "--set", "train.checkpoint_every=5"]
    process = start(folder, "--out", "run", *settings, two=True)
    while len(list((folder / "run" / "state" / "1").glob("0*"))) < 2:  # one of them is whole
        assert process.poll() is None
        time.sleep(0.02)
    for number, environment in children(process).items():
        if "RANK=1" in environment:
            os.kill(number, signal.SIGKILL)
    died = time.monotonic()
    printed, _ = process.communicate(timeout=60)
    assert time.monotonic() - died < 30
    assert process.returncode != 0
    assert "rank      : 1" in printed  # torchrun names it
    # From two processes to one, and from one to two.
    shutil.copytree(folder / "run", folder / "alone")
    assert "going on after step" in groundkit(folder, "--resume", "alone")
    assert "going on after step" in groundkit(folder, "--resume", "run", two=True)
    for name in ("alone", "run"):
        assert (folder / name / "report.html").exists()


class Shared(ProcessGroup):
    """One of several processes that say the same."""

    def agree(self, value):
        return value

    def least(self, value):
        return value


def test_states_are_dealt_out_to_another_number_of_processes(tmp_path):
    """Only a step that all have counts, and each takes the state of the one it stands for."""
    made = RunFolder.make(tmp_path / "run", Origin(0, "circuit", ""), {})

    def save(step, rank, processes):
        one = RunFolder(made.path, made.origin, rank)
        one.save_state(step, {"of": f"{rank}/{processes}"}, None, None, processes)

    def found(rank, size):
        offered = made.shared_state(Shared(0, size))
        if rank == 0:
            return offered.step, offered.state["of"]
        saved_by = offered.facts["processes"]
        return offered.step, made.state(offered.step, rank % saved_by).state["of"]

    save(10, 0, 2)
    save(10, 1, 2)
    assert [found(rank, 3) for rank in range(3)] == [(10, "0/2"), (10, "1/2"), (10, "0/2")]
    save(20, 0, 1)
    assert [found(rank, 2) for rank in range(2)] == [(20, "0/1"), (20, "0/1")]


def test_two_processes_have_chains_and_states_of_their_own(folder):
    process = start(folder, "--out", "two", "--set", "train.min_steps=5000", two=True)
    history = folder / "two" / "history.jsonl"
    while not (history.exists() and '"generative"' in history.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=300)
    assert printed.count("--resume two") == 1
    found = [RunFolder.reopen(folder / "two", rank).state() for rank in (0, 1)]
    assert found[0].step == found[1].step
    first, second = (one.state for one in found)
    one, other = first["learners"]["net"], second["learners"]["net"]
    for key, value in one["model"].items():
        assert torch.equal(value, other["model"][key])
    assert not torch.equal(one["buffer"]["images"], other["buffer"]["images"])


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(
        SpecError, match=r"train\.batch is 7, which 2 processes cannot share"
    ) as error:
        ProcessGroup(0, 2).own(7, "train.batch")
    assert error.value.expected == "a multiple of 2"
    assert ProcessGroup(1, 2).own(6, "train.batch").tolist() == [3, 4, 5]


def test_alone_everything_is_one_s_own():
    processes, rows = ProcessGroup(), torch.rand(3, 2)
    assert processes.leads
    assert processes.gather(rows) is rows
    assert processes.own(3, "x").tolist() == [0, 1, 2]
    assert (processes.least(4), processes.agree("x")) == (4, "x")


OUTLIVED = """
import os, sys, torch
from groundkit.perception.distributed import ProcessGroup
processes = ProcessGroup.join(torch.device("cpu"))
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3))])
processes.agree("something")
processes.leave()
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
sys.exit(any("gloo" in name for name in names))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are seen in /proc")
def test_no_thread_of_the_group_outlives_it(tmp_path):
    """Such a thread crashes its process now and then, when the interpreter ends."""
    (tmp_path / "leave.py").write_text(OUTLIVED)
    done = subprocess.run(
        [sys.executable, *TWO, "leave.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
