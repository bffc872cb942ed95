"""Schedules of the symbolic term, and the likelihood under them."""

import pytest
import torch

from groundkit.grounding.symbolic import SymbolicTerm, moment
from groundkit.perception.world import World

SCHEDULES = ("constant", "annealed", "clusters-first", "tempered")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_ends_with_the_whole_term(schedule):
    assert (moment(schedule, 1.0).weight, moment(schedule, 1.5).temperature) == (1.0, 1.0)
    weights = [moment(schedule, step / 10).weight for step in range(11)]
    temperatures = [moment(schedule, step / 10).temperature for step in range(11)]
    assert weights == sorted(weights)
    assert temperatures == sorted(temperatures, reverse=True)


def test_schedules_differ_in_how_they_begin():
    found = {name: moment(name, 0.0) for name in SCHEDULES}
    assert [found[name].weight for name in SCHEDULES] == [1, 0, 0, 1]
    assert found["tempered"].temperature > 1
    assert moment("annealed", 0.25).weight == 0.25


def test_likelihood_is_that_of_the_sums_and_softens_with_temperature(small):
    term = SymbolicTerm(small(), torch.device("cpu"), World())
    chosen = torch.arange(6)
    count = 6 * 3
    logits = torch.randn(count, 5, generator=torch.Generator().manual_seed(0))
    views = {"net": (logits.log_softmax(-1), logits.log_softmax(-1))}
    for temperature in (1.0, 3.0):
        p = (logits / temperature).softmax(-1).view(6, 3, 5).double()
        expected = sum(
            p[:, 0, a] * p[:, 1, b] * p[:, 2, a + b] for a in range(5) for b in range(5 - a)
        )
        found = term.likelihood(chosen, views, temperature)
        assert found == pytest.approx(float(expected.log().mean()), abs=1e-6)
