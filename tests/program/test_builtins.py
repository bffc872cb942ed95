"""ProbLog's list library is loaded where a program may call it, and only there."""

from __future__ import annotations

import pytest
from problog.logic import Constant, term2list
from problog.program import PrologFile

from groundkit.circuit.answer import answer_queries
from groundkit.program import builtins
from groundkit.program.source import parse_program


@pytest.mark.parametrize(
    "text",
    [
        "0.4::a(1). 0.5::a(2). q(X) :- a(X), member(X, [1]). query(q(_)).",
        # Put together while it runs, from names that stand in the program.
        "0.4::a(1). 0.5::a(2). f(member). "
        "q(X) :- a(X), f(F), G =.. [F,X,[1]], call(G). query(q(_)).",
    ],
)
def test_the_library_is_there_wherever_it_may_be_called(text: str) -> None:
    assert builtins.may_use_lists(text)
    assert answer_queries(parse_program(text)) == {"q(1)": pytest.approx(0.4)}


@pytest.mark.parametrize(
    "text", ["remember(a). 0.5::b. query(b).", "0.5::lasting. query(lasting)."]
)
def test_it_is_not_loaded_for_longer_words(text: str) -> None:
    assert not builtins.may_use_lists(text)


def test_the_names_are_those_that_the_library_exports() -> None:
    head = next(iter(PrologFile(str(builtins._FOLDER / "lists.pl"))))
    exported = term2list(head.args[1].args[1], False)
    assert all(isinstance(one.args[1], Constant) for one in exported)
    assert builtins._names_of_lists() == {str(one.args[0]) for one in exported} | {"lists"}
