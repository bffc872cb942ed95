"""The literal that is blamed is the first that no clause can get past."""

import pytest

from groundkit.errors import ProgramError
from groundkit.program.engine import Shape, ground
from groundkit.program.failures import why_not
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

PROGRAM = """edge(a, b).
edge(b, c).
path(X, Y) :- edge(X, Y).
path(X, Y) :- edge(X, Z), path(Z, Y).
0.5 :: free(a).
trip(X, Y) :- free(X), path(X, Y), Y = c.
big(X) :- X > 3.
both(X) :- edge(X, _), big(7), far(X).
far(X) :- edge(X, Y), edge(Y, z).
"""


def blame(goal):
    program = parse_program(PROGRAM)

    def holds(text):
        try:
            ground(Shape(program, parse_goal(text)))
        except ProgramError as error:
            return "has no solution" not in error.found
        return True

    return why_not(program, parse_goal(goal), holds)


@pytest.mark.parametrize(
    ("goal", "failed", "before", "line"),
    [
        ("trip(a, b)", "b=c", ("free(a)", "path(a,b)"), 6),
        ("big(2)", "2>3", (), 7),
        ("both(a)", "edge(b,z)", None, 9),
        ("trip(c, c)", "free(c)", (), 6),
    ],
)
def test_failing_literal(goal, failed, before, line):
    found = blame(goal)
    assert found.failed.replace(" ", "") in (failed, failed.replace("b,z", "Y,z"))
    if before is not None:
        assert found.before == before
    assert found.at.line == line
    assert f"{found.failed} fails" in str(found)


def test_goal_that_no_clause_matches():
    found = blame("edge(c, a)")
    assert found.clause is None
    assert str(found) == "no clause matches edge(c, a)"
