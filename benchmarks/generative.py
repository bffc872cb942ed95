"""What the generative term costs symbols, by how much and how long it trains.

    python -m benchmarks.generative --seeds 0 1 [--device cuda]

trains the all-digit addition on 3,200 of the 4,000 training images of mnist5k and scores it on the
other 800: no test image is looked at, so that settings may be chosen by these rows. Foreign images
are told from these 800 as well. A row a run goes to ``benchmarks/results/generative.json``, from
which ``benchmarks/results/generative.md`` is made; rows that are there are kept.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import groundkit
from benchmarks.grounding import NET, ROOT
from benchmarks.rows import RESULTS, circumstances_of, find, keep, made, read, spread, table
from groundkit.data.images import DataSource

ROWS = RESULTS / "generative.json"
EACH = 5
"""One training image in so many is for scores alone."""
FOREIGN = ("fashion-mnist", "letters", "inverted")
VARIANTS: dict[str, tuple[str, ...]] = {
    "weight 0.2, until 0.7 (default)": (),
    "weight 0.2, to the end": (f"{NET}.sampler.until=1",),
    "weight 0.05, to the end": (f"{NET}.generative=0.05", f"{NET}.sampler.until=1"),
    "weight 0.2, to the end, averaged weights": (f"{NET}.ema=0.99", f"{NET}.sampler.until=1"),
    "weight 0.2, to the end, no invariance": (f"{NET}.invariance=0", f"{NET}.sampler.until=1"),
    "none": (f"{NET}.generative=0",),
    "none, no invariance": (f"{NET}.generative=0", f"{NET}.invariance=0"),
}
PAGE = """# What the generative term costs

{made}

All-digit addition, trained on 3,200 training images of mnist5k and scored on 800 others of them.
`energy` and `foreign` are the AUROC of these against foreign images by either score. Median over
seeds (least to most).

{table}"""


def divided() -> DataSource:
    """The training images of mnist5k, those for training and those for scores."""
    known = groundkit.load_data("mnist5k")
    scored = [i for i in range(len(known.train)) if i % EACH == EACH - 1]
    rest = [i for i in range(len(known.train)) if i % EACH < EACH - 1]
    return replace(known, train=known.train.subset(rest), test=known.train.subset(scored))


def measure(variant: str, seed: int, device: str) -> dict[str, Any]:
    """Trains with a variant; returns the row."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ['examples.data="mnist5k-divided"', *VARIANTS[variant]]
        program = ROOT / "programs" / "addition.pl"
        found = groundkit.run(
            program, out=Path(folder) / "run", seed=seed, settings=settings, device=device
        ).metrics
    return {
        "variant": variant,
        "seed": seed,
        "accuracy": found["grounding"]["accuracy"],
        "query": found["query"]["accuracy"],
        "energy": {name: found["ood"][name]["auroc"] for name in FOREIGN},
        "foreign": {name: found["ood"][name]["scores"]["foreign"]["auroc"] for name in FOREIGN},
        "fid": (found.get("generation") or {}).get("fid"),
    }


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Words all rows as a page."""
    head = ["generative term", "accuracy", "queries"]
    head += [f"energy: {name}" for name in FOREIGN] + [f"foreign: {name}" for name in FOREIGN]
    lines = []
    for variant in VARIANTS:
        own = [row for row in rows if row["variant"] == variant]
        if not own:
            continue
        fids = [row["fid"] for row in own if row["fid"] is not None]
        lines.append(
            [variant, spread([row["accuracy"] for row in own])]
            + [spread([row["query"] for row in own])]
            + [spread([r[kind][n] for r in own]) for kind in ("energy", "foreign") for n in FOREIGN]
            + [spread(fids, 1) if fids else "-", str(len(own))]
        )
    return PAGE.format(made=circumstances_of(rows), table=table([*head, "Frechet", "seeds"], lines))


def main() -> None:
    """Measures what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    groundkit.register_source("mnist5k-divided", divided)
    for seed, variant in itertools.product(wanted.seeds, VARIANTS):
        if not find(ROWS, variant=variant, seed=seed):
            row = measure(variant, seed, wanted.device)
            keep(row | made(), ROWS, "variant", "seed")
    (RESULTS / "generative.md").write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
