"""Schedules of the symbolic term, and the likelihood under them."""

import math

import pytest
import torch

from groundkit.perception.distributed import ProcessGroup
from groundkit.training.symbolic import Bucket, SymbolicTerm, cross_entropy, moment
from tests.trained import write_digit

LISTS = """nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).
total([], 0).
total([X|Xs], N) :- total(Xs, M), digit(X, D), N is M+D.
"""
SEVERAL = """[[query]]
name = "sums"
goal = "total(Xs, N)"
[query.examples]
data = "digits8"
inputs = ["Xs"]
lengths = {Xs = [1, 2, 3]}
count = 60
held_out = 10
[[query]]
name = "one"
goal = "digit(X, D)"
weight = 0.5
[query.examples]
data = "digits8"
inputs = ["X"]
count = 10
held_out = 10
"""
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


def test_a_query_that_is_not_to_hold_pushes_its_probability_down(small, tmp_path):
    """A negative query's gradient is opposite to that of the same query when it holds."""
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for number in range(3):
        write_digit(small.folder / f"{number}.png", number)

    def slope(target):
        (small.folder / "t.csv").write_text(
            "X,Y,Z,probability\n" + f"0.png,1.png,2.png,{target}\n" * 20
        )
        settings = ('examples.file="t.csv"', "networks.net.image_shape=[1, 8, 8]", "train.batch=2")
        term = SymbolicTerm(small(*settings), torch.device("cpu"), ProcessGroup())
        log_p = logits.log_softmax(-1)
        chosen = [Bucket(0, torch.arange(2), torch.arange(2))]
        value = term.likelihood(chosen, {"net": (log_p, log_p)})
        return torch.autograd.grad(value, logits)[0], term

    up, holding = slope(1)
    down, failing = slope(0)
    assert torch.cosine_similarity(up.flatten(), down.flatten(), dim=0) < -0.5
    assert holding.searchable
    assert not failing.searchable


def test_a_batch_of_several_shapes_is_as_likely_as_each_of_them(small):
    """The term is the sum of the queries' means, each times its weight."""
    (small.folder / "add.pl").write_text(LISTS)
    (small.folder / "add.toml").write_text(SEVERAL)
    task = small("train.batch=32")
    term = SymbolicTerm(task, torch.device("cpu"), ProcessGroup())
    buckets = term.draw(torch.Generator().manual_seed(0))
    assert {term.parts[bucket.part].query for bucket in buckets} == {0, 1}
    queried = term.queried(buckets)["net"]
    logits = torch.randn(len(queried.places), 5, generator=torch.Generator().manual_seed(1))
    found = term.likelihood(buckets, {"net": (logits, logits)})
    expected, start = [0.0, 0.0], 0
    counts = [sum(len(b.chosen) for b in buckets if term.parts[b.part].query == q) for q in (0, 1)]
    for bucket in buckets:
        part = term.parts[bucket.part]
        width = len(part.reasoner.slots["net"])
        rows = logits[start : start + width * len(bucket.chosen)].log_softmax(-1)
        start += len(rows)
        rows = rows.view(len(bucket.chosen), width, 5).double()
        likely = part.reasoner.log_likelihood({"net": rows}, part.answers[bucket.chosen])
        expected[part.query] += float(likely.sum()) / counts[part.query]
    assert float(found) == pytest.approx(expected[0] + 0.5 * expected[1], abs=1e-9)


def test_two_processes_share_a_batch_of_several_shapes(small):
    """The mean over the processes is what one process has."""
    (small.folder / "add.pl").write_text(LISTS)
    (small.folder / "add.toml").write_text(SEVERAL)
    task = small("train.batch=32")
    whole = SymbolicTerm(task, torch.device("cpu"), ProcessGroup())
    buckets = whole.draw(torch.Generator().manual_seed(0))
    queried = whole.queried(buckets)["net"]
    logits = torch.randn(queried.rows.total, 5, generator=torch.Generator().manual_seed(1))
    expected = float(whole.likelihood(buckets, {"net": (logits, logits)}))
    found = []
    for rank in range(2):
        part = SymbolicTerm(task, torch.device("cpu"), ProcessGroup(rank, 2))
        rows = part.queried(buckets)["net"].rows.own
        found.append(float(part.likelihood(buckets, {"net": (logits[rows], logits[rows])})))
    assert sum(found) / 2 == pytest.approx(expected, abs=1e-9)
