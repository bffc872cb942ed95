"""What a program leaves open: doubt, the labels that settle it, and an ensemble beside it.

    python -m benchmarks.doubt --seeds 0 1 2

trains every program by ``groundkit run``, asks ``groundkit suggest`` for images, labels them by
what they show and lets ``groundkit label`` take that up; beside it stand training by the program's
likelihood alone and an ensemble (``benchmarks/ensemble.py``) of the same networks. A row a run goes
to ``benchmarks/results/doubt.json``, from which ``benchmarks/results/doubt.md`` is made; rows that
are there are kept.

Scores are those of rsbench (Bortolotti et al., "A Neuro-Symbolic Benchmark Suite for Concept
Quality and Reasoning Shortcuts", NeurIPS 2024): accuracy, macro F1, collapse and calibration of the
symbols, and accuracy of the answers, on all pairs too for programs whose examples are of few.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import f1_score
from torch import Tensor

from benchmarks import ensemble
from benchmarks.grounding import ROOT
from benchmarks.rows import (
    RESULTS,
    circumstances_of,
    find,
    keep,
    made,
    not_measured,
    read,
    spread,
    table,
)
from groundkit.evaluate.calibration import reliability
from groundkit.evaluate.symbols import collapse
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.identifiability.images import joint_domain, members
from groundkit.identifiability.posterior import LIGHTEST
from groundkit.runs.ambiguity import read_examples
from groundkit.runs.asked import Asked
from groundkit.runs.assess import held_out_images
from groundkit.runs.labels import label, suggest
from groundkit.runs.run import run
from groundkit.runs.session import Session, open_run
from groundkit.task.load import read_task
from groundkit.task.task import Task

ROWS = RESULTS / "doubt.json"
MEMBERS = 5
MOST_READINGS = 2000
MOST_ROUNDS = 4
DIGITS = ('examples.data="digits8"', 'networks.mnist_net.backbone="mlp"')
SMALL = tuple(
    f"networks.{name}_net.image_shape=[3, 16, 16]" for name in ("red", "obstacle", "pedestrian")
)
SHORT = (
    "examples.lengths={Xs = [2, 3]}",
    *(f"networks.{name}_net.labels.per_symbol=0" for name in ("shape", "colour")),
)
PROGRAMS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    **{name: (name, 150, DIGITS) for name in ("xor", "equality", "parity", "half")},
    **{name: (name, 400, DIGITS) for name in ("difference", "modulo", "even_odd", "mnmath")},
    "road": ("road", 400, SMALL),
    "road, stop or go": ("road", 400, (*SMALL, 'query.goal="act(X, Move)"')),
    "kandinsky": ("kandinsky", 400, SHORT),
}
"""Row -> its program, the steps of joint training, and what it overrides."""
EVERY = {
    "half": "sum(X, Y, Z)",
    "even_odd": "sum(X, Y, Z)",
    "mnmath": "math(A, B, C, D, Sum, Product)",
}
"""Programs whose examples are of few pairs, and the goal that all pairs are drawn from."""


def settings_of(name: str) -> list[str]:
    """Returns how a program is trained: short, without the generative term."""
    program, steps, own = PROGRAMS[name]
    task = read_task(ROOT / "programs" / f"{program}.pl", settings=list(own))
    fixed = [f"train.min_steps={steps}", "train.epochs=1"]
    fixed += [f"train.cluster_steps={steps // 2}"]
    fixed += ["evaluate.samples=0", "evaluate.ood=[]"]
    return [*own, *fixed, *(f"networks.{one}.perception.generative=0" for one in task.neural)]


def measure(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Trains a program with a seed in every way; returns the row."""
    program, steps, _ = PROGRAMS[name]
    settings = settings_of(name)
    file = ROOT / "programs" / f"{program}.pl"
    begun = time.process_time()
    made = run(file, out=folder / "run", seed=seed, settings=settings, device="cpu").metrics
    spent = time.process_time() - begun
    session = open_run(folder / "run", device="cpu")
    assert session.doubt is not None, made["ambiguity"]
    readings = session.doubt.readings
    # A network that no goal asks about has no readings.
    names = _asked(readings)
    before = _scores(session.task, names, _reader(session, averaged=False))
    averaged = _scores(session.task, names, _reader(session, averaged=True))
    row = {
        "program": name,
        "seed": seed,
        "steps": steps,
        "settings": settings,
        "train_cpu_s": round(spent, 1),
        "admitted": made["identify"]["count"],
        "permutations": made["identify"]["permutations"],
        "readings": readings.count,
        "pick": before | {"concept_ece": made["ambiguity"]["concept_ece_pick"]},
        "average": averaged | {"concept_ece": made["ambiguity"]["concept_ece"]},
        "least_labels": least(readings),
        "identify_labels": _identify_labels(made["identify"]),
    }
    row["pick"]["label_accuracy"] = made["query"]["accuracy"]
    row["average"]["label_accuracy"] = _averaged_queries(session)
    wide = _every_pair(name, ())
    if wide:
        told = open_run(folder / "run", device="cpu", settings=wide)
        row["average"]["label_accuracy_all"] = _averaged_queries(told)
    row["labelled"] = _label(folder / "run", session)
    if wide:
        told = open_run(folder / "run", device="cpu", settings=wide)
        row["labelled"]["label_accuracy_all"] = _averaged_queries(told)
    row |= {"ensemble": {}, "plain": {}}
    task = read_task(file, settings=settings)
    task.prepare()
    begun = time.process_time()
    trained = ensemble.train(task, seed, members=MEMBERS, steps=steps)
    row["ensemble_cpu_s"] = round(time.process_time() - begun, 1)
    for kind, one in (("plain", trained.first()), ("ensemble", trained)):
        row[kind] = _scores(task, names, one.symbols)
        row[kind]["label_accuracy"] = one.right(task.held_out)
    if name in EVERY:
        everything = read_task(file, settings=_every_pair(name, settings))
        for kind, one in (("plain", trained.first()), ("ensemble", trained)):
            row[kind]["label_accuracy_all"] = one.right(everything.held_out)
    return row


