import torch

from groundkit.perception import bound
from groundkit.perception.backbones import build_backbone
from groundkit.perception.generate import (
    contrast_with_perturbed,
    contrast_with_samples,
    sample_images,
)
from groundkit.perception.langevin import Langevin, ReplayBuffer
from groundkit.perception.model import SymbolModel, energy
from groundkit.perception.settings import SamplerSpec
from groundkit.perception.symbol_start import SymbolStart

SHAPE = (1, 6, 6)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_model() -> SymbolModel:
    torch.manual_seed(0)
    return SymbolModel(build_backbone("mlp", SHAPE, width=64, features=32), 3)


def make_data(count: int = 256) -> torch.Tensor:
    """Images whose left half is dark and whose right half is bright."""
    data = torch.full((count, *SHAPE), -0.8)
    data[..., 3:] = 0.8
    return (data + 0.1 * torch.randn(data.shape, generator=rng())).clamp(-1, 1)


def test_training_on_the_generative_term_gives_data_the_lower_energy_and_makes_samples_of_it():
    model, data = make_model(), make_data()
    buffer = ReplayBuffer(SHAPE, capacity=256, generator=rng(1))
    sampler = Langevin(SamplerSpec(steps=10, step_size=2.0))
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(150):
        logits = contrast_with_samples(
            model, data[:64], buffer=buffer, sampler=sampler, generator=rng(2)
        )
        loss = -bound.generative(*logits) - 0.001 * bound.energy_penalty(*logits)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    noise = 2 * torch.rand(256, *SHAPE, generator=rng(3)) - 1
    assert energy(model(data)).max() < energy(model(noise)).min()
    start = SymbolStart(SHAPE, 3).fit(data, model(data))
    samples = sample_images(
        model, start, start.draw_symbols(64, rng(4)), sampler=sampler, generator=rng(5)
    )
    assert samples[..., :3].mean() < -0.5
    assert samples[..., 3:].mean() > 0.5


def test_chains_move_in_the_buffer_and_gradients_reach_the_parameters():
    model = make_model()
    buffer = ReplayBuffer(SHAPE, capacity=8, generator=rng())
    before = buffer.images.clone()
    of_data, of_samples = contrast_with_samples(
        model, make_data(8), buffer=buffer, sampler=Langevin(SamplerSpec()), generator=rng(1)
    )
    assert (buffer.images != before).flatten(1).any(1).all()
    bound.generative(of_data, of_samples).backward()
    assert all(p.grad is not None for p in model.backbone.parameters())


def test_samples_of_a_symbol_are_that_symbol():
    model, data = make_model(), make_data()
    data[:128, :, :3] *= -1
    start = SymbolStart(SHAPE, 3).fit(data, model(data))
    symbols = start.draw_symbols(60, rng(3))
    samples = sample_images(
        model, start, symbols, sampler=Langevin(SamplerSpec()), generator=rng(1)
    )
    assert samples.shape == (60, *SHAPE) and samples.abs().max() <= 1
    assert (model(samples).argmax(1) == symbols).float().mean() > 0.9


def test_energy_discrepancy_gives_data_the_lower_energy_without_a_sampler():
    model, data = make_model(), make_data()
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    generator = rng(2)
    for _ in range(100):
        logits = contrast_with_perturbed(
            model, data[:64], deviation=0.3, negatives=4, generator=generator
        )
        assert [tuple(part.shape) for part in logits] == [(64, 3), (64, 4, 3)]
        optimiser.zero_grad()
        (-bound.energy_discrepancy(*logits)).backward()
        optimiser.step()
    noisy = data[64:] + 0.4 * torch.randn(192, *SHAPE, generator=rng(3))
    assert energy(model(data[64:])).mean() + 2 < energy(model(noisy)).mean()


class Recorder(SymbolModel):
    """Notes what it reads."""

    def forward(self, x):
        self.seen = x.detach()
        return super().forward(x)


def test_noise_is_added_to_data_and_not_to_samples():
    torch.manual_seed(0)
    model = Recorder(build_backbone("mlp", SHAPE, width=8, features=8), 3)
    buffer = ReplayBuffer(SHAPE, capacity=200, generator=rng())
    data = torch.zeros(200, *SHAPE)
    contrast_with_samples(
        model,
        data,
        buffer=buffer,
        sampler=Langevin(SamplerSpec(steps=1)),
        generator=rng(1),
        data_noise=0.25,
    )
    read, samples = model.seen.chunk(2)
    assert abs(float(read.std()) - 0.25) < 0.01
    assert torch.equal(samples.sort(0).values, buffer.images.sort(0).values)


def test_chains_of_a_symbol_stop_at_the_levels_of_its_images():
    model, data = make_model(), make_data()
    start = SymbolStart(SHAPE, 3).fit(data, model(data))
    start.levels.fill_(1e9)  # every start is low enough
    sampler = Langevin(SamplerSpec(noise=0.0))
    symbols = torch.zeros(20, dtype=torch.long)
    samples = sample_images(model, start, symbols, sampler=sampler, generator=rng(1))
    assert torch.equal(samples, start.draw(symbols, rng(1))[0])


def test_perturbations_start_from_a_noisy_image():
    """Each lies two steps away from its image, the first of which all of them share."""
    torch.manual_seed(0)
    model = Recorder(build_backbone("mlp", SHAPE, width=8, features=8), 3)
    data = torch.zeros(300, *SHAPE)
    contrast_with_perturbed(model, data, deviation=0.2, negatives=2, generator=rng())
    one, two = model.seen[300:].unflatten(0, (300, 2)).unbind(1)
    assert abs(float(one.std()) - 0.2 * 2**0.5) < 0.01
    assert abs(float((one * two).mean()) - 0.2**2) < 0.01


def test_chains_follow_the_energy_of_the_symbol_that_is_wanted(monkeypatch):
    model, data = make_model(), make_data()[:30]
    start = SymbolStart(SHAPE, 3).fit(data, model(data))
    # All chains start from the same images, and none stands still.
    monkeypatch.setattr(start, "draw", lambda _, __: (data.clone(), torch.full((30,), -1e9)))
    found = []
    for symbol in (0, 1):
        symbols, sampler = torch.full((30,), symbol), Langevin(SamplerSpec(noise=0.0))
        images = sample_images(model, start, symbols, sampler=sampler, generator=rng(1))
        found.append(
            model(images).log_softmax(1)[:, symbol] - model(data).log_softmax(1)[:, symbol]
        )
    assert all((gain > 0).float().mean() > 0.9 for gain in found)
