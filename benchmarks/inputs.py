"""Symbols of inputs that are no images, without labels and beside a supervised network.

    python -m benchmarks.inputs --cases wine pixels vowels --seeds 0 1 2

``wine``: rows of scikit-learn's table of wines, 13 columns, three cultivars. ``pixels``: the 64
values of scikit-learn's 8x8 digits as rows, which keep nothing of what lies beside what.
``vowels``: JapaneseVowels from the package aeon, 640 utterances of nine speakers, sequences of
twelve coefficients and 7 to 29 steps. ``letters``: scikit-learn's digits as images, through the
recogniser of rapidocr-onnxruntime (``encoder = "onnx:..."``); ``letters-plain``: the same without
it, by a small convnet.

In each a program sees the sum of the numbers of two symbols, and no label of either. ``supervised``
is the same network trained on the labels of the same training inputs. Settings are groundkit's
defaults but for the sizes in ``SPEC`` and in a case, which a busy machine allows; none was chosen
by a test score. Each row goes to ``benchmarks/results/inputs.json`` as soon as it is there, and the
table of all rows to ``inputs.md`` beside it; rows that are there are kept.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rows import RESULTS, circumstances_of, find, keep, made, read, spread, table
from benchmarks.supervised import ceiling
from groundkit.runs.run import run
from groundkit.task.load import read_task

ROWS = RESULTS / "inputs.json"
PROGRAM = """nn(net, [X], Y, [{symbols}]) :: symbol(X, Y).
sum(X, Y, Z) :- symbol(X, A), symbol(Y, B), Z is A+B.
"""
SPEC = """[query]
goal = "sum(X, Y, Z)"
[examples]
data = "{data}"
inputs = ["X", "Y"]
count = 1000
held_out = 300
[networks.net]
{network}
[train]
epochs = 1
min_steps = 400
batch = 32
pool_batch = 64
cluster_steps = 200
cluster_batch = 128
[evaluate]
ood = ["noise"]
ood_count = 500
samples = 0
"""
SUPERVISED_STEPS, SUPERVISED_BATCH = 400, 64


@dataclass(frozen=True)
class Case:
    """A data set, the network that reads it, and how its file is made.

    Attributes:
        symbols: Number of symbols.
        data: Name of the data set's file.
        network: Lines of the network's table.
        make: Writes the file into a folder.
    """

    symbols: int
    data: str
    network: str
    make: Callable[[Path], None]


def _wine(folder: Path) -> None:
    from sklearn.datasets import load_wine

    found = load_wine()
    np.savez(folder / "wine.npz", rows=found.data, labels=found.target)


def _pixels(folder: Path) -> None:
    from sklearn.datasets import load_digits

    found = load_digits()
    np.savez(folder / "pixels.npz", rows=found.data, labels=found.target)


def _vowels(folder: Path) -> None:
    from aeon.datasets import load_japanese_vowels

    utterances, speakers = load_japanese_vowels()
    sequences = np.full((len(utterances), max(one.shape[1] for one in utterances), 12), np.nan)
    for place, one in enumerate(utterances):
        sequences[place, : one.shape[1]] = one.T
    labels = np.array([int(float(speaker)) - 1 for speaker in speakers])
    np.savez(folder / "vowels.npz", sequences=sequences, labels=labels)


def _images(folder: Path) -> None:
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images * 255 / 16).astype(np.uint8)
    np.savez(folder / "digits.npz", images=images, labels=found.target)


def _encoded(folder: Path) -> None:
    _images(folder)
    # Only its file is wanted: importing the package would ask for OpenCV.
    package = importlib.util.find_spec("rapidocr_onnxruntime")
    assert package is not None and package.submodule_search_locations
    models = Path(package.submodule_search_locations[0]) / "models"
    content = next(models.glob("*rec_infer.onnx")).read_bytes()
    (folder / "recogniser.onnx").write_bytes(content)


CASES = {
    "wine": Case(3, "wine.npz", 'backbone = "mlp"', _wine),
    "pixels": Case(10, "pixels.npz", 'backbone = "mlp"', _pixels),
    "vowels": Case(
        9, "vowels.npz", 'backbone = "gru"\noptions = {width = 32, features = 32}', _vowels
    ),
    "letters": Case(
        10,
        "digits.npz",
        "image_shape = [1, 48, 48]\n"
        'encoder = "onnx:recogniser.onnx#transpose_51.tmp_0"\n'
        'backbone = "mlp"',
        _encoded,
    ),
    "letters-plain": Case(10, "digits.npz", 'backbone = "convnet"', _images),
}


def write(case: Case, folder: Path) -> Path:
    """Writes a case's data, program and spec; returns the program."""
    case.make(folder)
    program = folder / "case.pl"
    program.write_text(PROGRAM.format(symbols=",".join(map(str, range(case.symbols)))))
    program.with_suffix(".toml").write_text(SPEC.format(data=case.data, network=case.network))
    return program


def without_labels(program: Path, seed: int) -> dict[str, Any]:
    """Trains on sums alone."""
    found = run(program, out=program.parent / f"run-{seed}", seed=seed, device="cpu")
    scores = found.metrics["grounding"]
    return {
        "accuracy": found.accuracy,
        "accuracy_matched": found.accuracy_matched,
        "embedding_accuracy": scores["embedding_accuracy"],
        "query_accuracy": found.query_accuracy,
        "auroc_noise": found.metrics["ood"]["noise"]["auroc"],
    }


def supervised(program: Path, seed: int) -> dict[str, Any]:
    """Trains the same network on the labels of the same training inputs."""
    task = read_task(program)
    found = ceiling(task, "net", seed, steps=SUPERVISED_STEPS, batch=SUPERVISED_BATCH)
    return {"accuracy": found}


METHODS = {"without labels": without_labels, "supervised": supervised}


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words the median accuracies, and where each row was measured."""
    lines = []
    for name in CASES:
        own = [row for row in rows if row["case"] == name]
        scores = [[row["accuracy"] for row in own if row["method"] == one] for one in METHODS]
        seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in own}))
        if own:
            lines.append([name, *(spread(one) if one else "not measured" for one in scores), seeds])
    return (
        "# Other inputs\n\n"
        "Share of held-out inputs whose symbol is right: median over seeds (least to most).\n\n"
        f"{table(('case', *METHODS, 'seeds'), lines)}\n{circumstances_of(rows)}\n"
    )


def main() -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for name in wanted.cases:
        with tempfile.TemporaryDirectory() as folder:
            program = write(CASES[name], Path(folder))
            for (method, measure), seed in itertools.product(METHODS.items(), wanted.seeds):
                if find(ROWS, case=name, method=method, seed=seed):
                    continue
                start = time.perf_counter()
                row = {"case": name, "method": method, "seed": seed} | measure(program, seed)
                row["seconds"] = round(time.perf_counter() - start, 1)
                keep(row | made(), ROWS, "case", "method", "seed")
                (RESULTS / "inputs.md").write_text(page(read(ROWS)), encoding="utf-8")
                print(row, flush=True)


if __name__ == "__main__":
    main()
