"""Bounds and estimates against the exact circuit and the enumeration of worlds."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit.answer import ask_queries
from groundkit.circuit.approximate import BoundedReasoner, SampledReasoner, reasoner_of
from groundkit.circuit.attempts import Here
from groundkit.circuit.bounds import best_proofs, compile_bounds, parts_of
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.compile import compile_within, with_evidence
from groundkit.circuit.evaluate import evaluate
from groundkit.circuit.ir import Circuit
from groundkit.circuit.quotient import Parts, conditional
from groundkit.circuit.reasoner import Reasoner
from groundkit.circuit.sampling import Sampler
from groundkit.errors import LimitError, ProgramError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.ground import TRUE, GroundProgram
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
    extended, roots = with_evidence(program)
    *roots, evidence = roots if program.evidence != TRUE else [*roots, TRUE]
    weights = draw_weights(program, seed)
    chance = probability(extended, evidence, weights)
    for widest in (1.0, 0.0):  # after one round, and after all of them
        circuit, _, _ = compile_bounds(program, Here(), 60, widest)
        assert worlds.is_decomposable(circuit)
        lower, upper = bounds_of(program, circuit, weights)
        for i, root in enumerate(roots):
            if chance < 1e-9:
                continue
            truth = probability(extended, root, weights) / chance
            assert lower[i] - 1e-9 <= truth <= upper[i] + 1e-9
            if widest == 0.0:
                assert lower[i] == pytest.approx(truth, abs=1e-6)
                assert upper[i] == pytest.approx(truth, abs=1e-6)


def bounds_of(
    program: GroundProgram, circuit: Circuit, weights: list[list[float]]
) -> tuple[np.ndarray, np.ndarray]:
    found = np.array(evaluate(circuit, weights))
    count = len(program.roots)
    if program.evidence == TRUE:
        return np.exp(found[:count]), 1 - np.exp(found[count:])
    with np.errstate(divide="ignore", invalid="ignore"):
        lower, upper = conditional(np, parts_of(found, count))
    return np.exp(lower), np.exp(upper)


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
    monkeypatch.setattr("groundkit.circuit.bounds.compile_bounds", fail)
    assert compile_within(found, 30, Here(), "auto").stage == "sample"


def test_a_program_with_known_probabilities_is_answered_without_torch(tmp_path: Path) -> None:
    (tmp_path / "risk.pl").write_text(RISK + "\nevidence(a(1,3)).")
    script = (
        "import sys; from groundkit.cli.app import main; sys.argv = ['groundkit', 'query', "
        "'risk.pl', '--json']\ntry: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    told, loaded = done.stdout.splitlines()
    program = parse_program((tmp_path / "risk.pl").read_text())
    shape = Shape(program, parse_goal("query(Query)"), facts=True)
    found = ground(shape)
    reasoner = reasoner_of(program, shape.goal, found, compile_within(found, 60, Here(), "exact"))
    expected = float(reasoner({})[0, 0].exp())
    assert json.loads(told)["q"] == pytest.approx(expected)
    assert loaded == "False"


def test_exact_stays_the_default() -> None:
    reasoner = build_reasoner(parse_program(RISK), parse_goal("q"), [], limits=Limits(60))
    assert reasoner.mode == "exact" and reasoner.reasoning()["gap"] == 0.0
    assert replace(Limits(), seconds=1.0).mode == "exact"


RARE = "\n".join(
    [f"0.3::a({i})." for i in range(14)]
    + ["0.001::fault.", "alarm :- fault.", "evidence(alarm).", "evidence(a(0))."]
    + ["q :- a(I), a(J), J is I+1, fault.", "query(q)."]
)
"""The evidence has a probability of 0.0003; few proofs say little about what is left of 1."""


def test_rare_evidence_does_not_widen_the_bounds() -> None:
    program = parse_program(RARE)
    found = ground(Shape(program, parse_goal("q")))
    truth = ask_queries(program).probabilities["q"]
    weights = [list(c.source.probabilities) for c in found.choices]  # type: ignore[union-attr]
    circuit, _, gap = compile_bounds(found, Here(), 60, widest=0.5)
    lower, upper = bounds_of(found, circuit, weights)
    assert lower[0] - 1e-9 <= truth <= upper[0] + 1e-9
    assert gap == pytest.approx(upper[0] - lower[0]) and gap <= 0.5
    # What the proofs leave out is compared with the evidence, not with 1.
    parts = parts_of(np.array(evaluate(circuit, weights)), 1)
    assert np.exp(parts.known) == pytest.approx(0.0003)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8), st.floats(0.0, 1.0))
def test_a_quotient_is_as_tight_as_any_of_its_parts_allow(loose: list[float], p: float) -> None:
    """Whatever the bounds, the truth lies within, and no bound of P(q, e) and P(e) is wasted."""
    known, evidence = 0.5, 0.5 * loose[0]
    holds, fails = evidence * p, evidence * (1 - p)
    truths = [holds, fails, known - holds, known - fails, evidence, known - evidence]
    shrunk = [t * share for t, share in zip(truths, loose[1:7], strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(np.array([x])) for x in (*shrunk, known)]
        lower, upper = (float(np.exp(b)[0]) for b in conditional(np, Parts(*logs)))
    a, b, never_a, _, told, untold = shrunk
    most, most_a = known - untold, min(known - never_a, known - untold - b)
    if evidence > 1e-9:
        assert lower - 1e-9 <= p <= upper + 1e-9
    assert lower >= a / most - 1e-9 if most > 1e-9 else True
    if told > 1e-9:
        assert upper <= most_a / told + 1e-9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q. query(q).", 1.0),
        ("0.0::a. q :- a. query(q).", 0.0),
        ("1.0::a. q :- a. evidence(a). query(q).", 1.0),
        ("0.3::a. q :- \\+a. evidence(a). query(q).", 0.0),
        ("0.3::a. 0.5::b. q :- a. q :- b. evidence(q). query(a). query(b). query(q).", None),
    ],
)
def test_bounds_of_the_certain_and_the_impossible(text: str, expected: float | None) -> None:
    program = parse_program(text)
    exact = ask_queries(program).probabilities
    found = ask_queries(program, limits=Limits(60, mode="bounds"))
    assert found.probabilities == pytest.approx(exact, abs=1e-9)
    assert max(found.gaps.values()) < 1e-9
    if expected is not None:
        assert exact["q"] == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["bounds", "sample"])
def test_impossible_evidence_is_refused_in_every_mode(mode: Literal["bounds", "sample"]) -> None:
    program = parse_program("0.3::a. b :- a. evidence(a). evidence(\\+b). query(a).")
    kind = ProgramError if mode == "bounds" else LimitError
    with pytest.raises(kind, match=r"can never hold together|random worlds satisfies"):
        ask_queries(program, limits=Limits(60, mode=mode))


def test_an_estimate_that_all_worlds_agree_on_has_an_error() -> None:
    program = parse_program("0.00001::a. 0.00001::b. q :- a, b. query(q).")
    found = ask_queries(program, limits=Limits(60, mode="sample"))
    assert found.probabilities["q"] < 1e-3 and 1e-9 < found.gaps["q"] < 1e-3


def test_worlds_are_drawn_where_the_program_cannot_be_grounded():
    text = """0.5::heads(N) :- between(1, 40, N).
    count(K) :- findall(N, heads(N), L), length(L, K).
    many :- count(K), K > 20.
    query(many)."""
    program = parse_program(text)
    with pytest.raises(LimitError):
        ask_queries(program, limits=Limits(3, mode="bounds"))
    found = ask_queries(program, limits=Limits(10, mode="sample"))
    known = sum(math.comb(40, k) for k in range(21, 41)) / 2**40
    assert found.mode == "sample" and "worlds were drawn" in found.reason
    assert 0 < found.gaps["many"] < 0.1
    assert abs(found.probabilities["many"] - known) < 5 * found.gaps["many"]
