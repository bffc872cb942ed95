"""What ProbLog's own Python fails at is named with its call and its line."""

from __future__ import annotations

import pytest

from groundkit.errors import NoSolutionError, ProgramError
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

STRING = ":- use_module(library(string)).\n"


def answers(text: str) -> int:
    return len(ground(Shape(parse_program(text), parse_goal("q(X)"))).roots)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        (STRING + "q(X) :- str2int(abc, X).", "str2int(abc, _)"),
        (STRING + "r(X) :- str2int('', X).\nq(X) :- findall(Y, r(Y), X).", "str2int('', _)"),
        ("r(_).\nq(X) :- try_call(r, X).", "try_call(r, _)"),
        ("r(_).\nq(X) :- X = 1, try_call(r, X).", "try_call(r, 1)"),
    ],
)
def test_a_builtin_that_breaks_is_named(text: str, call: str) -> None:
    with pytest.raises(ProgramError) as info:
        answers(text)
    assert f"ProbLog cannot evaluate {call}" in info.value.found
    assert info.value.at is not None and info.value.at.line == 2
    assert info.value.remedy == "check the arguments of the call"


@pytest.mark.parametrize(
    "body",
    [
        "findall(Y, r(Y), _), X = 1",
        "findall(_, r(_), L), length(L, X)",
        "all(Y, r(Y), _), X = 1",
        "findall(Z, (r(Z), findall(Y, r(Y), _)), L), length(L, X)",
    ],
)
def test_results_without_a_name_are_read(body: str) -> None:
    assert answers(f"r(1). r(2).\nq(X) :- {body}.") == 1


def test_lists_that_nobody_names_do_not_have_to_be_equal() -> None:
    assert answers("r(1). s(2). s(3).\nq(X) :- findall(Y, r(Y), _), findall(Y, s(Y), _), X = 1.")


def test_what_is_refused_while_grounding_says_how_to_go_on() -> None:
    text = STRING + "q(X) :- concat([con, sult], F), call(F, X)."
    with pytest.raises(ProgramError, match="consult/1 is refused") as info:
        answers(text)
    assert info.value.at is not None and info.value.at.line == 2
    assert "--trust" in str(info.value.remedy)


def test_an_input_that_no_network_reads_is_named_where_nothing_holds() -> None:
    text = "nn(n,[X],Y,[0,1])::d(X,Y). s(X,Y,Z) :- d(X,A), d(Y,B), Z is A+B."
    with pytest.raises(NoSolutionError) as info:
        ground(Shape(parse_program(text), parse_goal("s(X,Y,Z)"), ("X", "Y", "Z")))
    assert info.value.remedy is not None and "no network reads Z as it stands" in info.value.remedy


@pytest.mark.parametrize(
    ("text", "found", "remedy"),
    [
        ("q(X) :- X is 1/0.", "Division by zero", "correct the arguments"),
        ("q(X) :- X is foo+1.", "Unknown function 'foo'", "correct the arguments"),
        ("q(X) :- X = 1, X < a.", "Unknown function 'a'", "correct the arguments"),
        ("q(X) :- X = 1, call(X).", "expected: (callable)", "correct the arguments"),
        ("q(X) :- X is Y+1.", "expected: (any, ground)", "bind the variables"),
        ("q(X) :- X < 1.", "expected: (ground, ground)", "bind the variables"),
        ("q(X) :- X = f(X).", "a term that it is part of", "another variable"),
        ("0.3::\\+r. q(1) :- r.", "r has nothing but negated heads", "makes r true"),
    ],
)
def test_the_remedy_is_that_of_the_fault(text: str, found: str, remedy: str) -> None:
    with pytest.raises(ProgramError) as info:
        answers(text)
    assert found in info.value.found
    assert info.value.remedy is not None and remedy in info.value.remedy
