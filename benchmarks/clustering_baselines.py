"""What clustering and OOD detection on pixels reach: the rows that the perception has to beat.

    python benchmarks/clustering_baselines.py --data digits8 mnist5k --seeds 0 1 2

Every clusterer is fitted on the training images without labels and scored on all test images at
once; spectral and ward clustering have the test images in their graph. Detectors are fitted on the
training images. The tables go to benchmarks/results/clustering_baselines.md (and .json).
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from groundkit.data.cards import MissingDataError
from groundkit.data.images import ImageSet
from groundkit.data.sources import load_data, load_ood
from groundkit.evaluate.baselines import CLUSTERERS, DETECTORS, SEEDLESS
from groundkit.evaluate.clustering import score_clusters
from groundkit.evaluate.ood import score_ood
from groundkit.report.compare import Criterion, RunResult, compare

RESULTS = Path(__file__).parent / "results"
FOREIGN = ("fashion-mnist", "mnist5k", "letters", "noise", "inverted", "rotated")


def pixels(images: ImageSet, limit: int | None = None) -> np.ndarray:
    """Images as ``(N, D)`` in [0, 1], at most the first ``limit``."""
    x = images.pixels[:limit].float().flatten(1).numpy().astype(np.float64)
    return x / 255.0 if images.pixels.ndim == 4 else x


def clustering_runs(name: str, seeds: list[int], limit: int) -> list[RunResult]:
    """A run for every clusterer and seed."""
    data = load_data(name)
    train, test = pixels(data.train, limit), pixels(data.test)
    runs: list[RunResult] = []
    for method, cluster in CLUSTERERS.items():
        for seed in seeds[:1] if method in SEEDLESS else seeds:
            start = time.perf_counter()
            found = cluster(train, test, len(data.classes), seed)
            scores = score_clusters(np.asarray(data.test.labels), found).to_dict()
            scores["seconds"] = time.perf_counter() - start
            print(f"{name}: {method}, seed {seed}: {scores}", flush=True)
            label = f"{name}: {method}"
            runs.append({"label": label, "seed": seed, "metrics": {"grounding": scores}})
    return runs


def detection_runs(name: str, seeds: list[int], limit: int) -> list[RunResult]:
    """A run for every detector and seed, on every foreign set that is at hand."""
    data = load_data(name)
    train, inside = pixels(data.train, limit), pixels(data.test)
    runs: list[RunResult] = []
    for method, detector in DETECTORS.items():
        for seed in seeds[:1] if method in SEEDLESS else seeds:
            score, found = detector(train, seed), {}
            for foreign in FOREIGN:
                if foreign == name:
                    continue
                try:
                    images = load_ood(foreign, data.test, 1000, seed)
                except MissingDataError as error:
                    print(f"left out: {error}")
                    continue
                found[foreign] = score_ood(score(inside), score(pixels(images))).to_dict()
            runs.append({"label": f"{name}: {method}", "seed": seed, "metrics": {"ood": found}})
    return runs


def main() -> None:
    """Runs the baselines and writes their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["digits8", "mnist5k"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=4000, help="training images at most")
    options = parser.parse_args()
    clusters = [r for d in options.data for r in clustering_runs(d, options.seeds, options.limit)]
    foreign = [
        r
        for d in options.data
        if d != "digits8"  # eight by eight pixels against noise proves nothing
        for r in detection_runs(d, options.seeds, options.limit)
    ]
    criterion = Criterion("grounding.accuracy_matched", 0.9)
    columns = {
        "grounding.accuracy_matched": "matched accuracy",
        "grounding.nmi": "NMI",
        "grounding.ari": "ARI",
        "grounding.seconds": "seconds",
    }
    tables = compare(clusters, columns, criterion), compare(foreign)
    command = " ".join(
        ["python benchmarks/clustering_baselines.py --data", *options.data, "--seeds"]
        + [str(s) for s in options.seeds]
        + ["--limit", str(options.limit)]
    )
    text = (
        "# Baselines on pixels\n\n"
        f"Made by `{command}` on {platform.machine()}, Python {platform.python_version()}.\n\n"
        f"## Clustering, test images\n\n{tables[0].to_markdown()}\n"
        f"## Detecting foreign images\n\n{tables[1].to_markdown()}"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "clustering_baselines.md").write_text(text, encoding="utf-8")
    tables_json = json.dumps([t.to_dict() for t in tables], indent=1)
    (RESULTS / "clustering_baselines.json").write_text(tables_json, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
