"""Facts that an example brings along."""

import pytest

from groundkit.circuit.answer import answer_queries
from groundkit.errors import ProgramError
from groundkit.program.facts import parse_facts, with_facts
from groundkit.program.source import parse_program


def test_facts_are_printed_alike_sorted_and_kept_once():
    assert parse_facts(["edge(b,c).", "edge(a, b)", "edge(b, c)"]) == ("edge(a,b)", "edge(b,c)")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.3::edge(a,b)", "has a probability"),
        ("edge(a,X)", "has a variable"),
        ("edge(a,b). edge(b,c)", "more than one"),
        ("edge(a,b) :- true", "is no fact"),
        ("query(a)", "ProbLog's own"),
        (" ", "is empty"),
    ],
)
def test_what_is_no_ground_fact_is_refused(text, why):
    with pytest.raises(ProgramError, match=why):
        parse_facts([text])


def test_a_declared_predicate_without_a_fact_fails_and_is_known():
    program = parse_program("0.5::luck. far :- \\+edge(a,b). far :- luck.")
    assert answer_queries(with_facts(program, (), ["edge/2"]), "far") == {"far": 1.0}
    facts = parse_facts(["edge(a,b)"])
    assert answer_queries(with_facts(program, facts, ["edge/2"]), "far") == {"far": 0.5}