def _asked(readings: FactoredPosterior) -> list[str]:
    """Returns the networks that some goal asks about."""
    return [name for group in readings.domains for name in members(group)]


def _every_pair(name: str, settings: Sequence[str]) -> list[str]:
    """Returns settings under which held-out examples are of all pairs; none where they are."""
    return [*settings, f'examples.goal="{EVERY[name]}"'] if name in EVERY else []


Read = Callable[[str, Tensor], Tensor]
"""Maps a network and images to (N, K) probabilities of their symbols."""


def _reader(session: Session, *, averaged: bool) -> Read:
    """Reads images by a run, under all its readings or the learnt one."""
    doubt = session.doubt
    assert doubt is not None

    def read(network: str, pixels: Tensor) -> Tensor:
        if not averaged:
            return session.predict(network, pixels).double().exp()
        logs = {n: session.predict(n, pixels).double() for n in members(doubt.group_of(network))}
        return doubt.symbols(network, logs)

    return read


@torch.no_grad()
def _scores(task: Task, networks: Sequence[str], read: Read) -> dict[str, float | None]:
    """Scores the symbols of held-out images, averaged over networks."""
    found: dict[str, list[float]] = {}
    for name in networks:
        images = held_out_images(task, name)
        assert images.labels is not None
        known = images.labels >= 0
        probs = read(name, images.pixels).cpu().numpy()[known]
        truth, guess = images.labels[known], probs.argmax(1)
        kept = {
            "concept_accuracy": float((truth == guess).mean()),
            "concept_f1": float(f1_score(truth, guess, average="macro", zero_division=0)),
            "collapse": float(collapse(guess, probs.shape[1]) or 0.0),
            "concept_ece": reliability(truth, probs).ece,
        }
        for key, value in kept.items():
            found.setdefault(key, []).append(value)
    return {key: statistics.fmean(values) for key, values in found.items()}


@torch.no_grad()
def _averaged_queries(session: Session) -> float:
    """Returns the share of held-out examples that are right under all readings together."""
    assert session.doubt is not None
    readings = session.doubt.readings
    listed = readings.every(MOST_READINGS)
    assert listed is not None, "the readings of these programs are few"
    right = []
    for one in read_examples(session.task, session.predict)[1]:
        total: Tensor | None = None
        for reading, weight in zip(*listed, strict=True):
            found = one.shaped.goal.reasoner(one.rows(reading)).exp() * float(weight)
            total = found if total is None else total + found
        assert total is not None
        right.append(total.expand(len(one.shaped), -1).argmax(1) == one.shaped.answers)
    return float(torch.cat(right).double().mean())


