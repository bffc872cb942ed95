import math

import pytest
import torch
from torch import nn

from groundkit.perception.safeguard import DivergenceWatch, Safeguard


def test_divergence_is_called_at_once_for_nan_and_after_patience_for_large_gaps():
    watch = DivergenceWatch(ceiling=10, patience=3)
    assert not any(watch.update(gap) for gap in (50.0, -50.0, 1.0, 50.0, 50.0))
    assert watch.update(-50.0)
    watch.reset()
    assert not watch.update(50.0)
    assert watch.update(math.nan)


def test_a_rollback_restores_weights_and_optimiser_to_a_state_before_the_trouble():
    layer = nn.Linear(1, 1, bias=False)
    optimiser = torch.optim.Adam(layer.parameters(), 0.1)
    guard = Safeguard([layer, optimiser], interval=2, watch=DivergenceWatch(10, patience=2))
    weights = []

    def step(gap: float) -> bool:
        weights.append(layer.weight.item())
        if guard.update(gap):
            return True
        layer(torch.ones(1, 1)).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        return False

    assert not any(step(1.0) for _ in range(6))
    assert not step(99.0)
    assert step(99.0)
    # Copies were taken at updates 4 and 6, before the step; the older one is back.
    assert layer.weight.item() == weights[3]
    assert optimiser.state[layer.weight]["step"] == 3
    assert guard.rollbacks == 1
    # The copy can be used again, and training in between does not change it.
    assert not step(1.0)
    assert step(math.nan)
    assert layer.weight.item() == weights[3]


def test_no_copy_is_taken_while_the_gap_is_beyond_the_ceiling():
    layer = nn.Linear(1, 1)
    first = layer.weight.item()
    guard = Safeguard([layer], interval=1, watch=DivergenceWatch(10, patience=3))
    with torch.no_grad():
        layer.weight.add_(1)
    assert not guard.update(50.0)
    assert not guard.update(50.0)
    assert guard.update(50.0)
    assert layer.weight.item() == first


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf])
def test_a_gap_that_is_not_finite_is_a_divergence_at_once(gap):
    assert DivergenceWatch().update(gap)
