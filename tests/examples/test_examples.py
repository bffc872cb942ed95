"""The scripts in ``examples/`` run, at a few steps, and are as short as they claim to be."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = sorted({*(ROOT / "examples").glob("*.py")} - {ROOT / "examples" / "sweep_submitit.py"})
LONGEST = {"addition_loop": 15, "addition_lightning": 25}
"""Lines of code from the first statement after the imports to the end of the training loop."""


def run_script(script: Path, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script as a user would."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run(
        [sys.executable, str(script), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs(script: Path, tmp_path: Path) -> None:
    if script.stem == "addition_lightning" and find_spec("lightning") is None:
        pytest.skip("lightning is not installed: pip install lightning")
    done = run_script(script, ["3"], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LONGEST)
def test_addition_is_short(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text()
    body = text.split('"""', 2)[2].split("found =")[0].splitlines()
    lines = [line for line in body if line and not line.startswith(("import", "from"))]
    assert len(lines) <= LONGEST[name]


def test_seeds_are_jobs_of_their_own_and_are_compared(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install submitit")
    settings = [
        "train.epochs=1",
        "train.min_steps=4",
        "train.cluster_steps=2",
        "train.cluster_batch=16",
        "examples.count=40",
        "evaluate.ood=[]",
        "evaluate.samples=0",
        "networks.mnist_net.perception.generative=0",
    ]
    script = ROOT / "examples" / "sweep_submitit.py"
    done = run_script(script, ["2", *settings], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Median over the runs of a row" in done.stdout
    for seed in (0, 1):
        assert (tmp_path / "runs" / "sweep" / str(seed) / "metrics.json").exists()
