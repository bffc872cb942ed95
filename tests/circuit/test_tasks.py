"""ProbLog's other tasks: its own answers, under our guard and with our meaning of constraints."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundkit.circuit.answer import ask_queries
from groundkit.circuit.tasks import draw_worlds, run_task
from groundkit.errors import GroundkitError, InputError, LimitError, ProgramError
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program

COINS = "0.3::a. 0.6::b. c :- a. c :- b. query(a). query(b)."


def test_the_most_probable_world_respects_evidence_and_constraints() -> None:
    found = run_task(parse_program(COINS + " evidence(c)."), "mpe")
    assert found.to_dict()["prob"] == pytest.approx(0.42)
    assert "% Probability: 0.42" in str(found) and "\\+a" in str(found)
    constrained = run_task(parse_program("0.9::a. 0.8::b. :- a, b. query(a). query(b)."), "mpe")
    assert dict(constrained.to_dict()["atoms"]) == {"a": True, "b": False}


def test_samples_and_learning_take_their_options(tmp_path: Path) -> None:
    worlds = run_task(parse_program(COINS), "sample", count=3, seed=1)
    assert str(worlds).count("----------------") == 2
    examples = tmp_path / "seen.pl"
    examples.write_text("evidence(a,true).\n---\nevidence(a,false).\n---\nevidence(a,false).\n")
    learnt = run_task(parse_program("t(_)::a."), "lfi", examples=[examples])
    assert "0.333333" in str(learnt)
    with pytest.raises(InputError, match="needs some"):
        run_task(parse_program("t(_)::a."), "lfi")
    examples.write_text("evidence(a,true). b.")
    with pytest.raises(InputError, match="more than evidence"):
        run_task(parse_program("t(_)::a."), "lfi", examples=[examples])


@pytest.mark.parametrize(
    ("text", "task", "expected"),
    [
        (COINS, "mpee", "no task 'mpee'"),
        ("nn(n,[X])::p(X). query(p(a)).", "mpe", "no network 'n'"),
        ("a :- b. query(a).", "map", "No clauses found for 'b/0'"),
        ("p(X) :- Y is X+1, p(Y). query(p(1)).", "mpe", "took more than|ran out of memory"),
        ("query(a). a :- L = 'x.py', use_module(L).", "explain", "would load code"),
        ("query(a). a :- X = use_module, G =.. [X, 'x.py'], call(G).", "explain", "refused|load"),
        ("0.3::a. 0.4::c. b :- a, c. query(b).", "map", "b follows from clauses"),
    ],
)
def test_failures_are_one_message(text: str, task: str, expected: str) -> None:
    with pytest.raises(GroundkitError, match=expected):
        run_task(parse_program(text), task, limits=Limits(seconds=5, memory=1 << 30))


def test_what_asks_nothing_is_refused() -> None:
    with pytest.raises(ProgramError, match="asks nothing"):
        run_task(parse_program("0.5::a."), "explain")
    assert "0.5" in str(run_task(parse_program("0.5::a."), "explain", "a"))


RULES = """0.3::edge(a, b). 0.6::edge(b, c). 0.2::edge(a, c). 0.5::'Odd one'.
path(X, Y) :- edge(X, Y).
path(X, Y) :- edge(X, Z), path(Z, Y).
0.4::red(X); 0.6::blue(X) :- path(a, X).
said(X) :- 'Odd one', blue(X).
query(path(a, X)). query(said(Y)).
"""


@pytest.mark.parametrize("more", ["", "evidence(red(c)).", ":- red(b), 'Odd one'."])
def test_worlds_have_the_probabilities_of_the_circuit(more: str) -> None:
    program = parse_program(RULES + more)
    exact = ask_queries(program).probabilities
    worlds = draw_worlds(program, None, Limits(5))
    assert worlds.drawn > 100
    assert worlds.probabilities.keys() <= exact.keys()
    for query, probability in exact.items():
        error = worlds.errors.get(query, (probability / worlds.drawn) ** 0.5)
        assert abs(worlds.probabilities.get(query, 0.0) - probability) < 5 * error + 1e-12


def test_worlds_against_the_evidence_are_no_worlds() -> None:
    with pytest.raises(LimitError, match="none agrees with the evidence"):
        draw_worlds(
            parse_program("0.5::a. evidence(a). evidence(\\+a). query(a)."), None, Limits(2)
        )
