import math

import pytest
import torch
from torch import nn

from groundkit.perception import bound
from groundkit.perception.langevin import InformativeStart, Langevin, ReplayBuffer, frozen
from groundkit.perception.settings import SamplerSpec

SHAPE = (1, 4, 4)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bowl(centre: float):
    return lambda x: 10 * (x - centre).square().flatten(1).sum(1)


def test_chains_go_down_in_energy():
    start = torch.full((5, *SHAPE), -0.9)
    moved = Langevin(SamplerSpec(steps=200, step_size=0.1, noise=0.0))(bowl(0.4), start, rng())
    assert torch.allclose(moved, torch.full_like(moved, 0.4), atol=0.05)


def test_chains_stay_within_the_range_of_images_and_carry_no_gradient():
    moved = Langevin(SamplerSpec(steps=50, step_size=1.0, noise=0.3))(
        bowl(5.0), torch.zeros(5, *SHAPE), rng()
    )
    assert moved.max() == 1
    assert moved.min() >= -1
    assert not moved.requires_grad


def test_a_step_moves_no_pixel_beyond_the_clipped_gradient():
    sampler = Langevin(SamplerSpec(steps=1, step_size=2.0, noise=0.0, clip_gradient=0.05))
    moved = sampler(bowl(50.0), torch.zeros(3, *SHAPE), rng())
    assert moved.max() == pytest.approx(0.05)


def test_steps_and_noise_shrink_to_what_annealing_leaves_of_them():
    downhill = Langevin(
        SamplerSpec(steps=5, step_size=0.2, noise=0.0, clip_gradient=1.0, anneal=0.0625)
    )

    def slope(x):
        return -x.flatten(1).sum(1)  # every step moves each pixel by half its size

    moved = downhill(slope, torch.full((1, *SHAPE), -0.5), rng())
    expected = 0.1 * (1 + 1 / 2 + 1 / 4 + 1 / 8 + 1 / 16)
    assert torch.allclose(moved, torch.full((1, *SHAPE), -0.5 + expected))

    def flat(x):
        return 0 * x.flatten(1).sum(1)

    noisy = Langevin(SamplerSpec(steps=2, noise=0.1, anneal=0.5))
    assert noisy(flat, torch.zeros(4000, *SHAPE), rng()).std() == pytest.approx(
        math.hypot(0.1, 0.05), rel=0.02
    )


def test_chains_stand_still_at_their_level_of_energy():
    sampler = Langevin(SamplerSpec(steps=300, step_size=0.005, noise=0.0, clip_gradient=10.0))
    start = torch.full((4, *SHAPE), -0.9)
    levels = torch.tensor([0.0, 2.0, 8.0, 1000.0])
    moved = sampler(bowl(0.4), start, rng(), levels=levels)
    assert torch.allclose(bowl(0.4)(moved)[:3], levels[:3], atol=3.0)
    assert (bowl(0.4)(moved)[:3] <= levels[:3] + 1e-3).all()
    assert torch.equal(moved[3], start[3])


def test_a_start_is_fitted_to_pixels_that_never_change():
    images = torch.full((300, 1, 12, 12), -1.0)
    images[:, :, 4:8, 4:8] = 2 * torch.rand(300, 1, 4, 4, generator=rng()) - 1
    drawn = InformativeStart((1, 12, 12)).fit(images).draw(50, rng())
    assert torch.allclose(drawn[:, :, 0], torch.full((50, 1, 12), -1.0), atol=1e-4)


def test_small_steps_at_temperature_one_sample_the_boltzmann_distribution():
    """With noise sqrt(step) chains follow exp(-E): here a Gaussian of deviation 0.1."""
    sampler = Langevin(
        SamplerSpec(steps=400, step_size=2e-4, noise=math.sqrt(2e-4), clip_gradient=1e9)
    )
    samples = sampler(
        lambda x: (x**2).flatten(1).sum(1) / (2 * 0.1**2), torch.zeros(500, *SHAPE), rng()
    )
    assert samples.mean().abs() < 0.005
    assert samples.std() == pytest.approx(0.1, rel=0.05)


