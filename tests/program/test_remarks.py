"""What `groundkit check` tells about a program that is in order."""

from __future__ import annotations

import pytest

from groundkit.program.remarks import remarks
from groundkit.program.source import parse_program

CASES = [
    ("0.5::a. 0.5::b.\n:- a, b.", "<text>:2:1: ':- a, b.' is evidence"),
    ("t(1.0)::a.", "a starts at 1 and stays there"),
    ("0.5::e(1). c(X) :- e(X).\nn(N) :- findall(X, c(X), L), length(L, N).", ":2:1: findall"),
    ("0.5::e(1).\nn(N) :- findall(X, (e(X) ; e(X)), L), length(L, N).", "for each proof"),
    ("p(x).\nq :- p('x').", "2:1: x and 'x' are two values"),
    ("nn(n,[X],Y,[1,'1']) :: d(X,Y).", "1 and '1' are two values"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_tells_what_may_be_taken_for_something_else(text: str, expected: str) -> None:
    (found,) = remarks(parse_program(text))
    assert expected in found


@pytest.mark.parametrize(
    "text",
    [
        "0.5::e(1). n(N) :- findall(X, e(X), L), length(L, N).",
        "e(1). c(X) :- e(X). n(N) :- findall(X, c(X), L), length(L, N).",
        ":- use_module(library(lists)). t(0.5)::a.",
        "p(x, \"x\", 'x y', 'X').",
    ],
)
def test_is_silent_where_there_is_one_reading(text: str) -> None:
    assert remarks(parse_program(text)) == ()
