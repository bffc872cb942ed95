import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.perception.backbones import build_backbone
from groundkit.perception.foreign import ForeignScore, limit_of
from groundkit.perception.model import SymbolModel


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SymbolModel(build_backbone("mlp", (1, 8, 8)), 3).eval()


def images(count, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return (0.1 * torch.randn(count, 1, 8, 8, generator=rng) - 0.5).clamp(-1, 1)


def test_images_unlike_all_others_score_higher(model):
    score, limit = ForeignScore.fit(model, images(200))
    inside = score(model, images(50, seed=1))
    noise = 2 * torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(2)) - 1
    assert score(model, noise).min() > inside.max()
    assert (score(model, noise) > limit).all()
    assert (inside > limit).double().mean() < 0.15


def test_a_twentieth_of_foreign_images_does_not_raise_the_limit_over_them(model):
    noise = 2 * torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(2)) - 1
    score, limit = ForeignScore.fit(model, torch.cat([images(380), noise]))
    more = 2 * torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(3)) - 1
    assert (score(model, more) > limit).all()


@given(st.integers(0, 2**31 - 1), st.floats(0.1, 50))
@settings(max_examples=20, deadline=None)
def test_the_limit_of_energies_ignores_a_few_odd_ones(seed, far):
    rng = torch.Generator().manual_seed(seed)
    clean = torch.randn(950, generator=rng)
    odd = clean.max() + far + torch.rand(50, generator=rng)
    assert limit_of(torch.cat([clean, odd])) < odd.min() + 5
    assert limit_of(torch.cat([clean, odd])) < 5
    assert limit_of(clean) <= clean.max()


def test_it_is_saved_and_read_back(model):
    score, _ = ForeignScore.fit(model, images(30))
    copy = ForeignScore(model.prototypes.in_features, (1, 8, 8), 30)
    copy.load_state_dict(score.state_dict())
    assert torch.equal(copy(model, images(4)), score(model, images(4)))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_training_images_do_no_harm(model, count):
    score, _ = ForeignScore.fit(model, images(count))
    assert torch.isfinite(score(model, images(3, seed=4))).all()


def test_nothing_finite_has_no_limit():
    assert limit_of(torch.tensor([float("nan")])) != limit_of(torch.tensor([float("nan")]))


def test_each_part_is_measured_in_its_own_spread(model):
    score, _ = ForeignScore.fit(model, images(40))
    score.spreads.fill_(1.0)
    plain = score(model, images(5, seed=1))
    score.spreads.fill_(4.0)
    assert torch.allclose(score(model, images(5, seed=1)), plain / 4)


def test_a_training_image_is_not_its_own_neighbour(model):
    score, limit = ForeignScore.fit(model, images(40))
    assert (score(model, images(40)) < limit).all()  # at distance 0 from themselves
    assert score.middles[2] > 0.1  # and yet typically far from the nearest other one
