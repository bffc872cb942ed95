"""Families: values of a part of a program, of which one holds at most."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit.analyse import Analysis
from groundkit.circuit.compile import compile_program
from groundkit.circuit.structure import Structure
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

from . import worlds

TABLE = st.lists(st.integers(0, 3), min_size=9, max_size=9)


def tabled(name: str, table: list[int]) -> str:
    """Writes a function of two numbers below three as facts."""
    return " ".join(f"{name}({k // 3},{k % 3},{value})." for k, value in enumerate(table))


@settings(deadline=None, max_examples=40)
@given(f=TABLE, g=TABLE, h=st.lists(st.integers(0, 3), min_size=16, max_size=16))
def test_values_of_parts_exclude_each_other(f: list[int], g: list[int], h: list[int]) -> None:
    """A value that several pairs of symbols have is told apart from others by no single choice."""
    symbols = "; ".join(f"{p}::digit(X,{k})" for k, p in enumerate((0.2, 0.3, 0.5)))
    last = " ".join(f"h({k // 4},{k % 4},{value})." for k, value in enumerate(h))
    text = f"""
    {symbols} :- image(X).
    image(a). image(b). image(c). image(d).
    {tabled("f", f)} {tabled("g", g)} {last}
    left(V) :- digit(a, X), digit(b, Y), f(X, Y, V).
    right(V) :- digit(c, X), digit(d, Y), g(X, Y, V).
    whole(V) :- left(A), right(B), h(A, B, V)."""
    program = ground(Shape(parse_program(text), parse_goal("whole(V)")))
    compiled = compile_program(program)
    assert compiled.stage == "a"
    assert worlds.is_decomposable(compiled.circuit)
    for world in worlds.worlds(program):
        found = worlds.values(compiled.circuit, world)
        expected = [worlds.truth(program, root, world) for root in program.roots]
        assert [found[root] for root in compiled.circuit.roots] == expected


def test_a_value_that_is_a_part_of_another_values_ways_is_of_both_families() -> None:
    """A formula's value is that of its only term, or a sum: one node stands for both at times."""
    text = """
    0.3::digit(X,1); 0.3::digit(X,2); 0.4::digit(X,3) :- image(X).
    0.5::operator(X,+); 0.5::operator(X,*) :- image(X).
    image(I) :- between(1, 7, I).
    total(1, V) :- term(1, 1, V).
    total(3, V) :- term(1, 3, V).
    total(3, V) :- operator(2, +), total(1, A), term(3, 3, B), V is A + B.
    term(I, I, V) :- digit(I, V).
    term(I, L, V) :- L > I, K is L - 1, J is L - 2, operator(K, *), term(I, J, A), digit(L, B),
        V is A * B.
    answer(V) :- total(3, A), term(5, 7, B), V is A - B."""
    program = ground(Shape(parse_program(text), parse_goal("answer(V)")))
    analysis = Analysis(program)
    assert Structure(program, analysis).unproved(program.roots)
    analysis.find_families()
    assert not Structure(program, analysis).unproved(program.roots)
    circuit = compile_program(program).circuit
    for world in worlds.worlds(program):
        found = worlds.values(circuit, world)
        expected = [worlds.truth(program, root, world) for root in program.roots]
        assert [found[root] for root in circuit.roots] == expected
