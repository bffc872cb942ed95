"""A program from a stranger loads no code, reads no file and cannot hang the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import problog
import pytest

from groundkit.circuit.build import build_reasoner
from groundkit.errors import GroundkitError, LimitError, Location, ProgramError
from groundkit.program.allowed import OF_APPLY
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program


@pytest.mark.parametrize(
    "text",
    [
        ":- use_module('evil.py').",
        ":- use_module(library(db)).",
        ":- consult('evil.pl').",
        "q :- call(consult, 'evil.pl').",
        "q :- findall(X, (member(X,[1]), use_module('evil.py')), L).",
        "q :- \\+ consult(evil).",
        ":- load_external('evil.py').",
        "q :- use_module(library('../../evil')).",
    ],
)
def test_loading_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ProgramError, match="load") as info:
        parse_program("ok.\n" + text)
    assert info.value.at is not None and info.value.at.line == 2
    assert "--trust" in str(info.value)


@pytest.mark.parametrize(
    "text",
    [
        "f(use_module).",
        "q :- X = consult, r(X).",
        "q :- call(use_module, 'evil.py').",
        "q :- findall(X, ['evil.pl'], L).",
        "q :- findall(X, (['evil.pl'], call(r)), L).",
        "q :- subquery(r, P, [['evil.pl']]).",
        "q :- forall(r, \\+ call(['evil.pl'])).",
        "evidence(['evil.pl'], true).",
        "query(['evil.pl']).",
        "q :- cmd_args(_).",
        "q :- all(X, once(set_state(X)), L).",
    ],
)
def test_names_and_goals_are_found_wherever_they_stand(text: str) -> None:
    with pytest.raises(ProgramError) as info:
        parse_program("r.\n" + text)
    assert info.value.at is not None and info.value.at.line == 2
    assert "--trust" in str(info.value)


@pytest.mark.parametrize(
    "text",
    [
        "q :- open(door). 0.5::open(door). 0.5::open(window).",
        "see(a). q :- see(a).",
        "q :- shell(egg). 0.5::shell(egg).",
        ":- use_module(library(apply)). even(2). q :- include(even, [2], [2]).",
        "q :- member(X, [open, see, shell, system, include]), X = see.",
        ":- use_module(library(lists)). q :- findall(X, member(X, [['a.pl']]), L).",
        "q :- r(['a.pl']). r(_).",
        "q :- partition([1], 2, L, H). partition([X], Y, [X], []) :- X < Y.",
        ":- use_module(library(apply)). 0.5::include([a], 1, b). q :- include([a], 1, b).",
    ],
)
def test_words_of_ones_own_are_legal(text: str) -> None:
    assert build_reasoner(parse_program(text), parse_goal("q"), [])({}).exp().item() > 0


OWN = {
    "a library's predicate": ":- use_module(library(apply)). q :- {call}.",
    "a library's beside one's own of another arity": (
        ":- use_module(library(apply)). partition(a, b). q :- {call}."
    ),
    "one's own that calls what it is given": "{own} :- call(P). q :- {call}.",
    "one's own that hands it on": (
        ":- use_module(library(apply)). {own} :- maplist(P, [1]). q :- {call}."
    ),
    "one's own in one of several heads": "0.5::{own}; 0.5::other :- call(P). q :- {call}.",
    "one's own beside an import of its name": (
        ":- use_module(library(apply), [partition/4]). {own} :- call(P). q :- {call}."
    ),
}


@pytest.mark.parametrize("program", OWN.values(), ids=OWN)
@pytest.mark.parametrize("what", ["['{file}']", "consult('{file}')", "use_module('{file}')"])
def test_a_name_of_a_librarys_opens_no_way(tmp_path: Path, program: str, what: str) -> None:
    """A program may define partition/4 itself; what its clauses call is refused as ever."""
    mark = tmp_path / "mark"
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(mark)!r}, 'w').write('loaded')\n")
    call = f"partition({what.format(file=evil)}, [1], L, R)"
    text = program.format(own="partition(P, _, _, _)", call=call)
    with pytest.raises(GroundkitError, match=r"load|refused|no clause defines"):
        build_reasoner(parse_program(text), parse_goal("q"), [])
    assert not mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        # Built-in predicates cannot be defined, and these libraries are no modules.
        "once(_). q :- once(['evil.pl']).",
        ":- use_module(library(control)). on_fail(a, b). q :- on_fail(['evil.pl'], r).",
        ":- use_module(library(control)). cut(a, b). q :- cut(['evil.pl'], r).",
        "query(r). query(['evil.pl']).",
    ],
)
def test_what_ones_own_clauses_cannot_replace_is_judged_as_the_librarys(text: str) -> None:
    with pytest.raises(ProgramError, match="load"):
        parse_program("r.\n" + text)


@pytest.mark.parametrize("load", ["", ":- use_module(library(apply)).\n"])
def test_ones_own_clauses_take_the_place_of_a_librarys(load: str) -> None:
    """ProbLog keeps to the program's clauses alone: this is why they alone are judged."""
    text = f"{load}partition([], _, [], []). partition([X|T], P, [X|L], H) :- "
    text += "X < P, partition(T, P, L, H).\npartition([X|T], P, L, [X|H]) :- X >= P, "
    text += "partition(T, P, L, H).\nq(L, H) :- partition([3,1,2], 2, L, H)."
    found = build_reasoner(parse_program(text), parse_goal("q(L, H)"), [])
    assert found.answers == (("[1]", "[3, 2]"),)