def least(readings: FactoredPosterior) -> int | None:
    """Returns how many predicted symbols have to be known at least, by trying all sets."""
    listed = readings.every(MOST_READINGS)
    if listed is None:
        return None
    kept = listed[1] >= LIGHTEST * listed[1].max()
    flat = [np.concatenate(list(map(list, one.values()))) for one in listed[0]]
    maps = np.array(flat)[kept]
    for size in range(maps.shape[1]):
        for chosen in itertools.combinations(range(maps.shape[1]), size):
            if len(np.unique(maps[:, list(chosen)], axis=0)) == len(maps):
                return size
    return None


def _identify_labels(identify: Mapping[str, Any]) -> int:
    """Returns how many labels `identify` lists before training, by all maps, merging ones too."""
    found = [
        len(one["items"])
        for part in (identify, identify.get("examples") or {})
        for one in part.get("suggestions", ())
        if one["kind"] == "labels"
    ]
    return max(found, default=0)


def _label(folder: Path, session: Session) -> dict[str, Any]:
    """Labels the suggested images by what they show; returns what that came to."""
    labels, asking, taking = 0, 0.0, 0.0
    # An image that the networks mistake contradicts another label: further ones are asked for.
    for _ in range(MOST_ROUNDS):
        begun = time.perf_counter()
        asked = suggest(folder, device="cpu").asked
        asking = max(asking, time.perf_counter() - begun)
        if not asked:
            break
        begun = time.perf_counter()
        tell(folder, session.task, asked)
        taking = max(taking, time.perf_counter() - begun)
        labels += len(asked)
    after = open_run(folder, device="cpu")
    assert after.doubt is not None
    names = _asked(after.doubt.readings)
    metrics = json.loads((folder / "metrics.json").read_text())
    scores = [metrics["networks"][name]["grounding"] for name in names]
    read = _reader(after, averaged=True)
    return _scores(session.task, names, read) | {
        "labels": labels,
        "suggest_s": round(asking, 2),
        "label_s": round(taking, 2),
        "readings": after.doubt.readings.count,
        "identity": all(
            true == given for one in scores for true, given in one["learnt_map"].items()
        ),
        "label_accuracy": _averaged_queries(after),
    }


def tell(folder: Path, task: Task, asked: Sequence[Asked]) -> None:
    """Labels images that a run asks for by what they show."""
    told: dict[str, list[tuple[Path, str]]] = {}
    for one in asked:
        shown = _shown(task, one.network, folder / one.image)
        told.setdefault(one.network, []).append((folder / one.image, shown))
    for network, pairs in told.items():
        label(folder, pairs, network=network, device="cpu")


def _shown(task: Task, group: str, file: Path) -> str:
    """Returns the true (joint) symbol of an image that a run has written."""
    with Image.open(file) as picture:
        array = np.array(picture)
    pixels = torch.from_numpy(array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0).copy())
    symbols = []
    for network in members(group):
        for images in (held_out_images(task, network), task.banks(0)[network]):
            same = (images.pixels == pixels).flatten(1).all(1).numpy()
            if same.any() and images.labels is not None:
                symbols.append(int(images.labels[same][0]))
                break
    shape = [len(task.domains[network]) for network in members(group)]
    if len(shape) == 1:
        return task.domains[group][symbols[0]]
    return joint_domain(members(group), task.domains)[int(np.ravel_multi_index(symbols, shape))]


