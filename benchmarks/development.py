"""The development sets: data that settings are chosen on, none of them MNIST as it stands.

    python -m benchmarks.development colour zeros both noisy --seeds 1 --set train.min_steps=300

makes each set, trains the program that ``groundkit new`` writes on it under the settings given,
and keeps a row a run in ``benchmarks/results/development.json``, from which
``benchmarks/results/development.md`` is made; rows that are there are kept. A row has the query
likelihood of the training examples, by which settings may be chosen, and the accuracy on a
validation part, by which choices are reported: a fifth of the images of every digit, which no row
of the table names. The images of ``mnist5k`` that are used here are its training images; its test
part is not looked at. See ``docs/protocol.md``.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.rows import RESULTS, circumstances_of, find, keep, made, read, spread, table
from groundkit.cli.starters import write_starter
from groundkit.data.sources import load_data
from groundkit.data.synthetic import glyphs
from groundkit.evaluate.symbols import score_grounding
from groundkit.runs.run import run
from groundkit.runs.session import open_run

ROWS = RESULTS / "development.json"
KEY = ("set", "seed", "side", "settings")
SHARE = 0.4
"""Share of the digit 0 among the images of an imbalanced set."""
WRONG = 0.05
"""Share of a noisy set's places that show a garment, and of its rows that are no addition."""
_DIGITS = tuple("0123456789")
_Bytes = NDArray[np.uint8]
_Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Development:
    """A development set: a function of size and seed, and what is odd about it.

    Attributes:
        make: Draws images and labels, by size and seed.
        unequal: Whether its zeros are many.
        noisy: Whether some of its images are garments, and some of its rows wrong.
    """

    make: Callable[[int, int], tuple[_Bytes, _Labels]]
    unequal: bool = False
    noisy: bool = False


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
    assert train.labels is not None
    return _brought_to(train.pixels, side), train.labels


def garments(count: int, side: int, rng: np.random.Generator) -> _Bytes:
    """Images of garments, brought to a size."""
    pixels = load_data("fashion-mnist").train.pixels
    return _brought_to(pixels[torch.from_numpy(rng.permutation(len(pixels))[:count])], side)


def _brought_to(pixels: torch.Tensor, side: int) -> _Bytes:
    smaller = torch.nn.functional.adaptive_avg_pool2d(pixels.float(), side)
    return smaller[:, 0].round().to(torch.uint8).numpy()


SETS: dict[str, Development] = {
    "colour": Development(colour_glyphs),
    "digits": Development(handwriting),
    "zeros": Development(handwriting, unequal=True),
    "both": Development(colour_glyphs, unequal=True),
    "noisy": Development(handwriting, noisy=True),
}


def sums(count: int, unequal: bool, rng: np.random.Generator) -> _Labels:
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


