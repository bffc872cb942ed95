"""Equality with DeepProbLog, the field's reference, on its own example programs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from groundkit.circuit.build import build_reasoner
from groundkit.deepproblog.engine import build_deepproblog_reasoner
from groundkit.errors import ProgramError
from groundkit.program.goal import parse_goal
from groundkit.program.source import load_program, parse_program

pytest.importorskip("deepproblog")
PROGRAMS = Path(__file__).parents[2] / "programs"

COINS = """
nn(coin1,[X],Y,[heads,tails]) :: coin(X,Y).
nn(weather,[X]) :: rain(X).
t(0.2)::noisy.
game(X,W,win) :- \\+noisy, coin(X,heads), rain(W).
game(X,W,win) :- noisy, coin(X,tails).
game(X,W,loss) :- \\+game(X,W,win).
"""


def _compare(program, goal: str, images: list[str], seed: int = 0) -> None:
    ours = build_reasoner(program, parse_goal(goal), images)
    theirs = build_deepproblog_reasoner(program, parse_goal(goal), images)
    generator = torch.Generator().manual_seed(seed)
    batch = 4
    logits = {
        name: torch.randn(
            batch, len(calls), ours.sizes[name], generator=generator, dtype=torch.float64
        ).requires_grad_()
        for name, calls in ours.slots.items()
    }
    answers = torch.randint(len(ours.answers), (batch,), generator=generator)
    results = []
    for reasoner in (ours, theirs):
        log_probs = {name: tensor.log_softmax(-1) for name, tensor in logits.items()}
        likelihood = reasoner.log_likelihood(log_probs, answers)
        wanted = [*logits.values(), *reasoner.parameters()]
        results.append((likelihood, torch.autograd.grad(likelihood.sum(), wanted)))
    assert torch.allclose(results[0][0], results[1][0], rtol=0, atol=1e-9)
    for mine, other in zip(results[0][1], results[1][1], strict=True):
        assert torch.allclose(mine, other, rtol=0, atol=1e-9)


def test_addition_of_three_images() -> None:
    _compare(load_program(PROGRAMS / "addition.pl"), "addition(X,Y,Z)", ["X", "Y", "Z"])


def test_addition_with_observed_sum() -> None:
    _compare(load_program(PROGRAMS / "sum.pl"), "sum(X,Y,Z)", ["X", "Y"])


def test_two_networks_negation_and_a_learnable_probability() -> None:
    _compare(parse_program(COINS), "game(X,W,R)", ["X", "W"])


def test_evidence_is_refused_there_because_it_would_be_ignored() -> None:
    program = parse_program(COINS + "evidence(noisy).")
    with pytest.raises(ProgramError, match="ignores evidence"):
        build_deepproblog_reasoner(program, parse_goal("game(X,W,R)"), ["X", "W"])
