"""Twenty runs over seeds and weights of a factor 3 up and down: how many diverge, roll back, fail?

    python -m benchmarks.stability

Every run is a short training of a small network on digits8 without labels, with the preset's
weights or with weights and the sampler's step multiplied or divided by three, four seeds each. The
table goes to benchmarks/results/stability.md.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch

from groundkit.data.sources import load_data
from groundkit.errors import GroundkitError
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.evaluate.clustering import score_clusters
from groundkit.perception.history import StepRow
from groundkit.perception.settings import SamplerSpec

RESULT = Path(__file__).parent / "results" / "stability.md"
PRESET = SymbolPerception.from_preset("digits8")


def scaled(**factors: float) -> dict[str, Any]:
    """Settings of the preset, some multiplied; ``step`` is the sampler's."""
    step = factors.pop("step", 1.0)
    sampler = PRESET.sampler or SamplerSpec()
    faster = sampler.model_copy(update={"step_size": step * sampler.step_size})
    settings = {name: factor * getattr(PRESET, name) for name, factor in factors.items()}
    return settings | {"sampler": faster}


SMALL = {
    "options": {**(PRESET.options or {}), "width": 16},
    "cluster_steps": 50,
    "min_steps": 200,
    "cluster_batch": 128,
    "pool_batch": 128,
}
CHANGES: dict[str, dict[str, Any]] = {
    "preset": scaled(),
    "generative x 3, prior / 3": scaled(generative=3.0, prior=1 / 3),
    "generative / 3, prior x 3": scaled(generative=1 / 3, prior=3.0),
    "sampler's step x 3": scaled(step=3.0),
    "all weights x 3": scaled(
        generative=3.0, prior=3.0, invariance=3.0, contrastive=3.0, assignment=3.0
    ),
}


def one(name: str, seed: int) -> str:
    """A row of the table: how a run ended."""
    data = load_data("digits8")
    settings = CHANGES[name] | SMALL
    model = SymbolPerception.from_preset("digits8", random_state=seed, **settings)
    try:
        model.fit(data.train.pixels)
    except GroundkitError as error:
        return f"| {name} | {seed} | lost: {error} | | | |"
    joint = [row for row in model.history_ if isinstance(row, StepRow)]
    sound = all(math.isfinite(value) for row in joint for value in row.terms.values())
    scores = score_clusters(data.test.labels, model.predict(data.test.pixels))
    gaps = [row.health["net"].energy_gap for row in joint if row.health]
    gap = next((one for one in reversed(gaps) if one is not None), None)
    return (
        f"| {name} | {seed} | {'finite' if sound else 'NaN'} | {model.n_rollbacks_} | "
        f"{'-' if gap is None else f'{gap:.1f}'} | {scores.nmi:.3f} |"
    )


def main() -> None:
    """Makes all runs and writes the table."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    rows = []
    for name in CHANGES:
        for seed in range(4):
            rows.append(one(name, seed))
            print(rows[-1], flush=True)
    lost = sum("lost" in row or "NaN" in row for row in rows)
    rolled = sum(row.split("|")[4].strip() not in ("0", "") for row in rows)
    head = (
        f"# Stability\n\nMade by `python -m benchmarks.stability`: {len(rows)} runs, {lost} lost "
        f"or NaN, {rolled} rolled back.\n\n"
        "| settings | seed | terms | rollbacks | last energy gap | "
        "NMI, short training |\n| --- | ---: | --- | ---: | ---: | ---: |\n"
    )
    RESULT.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