def test_the_same_generator_gives_the_same_chains_whatever_the_global_seed():
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        runs.append(Langevin(SamplerSpec())(bowl(0.0), torch.zeros(3, *SHAPE), rng(7)))
    assert torch.equal(*runs)


def test_sampling_leaves_no_gradient_in_the_network_and_thaws_it():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    network[1].bias.requires_grad_(False)
    with frozen(network):
        assert not network[1].weight.requires_grad
        Langevin(SamplerSpec())(lambda x: network(x)[:, 0], torch.zeros(3, *SHAPE), rng())
    assert network[1].weight.grad is None
    assert network[1].weight.requires_grad
    assert not network[1].bias.requires_grad
    with pytest.raises(RuntimeError, match="boom"), frozen(network):
        raise RuntimeError("boom")
    assert network[1].weight.requires_grad


def test_the_generative_gradient_equals_that_of_the_exact_log_likelihood_on_a_grid():
    """In 2-D the normaliser is a sum over a grid, so `mean log p(x)` has an exact gradient.

    With samples drawn from that very grid distribution, the gradient of `generative` must agree.
    """
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    axis = torch.linspace(-1, 1, 41, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    data = 0.3 * torch.randn(64, 2, generator=rng(), dtype=torch.float64) + 0.2
    scores = torch.logsumexp(network(grid), 1)
    exact = torch.logsumexp(network(data), 1).mean() - torch.logsumexp(scores, 0)
    wanted = torch.autograd.grad(exact, list(network.parameters()))
    chosen = torch.multinomial(scores.detach().softmax(0), 200_000, True, generator=rng(1))
    value = bound.generative(network(data), network(grid[chosen]))
    found = torch.autograd.grad(value, list(network.parameters()))
    flat_wanted = torch.cat([g.flatten() for g in wanted])
    flat_found = torch.cat([g.flatten() for g in found])
    assert (flat_found - flat_wanted).norm() < 0.02 * flat_wanted.norm()


def test_buffer_chains_persist_and_the_share_of_new_ones_is_as_asked():
    buffer = ReplayBuffer(SHAPE, capacity=500, reinit=0.25, generator=rng())
    buffer.put_back(torch.arange(500), torch.full((500, *SHAPE), 0.5))
    chains, places = buffer.draw(400, rng(1))
    old = (chains == 0.5).flatten(1).all(1)
    assert 0.65 < old.float().mean() < 0.85
    assert len(places.unique()) == 400


def test_a_chain_that_is_not_finite_is_dropped():
    buffer = ReplayBuffer(SHAPE, capacity=10, generator=rng())
    before = buffer.images.clone()
    chains = torch.zeros(2, *SHAPE)
    chains[0, 0, 0, 0] = math.nan
    buffer.put_back(torch.tensor([3, 4]), chains)
    assert torch.equal(buffer.images[3], before[3])
    assert torch.equal(buffer.images[4], chains[1])


def test_a_saved_buffer_goes_on_with_the_same_chains():
    start = InformativeStart(SHAPE, components=4).fit(torch.randn(50, *SHAPE, generator=rng()))
    buffer = ReplayBuffer(SHAPE, capacity=20, start=start, generator=rng(1))
    other = ReplayBuffer(SHAPE, capacity=20, start=InformativeStart(SHAPE, components=4))
    other.load_state_dict(buffer.state_dict())
    assert torch.equal(buffer.draw(20, rng(2))[0], other.draw(20, rng(2))[0])


def test_the_informative_start_has_the_mean_and_covariance_of_the_data():
    factors = 0.1 * torch.randn(4000, 2, generator=rng())
    images = (0.1 + factors @ torch.randn(2, 16, generator=rng(1))).reshape(-1, *SHAPE)
    drawn = InformativeStart(SHAPE, components=2).fit(images).draw(4000, rng(2))
    assert drawn.shape == images.shape
    assert torch.allclose(drawn.mean(0), images.mean(0), atol=0.02)
    assert torch.allclose(torch.cov(drawn.flatten(1).T), torch.cov(images.flatten(1).T), atol=0.005)