def validation(labels: _Labels, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Picks a fifth of the images of every digit, for choices to be reported by."""
    kept = np.zeros(len(labels), dtype=np.bool_)
    for digit in range(10):
        places = rng.permutation(np.flatnonzero(labels == digit))
        kept[places[: len(places) // 5]] = True
    return kept


def spoil(
    images: _Labels, digits: _Labels, foreign: _Labels, rng: np.random.Generator
) -> tuple[_Labels, NDArray[np.bool_]]:
    """Puts foreign images into a table ``(n, 3)``, and other digits in place of some sums.

    Returns:
        The new table, and which of its places are foreign.
    """
    images, wrong = images.copy(), rng.permutation(len(images))[: round(WRONG * len(images))]
    for row in wrong:
        others = np.flatnonzero(digits[:, 2] != digits[row, 2])
        images[row, 2] = images[rng.choice(others), 2]
    places = rng.permutation(images.size)[: round(WRONG * images.size)]
    images.flat[places] = rng.choice(foreign, size=len(places))
    return images, np.isin(images, foreign)


def write_table(
    folder: Path, development: Development, side: int, seed: int
) -> tuple[Path, _Bytes, _Labels]:
    """Writes the program, a table of additions and its images into a folder.

    Returns:
        The program, and the validation part's images and labels.
    """
    pixels, labels = development.make(side, seed)
    rng = np.random.default_rng(seed)
    if development.unequal:
        kept = unequal(labels, rng)
        pixels, labels = pixels[kept], labels[kept]
    apart = validation(labels, rng)
    held, truth = pixels[apart], labels[apart]
    pixels, labels = pixels[~apart], labels[~apart]
    digits = sums(1250, development.unequal, rng)  # a fifth of the rows are held out too
    where = {digit: np.flatnonzero(labels == digit) for digit in range(10)}
    images = np.array([[rng.choice(where[d]) for d in row] for row in digits])
    odd = np.zeros(images.shape, dtype=np.bool_)
    if development.noisy:
        foreign = len(pixels) + np.arange(200)
        images, odd = spoil(images, digits, foreign, rng)
        pixels = np.concatenate([pixels, garments(len(foreign), side, rng)])
        labels = np.concatenate([labels, np.zeros_like(foreign)])
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
        for names, foreign_ones in zip(images, odd, strict=True):
            known = ["" if o else labels[n] for n, o in zip(names, foreign_ones, strict=True)]
            rows.writerow([*(f"images/{n}.png" for n in names), *known])
    return program, held, truth


def score(folder: Path, held: _Bytes, truth: _Labels) -> dict[str, float | None]:
    """Scores a run on images that no row of its table named."""
    session = open_run(folder)
    pixels = torch.from_numpy(held)
    pixels = pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels[:, None]
    probs = session.predict("net", pixels).exp().double().numpy()
    scores = score_grounding(truth, probs, [str(digit) for digit in range(10)], named=True)
    return {"accuracy": scores.accuracy, "matched": scores.accuracy_matched}


def train(name: str, side: int, seed: int, settings: Sequence[str]) -> dict[str, Any]:
    """Makes a set, trains on it and says what came out."""
    with tempfile.TemporaryDirectory() as place:
        program, held, truth = write_table(Path(place), SETS[name], side, seed)
        begun = time.process_time()
        result = run(program, out=Path(place) / "run", seed=seed, settings=settings)
        seconds = time.process_time() - begun
        return {
            "set": name,
            "seed": seed,
            "side": side,
            "settings": list(settings),
            "log_p": result.metrics["relabellings"][-1]["after"],
            **score(result.folder, held, truth),
            "cpu_s": round(seconds, 1),
        }


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    lines = []
    kinds = dict.fromkeys((row["set"], row["side"], tuple(row["settings"])) for row in rows)
    for name, side, settings in sorted(kinds, key=lambda kind: (list(SETS).index(kind[0]), kind)):
        own = [
            r for r in rows if (r["set"], r["side"], tuple(r["settings"])) == (name, side, settings)
        ]
        changed = ", ".join(f"`{one}`" for one in settings) or "none"
        found = [spread([row[key] for row in own]) for key in ("accuracy", "matched", "log_p")]
        lines.append([name, str(side), changed, *found, str(len(own))])
    head = ("set", "side", "settings", "accuracy", "matched", "log-likelihood", "seeds")
    return (
        f"# Development sets\n\n{circumstances_of(rows)}\n\n"
        "The spec that `groundkit new` writes, but for the settings named. Accuracy is that of "
        "images that no row of the training table names; the log-likelihood is that of training "
        "queries when names were last looked for. Median over seeds (least to most).\n\n"
        f"{table(head, lines)}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("sets", nargs="+", choices=SETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--side", type=int, default=14)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    given = parser.parse_args(arguments)
    for seed, name in itertools.product(given.seeds, given.sets):
        if find(ROWS, set=name, seed=seed, side=given.side, settings=given.settings):
            continue
        row = train(name, given.side, seed, given.settings)
        print(row, flush=True)
        keep(row | made(), ROWS, *KEY)
        (RESULTS / "development.md").write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
