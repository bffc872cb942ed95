import math

import torch

from groundkit.perception import joint
from groundkit.perception.augment import AUGMENTATIONS
from groundkit.perception.backbones import build_backbone
from groundkit.perception.joint import BoundSettings, train_bound
from groundkit.perception.langevin import ReplayBuffer
from groundkit.perception.model import SymbolModel

SHAPE = (1, 8, 8)


def test_an_energy_that_diverges_rolls_back_and_goes_on_with_half_the_sampler_s_step(monkeypatch):
    torch.manual_seed(0)
    model = SymbolModel(build_backbone("mlp", SHAPE, width=16, features=8), 3)
    generator = torch.Generator().manual_seed(0)
    images = 2 * torch.rand(40, *SHAPE, generator=generator) - 1
    genuine, steps = joint.contrast_with_samples, []

    def diverges_once(*args, sampler, **settings):
        of_data, of_samples = genuine(*args, sampler=sampler, **settings)
        steps.append(sampler.step_size)
        return (of_data * math.nan if len(steps) == 3 else of_data), of_samples

    monkeypatch.setattr(joint, "contrast_with_samples", diverges_once)
    rows = list(
        train_bound(
            model,
            images,
            torch.arange(40) % 3,
            AUGMENTATIONS["none"],
            buffer=ReplayBuffer(SHAPE, capacity=32, generator=generator),
            settings=BoundSettings(steps=24, batch=16, chains=16, log_every=8),
            generator=generator,
        )
    )
    assert [row.step for row in rows] == [8, 16, 24]
    assert [row.rollbacks for row in rows] == [0, 1, 1]
    assert steps[3:] == [steps[0] / 2] * 3
    assert all(torch.isfinite(p).all() for p in model.parameters())
