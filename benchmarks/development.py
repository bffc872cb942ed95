"""The development sets: data that settings are chosen on, none of them MNIST as it stands.

    python -m benchmarks.development colour zeros both --seeds 1 --set train.min_steps=300

makes each set, trains the program that ``groundkit new`` writes on it under the settings given,
and prints a line a run: the query likelihood of the training examples, by which settings may be
chosen, and the accuracy on a validation part of the images, by which choices are reported. The
images of ``mnist5k`` that are used here are its training images; its test part is not looked at.
See ``docs/protocol.md``.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from groundkit.cli.starters import write_starter
from groundkit.data.sources import load_data
from groundkit.data.synthetic import glyphs
from groundkit.runs.run import run

SHARE = 0.4
"""Share of the digit 0 among the images of an imbalanced set."""
_DIGITS = tuple("0123456789")
_Bytes = NDArray[np.uint8]
_Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Development:
    """A development set: a function of size and seed, and whether its zeros are many."""

    make: Callable[[int, int], tuple[_Bytes, _Labels]]
    unequal: bool = False


def colour_glyphs(side: int, seed: int) -> tuple[_Bytes, _Labels]:
    """Ten digits drawn from fonts with an ink and a paper of any two colours that differ."""
    drawn = glyphs(_DIGITS, 4000, (1, side, side), seed)
    ink = drawn.pixels[:, 0].numpy()[..., None] / 255.0
    rng = np.random.default_rng(seed + 1)
    colours = rng.uniform(0, 255, size=(len(ink) * 20, 2, 3))
    # A reader tells ink from paper by their brightness; some colours are too near each other.
    grey = colours @ np.array([0.299, 0.587, 0.114])
    clear = colours[np.abs(grey[:, 0] - grey[:, 1]) > 60][: len(ink)]
    pixels = ink * clear[:, None, None, 0] + (1 - ink) * clear[:, None, None, 1]
    assert drawn.labels is not None
    return pixels.round().astype(np.uint8), drawn.labels


def handwriting(side: int, seed: int) -> tuple[_Bytes, _Labels]:
    """The training images of ``mnist5k``, brought to a size."""
    train = load_data("mnist5k").train
    pixels = torch.nn.functional.adaptive_avg_pool2d(train.pixels.float(), side)
    assert train.labels is not None
    return pixels[:, 0].round().to(torch.uint8).numpy(), train.labels


SETS: dict[str, Development] = {
    "colour": Development(colour_glyphs),
    "digits": Development(handwriting),
    "zeros": Development(handwriting, unequal=True),
    "both": Development(colour_glyphs, unequal=True),
}


def sums(labels: _Labels, count: int, unequal: bool, rng: np.random.Generator) -> _Labels:
    """Draws the digits ``(count, 3)`` of additions, in which 0 is frequent if they are unequal."""
    pairs = [(a, b) for a in range(10) for b in range(10 - a)]
    weights = np.ones(len(pairs))
    if unequal:
        zeros = np.array([(a == 0) + (b == 0) + (a + b == 0) for a, b in pairs]) / 3
        # The share of zeros grows with the tilt: halve the interval until it is the one wanted.
        low, high = 0.0, 20.0
        for _ in range(50):
            tilt = (low + high) / 2
            weights = np.exp(tilt * zeros)
            low, high = (tilt, high) if weights @ zeros / weights.sum() < SHARE else (low, tilt)
    chosen = rng.choice(len(pairs), size=count, p=weights / weights.sum())
    first = np.array(pairs)[chosen]
    return np.column_stack([first, first.sum(1)])


def unequal(labels: _Labels, rng: np.random.Generator) -> _Labels:
    """Picks images of which a share :data:`SHARE` shows the digit 0, the others equally often."""
    zeros = np.flatnonzero(labels == 0)
    each = round(len(zeros) * (1 - SHARE) / SHARE / 9)
    others = [rng.permutation(np.flatnonzero(labels == digit))[:each] for digit in range(1, 10)]
    return rng.permutation(np.concatenate([zeros, *others]))


def write_table(folder: Path, development: Development, side: int, seed: int) -> Path:
    """Writes the program, a table of additions and its images into a folder."""
    pixels, labels = development.make(side, seed)
    rng = np.random.default_rng(seed)
    if development.unequal:
        kept = unequal(labels, rng)
        pixels, labels = pixels[kept], labels[kept]
    digits = sums(labels, 1250, development.unequal, rng)  # a fifth is held out
    where = {digit: np.flatnonzero(labels == digit) for digit in range(10)}
    images = np.array([[rng.choice(where[d]) for d in row] for row in digits])
    (folder / "images").mkdir()
    for number in np.unique(images):
        Image.fromarray(pixels[number]).save(folder / "images" / f"{number}.png")
    program, spec, _ = write_starter("dev", "addition", folder)
    text = spec.read_text()
    text = text.replace('data = "mnist5k" ', 'data = "images"\nfile = "table.csv"').replace(
        "count = 1000", ""
    )
    shape = [pixels.shape[-1] if pixels.ndim == 4 else 1, side, side]
    spec.write_text(f"{text}image_shape = {shape}\n[evaluate]\nood = []\nsamples = 0\n")
    with (folder / "table.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["X", "Y", "Z", "X.truth", "Y.truth", "Z.truth"])
        for names, row in zip(images, digits, strict=True):
            rows.writerow([*(f"images/{n}.png" for n in names), *row])
    return program


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes sets, trains on them and prints what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sets", nargs="+", choices=SETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--side", type=int, default=14)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    given = parser.parse_args(arguments)
    for name in given.sets:
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as place:
                program = write_table(Path(place), SETS[name], given.side, seed)
                begun = time.process_time()
                result = run(program, out=Path(place) / "run", seed=seed, settings=given.settings)
                scores = result.metrics["grounding"]
                row = {
                    "set": name,
                    "seed": seed,
                    "settings": given.settings,
                    "log_p": result.metrics["relabellings"][-1]["after"],
                    "accuracy": scores["accuracy"],
                    "matched": scores["accuracy_matched"],
                    "cpu_s": round(time.process_time() - begun, 1),
                }
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
