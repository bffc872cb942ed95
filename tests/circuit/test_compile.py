"""The structure that makes circuits right: decomposable, deterministic, and by which stage."""

from __future__ import annotations

import itertools
import random

import klay
import pytest
import torch
from hypothesis import assume, given, settings

from benchmarks.klay_export import to_klay
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.compile import compile_program
from groundkit.circuit.factor import factor
from groundkit.circuit.ir import CircuitBuilder
from groundkit.errors import ProgramError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program
from tests.circuit.random_programs import RandomProgram, programs
from tests.circuit.test_against_worlds import SETTINGS
from tests.circuit.test_carry import carry_reasoner


def _holds(circuit, world: tuple[int, ...]) -> list[bool]:
    values = [True, False]
    for index in range(2, len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            values.append(world[items[0]] in items[1:])
        elif kind == "and":
            values.append(all(values[i] for i in items))
        else:
            values.append(sum(values[i] for i in items) > 0)
    return values


def _check_decomposable(circuit) -> None:
    support: list[set[int]] = [set(), set()]
    for index in range(2, len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            support.append({items[0]})
            continue
        parts = [support[i] for i in items]
        if kind == "and":
            assert sum(map(len, parts)) == len(set().union(*parts))
        support.append(set().union(*parts))


@given(programs())
@settings(SETTINGS, max_examples=25)
def test_disjunctions_are_deterministic_and_conjunctions_decomposable(
    program: RandomProgram,
) -> None:
    try:
        found = ground(Shape(parse_program(program.text(False)), parse_goal("ask(Q)")))
    except ProgramError:
        assume(False)
    assume(found.worlds() <= 3000 and found.choices)
    circuit = compile_program(found).circuit
    _check_decomposable(circuit)
    for world in itertools.product(*(range(c.size) for c in found.choices)):
        values = _holds(circuit, world)
        for index in range(2, len(circuit)):
            kind, items = circuit.node(index)
            if kind == "or":
                assert sum(values[i] for i in items) <= 1


CASES = [
    # a disjunction over the values of one image: a circuit as it stands
    ("nn(n,[X],Y,[0,1,2])::d(X,Y). q(X,Y,Z) :- d(X,A), d(Y,B), Z is A+B.", "q(X,Y,Z)", "a"),
    # alternatives over different choices become a chain, a negated conjunction too
    ("nn(n,[X])::p(X). q(X,Y) :- p(X). q(X,Y) :- p(Y).", "q(X,Y)", "a"),
    ("nn(n,[X])::p(X). r(X,Y) :- p(X), p(Y). q(X,Y) :- \\+r(X,Y).", "q(X,Y)", "a"),
    # complements exclude each other
    (
        "nn(n,[X])::p(X). r(X,Y) :- p(X),p(Y). q(X,Y) :- r(X,Y). q(X,Y) :- \\+r(X,Y), s. 0.5::s.",
        None,
        "a",
    ),
    # an image looked at twice in one conjunction
    (
        "nn(n,[X])::p(X). r(X,Y) :- p(X). r(X,Y) :- p(Y)."
        " q(X,Y) :- \\+r(X,Y). q(X,Y) :- r(X,Y), p(X), p(Y).",
        None,
        "c",
    ),
    (
        "nn(n,[X])::p(X). r(X,Y) :- p(X). r(X,Y) :- p(Y), s. 0.5::s. q(X,Y) :- r(X,Y), p(Y).",
        None,
        "b",
    ),
    # an overlap that only compilation resolves, in one of two answers
    (
        "nn(n,[X])::p(X). q(X,Y,a) :- p(X), p(Y). q(X,Y,b) :- r(X,Y). r(X,Y) :- p(X), p(Y)."
        " r(X,Y) :- \\+p(X), p(Y). r(X,Y) :- p(Y), s. 0.5::s.",
        "q(X,Y,Z)",
        "c",
    ),
]


@pytest.mark.parametrize(("text", "goal", "stage"), CASES)
def test_stage_is_chosen_by_proof(text: str, goal: str | None, stage: str) -> None:
    reasoner = build_reasoner(parse_program(text), parse_goal(goal or "q(X,Y)"), ["X", "Y"])
    assert reasoner.compiled.stage == stage, reasoner.compiled.reason


@given(programs(neural=True))
@settings(SETTINGS, max_examples=10)
def test_klay_agrees_on_structure_and_values(program: RandomProgram) -> None:
    assume(program.images)
    images = [f"I{i}" for i in range(len(program.images))]
    try:
        goal = parse_goal(f"ask({','.join(images)},Q)")
        reasoner = build_reasoner(parse_program(program.text(True)), goal, images)
    except ProgramError:
        assume(False)
    circuit = reasoner.compiled.circuit
    assume(all(root > 1 for root in circuit.roots))
    sizes = [choice.size for choice in reasoner.ground_program.choices]
    exported, variables = to_klay(circuit, sizes)
    assert klay.check_decomposability(exported).is_decomposable
    calls = len(reasoner.slots["net"])
    log_probs = {"net": torch.randn(3, calls, 3, dtype=torch.float64).log_softmax(-1)}
    rows = reasoner.input_rows(log_probs)
    positive = torch.stack([rows[reasoner.row_of[c] + o] for c, o in variables], 1)
    negative = torch.stack(
        [
            rows[reasoner.row_of[c] + 1] if sizes[c] == 2 else torch.zeros(3, dtype=torch.float64)
            for c, _ in variables
        ],
        1,
    )
    module = exported.to_torch_module(semiring="log", compile=False)
    expected = module(positive, negative)
    assert torch.allclose(
        expected.exp(), reasoner.layer(*reasoner.input_parts(log_probs)).T.exp(), atol=1e-12
    )


def test_factoring_shares_inner_sums_between_the_steps_of_a_recursion() -> None:
    circuit = carry_reasoner(4).compiled.circuit
    # One product per pair of digits and position, and little beside it.
    assert circuit.edges < 4 * 550


def test_factoring_pulls_out_what_alternatives_share() -> None:
    builder = CircuitBuilder()
    a, b, c = builder.leaf(0, [0]), builder.leaf(1, [0]), builder.leaf(1, [1, 2])
    d = builder.leaf(2, [1])
    root = builder.disjoin([builder.conjoin([a, b, d]), builder.conjoin([a, c, d])])
    found = factor(builder.finish([root]))
    kind, _ = found.node(int(found.roots[0]))
    assert kind == "and" and found.edges == 6 < 8


EVIDENCE_APART = """
nn(net,[X],Y,[0,1,2]) :: digit(X,Y).
1/3::rain. 0.2::lucky.
ask(X,Y,Z) :- digit(X,A), digit(X,B), Z is A+B.
ask(X,Y,won) :- digit(Y,_), digit(X,1), lucky.
evidence(rain,false).
:- rain, lucky.
"""
"""Its evidence is compiled together with an answer that reads both inputs."""


def test_a_part_keeps_to_its_own_choices_beside_neighbours_that_are_compiled_with_it() -> None:
    goal = parse_goal("ask(X,Y,Z)")
    found = ground(Shape(parse_program(EVIDENCE_APART), goal, ("X", "Y")))
    _check_decomposable(compile_program(found).circuit)


@pytest.mark.parametrize("seed", range(20))
def test_answers_beside_evidence_are_decomposable(seed: int) -> None:
    rng = random.Random(seed)
    facts = [f"f{i}" for i in range(4)]
    lines = ["nn(net,[X],Y,[0,1,2]) :: digit(X,Y).", *(f"0.3::{fact}." for fact in facts)]
    for _ in range(rng.randint(2, 4)):
        body = [f"digit({rng.choice('XY')},A)", f"digit({rng.choice('XY')},B)"]
        body += rng.sample(["A =< B", rng.choice(facts), "\\+" + rng.choice(facts)], 2)
        lines.append(f"ask(X,Y,Z) :- {', '.join(body)}, Z = {rng.choice(['A', 'B', 'won'])}.")
    lines += [f":- {', '.join(rng.sample(facts, 2))}." for _ in range(2)]
    lines.append("ask(X,Y,Z) :- digit(X,0), digit(Y,0), Z = none.")
    found = ground(Shape(parse_program("\n".join(lines)), parse_goal("ask(X,Y,Z)"), ("X", "Y")))
    _check_decomposable(compile_program(found).circuit)
