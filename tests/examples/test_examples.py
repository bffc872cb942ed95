"""The scripts in ``examples/`` run, at a few steps, and are as short as they claim to be."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
LONGEST = {"addition_loop": 15, "addition_lightning": 25}
"""Lines of code from the first statement after the imports to the end of the training loop."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs(script: Path, tmp_path: Path) -> None:
    if script.stem == "addition_lightning" and find_spec("lightning") is None:
        pytest.skip("lightning is not installed: pip install lightning")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(script), "3"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LONGEST)
def test_addition_is_short(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text()
    body = text.split('"""', 2)[2].split("found =")[0].splitlines()
    lines = [line for line in body if line and not line.startswith(("import", "from"))]
    assert len(lines) <= LONGEST[name]
