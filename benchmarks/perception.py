"""Perception without a program: clusters, foreign images and samples, beside baselines on pixels.

    python -m benchmarks.perception --data moons circles digits8 --seeds 0 1 2 3 4
    python -m benchmarks.perception --data mnist5k --seeds 0 --variants full "without L_GEN"
    python -m benchmarks.perception --data mnist5k --short --variants "JEM-like (L_GEN only)"
    python -m benchmarks.perception --data mnist5k --baselines
    python -m benchmarks.perception --data cifar10 --device cuda

Models have the settings of the data set's preset, with bfloat16, and see training images without
labels. Clusters are scored on all test images at once; baselines with a graph have the test images
in theirs. Labels are used by the scores, and by the judge of samples, alone. Runs add up in
benchmarks/results/perception_runs.json, from which benchmarks/results/perception.md is made.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch

from benchmarks import rows
from benchmarks.clustering_baselines import clustering_runs, detection_runs
from groundkit.data.cards import MissingDataError
from groundkit.data.images import ImageSet
from groundkit.data.sources import load_data, load_ood
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.evaluate import generation
from groundkit.evaluate.baselines import library_scores
from groundkit.evaluate.clustering import best_matching, confusion, score_clusters
from groundkit.evaluate.ood import model_scores, score_ood
from groundkit.perception.foreign import ForeignScore
from groundkit.perception.pixels import to_model
from groundkit.perception.settings import SamplerSpec
from groundkit.report.compare import RunResult, compare

RUNS = rows.RESULTS / "perception_runs.json"
FOREIGN = ("fashion-mnist", "mnist5k", "letters", "noise", "inverted", "rotated")
OURS = "full bound"
VARIANTS: dict[str, dict[str, Any]] = {
    OURS: {},
    "without L_GEN": {"generative": 0.0},
    "without L_INV": {"invariance": 0.0, "contrastive": 0.0},
    "without L_PRIOR": {"prior": 0.0},
    "without the clustering phase": {"cluster_steps": 0, "contrastive": 0.0, "assignment": 0.0},
    "L_GEN by energy discrepancy": {"kind": "energy-discrepancy"},
    "JEM-like (L_GEN only)": {
        "cluster_steps": 0,
        "invariance": 0.0,
        "prior": 0.0,
        "contrastive": 0.0,
        "assignment": 0.0,
    },
}
# bfloat16 halves the time; presets leave it out, as it is slow on processors without it.
FIXED: dict[str, Any] = {"bfloat16": True}
SHORT = {"width": 16, "cluster_steps": 100, "min_steps": 100}
CLUSTERING = {
    "grounding.accuracy_matched": "matched accuracy",
    "grounding.nmi": "NMI",
    "grounding.ari": "ARI",
    "grounding.seconds": "seconds",
}
GENERATION = {
    "generation.agreement": "samples agree",
    "generation.fid": "Frechet",
    "generation.fid_floor": "training images",
    "generation.fid_mixture": "PCA + mixture",
    "generation.kid": "KID",
}


def images_of(images: ImageSet, limit: int | None = None) -> torch.Tensor:
    """Images ``(N, C, H, W)``, or points, in [-1, 1], at most the first ``limit``."""
    return to_model(images.pixels[:limit])


def tells_foreign(name: str) -> bool:
    """Whether foreign images are worth telling: 8 x 8 pixels or points against noise are not."""
    return min(load_data(name).test.shape[-2:]) >= 16


def foreign_sets(name: str, seed: int) -> Iterator[tuple[str, ImageSet]]:
    """Foreign sets that are at hand."""
    inside = load_data(name).test
    for foreign in FOREIGN:
        if foreign == name:
            continue
        try:
            yield foreign, load_ood(foreign, inside, 1000, seed)
        except MissingDataError as error:
            print(f"left out: {error}")


def estimator(name: str, variant: str, seed: int, short: bool, device: str) -> SymbolPerception:
    """The preset of a data set with a variant's changes."""
    model = SymbolPerception.from_preset(name, random_state=seed, device=device)
    changes = (SHORT if short else {}) | VARIANTS[variant]
    if "kind" in changes:
        sampler = model.sampler or SamplerSpec()
        changes["sampler"] = sampler.model_copy(update={"kind": changes.pop("kind")})
    if "width" in changes:
        changes["options"] = {**(model.options or {}), "width": changes.pop("width")}
    return model.set_params(**FIXED, **changes)


