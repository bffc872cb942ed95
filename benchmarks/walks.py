"""The files that four things pass: the program's text, the spec, an image batch, a question.

``python -m benchmarks.walks`` trains a small run and watches every call of a function of the
package: the text or the spec passes a file where one of its functions is handed it, a batch where
it works during a joint step, a question where it works while a finished run answers. It runs from
any checkout, so that two layouts can be compared: PYTHONPATH chooses which.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import groundkit

PACKAGE = Path(groundkit.__file__).parent
SMALL = [
    "networks.net.backbone=mlp",
    "train.cluster_steps=20",
    "train.min_steps=20",
    "train.epochs=1",
    "evaluate.ood=[]",
    "evaluate.samples=1",
    "evaluate.sample_steps=2",
]


def _module(*names: str) -> Any:
    """Imports the first module of several names, one for each layout."""
    for name in names:
        try:
            return importlib.import_module(f"groundkit.{name}")
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(names)


@contextmanager
def watched(wanted: Callable[[FrameType], bool]) -> Iterator[list[str]]:
    """Collects the package's files whose functions are called, one after the other."""
    found: list[str] = []

    def look(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(str(PACKAGE)) and wanted(frame):
            file = str(Path(name).relative_to(PACKAGE))
            if not found or found[-1] != file:
                found.append(file)

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)


def _handed(*kinds: str) -> Callable[[FrameType], bool]:
    """Whether a function is handed an object of one of some classes, named."""

    def wanted(frame: FrameType) -> bool:
        code = frame.f_code
        given = [frame.f_locals.get(n) for n in code.co_varnames[: code.co_argcount]]
        return any(type(one).__name__ in kinds for one in given)

    return wanted


def main() -> None:
    """Prints the number of files of each walk, and the files."""
    prepare = _module("circuit.prepare")
    prepare._in_child = lambda shape, limits: prepare._here(shape)  # here, where we see it
    trainer = _module("training.trainer", "grounding.trainer").Trainer
    step, steps = trainer._step, []

    def one_step(self: Any) -> None:
        before = sys.getprofile()
        with watched(lambda frame: True) as found:
            step(self)
        steps.append(found)
        sys.setprofile(before)

    trainer._step = one_step
    os.environ["GROUNDKIT_CACHE"] = tempfile.mkdtemp()
    os.chdir(tempfile.mkdtemp())
    files = groundkit.write_starter("mine", "own", ".")
    walks = {}
    for name, kinds in {"program": ("Program",), "spec": ("Spec",)}.items():
        with watched(_handed(*kinds)) as found:
            groundkit.run(files[0], out=f"runs/{name}", settings=SMALL)
        walks[name] = found
    walks["batch"] = steps[-1]
    session = groundkit.open_run("runs/spec")
    goal = "pair('mine-images/000.png', 'mine-images/001.png', Z)"
    session.query(goal)
    with watched(lambda frame: True) as found:
        session.query(goal)
    walks["question"] = found
    for name, found in walks.items():
        print(f"{name}: {len(set(found))} files")
        print("  " + json.dumps(list(dict.fromkeys(found))))
    back = sum(Path(file).name == "session.py" for file in walks["question"])
    print(f"the question enters session.py {back} times")


if __name__ == "__main__":
    main()
