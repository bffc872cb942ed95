"""The plan of a query shape: its counts, and its limits."""

from __future__ import annotations

import pytest

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.plan import plan
from groundkit.errors import LimitError
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program

TEXT = """
nn(net,[X],Y,[0,1,2,3,4,5,6,7,8,9])::digit(X,Y).
number([],R,R). number([H|T],A,R) :- digit(H,D), B is D+10*A, number(T,B,R).
addition(X,Y,Z) :- number(X,0,A), number(Y,0,B), Z is A+B.
"""


def test_counts_what_will_be_paid_for() -> None:
    goal = parse_goal("addition([A],[B],Z)")
    found = plan(build_reasoner(parse_program(TEXT), goal, ["A", "B"]), batch=8)
    assert found.worlds == 100 and found.answers == 19 and found.calls == {"net": 2}
    assert found.stage == "a" and "deterministic" in found.reason
    assert found.ground_nodes > 0 and found.circuit_nodes > 0
    assert found.queries_per_second > 0


def test_stops_at_the_limit_and_names_the_predicate() -> None:
    names = [f"{letter}{i}" for letter in "XY" for i in range(4)]
    goal = f"addition([{','.join(names[:4])}],[{','.join(names[4:])}],Z)"
    with pytest.raises(LimitError) as info:
        build_reasoner(parse_program(TEXT), parse_goal(goal), names, limits=Limits(2.0))
    assert "did not end in time" in info.value.found and info.value.remedy
