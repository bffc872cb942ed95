"""Shares of symbols that are learnt under a program, against all combinations written out."""

import itertools

import pytest
import torch

from groundkit.perception.learner import Reading
from groundkit.perception.shares import EVERY, RATE
from groundkit.training.shares import learn_shares
from groundkit.training.shares import posteriors as program_posteriors
from groundkit.training.symbolic import Bucket, Named
from groundkit.training.trainer import Trainer

EXAMPLES, SYMBOLS = 4, 5


def posteriors(p: torch.Tensor) -> torch.Tensor:
    """Probabilities ``(3, K)`` of each symbol given that the first two add up to the third."""
    found = torch.zeros_like(p)
    for a, b, c in itertools.product(range(SYMBOLS), repeat=3):
        if a + b == c:
            chance = p[0, a] * p[1, b] * p[2, c]
            for slot, symbol in enumerate((a, b, c)):
                found[slot, symbol] += chance
    return found / found.sum(1, keepdim=True)


def read(small, *settings):
    """A learner that has just read a step's images, its views and their likelihood."""
    trainer = Trainer(small(f"train.batch={EXAMPLES}", *settings), torch.device("cpu"), 0)
    rng = torch.Generator().manual_seed(1)
    rows = [torch.randn(3 * EXAMPLES + 7, SYMBOLS, generator=rng) for _ in range(2)]
    for one in rows:
        one.requires_grad_()
    learner = trainer.learners["net"]
    places = torch.zeros(len(rows[0]), dtype=torch.long)
    learner.clustering_terms(Reading(rows[0], rows[1], torch.zeros(2, 2)), places)
    views = (rows[0][: 3 * EXAMPLES], rows[1][: 3 * EXAMPLES])
    everything = torch.arange(EXAMPLES)
    chosen = [Bucket(0, everything, everything)]
    likelihood = trainer._symbolic.likelihood(chosen, {"net": views})
    return learner, rows, views, likelihood


def test_they_move_to_what_image_and_query_say_together(small):
    learner, rows, views, likelihood = read(small)
    learn_shares(likelihood, {"net": views}, {"net": learner}, examples=EXAMPLES, step=EVERY + 1)
    known = []
    for one in rows:
        p = one.detach().softmax(-1).double()
        known += [posteriors(p[3 * k : 3 * k + 3]) for k in range(EXAMPLES)]
        known.append(p[3 * EXAMPLES :])  # images that no query asks about
    expected = torch.lerp(torch.full((SYMBOLS,), 0.2).double(), torch.cat(known).mean(0), RATE)
    assert learner.shares.estimate.double() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shares", ["uniform", "[0.2,0.2,0.2,0.2,0.2]"])
def test_shares_that_are_given_are_not_learnt(small, shares):
    setting = f"networks.net.perception.prior_probabilities={shares}"
    learner, _, views, likelihood = read(small, setting)
    learn_shares(likelihood, {"net": views}, {"net": learner}, examples=EXAMPLES, step=EVERY + 1)
    assert torch.equal(learner.shares.estimate, torch.full((SYMBOLS,), 0.2))


def test_training_learns_them_and_a_state_holds_them(small):
    trainer = Trainer(small(), torch.device("cpu"), 0)
    trainer.train()
    learnt = trainer.learners["net"].shares.estimate
    assert not torch.equal(learnt, torch.full((SYMBOLS,), 0.2))
    again = Trainer(small(), torch.device("cpu"), 0)
    again.load_state_dict(trainer.state_dict())
    assert torch.equal(again.learners["net"].shares.estimate, learnt)


def test_posteriors_of_all_examples_are_those_of_the_combinations(small):
    trainer = Trainer(small(), torch.device("cpu"), 0)
    term = trainer._symbolic
    part = term.parts[0]
    rows = torch.randn(len(part), 3, SYMBOLS, generator=torch.Generator().manual_seed(2))
    read = Named(part.reasoner, {"net": rows.double().log_softmax(-1)}, part.answers)
    found = program_posteriors(read)["net"]
    expected = torch.stack([posteriors(p) for p in rows.double().softmax(-1)])
    assert found == pytest.approx(expected, abs=1e-6)
