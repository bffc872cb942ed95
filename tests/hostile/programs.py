"""Programs that reach for code, files, processes, or for more time and memory than there is."""

from __future__ import annotations

from pathlib import Path

from groundkit.circuit.build import build_reasoner
from groundkit.errors import LimitError, ProgramError
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program
from tests.hostile.harness import MARK, Case

LIMITS = Limits(seconds=1.0, memory=1 << 30)
DEEP = "(" * 4_000


def _evil(folder: Path) -> None:
    """Puts Python and Prolog beside the program that would leave a mark when loaded."""
    code = f"open({str(folder / MARK)!r}, 'w').write('loaded')\n"
    (folder / "evil.py").write_text(code)
    (folder / "evil.pl").write_text(":- use_module('evil.py').\nevil.\n")


def _program(
    name: str, text: str, words: str, line: int | None, error: type = ProgramError, goal: str = "q"
) -> Case:
    """A program whose reading or grounding is refused; EVIL stands for the folder's evil file."""

    def attempt(folder: Path) -> None:
        evil = str(folder / "evil")
        program = parse_program(text.replace("EVIL", evil), folder / "main.pl")
        build_reasoner(program, parse_goal(goal), [], limits=LIMITS)

    return Case(name, attempt, error, words, line, _evil)


FIRST = "0.5::a.\n"
LOADING = [
    _program(name, FIRST + text, words, 2)
    for name, text, words in (
        ("use_module of Python", ":- use_module('evil.py').", "would load code"),
        ("use_module, full path", ":- use_module('EVIL.py').", "would load code"),
        ("use_module/2", ":- use_module('evil.py', [f/1]).", "would load code"),
        ("the database library", ":- use_module(library(db)).", "would load code"),
        ("the assert library", ":- use_module(library(assert)).", "would load code"),
        ("the record library", ":- use_module(library(record)).", "would load code"),
        ("climbing out of the library", "q :- use_module(library('../../evil')).", "would load"),
        ("quoted functor", ":- 'use_module'('evil.py').", "would load code"),
        ("inner use_module", ":- '_use_module'(scope, 'evil.py').", "would load code"),
        ("consult", ":- consult('evil.pl').", "'consult' can load"),
        ("consult by a list", ":- ['evil.pl'].", "would load code"),
        ("consult by a list in a body", "q :- a, ['evil.pl', 'other.pl'].", "would load code"),
        ("inner consult", "q :- '_consult'(scope, 'evil.pl').", "'_consult' can load"),
        ("load_external", ":- load_external('evil.py').", "'load_external' can load"),
        ("call_external", "q :- call_external(f(1), X).", "'call_external' can load"),
        ("include", ":- include('evil.pl').", "'include' can load"),
        ("ensure_loaded", ":- ensure_loaded('evil.pl').", "'ensure_loaded' can load"),
        ("directive in a disjunction", ":- (fail ; use_module('evil.py')).", "would load code"),
        ("directive in a negation", ":- \\+ \\+ consult('evil.pl').", "'consult' can load"),
        ("in findall", "q :- findall(X, use_module('evil.py'), L).", "would load code"),
        ("as an argument of call", "q :- call(consult, 'evil.pl').", "'consult' can load"),
        ("as a fact's probability", "use_module('evil.py')::q.", "would load code"),
        ("in evidence", "evidence(consult('evil.pl')).", "'consult' can load"),
        ("in a query", "query(use_module('evil.py')).", "would load code"),
        ("in a neural predicate's body", "nn(n,[X],Y,[0,1])::d(X,Y) :- consult('evil.pl').",
         "'consult' can load"),
        ("shell", "q :- shell('touch mark').", "'shell' can load code or touch files"),
        ("system", "q :- system('touch mark').", "'system' can load code or touch files"),
        ("writing a file", "q :- open('mark', write, S), write(S, a).", "'open' can load"),
        ("redirecting output", "q :- tell('mark'), write(a).", "'tell' can load"),
        ("command line arguments", "q :- cmd_args(L), a.", "'cmd_args' can load"),
        ("a database file", "q :- sqlite_load('evil.db').", "'sqlite_load' can load"),
    )
]  # fmt: skip
STRING = ":- use_module(library(string)).\n"
AT_RUN_TIME = [
    _program(name, STRING + text, words, line)
    for name, text, words, line in (
        ("a call built with =..",
         "q :- concat([use, '_module'], F), G =.. [F, 'EVIL.py'], call(G).", "is refused", 2),
        ("a call built with functor/3",
         "q :- concat([con, sult], F), functor(G, F, 1), arg(1, G, 'EVIL.pl'), call(G).",
         "consult/1 is refused", 2),
        ("a call through maplist",
         ":- use_module(library(apply)).\nq :- concat([use, '_module'], F), "
         "maplist(F, ['EVIL.py']).", "is refused", None),
        ("a name handed to call/2",
         "q :- concat([use, '_module'], F), call(F, 'EVIL.py').", "is refused", 2),
        ("a call in findall",
         "q :- findall(x, (concat([use, '_module'], F), call(F, 'EVIL.py')), L).",
         "is refused", 2),
        ("a list built by the program",
         "q :- findall(x, (L =.. ['.', 'EVIL.pl', []], call(L)), K).", "is refused", 2),
        ("a name among data", "f(use_module).\nq :- f(F), call(F, 'EVIL.py').", "would load", 2),
        ("clause database: assertz",
         "q :- assertz((evil :- use_module(library(lists)))), evil.", "assertz/1", 2),
        ("a program for another compiler",
         'a.\nq :- subquery(a, P, [], "prob", "ddnnf").', "evaluator 'ddnnf' is refused", 3),
    )
]  # fmt: skip
ENDLESS = [
    # On a busy machine the process is stopped before it can name the predicate.
    _program(name, text, f"{words}|more than|memory|end in time", None, error=LimitError)
    for name, text, words in (
        ("endless recursion", "q :- p(0).\np(X) :- Y is X+1, p(Y).", "p/1"),
        ("left recursion", "q :- p(_).\np(X) :- p(Y), X is Y+1.\np(0).", "p/1"),
        ("a term that grows", "q :- p(a).\np(X) :- p(f(X,X)).", "p/1"),
        ("exponential grounding",
         "0.5::a(X) :- between(1,3,X).\nq :- p(40, _).\np(0, []).\n"
         "p(N, [X|T]) :- N > 0, a(X), M is N-1, p(M, T).", "p/2"),
        ("a range without end", "q :- between(1, 1000000000000, X), X < 0.", "between"),
        ("a list without end", "q :- length(L, 1000000000000).", "length"),
        ("a number without end", "q :- X is 9**(9**9), X > 0.", "is/2"),
        ("a probability without end", "9**(9**9)::q.", "probability"),
        ("a circuit without end",
         "0.5::e(X,Y) :- between(1,14,X), between(1,14,Y).\n"
         "q :- path(1,14).\npath(X,X).\npath(X,Y) :- e(X,Z), path(Z,Y).", "path/2"),
    )
]  # fmt: skip
UNREADABLE = [
    _program("nesting without end", f"q :- {DEEP}a.", "syntax error|cannot be parsed", None),
    _program("nesting, closed", f"q :- {DEEP}a{')' * 4_000}.", "no clause defines a/0", 1),
    _program("a statement of minutes", "q :- " + "\\+ " * 20_000 + "a.", "statement of", 1),
    _program("a probability of nan", "x.\nnan::q.", "", None),
    _program("a negative probability", "x.\n-0.5::q.", "not a probability", 2),
    _program("division by zero", "x.\n1/0::q.", "", None),
]
PROGRAMS = LOADING + AT_RUN_TIME + ENDLESS + UNREADABLE