def test_what_the_apply_library_exports_is_known() -> None:
    head = (Path(problog.__file__).parent / "library" / "apply.pl").read_text().partition("]).")[0]
    exported = set(re.findall(r"\w+/\d", head))
    assert exported <= set(OF_APPLY)


@pytest.mark.parametrize("goal", ["q, consult('evil.pl')", "findall(X, ['evil.pl'], L)"])
def test_goals_pass_the_same_guard(goal: str) -> None:
    at = Location("spec.toml", 2, 8)
    with pytest.raises(ProgramError, match="load") as info:
        build_reasoner(parse_program("q."), parse_goal(goal, at), [])
    assert info.value.at == at
    assert "--trust" in str(info.value)


@pytest.mark.parametrize(
    "body",
    [
        "atom_codes_free(F), G =.. [F, '{file}'], call(G)",
        "G =.. [use_module, '{file}'], call(G)",
        "maplist(use_module, ['{file}'])",
        "call(use_module, '{file}')",
    ],
)
def test_a_call_put_together_at_run_time_loads_nothing(tmp_path: Path, body: str) -> None:
    evil = tmp_path / "evil.py"
    mark = tmp_path / "mark"
    evil.write_text(f"open({str(mark)!r}, 'w').write('loaded')\n")
    text = ":- use_module(library(apply)).\natom_codes_free(use_module).\nq :- "
    with pytest.raises(GroundkitError):
        program = parse_program(text + body.format(file=evil) + ".")
        build_reasoner(program, parse_goal("q"), [])
    assert not mark.exists()


def test_trust_lets_a_program_load_its_helpers(tmp_path: Path) -> None:
    (tmp_path / "facts.pl").write_text("0.25::a.\n")
    text = ":- consult('facts.pl').\nq :- a."
    program = parse_program(text, tmp_path / "main.pl", trust=True)
    assert build_reasoner(program, parse_goal("q"), [])({}).exp().item() == pytest.approx(0.25)


@pytest.mark.parametrize("text", ["p(X) :- Y is X+1, p(Y).", "p(X) :- p(Y), X is Y+1. p(0)."])
def test_endless_recursion_ends_in_a_limit_error(text: str) -> None:
    goal = "p(0)" if "p(Y)." in text[-6:] else "p(X)"
    with pytest.raises(LimitError) as info:
        build_reasoner(parse_program(text), parse_goal(goal), [], limits=Limits(3.0, 1 << 30))
    assert "p/1" in str(info.value)


def test_what_a_program_prints_stays_out_of_the_answer(capfd: pytest.CaptureFixture[str]) -> None:
    program = parse_program("q :- writeln(hello), a. 0.5::a.")
    reasoner = build_reasoner(program, parse_goal("q"), [], limits=Limits())
    assert reasoner({}).exp().item() == pytest.approx(0.5)
    assert capfd.readouterr().out == ""
