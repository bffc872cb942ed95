"""Images whose labels tell what a run's symbols stand for: which, and files to look at."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from groundkit.errors import RunError
from groundkit.files import make_folder, read_bytes, write_atomically
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.identifiability.images import members
from groundkit.runs.ambiguity import Predict
from groundkit.runs.assess import held_out_images
from groundkit.runs.readings import joint_certainty
from groundkit.task.task import Task

_WRITABLE = (1, 3)
FOLDER = "suggested"


@dataclass(frozen=True)
class Asked:
    """An image to label.

    Attributes:
        image: Its file in the run's folder.
        network: The networks that read it.
        symbol: The symbol that they give it, a name that may be wrong.
    """

    image: str
    network: str
    symbol: str

    def to_dict(self) -> dict[str, str]:
        """Returns it as JSON-able values."""
        return {"image": self.image, "network": self.network, "symbol": self.symbol}


def ask_for(
    task: Task,
    found: FactoredPosterior,
    predict: Predict,
    folder: Path,
    labelled: Collection[str] = (),
) -> tuple[Asked, ...]:
    """Chooses the images whose labels leave one reading and writes them into a folder.

    For each symbol whose meaning has to be known, the image is the held-out one that is given it
    most certainly, of those that have no label. A file that is there keeps its content: it may
    have a label, or be on its way to one.
    """
    if found.count == 1:
        return ()
    shown: dict[int, Tensor] = {}
    for group in found.domains:
        for split in (1, 0):
            for symbol, pixels in _most_certain(task, group, split, predict, labelled).items():
                shown.setdefault(found.place(group, symbol), pixels)
    asked = []
    for group, symbol in found.ask(shown):
        name = found.domains[group][symbol]
        make_folder(folder / FOLDER)
        stem = f"{_plain(group)}-{_plain(name)}"
        file = _written(shown[found.place(group, symbol)], folder / FOLDER, stem)
        asked.append(Asked(str(Path(FOLDER) / file), group, name))
    return tuple(asked)


def _most_certain(
    task: Task, group: str, split: int, predict: Predict, labelled: Collection[str]
) -> dict[int, Tensor]:
    """Returns the image of every (joint) symbol that is given it most certainly."""
    first = members(group)[0]
    if any(len(call) > 1 for goal in task.goals for call in goal.reasoner.slots.get(first, ())):
        return {}  # several images stacked, which no one file can hold
    pixels = held_out_images(task, first).pixels if split else task.pool(first)
    if pixels.dim() != 4 or pixels.shape[1] not in _WRITABLE:
        return {}
    logs = {n: predict(n, pixels).double().cpu() for n in members(group)}
    certain = joint_certainty(logs, group)
    given = certain.argmax(1)
    found = {}
    for k in sorted(set(given.tolist())):
        own = torch.where(given == k)[0]
        for place in own[certain[own, k].argsort(descending=True, stable=True)].tolist():
            if not labelled or digest(pixels[place].numpy()) not in labelled:
                found[k] = pixels[place]
                break
    return found


def digest(pixels: NDArray[Any]) -> str:
    """Names an image by its content."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _written(pixels: Tensor, folder: Path, stem: str) -> str:
    """Writes an image, unless it is there, under a name that no other image has."""
    array = pixels.numpy()
    picture = Image.fromarray(array[0] if len(array) == 1 else np.moveaxis(array, 0, -1))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    content = buffer.getvalue()
    for number in itertools.count(1):
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        try:
            there = read_bytes(path, error=RunError, within=folder)
        except FileNotFoundError:
            write_atomically(path, content)
            there = content
        if there == content:
            break
    return path.name


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
