"""Schedules of the symbolic term, and the likelihood under them."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from groundkit.perception.distributed import ProcessGroup
from groundkit.training.symbolic import Bucket, SymbolicTerm, cross_entropy, moment

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
    task = small("train.batch=6")
    term = SymbolicTerm(task, torch.device("cpu"), ProcessGroup())
    chosen = [Bucket(0, torch.arange(6), torch.arange(6))]
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


def test_cross_entropy_is_that_of_its_formula_also_at_the_ends():
    p = torch.tensor([0.3, 0.3, 1e-9, 1 - 1e-9, 0.0, 1.0], dtype=torch.float64)
    t = torch.tensor([1.0, 0.25, 0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    found = cross_entropy(p.log(), t)
    expected = [math.log(0.3), 0.25 * math.log(0.3) + 0.75 * math.log(0.7), -1e-9, math.log(1e-9)]
    assert found[:4].tolist() == pytest.approx(expected, rel=1e-6)
    assert found[4:].tolist() == [0.0, 0.0]
    assert torch.isfinite(cross_entropy(torch.zeros(1), torch.zeros(1))).all()
    assert cross_entropy(p.log(), None) is not None


def test_a_query_that_is_not_to_hold_pushes_its_probability_down(small):
    """A negative query's gradient is opposite to that of the same query when it holds."""
    task = small()
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def slope(target):
        task.examples = dataclasses.replace(
            task.examples, targets=np.full(len(task.examples), target)
        )
        term = SymbolicTerm(task, torch.device("cpu"), ProcessGroup())
        log_p = logits.log_softmax(-1)
        value = term.likelihood(torch.arange(2), {"net": (log_p, log_p)})
        return torch.autograd.grad(value, logits)[0], term

    up, holding = slope(1.0)
    down, failing = slope(0.0)
    assert torch.cosine_similarity(up.flatten(), down.flatten(), dim=0) < -0.5
    assert len(holding.answers) == len(task.examples)
    assert len(failing.answers) == 0
