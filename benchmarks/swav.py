"""SwAV, from lightly, as a clusterer with as many prototypes as symbols.

    pip install lightly
    python -m benchmarks.swav --data mnist5k --seeds 0 1 2

Backbone, augmentation, batch, and the number of steps of both phases together are those of the data
set's preset; the projection head, the prototypes and the loss are lightly's. An image's cluster is
its nearest prototype. Rows go to those of ``benchmarks.perception``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import torch
from lightly.loss import SwaVLoss
from lightly.models.modules import SwaVProjectionHead, SwaVPrototypes
from torch import nn
from torch.nn import functional

from benchmarks.perception import images_of, keep, write_tables
from groundkit.data.sources import load_data
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.evaluate.clustering import score_clusters
from groundkit.perception.augment import AUGMENTATIONS
from groundkit.perception.backbones import build_backbone
from groundkit.report.compare import RunResult


class Swav(nn.Module):
    """The preset's backbone under SwAV's head and prototypes."""

    def __init__(self, preset: SymbolPerception, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.backbone = build_backbone(str(preset.backbone), shape, **(preset.options or {}))
        features = self.backbone.features
        self.head = SwaVProjectionHead(features, features, features)
        self.prototypes = SwaVPrototypes(features, preset.n_symbols)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cosines ``(B, K)`` of images to prototypes."""
        scores: torch.Tensor = self.prototypes(functional.normalize(self.head(self.backbone(x))))
        return scores


def train(preset: SymbolPerception, images: torch.Tensor, seed: int) -> Swav:
    """Trains SwAV on unlabelled images ``(N, C, H, W)`` in [-1, 1], on their device."""
    torch.manual_seed(seed)
    channels, height, width = images.shape[1:]
    model, loss = Swav(preset, (channels, height, width)).to(images.device), SwaVLoss()
    augment = AUGMENTATIONS[str(preset.augmentation)]
    steps = preset.cluster_steps + preset.min_steps
    rate = preset.learning_rate
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.15
    )
    for _ in range(steps):
        model.prototypes.normalize()
        batch = images[torch.randint(len(images), (preset.pool_batch,), device=images.device)]
        first, second = model(torch.cat([augment(batch), augment(batch)])).chunk(2)
        optimiser.zero_grad()
        loss([first, second], []).backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def swav_runs(name: str, seeds: list[int], limit: int, device: str) -> Iterator[RunResult]:
    """A run for every seed; its seconds are those of a processor alone."""
    data, preset = load_data(name), SymbolPerception.from_preset(name)
    for seed in seeds:
        begun = time.process_time()
        model = train(preset, images_of(data.train, limit).to(device), seed)
        with torch.no_grad():
            parts = images_of(data.test).to(device).split(1000)
            found = torch.cat([model(part).argmax(1) for part in parts]).cpu().numpy()
        scores = score_clusters(data.test.labels, found).to_dict()
        if device == "cpu":
            scores["seconds"] = time.process_time() - begun
        yield {"label": f"{name}: SwAV (lightly)", "seed": seed, "metrics": {"grounding": scores}}


def main() -> None:
    """Trains and adds the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["mnist5k"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--limit", type=int, default=10_000, help="training images at most")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.data:
        for run in swav_runs(name, options.seeds, options.limit, options.device):
            keep(run)
    write_tables()


if __name__ == "__main__":
    main()
