"""Ground programs: choices, slots, answers, and the falling back on listed values."""

from __future__ import annotations

import pytest

from groundkit.errors import ProgramError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.ground import FixedSource, LearnedSource, NeuralSource
from groundkit.program.source import parse_program

DIGIT = "nn(net,[X],Y,[0,1,2])::digit(X,Y).\n"


def grounded(text: str, goal: str, images: tuple[str, ...] = (), **values: list[str]):
    return ground(Shape(parse_program(text), parse_goal(goal), images, values))


def test_one_grounding_gives_all_answers_in_numeric_order() -> None:
    found = grounded(
        DIGIT + "s(X,Y,Z) :- digit(X,A), digit(Y,B), Z is 6*A+B.", "s(X,Y,Z)", ("X", "Y")
    )
    assert found.observed == ("Z",)
    assert [int(z) for (z,) in found.answers] == sorted(
        {6 * a + b for a in range(3) for b in range(3)}
    )
    assert found.slots == {"net": (("X",), ("Y",))}
    assert found.worlds() == 9


def test_choices_by_kind() -> None:
    text = (
        DIGIT
        + "0.2::a; 0.3::b. 0.4::c; 0.6::d. t(0.1)::e. q(X) :- digit(X,1), a, c, e. q(X) :- b, d."
    )
    choices = {c.label: c for c in grounded(text, "q(X)", ("X",)).choices}
    assert choices["digit(X)"].source == NeuralSource("net", 0)
    assert choices["a"].source == FixedSource((0.2, 0.3, 0.5))
    assert choices["c"].outcomes == ("c", "d")
    assert isinstance(choices["e"].source, LearnedSource)


def test_observed_symbols_that_only_networks_read_become_inputs() -> None:
    text = DIGIT + "nn(given,[Z],D,[0,1,2])::given(Z,D). same(X,Z) :- digit(X,D), given(Z,D)."
    found = grounded(text, "same(X,Z)", ("X",))
    assert found.observed == () and found.answers == ((),)
    assert found.slots == {"net": (("X",),), "given": (("Z",),)}


def test_lists_and_library_need_no_directive() -> None:
    text = DIGIT + "any(L,V) :- member(X,L), digit(X,V). n(L,N) :- length(L,N)."
    found = grounded(text, "any([A,B],V)", ("A", "B"))
    assert [v for (v,) in found.answers] == ["0", "1", "2"]


def test_values_that_cannot_be_enumerated_are_listed() -> None:
    text = DIGIT + "above(X,T) :- digit(X,D), D > T."
    with pytest.raises(ProgramError, match="above") as info:
        grounded(text, "above(X,T)", ("X",))
    assert "[query.answers]" in str(info.value)
    found = grounded(text, "above(X,T)", ("X",), T=["0", "1", "2"])
    assert [t for (t,) in found.answers] == ["0", "1"]


def test_quoted_atoms_are_answers_with_their_quotes() -> None:
    found = grounded("nn(n,[X],Y,['a b',c])::s(X,Y). q(X,Y) :- s(X,Y).", "q(X,Y)", ("X",))
    assert found.answers == (("'a b'",), ("c",))


def test_several_inputs_and_constants_are_named_in_slots() -> None:
    text = "nn(net,[X,Y,N],Z,[0,1])::step(X,Y,N,Z). q(X,Y,Z) :- step(X,Y,7,Z)."
    assert grounded(text, "q(X,Y,Z)", ("X", "Y")).slots == {"net": (("X", "Y", "7"),)}


def test_recursion_through_a_graph() -> None:
    text = """
    0.5::edge(a,b). 0.5::edge(b,a). 0.5::edge(b,c). 0.5::edge(a,c).
    path(X,Y) :- edge(X,Y). path(X,Y) :- edge(X,Z), path(Z,Y).
    """
    found = grounded(text, "path(a,Y)")
    assert [y for (y,) in found.answers] == ["a", "b", "c"]
