"""Failures made on purpose: is the verdict right, and does its advice, followed literally, mend it?

    python -m benchmarks.verdicts

trains a program in a way that has to fail, reads verdict and advice, does what the advice says (its
words are looked for in it, so that advice that says something else fails) and trains or labels
again. A row a case goes to ``benchmarks/results/verdicts.json``, from which
``benchmarks/results/verdicts.md`` is made; rows that are there are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.doubt import tell
from benchmarks.rows import RESULTS, circumstances_of, find, keep, made, read, table
from groundkit.errors import GroundkitError
from groundkit.report.verdict import GOOD
from groundkit.runs.labels import suggest
from groundkit.runs.run import RunResult, run
from groundkit.runs.session import open_run

ROWS = RESULTS / "verdicts.json"
SYMBOLS = 5
SUM = """nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).
sum(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A + B.
distance(X, Y, Z) :- digit(X, A), digit(Y, B), Z is abs(A - B).
add(X, Y, Z) :- digit(X, A), digit(Y, B), digit(Z, C), C is A + B.
large(X, Y, Z) :- digit(X, A), digit(Y, B), size(A, S), size(B, T), Z is S + T.
size(A, 0) :- A < 2.
size(A, 1) :- A >= 2.
"""
SPEC = """[examples]
data = "digits8"
images = ["X", "Y"]
count = 300
held_out = 100
[networks.net]
backbone = "mlp"
[networks.net.perception]
generative = 0
[train]
epochs = 1
min_steps = 250
cluster_steps = 150
cluster_batch = 128
[evaluate]
ood = []
samples = 0
"""
ROAD = """nn(red_net, [X]) :: red(X).
nn(obstacle_net, [X]) :: obstacle(X).
act(X, stop) :- red(X), obstacle(X).
act(X, slow) :- red(X), \\+obstacle(X).
act(X, slow) :- \\+red(X), obstacle(X).
act(X, go) :- \\+red(X), \\+obstacle(X).
"""
ROAD_SPEC = """[examples]
data = "road"
inputs = ["X"]
count = 600
held_out = 200
[networks.red_net]
image_shape = [3, 20, 20]
attribute = "red"
[networks.red_net.perception]
generative = 0
[networks.obstacle_net]
image_shape = [3, 20, 20]
attribute = "obstacle"
[networks.obstacle_net.perception]
generative = 0
[train]
epochs = 1
min_steps = 300
cluster_steps = 0
batch = 32
pool_batch = 32
[evaluate]
ood = []
samples = 0
"""
CLUSTERS = SPEC[SPEC.index("[networks.net]\n") :].replace('mlp"', 'mlp"\ndata = "digits8"')
Settings = list[str]


@dataclass(frozen=True)
class Case:
    """A failure.

    Attributes:
        status: The verdict's first word or words.
        broken: Settings that make a run fail.
        mend: Does what the advice says: gets the run and its folder, returns further settings, or
            ``None`` where nothing has to be trained again.
        words: What the advice has to say.
        goal: What is asked.
        prepare: Writes data into the folder first.
        program: The program.
        spec: Its spec, without the query.
        last_seed: Seeds from 0 up to this one are tried until one is not grounded, where another
            grounding is a matter of luck.
    """

    status: str
    broken: Sequence[str]
    mend: Callable[[RunResult, Path], Settings | None]
    words: str
    goal: str = "sum(X, Y, Z)"
    prepare: Callable[[Path], None] | None = None
    program: str = SUM
    spec: str = SPEC
    last_seed: int = 0


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns the images ``(N, 8, 8)`` of the digits below five, bytes, and their labels."""
    data = load_digits()
    kept = np.flatnonzero(data.target < SYMBOLS)
    pixels = np.round(data.images[kept] * 255 / 16).astype(np.uint8)
    return pixels, data.target[kept]


def save(folder: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    """Writes images ``(N, C, H, W)`` and labels as a data set."""
    np.savez(folder / "images.npz", images=pixels, labels=labels.astype(str))


def many_zeros(folder: Path) -> None:
    """Writes images of which eight in ten show the digit 0."""
    pixels, labels = digits()
    zeros = np.flatnonzero(labels == 0)
    each = len(zeros) // 16
    kept = [zeros, *(np.flatnonzero(labels == d)[:each] for d in range(1, SYMBOLS))]
    order = np.random.default_rng(0).permutation(np.concatenate(kept))
    save(folder, pixels[order, None], labels[order])


def coloured(folder: Path) -> None:
    """Writes images on papers of five colours, whatever they show."""
    pixels, labels = digits()
    rng = np.random.default_rng(0)
    papers = np.array([[220, 30, 30], [30, 200, 30], [40, 40, 230], [230, 220, 30], [30, 220, 220]])
    paper = papers[rng.integers(len(papers), size=len(labels))][:, :, None, None]
    ink = pixels[:, None] / 255.0
    save(folder, (paper * (1 - ink) + 255 * ink).round().astype(np.uint8), labels)


def wrong_rows(folder: Path) -> None:
    """Writes a table of sums, one in six of which is wrong, and held-out rows that are right."""
    pixels, labels = digits()
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    used = rng.permutation(len(labels))[:500]
    for number in used:
        Image.fromarray(pixels[number]).save(folder / "images" / f"{number}.png")
    for file, count, wrong in (("table.csv", 300, 1 / 6), ("held_out.csv", 100, 0.0)):
        with (folder / file).open("w", newline="") as stream:
            rows = csv.writer(stream)
            truth = ["X.truth", "Y.truth"] if wrong == 0 else []
            rows.writerow(["X", "Y", "Z", *truth])
            for pair in rng.choice(used, size=(count, 2)):
                total = int(labels[pair].sum())
                if rng.random() < wrong:
                    total = int(rng.choice([z for z in range(2 * SYMBOLS - 1) if z != total]))
                row = [*(f"images/{one}.png" for one in pair), total]
                rows.writerow([*row, *labels[pair]] if truth else row)


OWN = ('examples.data="images.npz"',)
TABLE = (
    'examples.data="images"', 'examples.file="table.csv"', 'examples.held_out_file="held_out.csv"',
)  # fmt: skip


def says(*settings: str) -> Callable[[RunResult, Path], Settings]:
    """Returns a mending by settings."""
    return lambda result, folder: list(settings)


def by_labels(result: RunResult, folder: Path) -> None:
    """Labels the images that `groundkit suggest` names by what they show."""
    tell(result.folder, open_run(result.folder, device="cpu").task, suggest(result.folder).asked)


def ready_line(result: RunResult, folder: Path) -> Settings:
    """Takes the ready line of the advice."""
    found = re.search(r"\[networks\.net\.perception\]: (\w+) = (\[.*\])", result.verdict.advice)
    assert found is not None, result.verdict.advice
    return [f"networks.net.perception.{found[1]}={found[2]}"]


def without_rows(result: RunResult, folder: Path) -> Settings:
    """Removes the rows that the report lists from the table."""
    listed = result.metrics["contradictions"]["rows"]
    gone = {int(p.rpartition(":")[2]) for one in listed if "table.csv" in (p := one["place"])}
    lines = (folder / "table.csv").read_text().splitlines()
    kept = [line for number, line in enumerate(lines, start=1) if number not in gone]
    (folder / "table.csv").write_text("\n".join(kept) + "\n")
    return []


LONGER = ("train.cluster_steps=150", "train.min_steps=250")
ADD = ('examples.images=["X", "Y", "Z"]',)
SHORT = ("train.cluster_steps=0", "train.min_steps=10")

CASES = {
    "another admitted grounding": Case(
        "ambiguous", (), by_labels, "groundkit suggest", goal="distance(X, Y, Z)", last_seed=5,
    ),
    "two networks trade their work": Case(
        "shortcut", (), by_labels, "groundkit suggest", goal="act(X, Move)", program=ROAD,
        spec=ROAD_SPEC, last_seed=5,
    ),
    "a goal that asks for less than the symbols": Case(
        "shortcut", ("train.cluster_steps=0", "networks.net.perception.invariance=0"),
        says('query.goal="sum(X, Y, Z)"'), "ask for more of them", goal="large(X, Y, Z)",
    ),
    "no relabelling search": Case(
        "renamed",
        ("train.reground=false", "train.min_steps=100", 'train.schedule="clusters-first"'),
        says("train.reground=true"), "[train] reground = true",
    ),
    "nothing asks for every symbol": Case(
        "collapsed",
        (*ADD, "networks.net.perception.prior=0", "train.reground=false", "train.cluster_steps=0"),
        says("networks.net.perception.prior=10", "train.reground=true"),
        "Raise [networks.net.perception] prior", goal="add(X, Y, Z)",
    ),
    "eight in ten images are zeros": Case(
        "imbalanced",
        ('networks.net.data="images.npz"', 'networks.net.perception.prior_probabilities="uniform"'),
        ready_line, "prior_probabilities = [", goal="", prepare=many_zeros, spec=CLUSTERS,
    ),
    "papers of five colours": Case(
        "colour",
        (*OWN, "examples.count=100", "train.min_steps=100", 'train.schedule="clusters-first"'),
        says('networks.net.perception.invariant=["colour"]'), 'invariant = ["colour"]',
        prepare=coloured,
    ),
    "a network of one feature": Case(
        "hard clusters", ("networks.net.options.features=1",),
        says("networks.net.options={}", 'networks.net.backbone="convnet"'),
        "choose another [networks.net] backbone",
    ),
    "four examples": Case(
        "too few examples", ("examples.count=4", "examples.pool=false", "train.batch=4"),
        says("examples.count=100"), "Give 100 or more ([examples] count",
    ),
    "one row in six is wrong": Case(
        "contradicted", TABLE, without_rows, "correct or remove those that are wrong",
        prepare=wrong_rows,
    ),
    "hardly trained": Case("not grounded", SHORT, says(*LONGER), "Train longer"),
    "hardly clustered": Case(
        "collapsed", SHORT, says("train.cluster_steps=600"), "train longer ([train] cluster_steps)",
        goal="", spec=CLUSTERS,
    ),
}  # fmt: skip


def measure(name: str) -> dict[str, Any]:
    """Makes a case fail and does what is advised; returns its row."""
    case, seed = CASES[name], 0
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "case.pl").write_text(case.program)
        query = f'[query]\ngoal = "{case.goal}"\n' if case.goal else ""
        (folder / "case.toml").write_text(query + case.spec)
        if case.prepare is not None:
            case.prepare(folder)
        settings = list(case.broken)
        result = None
        while result is None or (result.verdict.status == "grounded" and seed < case.last_seed):
            seed = 0 if result is None else seed + 1
            place = folder / f"seed{seed}"
            result = run(folder / "case.pl", out=place, seed=seed, settings=settings)
        row = {
            "case": name,
            "seed": seed,
            "expected": case.status,
            "settings": settings,
            "verdict": str(result.verdict).replace(f"{folder}/", ""),
            "right": result.verdict.status == case.status,
            "advised": case.words in result.verdict.advice,
            "before": _accuracy(result.metrics),
        }
        if row["right"] and row["advised"]:
            more = case.mend(result, folder)
            row["followed"] = more
            if more is None:
                after = json.loads((result.folder / "metrics.json").read_text())
            else:
                after = run(
                    folder / "case.pl", out=folder / "b", seed=seed, settings=[*settings, *more]
                ).metrics
            row["after"] = _accuracy(after)
    finally:
        shutil.rmtree(folder)
    return row


def _accuracy(metrics: dict[str, Any]) -> float:
    """Returns the share of right symbols; after the best renaming where nothing gives names."""
    scores = metrics["grounding"]
    named = scores["accuracy"]
    return round(float(scores["accuracy_matched"] if named is None else named), 4)


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    rows = [row for name in CASES for row in rows if row["case"] == name]
    right = sum(row["right"] for row in rows)
    mended = sum(row.get("after", 0.0) >= GOOD for row in rows)
    lines = [
        [
            row["case"],
            row["expected"],
            "yes" if row["right"] else "no",
            row["verdict"].replace("|", "/"),
            "yes" if "after" in row else "no",
            f"{row['before']:.3f}",
            f"{row['after']:.3f}" if "after" in row else "",
        ]
        for row in rows
    ]
    there = {row["case"] for row in rows}
    missing = "".join(f"\nNo row yet: {name}.\n" for name in CASES if name not in there)
    head = ["case", "expected", "right", "verdict and advice", "followed", "before", "after"]
    return (
        "# Failures made on purpose\n\n"
        f"{circumstances_of(rows)}\n\n"
        f"The verdict is right in {right} of {len(rows)} cases; after doing what it advises "
        f"{mended} of {len(rows)} are grounded (at least {GOOD:.0%} of the symbols right). "
        "Accuracy is that of the symbols of held-out images, after the best renaming where there "
        "is no program.\n\n" + table(head, lines) + missing
    )


def main() -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for name in wanted.cases:
        if find(ROWS, case=name):
            continue
        try:
            row = measure(name) | made()
        except GroundkitError as error:  # a run that ends in a message is no row: others go on
            print(name, error, flush=True)
            continue
        keep(row, ROWS, "case")
        print(name, row["verdict"], row["before"], row.get("after"), flush=True)
    (RESULTS / "verdicts.md").write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
