"""ProbLog's libraries, whatever order a program loads them in."""

import itertools

import pytest

from groundkit.circuit.answer import ask_queries
from groundkit.program.source import parse_program

LIBRARIES = ("string", "lists", "apply")


@pytest.mark.parametrize(
    "loaded",
    [one for size in range(4) for one in itertools.permutations(LIBRARIES, size)],
    ids=lambda loaded: "-".join(loaded) or "none",
)
def test_a_library_that_others_load_too_is_known_in_the_program(loaded):
    """ProbLog lets only the first file that loads one see it; library(string) loads lists."""
    lines = [f":- use_module(library({one}))." for one in loaded]
    lines += ["0.3::a(1). 0.4::a(2).", "q(X) :- member(X, [1,2,3]), a(X).", "query(q(X))."]
    if "string" in loaded:
        lines += ["s(L) :- str2lst('ab', L).", "query(s(L))."]
    found = ask_queries(parse_program("\n".join(lines))).probabilities
    assert found["q(1)"] == pytest.approx(0.3) and found["q(2)"] == pytest.approx(0.4)
    assert len(found) == (3 if "string" in loaded else 2)
