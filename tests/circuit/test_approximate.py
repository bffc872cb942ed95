"""Bounds and estimates against the exact circuit and the enumeration of worlds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit.answer import ask_queries
from groundkit.circuit.approximate import BoundedReasoner, SampledReasoner, reasoner_of
from groundkit.circuit.attempts import Here
from groundkit.circuit.bounds import best_proofs, compile_bounds, evaluate
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.compile import compile_within, with_evidence
from groundkit.circuit.reasoner import Reasoner
from groundkit.circuit.sampling import Sampler
from groundkit.errors import LimitError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.ground import GroundProgram
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program

from . import worlds
from .test_compilers import graphs


def probability(program: GroundProgram, reference: int, weights: list[list[float]]) -> float:
    total = 0.0
    for world in worlds.worlds(program):
        if worlds.truth(program, reference, world):
            total += float(np.prod([weights[c][o] for c, o in enumerate(world)]))
    return total


def draw_weights(program: GroundProgram, seed: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(choice.size)).tolist() for choice in program.choices]


@settings(deadline=None, max_examples=40)
@given(program=graphs(), seed=st.integers(0, 99), number=st.sampled_from([1, 2, 8, 1000]))
def test_proofs_are_proofs(program: GroundProgram, seed: int, number: int) -> None:
    weights = draw_weights(program, seed)
    for reference in (program.roots[0], ~program.roots[0]):
        (found,), complete = best_proofs(program, [reference], weights, number)
        assert len(found) <= number
        for weight, proof in found:
            permitted = [
                world
                for world in worlds.worlds(program)
                if all(mask >> world[choice] & 1 for choice, mask in proof.items())
            ]
            assert all(worlds.truth(program, reference, world) for world in permitted)
            mass = sum(np.prod([weights[c][o] for c, o in enumerate(w)]) for w in permitted)
            assert weight == pytest.approx(mass)
        if complete:
            covered = {
                world
                for world in worlds.worlds(program)
                for _, proof in found
                if all(mask >> world[choice] & 1 for choice, mask in proof.items())
            }
            expected = {w for w in worlds.worlds(program) if worlds.truth(program, reference, w)}
            assert covered == expected


@settings(deadline=None, max_examples=30)
@given(program=graphs(), seed=st.integers(0, 99))
def test_bounds_contain_the_truth_whatever_the_probabilities(
    program: GroundProgram, seed: int
) -> None:
    program, roots = with_evidence(program)
    for widest in (1.0, 0.0):  # after one round, and after all of them
        circuit, _, _ = compile_bounds(program, roots, Here(), 60, widest)
        weights = draw_weights(program, seed)
        found = evaluate(circuit, weights)
        assert worlds.is_decomposable(circuit)
        for i, root in enumerate(roots):
            truth = probability(program, root, weights)
            assert found[i] - 1e-9 <= truth <= 1 - found[len(roots) + i] + 1e-9
            if widest == 0.0:
                assert found[i] == pytest.approx(truth, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(program=graphs(), seed=st.integers(0, 99))
def test_estimates_are_unbiased_within_their_error(program: GroundProgram, seed: int) -> None:
    weights = draw_weights(program, seed)
    sampler = Sampler(program, program.roots)
    arrays = [np.array(w) for w in weights]
    found = sampler.estimate(arrays, 20_000, np.random.default_rng(seed))
    for i, root in enumerate(program.roots):
        error = np.sqrt(found.covariance[i, i])
        assert abs(found.mean[i] - probability(program, root, weights)) <= 5 * error + 1e-9
        for choice, slopes in found.derivative.items():
            for outcome, slope in enumerate(slopes[:, i]):
                pure = [list(w) for w in weights]
                pure[choice] = [float(o == outcome) for o in range(len(pure[choice]))]
                assert slope == pytest.approx(probability(program, root, pure), abs=0.03)


def test_averaging_choices_out_lowers_the_error() -> None:
    program = ground(Shape(parse_program(NOISY), parse_goal("far(X,Y)"), ("X", "Y")))
    arrays = [np.full(c.size, 1 / c.size) for c in program.choices]
    sampler = Sampler(program, program.roots[:1])
    plain = sampler.estimate(arrays, 4000, np.random.default_rng(0), averaged=[])
    better = sampler.estimate(arrays, 4000, np.random.default_rng(0))
    assert better.covariance[0, 0] < 0.7 * plain.covariance[0, 0]


NOISY = """nn(net,[X],Y,[0,1,2,3])::digit(X,Y).
0.2::slip(X) :- image(X).
image(a). image(b).
0.3::storm.
far(X,Y) :- digit(X,A), digit(Y,B), A > B+1.
far(X,Y) :- digit(X,A), storm, A > 1, digit(Y,3).
far(X,Y) :- slip(a), slip(b), digit(X,1), digit(Y,1).
evidence(wet,true).
0.5::sprinkler.
wet :- storm.
wet :- sprinkler.
"""


def three_reasoners() -> tuple[Reasoner, BoundedReasoner, SampledReasoner]:
    program, goal = parse_program(NOISY), parse_goal("far(X,Y)")
    found = ground(Shape(program, goal, ("X", "Y")))
    made = [
        reasoner_of(program, goal, found, compile_within(found, 60, Here(), mode))
        for mode in ("exact", "bounds", "sample")
    ]
    exact, bounded, sampled = made
    assert isinstance(bounded, BoundedReasoner) and isinstance(sampled, SampledReasoner)
    return exact, bounded, sampled


def test_reasoners_agree_and_so_do_their_gradients() -> None:
    exact, bounded, sampled = three_reasoners()
    sampled.worlds = 20_000
    torch.manual_seed(0)
    logits = torch.randn(3, 2, 4, dtype=torch.float64)
    values, slopes = [], []
    for reasoner in (exact, bounded, sampled):
        free = logits.clone().requires_grad_()  # where it matters that probabilities sum to 1
        out = reasoner({"net": free.log_softmax(-1)})
        out.sum().backward()
        assert free.grad is not None
        values.append(out.detach())
        slopes.append(free.grad)
    assert torch.allclose(values[1], values[0], atol=1e-5)  # all proofs are found here
    assert torch.allclose(slopes[1], slopes[0], atol=1e-4)
    error = sampled.gap({"net": logits.log_softmax(-1)})
    assert ((values[2].exp() - values[0].exp()).abs() < 5 * error).all()
    assert torch.allclose(slopes[2], slopes[0], atol=0.05)


def test_bounds_and_estimates_say_what_they_are() -> None:
    _, bounded, sampled = three_reasoners()
    assert bounded.reasoning()["mode"] == "bounds" and sampled.reasoning()["mode"] == "sample"
    for reasoner in (bounded, sampled):
        with pytest.raises(LimitError, match="needs exact reasoning"):
            reasoner.support()
    with pytest.raises(LimitError, match="drawing examples"):
        sampled.sample(3, np.random.default_rng(0))


# Whether three of twelve are chosen, out of order: proofs alone leave a gap.
RISK = "\n".join(
    [f"0.{i % 7 + 2}::a({i},{j})." for i in range(8) for j in range(8)]
    + ["row(I) :- a(I,J), a(J,I), I \\= J.", "q :- row(1), row(3), \\+row(5).", "query(q)."]
)


def test_modes_are_asked_for_and_told() -> None:
    program = parse_program(RISK)
    exact = ask_queries(program, limits=Limits(60))
    bounds = ask_queries(program, limits=Limits(60, mode="bounds"))
    sample = ask_queries(program, limits=Limits(60, mode="sample"))
    auto = ask_queries(program, limits=Limits(60, mode="auto"))
    assert (exact.mode, bounds.mode, sample.mode, auto.mode) == (
        *("exact", "bounds", "sample"),
        "exact",
    )
    truth = exact.probabilities["q"]
    assert bounds.probabilities["q"] - 1e-9 <= truth
    assert truth <= bounds.probabilities["q"] + bounds.gaps["q"] + 1e-9
    assert abs(sample.probabilities["q"] - truth) < 5 * sample.gaps["q"]
    assert not exact.gaps and auto.probabilities["q"] == pytest.approx(truth)


def test_auto_goes_on_where_exact_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ground(Shape(parse_program(RISK), parse_goal("q")))

    def fail(*_: object) -> None:
        raise LimitError("no compiler found a circuit")

    monkeypatch.setattr("groundkit.circuit.compile.compile_program", fail)
    compiled = compile_within(found, 30, Here(), "auto")
    assert compiled.stage == "bounds" and "no exact circuit" in compiled.reason
    assert not compiled.exact
    with pytest.raises(LimitError):
        compile_within(found, 30, Here(), "exact")
    monkeypatch.setattr("groundkit.circuit.compile.compile_bounds", fail)
    assert compile_within(found, 30, Here(), "auto").stage == "sample"


def test_exact_stays_the_default() -> None:
    reasoner = build_reasoner(parse_program(RISK), parse_goal("q"), [], limits=Limits(60))
    assert reasoner.mode == "exact" and reasoner.reasoning()["gap"] == 0.0
    assert replace(Limits(), seconds=1.0).mode == "exact"
