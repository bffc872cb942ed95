"""Several processes learn what one would, each writes only its own state."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from groundkit.errors import SpecError
from groundkit.perception.distributed import ProcessGroup
from groundkit.runs.folder import RunFolder
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
