"""Sampling, augmentation and joint training against the plain loops of a researcher, in one run.

    python -m benchmarks.perception_speed
    python -m benchmarks.perception_speed --device cuda --data cifar10

The plain loop has JEM's structure: a buffer on the host that is indexed in every call, parameters
that are not frozen while sampling, a graph that is kept, and torchvision's transforms image by
image. Both sides have the same network, batch and number of steps. Seconds are the processor's own
on a CPU, so that other processes do not count; the best of several rounds is taken. The table goes
to benchmarks/results/perception_speed.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torchvision.transforms import v2

from groundkit.data.sources import load_data
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.perception import bound
from groundkit.perception.augment import AUGMENTATIONS
from groundkit.perception.backbones import build_backbone
from groundkit.perception.generate import contrast_with_samples
from groundkit.perception.langevin import Langevin, ReplayBuffer
from groundkit.perception.model import SymbolModel, energy
from groundkit.perception.settings import SamplerSpec
from groundkit.presets import load_preset

RESULT = Path(__file__).parent / "results" / "perception_speed.md"
BATCH, CHAINS, ROUNDS = 256, 64, 3
PLAIN_TRANSFORM = v2.Compose(
    [
        v2.RandomAffine(15, (0.07, 0.07), (0.87, 1.15), (-17, 17, 0, 0)),
        v2.ElasticTransform(alpha=30.0, sigma=4.0),
    ]
)


class Speed:
    """Both sides of the comparison on one data set, as a preset reads it."""

    def __init__(self, name: str, device: str, preset_name: str) -> None:
        self.device = torch.device(device)
        self.images = load_data(name).train.floats(slice(0, 2000)).to(self.device)
        preset = SymbolPerception.from_preset(preset_name)
        network = load_preset(preset_name).network
        shape = tuple(self.images.shape[1:])
        self.plain, self.single, self.half = (
            SymbolModel(
                build_backbone(str(preset.backbone), shape, **network["options"]),
                preset.n_symbols,
                normalise=preset.normalise,
                temperature=preset.temperature,
                bfloat16=half,
            ).to(self.device)
            for half in (False, False, True)
        )
        self.plain.to(memory_format=torch.contiguous_format)
        self.augmentation = AUGMENTATIONS[str(preset.augmentation)]
        self.sampler = Langevin(preset.sampler or SamplerSpec())
        self.generator = torch.Generator(self.device).manual_seed(0)
        self.buffer = ReplayBuffer(shape, 1000).to(self.device)
        self.host_buffer = torch.rand(1000, *shape) * 2 - 1
        models = nn.ModuleList([self.plain, self.single, self.half])
        self.optimiser = torch.optim.AdamW(models.parameters(), 1e-3)

    def seconds(self, work: Callable[[], object]) -> float:
        """Seconds of a call, the best of some rounds after one to warm up."""
        on_gpu = self.device.type == "cuda"
        clock = time.perf_counter if on_gpu else time.process_time
        work()
        best = float("inf")
        for _ in range(ROUNDS):
            if on_gpu:
                torch.cuda.synchronize()
            start = clock()
            work()
            if on_gpu:
                torch.cuda.synchronize()
            best = min(best, clock() - start)
        return best

    def plain_samples(self) -> torch.Tensor:
        """JEM's sampler."""
        places = torch.randint(0, len(self.host_buffer), (CHAINS,))
        fresh = torch.rand(CHAINS, *self.host_buffer.shape[1:]) * 2 - 1
        anew = (torch.rand(CHAINS) < 0.05).float()[:, None, None, None]
        start = (anew * fresh + (1 - anew) * self.host_buffer[places]).to(self.device)
        x = start.clone().requires_grad_(True)
        for _ in range(self.sampler.settings.steps):
            (slope,) = torch.autograd.grad(energy(self.plain(x)).sum(), [x], retain_graph=True)
            x.data += -self.sampler.step_size / 2 * slope + 0.01 * torch.randn_like(x)
        self.host_buffer[places] = x.detach().cpu()
        return x.detach()

    def samples(self, model: SymbolModel) -> tuple[torch.Tensor, torch.Tensor]:
        """Ours, and the logits of both sides of the contrast."""
        return contrast_with_samples(
            model,
            self.images[:CHAINS],
            buffer=self.buffer,
            sampler=self.sampler,
            generator=self.generator,
        )

    def plain_views(self, count: int) -> torch.Tensor:
        """Transforms image by image on the host."""
        batch = self.images[:count].cpu()
        return torch.stack([PLAIN_TRANSFORM(image) for image in batch]).to(self.device)

    def views(self, count: int) -> torch.Tensor:
        """Ours."""
        return self.augmentation(self.images[:count], self.generator)

    def step(
        self, model: SymbolModel, first: torch.Tensor, second: torch.Tensor, gap: torch.Tensor
    ) -> None:
        """The rest of a joint step: two views, all terms, the optimiser."""
        embedding = model.embed(torch.cat([first, second]))
        logits = model.classify(embedding)
        a, b = model.project(embedding).chunk(2)
        terms = bound.prior(logits) + bound.invariance(*logits.chunk(2))
        self.optimiser.zero_grad()
        (-(terms + bound.contrastive(a, b, 0.3) + gap)).backward()
        self.optimiser.step()

    def plain_joint(self) -> None:
        """A joint step of the plain loop."""
        samples = self.plain_samples()
        gap = bound.generative(self.plain(self.images[:CHAINS]), self.plain(samples))
        self.step(self.plain, self.plain_views(BATCH), self.plain_views(BATCH), gap)

    def joint(self, model: SymbolModel) -> None:
        """A joint step of ours."""
        gap = bound.generative(*self.samples(model))
        self.step(model, self.views(BATCH), self.views(BATCH), gap)

    def rows(self) -> list[tuple[str, float, float, float]]:
        """What is measured, and units a second: plain, ours, ours with bfloat16."""
        steps = self.sampler.settings.steps
        augmentation = BATCH / self.seconds(lambda: self.views(BATCH))
        return [
            (
                f"SGLD steps/s, {CHAINS} chains, with the contrast's forward",
                steps / self.seconds(lambda: self.plain(self.plain_samples())),
                steps / self.seconds(lambda: self.samples(self.single)),
                steps / self.seconds(lambda: self.samples(self.half)),
            ),
            (
                "augmentation, images/s",
                BATCH / self.seconds(lambda: self.plain_views(BATCH)),
                augmentation,
                augmentation,
            ),
            (
                "joint training, images/s, chains at every step",
                BATCH / self.seconds(self.plain_joint),
                BATCH / self.seconds(lambda: self.joint(self.single)),
                BATCH / self.seconds(lambda: self.joint(self.half)),
            ),
        ]


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist5k")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(0)
    rows = Speed(options.data, options.device, options.data).rows()
    table = "".join(
        f"| {what} | {plain:,.0f} | {ours:,.0f} ({ours / plain:.1f}x) | "
        f"{half:,.0f} ({half / plain:.1f}x) |\n"
        for what, plain, ours, half in rows
    )
    text = (
        f"# Speed of perception\n\nMade by `python -m benchmarks.perception_speed --data "
        f"{options.data} --device {options.device}`, {torch.get_num_threads()} thread(s), torch "
        f"{torch.__version__}; what the plain loop does stands in the program's docstring.\n\n"
        "|  | plain loop | ours | with `bfloat16` |\n| --- | ---: | ---: | ---: |\n" + table
    )
    RESULT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
