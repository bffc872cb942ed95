"""``:- body.`` conditions on its body being false, over all inputs of a question."""

from __future__ import annotations

import itertools

import pytest
import torch

from groundkit.circuit.answer import answer_queries
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import ProgramError
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

DIGITS = "nn(net,[X],Y,[0,1,2])::digit(X,Y). "
SUM = DIGITS + "s(X,Y,Z) :- digit(X,A), digit(Y,B), Z is A+B. "


def reasoner_of(text: str, goal: str, images: list[str]) -> Reasoner:
    return build_reasoner(parse_program(text), parse_goal(goal), images)


def test_conditions_like_evidence() -> None:
    text = "0.3::a. 0.4::b. query(a). query(b). "
    found = answer_queries(parse_program(text + ":- a, b."))
    same = answer_queries(parse_program(text + "both :- a, b. evidence(both,false)."))
    assert found == pytest.approx(same) and found["a"] == pytest.approx(0.18 / 0.88)


def test_variables_stand_for_every_instance() -> None:
    text = "0.5::on(1). 0.5::on(2). 0.5::on(3). next(1,2). next(2,3). :- on(X), next(X,Y), on(Y). "
    found = answer_queries(parse_program(text + "query(on(2))."))
    assert found["on(2)"] == pytest.approx(1 / 5)  # of 000 001 010 100 101


@pytest.mark.parametrize(
    ("constraint", "allowed"),
    [
        (":- digit(X,A), digit(Y,B), A \\= B.", lambda a, b: a == b),
        (":- digit(X,A), digit(Y,A), X \\= Y.", lambda a, b: a != b),
        (":- digit(X,1).", lambda a, b: 1 not in (a, b)),
        (":- \\+ digit(X,2), \\+ digit(X,0).", lambda a, b: 1 not in (a, b)),
        ("low(P) :- digit(P,D), D < 2. :- low(X), low(Y), X \\= Y.", lambda a, b: 2 in (a, b)),
    ],
)
def test_inputs_range_over_those_of_the_question(constraint: str, allowed: object) -> None:
    reasoner = reasoner_of(SUM + constraint, "s(X,Y,Z)", ["X", "Y"])
    rows = torch.randn(1, 2, 3, dtype=torch.float64).log_softmax(-1)
    found = dict(zip(reasoner.answers, reasoner({"net": rows})[0].exp().tolist(), strict=True))
    p = rows[0].exp()
    worlds = {
        (a, b): float(p[0, a] * p[1, b])
        for a, b in itertools.product(range(3), repeat=2)
        if allowed(a, b)  # type: ignore[operator]
    }
    for total in range(5):
        expected = sum(w for (a, b), w in worlds.items() if a + b == total) / sum(worlds.values())
        assert found[str(total),] == pytest.approx(expected, abs=1e-12)
    support = {tuple(row) for row in reasoner.support().values["net"].tolist()}
    assert support == set(worlds)


def test_the_line_of_the_constraint_is_blamed() -> None:
    with pytest.raises(ProgramError, match="can never hold together") as info:
        reasoner_of(SUM + "\n:- digit(X,A), digit(Y,A).", "s(X,Y,Z)", ["X", "Y"])
    assert info.value.at is not None and info.value.at.line == 2
    assert "write X \\= Y" in str(info.value)
    with pytest.raises(ProgramError, match="cannot be grounded") as info:
        reasoner_of(SUM + "\n\n:- digit([X],A), A > 1.", "s(X,Y,Z)", ["X", "Y"])
    assert info.value.at is not None and info.value.at.line == 3
    with pytest.raises(ProgramError, match=r"calls foo/1, which the program does not define"):
        parse_program("a. :- foo(1).")


def test_what_calls_nothing_of_the_program_stays_a_directive() -> None:
    text = ":- use_module(library(apply)). p(1,2). q(Y) :- maplist(p,[1],Y). query(q(_))."
    assert answer_queries(parse_program(text)) == {"q([2])": 1.0}


def test_a_variable_that_the_program_binds_ranges_over_its_values_and_not_over_inputs() -> None:
    text = (
        SUM + "special(i1). :- digit(X,A), special(X), A < 2. :- digit(X,0), digit(Y,1), X \\= Y."
    )
    bound, free = parse_program(text).constraints
    assert bound.inputs == ()
    assert [(name, set(networks)) for name, networks in free.inputs] == [
        ("X", {"net"}),
        ("Y", {"net"}),
    ]


def test_a_constraint_on_what_nobody_defines_is_refused() -> None:
    with pytest.raises(ProgramError, match="calls nowhere/1, which the program does not define"):
        parse_program("a. :- nowhere(X).")


def test_an_unknown_predicate_of_a_constraint_is_told() -> None:
    with pytest.raises(ProgramError, match="no clause defines diigt/2") as info:
        reasoner_of(SUM + "\n:- digit(X,A), diigt(Y,A).", "s(X,Y,Z)", ["X", "Y"])
    assert info.value.remedy == "did you mean digit/2?"
