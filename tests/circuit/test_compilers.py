"""Every compiler against the enumeration of worlds, node by node."""

from __future__ import annotations

import os
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit import cutset, d4, table
from groundkit.circuit.attempts import COMPILERS, GaveUpError, Helper, Here
from groundkit.circuit.choose import compile_parts
from groundkit.circuit.compile import compile_program, with_evidence
from groundkit.circuit.eliminate import Elimination, TooWideError, elimination_order
from groundkit.circuit.ir import Circuit, CircuitBuilder
from groundkit.errors import LimitError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.ground import Choice, FixedSource, GraphBuilder, GroundProgram
from groundkit.program.source import parse_program

from . import worlds

NAMES = [
    "elimination",
    "a truth table",
    "cases",
    *(name for name in COMPILERS if name != "D4" or d4.available()),
]


@st.composite
def graphs(draw: st.DrawFn) -> GroundProgram:
    """Draws a ground program without structure that could be proved: any gates over any choices."""
    sizes = draw(st.lists(st.integers(2, 4), min_size=1, max_size=5))
    choices = [Choice(f"c{i}", ("",) * n, FixedSource((1 / n,) * n)) for i, n in enumerate(sizes)]
    builder = GraphBuilder(list(choices))
    known = [
        builder.leaf(i, 1 << draw(st.integers(0, n - 1))) for i, n in enumerate(sizes) for _ in "ab"
    ]
    for _ in range(draw(st.integers(1, 8))):
        parts = draw(st.lists(st.sampled_from(known), min_size=2, max_size=4))
        parts = [builder.negate(part) if draw(st.booleans()) else part for part in parts]
        known.append(builder.conjoin(parts) if draw(st.booleans()) else builder.disjoin(parts))
    roots = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
    told = draw(st.sampled_from([0, *known]))
    return GroundProgram(
        tuple(choices), tuple(builder.nodes), {}, (), ((),) * len(roots), tuple(roots), told
    )


def compile_by(name: str, program: GroundProgram, roots: list[int]) -> Circuit:
    builder = CircuitBuilder()
    direct = {"a truth table": table, "cases": cutset}
    if name in direct:
        return builder.finish(direct[name].compile_references(program, roots, builder))
    if name != "elimination":
        return Here().run(name, program, roots, 60)
    return builder.finish(Elimination(program, roots, builder).compile(1_000_000))


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(program=graphs())
def test_every_node_counts_a_world_once(name: str, program: GroundProgram) -> None:
    program, roots = with_evidence(program)
    circuit = compile_by(name, program, roots)
    assert worlds.is_decomposable(circuit)
    for world in worlds.worlds(program):
        found = worlds.values(circuit, world)
        assert max(found) <= 1  # no two children of a disjunction hold together
        expected = [worlds.truth(program, root, world) for root in roots]
        assert [found[root] for root in circuit.roots] == expected


@settings(deadline=None, max_examples=20)
@given(program=graphs())
def test_the_chosen_way_agrees_with_the_worlds(program: GroundProgram) -> None:
    circuit = compile_program(program).circuit
    extended, roots = with_evidence(program)
    for world in worlds.worlds(program):
        found = worlds.values(circuit, world)
        expected = [worlds.truth(extended, root, world) for root in roots]
        assert [found[root] for root in circuit.roots] == expected


MATCH = "\n".join(
    [f"0.5::a({i}). 0.5::b({i})." for i in range(14)]
    + ["m :- a(X), b(X).", "s :- a(_).", "q :- m, s."]
)


def matching() -> GroundProgram:
    return ground(Shape(parse_program(MATCH), parse_goal("q")))


def test_a_compiler_past_its_share_is_ended_and_the_next_one_tried() -> None:
    program = matching()
    with pytest.raises(GaveUpError, match="took more than"):
        Here().run("PySDD", program, program.roots, 0.001)

    class Failing:
        asked: ClassVar[list[str]] = []

        def run(self, name: str, *_: object) -> Circuit:
            self.asked.append(name)
            raise GaveUpError("was ended by SIGSEGV")

    with pytest.raises(LimitError, match="PySDD, balanced was ended by SIGSEGV") as caught:
        compile_parts(wide(), [wide().roots[0]], CircuitBuilder(), Failing(), 5.0)
    assert Failing.asked[-2:] == ["PySDD", "PySDD, balanced"]
    assert "--limit-seconds" in str(caught.value)


def test_a_truth_table_is_refused_where_worlds_are_many() -> None:
    with pytest.raises(TooWideError, match="too many worlds"):
        table.compile_references(wide(), [wide().roots[0]], CircuitBuilder())


def wide() -> GroundProgram:
    """Every pair of 60 choices meets: no table is narrow."""
    builder = GraphBuilder([Choice("", ("", "", ""), FixedSource(())) for _ in range(60)])
    pairs = [
        builder.disjoin((builder.leaf(i, 1), builder.leaf(j, 2)))
        for i in range(60)
        for j in range(i)
    ]
    root = builder.conjoin(pairs)
    return GroundProgram(tuple(builder.choices), tuple(builder.nodes), {}, (), ((),), (root,))


def test_elimination_stops_at_its_number_of_entries() -> None:
    program = wide()
    with pytest.raises(TooWideError, match="narrow tables"):
        Elimination(program, program.roots, CircuitBuilder()).compile(1_000)


def test_the_order_of_a_chain_is_linear() -> None:
    scopes = [(i, i + 1) for i in range(999)]
    order, cost = elimination_order([3] * 1000, scopes)
    assert sorted(order) == list(range(1000)) and cost <= 9 * 1000


def test_the_helper_answers_and_ends_when_its_pipe_closes() -> None:
    helper = Helper()
    program = matching()
    circuit = helper.run("PySDD", program, program.roots, 20)
    assert len(circuit) > 2
    with pytest.raises(GaveUpError, match="took more than"):
        helper.run("PySDD", program, program.roots, 0.001)
    helper.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(helper.process, 0)


CHAIN = """0.6::s(0).
0.7::s(T) :- T > 0, P is T-1, s(P).
0.2::s(T) :- T > 0, P is T-1, \\+s(P).
"""


@pytest.mark.parametrize("steps", [200, 1000])
def test_long_chains_have_circuits_of_linear_size(steps: int) -> None:
    program = ground(Shape(parse_program(CHAIN), parse_goal(f"s({steps})")))
    compiled = compile_program(program)
    assert len(compiled.circuit) < 20 * steps
    expected = 0.6
    for _ in range(steps):
        expected = 0.7 * expected + 0.2 * (1 - expected) - 0.0
    assert probability(program, compiled.circuit) == pytest.approx(expected, rel=1e-12)


def probability(program: GroundProgram, circuit: Circuit) -> float:
    found: list[float] = []
    for index in range(len(circuit)):
        kind, items = circuit.node(index)
        if kind == "leaf":
            source = program.choices[items[0]].source
            assert isinstance(source, FixedSource)
            found.append(sum(source.probabilities[i] for i in items[1:]))
        elif kind == "and":
            product = 1.0
            for item in items:
                product *= found[item]
            found.append(product)
        else:
            found.append(sum(found[i] for i in items) if kind == "or" else float(kind == "true"))
    return found[circuit.roots[0]]


@pytest.mark.parametrize("shape", ["PySDD", "PySDD, balanced"])
def test_pysdd_does_not_overflow_its_stack_on_long_orders(shape: str) -> None:
    program = ground(Shape(parse_program(CHAIN), parse_goal("s(300)")))
    circuit = Here().run(shape, program, program.roots, 100)
    assert probability(program, circuit) == pytest.approx(0.4, rel=1e-9)
