import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.perception.shares import EVEN, Shares


def distribution(weights: list[float]) -> torch.Tensor:
    return torch.tensor(weights) / sum(weights)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=9), st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_estimates_stay_distributions_and_come_near_what_is_found(weights, steps):
    shares, found = Shares(len(weights), torch.device("cpu")), distribution(weights)
    before = (shares.estimate - found).abs().sum()
    for _ in range(steps):
        shares.move(found)
    assert torch.allclose(shares.estimate.sum(), torch.ones(()))
    assert (shares.estimate - found).abs().sum() <= before + 1e-6
    assert torch.allclose(shares.target.sum(), torch.ones(()))


def test_a_collapse_cannot_take_the_target_along():
    shares = Shares(10, torch.device("cpu"))
    for _ in range(1000):
        shares.move(torch.eye(10)[0])
    assert shares.target[1:].min() >= EVEN / 10 * (1 - 1e-5)


def test_an_estimate_that_is_no_number_changes_nothing():
    shares = Shares(3, torch.device("cpu"))
    shares.move(torch.tensor([float("nan"), 0.5, 0.5]))
    assert torch.equal(shares.estimate, torch.full((3,), 1 / 3))


def test_shares_follow_names():
    shares = Shares(3, torch.device("cpu"))
    shares.estimate = torch.tensor([0.2, 0.3, 0.5])
    shares.permute([2, 0, 1])
    assert torch.equal(shares.estimate, torch.tensor([0.5, 0.2, 0.3]))
    shares.split(1, 0)
    assert torch.allclose(shares.estimate, torch.tensor([0.35, 0.35, 0.3]))
