"""Goals: their variables, and goals that are none."""

from __future__ import annotations

import pytest

from groundkit.errors import Location, ProgramError
from groundkit.program.goal import nearest_predicate, parse_goal


@pytest.mark.parametrize(
    ("text", "functor", "variables"),
    [
        ("addition(X, Y, Z)", "addition", ("X", "Y", "Z")),
        ("addition([X1,X2],[Y1,Y2],Z).", "addition", ("X1", "X2", "Y1", "Y2", "Z")),
        ("p(B, A, f(B, XB))", "p", ("B", "A", "XB")),
        ("rain", "rain", ()),
        ("\\+ wins(X)", "wins", ("X",)),
        ("p(X), q(X, Y)", "p", ("X", "Y")),
        ("p(_, X)", "p", ("X",)),
    ],
)
def test_names_functor_and_variables(text: str, functor: str, variables: tuple[str, ...]) -> None:
    goal = parse_goal(text)
    assert goal.functor == functor
    assert goal.variables == variables


@pytest.mark.parametrize("text", ["", "p(X", "X", "p(X). q(Y)", "3 4"])
def test_refuses_what_is_not_one_goal(text: str) -> None:
    at = Location("spec.toml", 2)
    with pytest.raises(ProgramError, match="goal") as info:
        parse_goal(text, at)
    assert info.value.at == at


def test_prints_a_goal_with_values() -> None:
    assert parse_goal("sum(X,Y,Z)").with_values({"Z": "7"}).replace(" ", "") == "sum(X,Y,7)"


@pytest.mark.parametrize("text", ["0.5::a(X)", "a(X), (0.5::b, c)", "i.\n().//////-1", "a(", ""])
def test_what_is_no_goal_is_refused(text):
    with pytest.raises(ProgramError):
        parse_goal(text)


@pytest.mark.parametrize(
    ("wrong", "known", "meant"),
    [
        ("digt/2", ["add/3", "digit/2"], "digit/2"),
        ("digit/3", ["add/3", "digit/2"], "digit/2"),
        ("digt/3", ["digit/2", "digit/3"], "digit/3"),
        ("b/0", ["a/0", "c/0"], None),
    ],
)
def test_a_predicate_is_meant_by_its_name(wrong, known, meant):
    assert nearest_predicate(wrong, known) == meant


@pytest.mark.parametrize("text", ["?- p(X).", "p(X).", " p(X) "])
def test_a_goal_may_be_written_as_at_a_prompt(text):
    assert parse_goal(text).text == "p(X)"
