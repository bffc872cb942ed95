"""The state of training on disk, from which a run that was stopped or killed goes on.

A state is one file of tensors and a manifest with its hash; the manifest is written last, so a
state that was cut short does not count. The last states and the best one are kept.
"""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from groundkit.errors import CheckpointError
from groundkit.training.weights import read_manifest, read_tensors, save_tensors

KEPT = 2
"""States kept beside the best one: one that turns out to be damaged has another behind it."""
_NAME = "training"
_ODD = (KeyError, TypeError, ValueError, AttributeError)
"""What reading raises when a manifest is whole but not of a state."""


@dataclass(frozen=True)
class Saved:
    """A state that was read back.

    Attributes:
        step: Steps done.
        state: As it was given to :meth:`States.save`.
        facts: What was saved beside it.
        damaged: Folders of newer states that could not be read, with the reason.
    """

    step: int
    state: dict[str, Any]
    facts: dict[str, Any]
    damaged: tuple[str, ...]


class States:
    """The states of one run.

    Args:
        folder: Their folder; made with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, state: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Saves a state and lets go of those that are neither among the last nor the best.

        Args:
            step: Steps done so far; orders the states.
            state: Nested dicts and lists of tensors and plain values.
            facts: JSON-able facts; ``score`` says how good the state is, ``None`` if unknown.

        Raises:
            RunError: A file cannot be written; earlier states are untouched.
        """
        tensors: dict[str, Tensor] = {}
        plain = _pack(state, tensors, itertools.count())
        save_tensors(self._path(step), {_NAME: tensors}, {**facts, "plain": plain})
        self._prune()

    def latest(self, up_to: int | None = None) -> Saved | None:
        """Reads the newest state that is whole, ``None`` when there is none.

        Args:
            up_to: Leaves out the states after this step.
        """
        damaged = []
        for path in reversed(self._paths()):
            if up_to is not None and int(path.name) > up_to:
                continue
            try:
                facts = read_manifest(path)["facts"]
                state = _unpack(facts.pop("plain"), read_tensors(path, _NAME))
            except (CheckpointError, RecursionError, *_ODD) as error:
                damaged.append(f"{path}: {getattr(error, 'found', error)}")
                continue
            return Saved(int(path.name), state, facts, tuple(damaged))
        return None

    def clear(self) -> None:
        """Removes all states, when the run has ended and needs none."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:08d}"

    def _paths(self) -> list[Path]:
        """Returns the states' folders, oldest first."""
        return sorted(path for path in self.folder.glob("[0-9]" * 8) if path.is_dir())

    def _prune(self) -> None:
        paths = self._paths()
        for path in sorted(paths[:-KEPT], key=_score)[: max(len(paths) - KEPT - 1, 0)]:
            shutil.rmtree(path, ignore_errors=True)


def _score(path: Path) -> float:
    """How good a state is; minus infinity where that is not known."""
    try:
        score = read_manifest(path)["facts"].get("score")
    except CheckpointError:
        return -math.inf
    return -math.inf if score is None else float(score)


def _pack(value: Any, tensors: dict[str, Tensor], numbers: Iterator[int]) -> Any:
    """Puts tensors aside and returns the rest as JSON; keys and tuples come back as they were."""
    if isinstance(value, Tensor):
        name = str(next(numbers))
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"items": [[key, _pack(one, tensors, numbers)] for key, one in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_pack(one, tensors, numbers) for one in value]}
    if isinstance(value, list):
        return [_pack(one, tensors, numbers) for one in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a state cannot hold {type(value).__name__}")


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undoes :func:`_pack`."""
    if isinstance(value, list):
        return [_unpack(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "tuple" in value:
        return tuple(_unpack(one, tensors) for one in value["tuple"])
    return {key: _unpack(one, tensors) for key, one in value["items"]}