def fit(
    name: str, variant: str, seed: int, *, limit: int, short: bool, device: str
) -> Iterator[RunResult]:
    """Trains a variant; yields its clusters and samples, then a run for each detector."""
    data = load_data(name)
    test = images_of(data.test)
    start = time.process_time()
    model = estimator(name, variant, seed, short, device).fit(data.train.pixels[:limit])
    seconds = time.process_time() - start
    suffix = " (short)" if short else ""
    scores = score_clusters(data.test.labels, model.predict(data.test.pixels)).to_dict()
    metrics: dict[str, Any] = {
        "grounding": scores | ({"seconds": seconds} if device == "cpu" else {}),
        "rollbacks": model.n_rollbacks_,
    }
    if min(data.test.shape[-2:]) >= 8 and model.generative > 0:
        metrics["generation"] = judge_samples(model, data.train, test, limit, seed)
    yield {"label": f"{name}: {variant}{suffix}", "seed": seed, "metrics": metrics}
    if not tells_foreign(name):
        return
    score, _ = ForeignScore.fit(model.model_, data.train.pixels[:limit].to(model.device))
    foreign = {f: scores_of(model, images, score) for f, images in foreign_sets(name, seed)}
    for detector, inside in scores_of(model, data.test, score).items():
        found = {f: score_ood(inside, outside[detector]) for f, outside in foreign.items()}
        ood = {"ood": {f: s.to_dict() for f, s in found.items()}}
        label = f"{name}: {detector}" + ("" if variant == OURS else f", {variant}") + suffix
        if variant == OURS or detector == "energy":
            yield {"label": label, "seed": seed, "metrics": ood}


def judge_samples(
    model: SymbolPerception, train: ImageSet, test: torch.Tensor, limit: int, seed: int
) -> dict[str, Any]:
    """Lets a classifier trained on labels judge images of every symbol."""
    images, labels = images_of(train, limit), np.asarray(train.labels)[:limit]
    judge = generation.train_extractor(images, labels)
    classes = best_matching(confusion(labels, model.labels_))
    each = -(-generation.MOST_IMAGES // model.n_symbols)
    made = [model.sample(each, symbol=k, seed=seed + k) for k in range(model.n_symbols)]
    asked = np.repeat([classes[k] for k in range(model.n_symbols)], each)
    samples = 2 * torch.from_numpy(np.concatenate(made)) - 1
    return generation.score_generation(samples, test, images, judge, asked=asked).to_dict()


def scores_of(
    model: SymbolPerception, images: ImageSet, score: ForeignScore
) -> dict[str, np.ndarray]:
    """Scores of the model, the one for users, and those of pytorch-ood on its logits."""
    pixels = images_of(images).to(model.device)
    with torch.no_grad():
        logits = torch.cat([model.model_(part) for part in torch.split(pixels, 500)])
    library = library_scores(logits.double().cpu().numpy())
    foreign = score(model.model_, images.pixels.to(model.device)).double().cpu().numpy()
    return model_scores(model.model_, pixels) | {"foreign": foreign} | library


def keep(run: RunResult) -> None:
    """Adds a run to the file of runs, in place of an earlier one of the same label and seed."""
    rows.keep({**run} | rows.made(), RUNS, "label", "seed")
    print(f"{run['label']}, seed {run['seed']}: {run['metrics']}", flush=True)


def write_tables() -> None:
    """Makes the tables of all runs so far."""
    runs = sorted(cast(list[RunResult], rows.read(RUNS)), key=lambda run: run["label"])
    parts = {
        "Clusters on the test images": compare(having(runs, "grounding"), CLUSTERING),
        "Samples by symbol": compare(having(runs, "generation"), GENERATION),
    }
    for key, title in (("auroc", "AUROC"), ("aupr", "AUPR"), ("fpr95", "FPR95")):
        columns = {f"ood.{f}.{key}": f for f in FOREIGN}
        parts[f"Foreign images, {title}"] = compare(having(runs, "ood"), columns)
    text = "".join(f"\n## {title}\n\n{table.to_markdown()}" for title, table in parts.items())
    head = (
        "# Perception without a program\n\nMade by `python -m benchmarks.perception`, whose "
        "docstring says how. Rows are `data set: method`; `full bound` is ours with its preset "
        "and bfloat16, `(short)` a quick look with a smaller network and 100 steps a phase. More "
        "baselines on pixels, over three seeds: clustering_baselines.md. Runs say in "
        "`perception_runs.json` where they were made, but for older ones.\n"
    )
    (rows.RESULTS / "perception.md").write_text(head + text, encoding="utf-8")


def having(runs: list[RunResult], part: str) -> list[RunResult]:
    """Runs that measured a part."""
    return [run for run in runs if part in run["metrics"]]


def main() -> None:
    """Trains what is asked for and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["digits8"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[OURS])
    parser.add_argument("--baselines", action="store_true", help="the rows on pixels instead")
    parser.add_argument("--limit", type=int, default=10_000, help="training images at most")
    parser.add_argument("--short", action="store_true", help=f"with {SHORT}, for a quick look")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}")
    for name in options.data:
        for seed in options.seeds:
            if options.baselines:
                for run in clustering_runs(name, [seed], options.limit):
                    keep(run)
                if tells_foreign(name):
                    for run in detection_runs(name, [seed], options.limit):
                        keep(run)
            for variant in () if options.baselines else options.variants:
                for run in fit(
                    name,
                    variant,
                    seed,
                    limit=options.limit,
                    short=options.short,
                    device=options.device,
                ):
                    keep(run)
            write_tables()


if __name__ == "__main__":
    main()