def _range(rows: Sequence[Mapping[str, Any]], kind: str, key: str, digits: int = 3) -> str:
    """Words the median over seeds, and the range where there are several values."""
    return spread([one[kind][key] for one in rows], digits)


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    by_name = {
        name: sorted((r for r in rows if r["program"] == name), key=lambda one: one["seed"])
        for name in PROGRAMS
    }
    by_name = {name: own for name, own in by_name.items() if own}
    calibration, settled, quality = [], [], []
    for name, own in by_name.items():
        seeds, steps = str(len(own)), str(own[0]["steps"])
        readings = ", ".join(f"{n:,}" for n in sorted({one["readings"] for one in own}))
        calibration.append(
            [name, steps, seeds, readings]
            + [
                _range(own, kind, "concept_ece")
                for kind in ("average", "pick", "plain", "ensemble")
            ]
            + [
                _range(own, kind, "label_accuracy")
                for kind in ("average", "pick", "plain", "ensemble")
            ]
        )
        identities = sum(one["labelled"]["identity"] for one in own)
        settled.append(
            [
                name,
                readings,
                _numbers(one["labelled"]["labels"] for one in own),
                _numbers(one["least_labels"] for one in own),
                _numbers(one["identify_labels"] for one in own),
                f"{identities} of {len(own)}",
                f"{max(one['labelled']['suggest_s'] for one in own):.1f}",
                f"{max(one['labelled']['label_s'] for one in own):.1f}",
                _range(own, "pick", "concept_accuracy"),
                _range(own, "labelled", "concept_accuracy"),
                _range(own, "labelled", "concept_ece"),
                _range(own, "labelled", "label_accuracy"),
            ]
        )
        for kind, words in KINDS.items():
            cells = [_range(own, kind, key) if key in own[0][kind] else "" for key in RSBENCH]
            quality.append([f"{name}, {words}", *cells])
    return PAGE.format(
        made=circumstances_of(rows),
        members=MEMBERS,
        missing=not_measured(PROGRAMS, by_name),
        calibration=table(CALIBRATION, calibration),
        settled=table(SETTLED, settled),
        quality=table(QUALITY, quality),
    )


RSBENCH = (
    "concept_accuracy", "concept_f1", "collapse", "concept_ece", "label_accuracy",
    "label_accuracy_all",
)  # fmt: skip
KINDS = {
    "plain": "plain training",
    "ensemble": "ensemble",
    "pick": "groundkit, the learnt reading",
    "average": "groundkit, all readings",
    "labelled": "groundkit, after the labels",
}
CALIBRATION = (
    "program", "steps", "seeds", "readings",
    "ECE, average", "ECE, pick", "ECE, plain", "ECE, ensemble",
    "queries, average", "queries, pick", "queries, plain", "queries, ensemble",
)  # fmt: skip
SETTLED = (
    "program", "readings", "labels asked", "least", "by identify", "identity",
    "s to suggest", "s to label", "accuracy before", "accuracy after", "ECE after",
    "queries after",
)  # fmt: skip
QUALITY = (
    "program", "concept accuracy", "concept F1", "collapse", "concept ECE", "label accuracy",
    "label accuracy, all pairs",
)  # fmt: skip
PAGE = """# What a program leaves open

{made}

Median over seeds (least to most). Digits are those of digits8, read by an mlp. Training is short,
by steps, and without the generative term. Plain training and each of the {members} members of the
ensemble (in the manner of BEARS) have the same networks and as many steps.

## Calibration of the symbols, and accuracy of the answers

`average` answers under all readings that are left, `pick` under the learnt one. Of symbols that are
within 0.05 of the likeliest the first is taken for the answer: which of two readings is ahead by a
hair says nothing of what an image shows.

An average over readings is calibrated on average over these, and the truth is one of them. In
`road, stop or go` the three situations in which the car stops occur 1 : 1 : 2, and six readings
exchange them: of every stop the average says 2/3 for a red light and 2/3 for an obstacle, where
the images have 1/2 and 3/4. That is the calibration error that is left there, however well the
networks are trained.
{missing}
{calibration}
## The labels that settle it

`least`: by trying all sets of predicted symbols. `by identify`: what `groundkit identify` lists
before training, by all maps that the examples leave, those that merge symbols too. Seconds are
those of the slowest seed.

{settled}
## Scores of rsbench

{quality}"""


def _numbers(values: Any) -> str:
    return ", ".join(str(one) for one in sorted({one for one in values if one is not None}))


def main() -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for seed, name in itertools.product(wanted.seeds, wanted.programs):
        if find(ROWS, program=name, seed=seed):
            continue
        folder = Path(tempfile.mkdtemp())
        try:
            row = measure(name, seed, folder) | made()
        finally:
            shutil.rmtree(folder)
        keep(row, ROWS, "program", "seed")
        print(name, seed, row["labelled"]["identity"], row["average"], flush=True)
    (RESULTS / "doubt.md").write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
