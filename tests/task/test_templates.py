"""Shapes of goals: lists are written out, equal images become one, facts join the program."""

import pytest

from groundkit.errors import ProgramError
from groundkit.program.facts import parse_facts, signature_of, with_facts
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program
from groundkit.task.templates import Template, flatten, shaped_program


def test_lists_are_written_out_and_equal_images_are_one_variable():
    goal = parse_goal("total(Xs, Y, N)")
    flat = flatten(goal, Template(0, (("Xs", 3),), (("Xs_3", "Xs_1"), ("Y", "Xs_1"))))
    assert flat.goal.text == "total([Xs_1, Xs_2, Xs_1],Xs_1,N)"
    assert flat.names == {"Xs": ("Xs_1", "Xs_2", "Xs_1"), "Y": ("Xs_1",), "N": ("N",)}
    assert flat.of(["Xs", "Y"]) == ("Xs_1", "Xs_2")
    assert flat.goal.variables == ("Xs_1", "Xs_2", "N")


def test_an_empty_list_and_a_taken_name():
    assert flatten(parse_goal("t(Xs)"), Template(0, (("Xs", 0),))).goal.text == "t([])"
    flat = flatten(parse_goal("t(Xs, Xs_1)"), Template(0, (("Xs", 1),)))
    assert flat.names["Xs"] == ("Xs__1",)


def test_facts_are_sorted_and_known_without_one():
    facts = parse_facts(["edge(b, c).", "edge(a,b)", "edge(a,b)"])
    assert facts == ("edge(a,b)", "edge(b,c)")
    assert signature_of("edge(a,'B')") == "edge/2"
    program = parse_program("path(X,Y) :- edge(X,Y).")
    assert "edge/2" in with_facts(program, facts, ()).predicates
    bare = shaped_program(program, Template(0), ["edge/2", "stop/0"])
    assert {"edge/2", "stop/0"} <= set(bare.predicates)
    assert shaped_program(program, Template(0), ()) is program


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("edge(a, B)", "has a variable"),
        ("0.5::edge(a, b)", "has a probability"),
        ("edge(a, b) :- true", "is no fact"),
        (":- use_module('evil.py')", "is no fact"),
        ("edge(a, b). edge(b, c)", "more than one"),
        ("edge(a", "cannot be read"),
        ("", "is empty"),
        ("query(edge(a))", "ProbLog's own"),
        ("use_module(evil)", "ProbLog's own"),
        ("X", "is no fact"),
    ],
)
def test_anything_but_a_ground_fact_is_refused(fact, said):
    with pytest.raises(ProgramError, match=said) as info:
        parse_facts([fact])
    assert "ground facts" in str(info.value.remedy)
