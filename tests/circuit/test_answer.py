"""What a plain program answers: also with probability 0, with variables, and by query clauses."""

from __future__ import annotations

import pytest

from groundkit.circuit.answer import answer_queries
from groundkit.errors import ProgramError
from groundkit.program.source import parse_program


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("0.0::a.", "a"),
        ("p :- p.", "p"),
        ("p(X) :- fail, X = 1.", "p(X)"),
        ("0.5::a. evidence(a,false).", "a"),
        ("0.5::a. :- a.", "a"),
        ("0.5::a. c(X) :- a, X = 1.", "c(2)"),
    ],
)
def test_what_cannot_be_has_probability_0_asked_beside_or_inside(text: str, goal: str) -> None:
    beside = answer_queries(parse_program(text), goal)
    inside = answer_queries(parse_program(f"{text} query({goal})."))
    assert list(beside.values()) == list(inside.values()) == [0.0]


def test_evidence_that_cannot_be_is_refused() -> None:
    with pytest.raises(ProgramError, match="can never hold together"):
        answer_queries(parse_program("0.5::a. b. evidence(b,false)."), "a")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("b(X,Y) :- X = Y. query(b(X,Y)).", "b(X1,X1)"),
        ("b(X,_,X). query(b(A,B,C)).", "b(X1,_,X1)"),
        ("b(X,[X|_]). query(b(A,B)).", "b(X1,[X1 | _])"),
        ("b(_,_). query(b(A,B)).", "b(_,_)"),
    ],
)
def test_variables_that_are_the_same_are_printed_so(text: str, printed: str) -> None:
    assert answer_queries(parse_program(text)) == {printed: 1.0}


def test_a_clause_may_say_what_is_asked_and_known() -> None:
    text = "0.3::a. 0.4::b. query(X) :- member(X, [a, b]). evidence(X, false) :- X = b."
    assert answer_queries(parse_program(text)) == {"a": pytest.approx(0.3), "b": 0.0}


@pytest.mark.parametrize("asked", ["query((a, b))", "evidence((a ; b)). query(a)"])
def test_goals_joined_in_a_query_are_to_be_named(asked: str) -> None:
    with pytest.raises(ProgramError, match="take single goals") as info:
        answer_queries(parse_program(f"0.3::a. 0.4::b. {asked}."))
    assert info.value.remedy is not None and "both :- a, b." in info.value.remedy
