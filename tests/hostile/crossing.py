"""Every way to load code or files, inside every predicate of ProbLog that evaluates a goal."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.harness import MARK, snapshot

SECRET = "s3cr3t"
USE = "concat([use, '_module'], F)"
CODES = ", ".join(str(ord(letter)) for letter in "use_module")
LETTERS = ", ".join("'_'" if letter == "_" else letter for letter in "use_module")
DATABASE = f"({USE}, call(F, library(db)), "


@dataclass(frozen=True)
class Form:
    """One way to load; EVIL is the folder with what is loaded.

    Attributes:
        name: What it is.
        goal: The goal.
        live: Whether it has an effect in a trusted program; ProbLog lacks the others.
    """

    name: str
    goal: str
    live: bool = True

    def in_findall(self, folder: Path) -> str:
        """Writes the goal with a folder's files, inside findall/3."""
        return f"findall(x, {self.goal.replace('EVIL', str(folder))}, L)"


FORMS = [
    Form("use_module", "use_module('EVIL/evil.py')"),
    Form("use_module/2", "use_module('EVIL/evil.py', [])"),
    Form("use_module by =..", "(G =.. [use_module, 'EVIL/evil.py'], call(G))"),
    Form("use_module by call/2", "call(use_module, 'EVIL/evil.py')"),
    Form("a composed name by =..", f"({USE}, G =.. [F, 'EVIL/evil.py'], call(G))"),
    Form("a composed name by call/2", f"({USE}, call(F, 'EVIL/evil.py'))"),
    Form("a composed name by call/3", f"({USE}, call(F, 'EVIL/evil.py', []))"),
    Form("a composed name by functor/3", f"({USE}, functor(G, F, 0), call(G, 'EVIL/evil.py'))"),
    Form("letters", f"(lst2str([{LETTERS}], F), call(F, 'EVIL/evil.py'))"),
    Form("atom_codes", f"(atom_codes(F, [{CODES}]), call(F, 'EVIL/evil.py'))", live=False),
    Form("the inner use_module", "(concat(['_use', '_module'], F), call(F, x, 'EVIL/evil.py'))"),
    Form("a list", "['EVIL/evil.pl']"),
    Form("a list of two", "['EVIL/facts.pl', 'EVIL/evil.pl']"),
    Form("a composed list", "(L =.. ['.', 'EVIL/evil.pl', []], call(L))"),
    Form("consult", "consult('EVIL/evil.pl')"),
    Form("a composed consult", "(concat([con, sult], F), call(F, 'EVIL/evil.pl'))"),
    Form("the inner consult", "(concat(['_con', sult], F), call(F, x, 'EVIL/evil.pl'))"),
    Form("include", "include('EVIL/evil.pl')", live=False),
    Form("a composed include", "(concat([inc, lude], F), call(F, 'EVIL/evil.pl'))", live=False),
    Form("library(db)", "(use_module(library(db)), csv_load('EVIL/data.csv', row))"),
    Form("csv_load", DATABASE + "concat([csv, '_load'], C), call(C, 'EVIL/data.csv', row))"),
    Form("sqlite_load", DATABASE + "concat([sqlite, '_load'], C), call(C, 'EVIL/data.db'))"),
    Form("a library outside", "use_module(library('../../../../../../../../../../EVIL/evil'))"),
    Form("extern", "load_external('EVIL/evil.py')", live=False),
    Form("a composed extern", "(concat([load, '_external'], F), call(F, 'EVIL/evil.py'))",
         live=False),
    Form("call_external", "call_external(evil, X)", live=False),
]  # fmt: skip
ELSEWHERE = [
    form
    for form in FORMS
    if form.name
    in {
        *("use_module", "use_module by call/2", "a composed name by =..", "a list"),
        *("a composed name by call/2", "a composed list", "a composed consult", "letters"),
        *("csv_load", "sqlite_load"),
    }
]
"""What is tried in other places than a program, where each try takes a grounding process."""


@dataclass(frozen=True)
class Meta:
    """One predicate that evaluates a goal.

    Attributes:
        name: What it is.
        text: Clauses of a program that evaluates GOAL when ``q`` is asked.
        facts: Whether the program's own queries are asked instead.
        live: Whether ProbLog has it, and evaluates the goal as it stands here.
    """

    name: str
    text: str
    facts: bool = False
    live: bool = True


def _body(body: str) -> str:
    return f"q :- {body}."


HELPER = "load :- GOAL.\nrun(_) :- GOAL.\nrun(_, _) :- GOAL.\nrun(_, _, _) :- GOAL.\n"
METAS = [
    Meta("a clause", _body("GOAL")),
    Meta("findall", _body("findall(x, GOAL, K)")),
    Meta("findall, unnamed result", _body("findall(x, GOAL, _)")),
    Meta("findall in findall", _body("findall(K, findall(x, GOAL, K), M)")),
    Meta("all", _body("all(x, GOAL, K)")),
    Meta("all_or_none", _body("all_or_none(x, GOAL, K)")),
    Meta("forall, condition", _body("forall(load, true)")),
    Meta("forall, conclusion", _body("forall(true, load)")),
    Meta("\\+", _body("\\+ GOAL")),
    Meta("not", _body("not(load)")),
    Meta("call/1", _body("call(load)")),
    Meta("call/2", _body("call(run, a)")),
    Meta("call_nc", _body("call_nc(load)")),
    Meta("try_call", _body("try_call(load)")),
    Meta("once", _body("once(load)")),
    Meta("possible", _body("possible(load)")),
    Meta("subquery/2", _body("subquery(load, P)")),
    Meta("subquery/3", _body("subquery(true, P, [load])")),
    Meta("subquery/5", _body('subquery(load, P, [], "prob", "sdd")')),
    Meta("subquery_in_scope", _body("subquery_in_scope([a], load, P)"), live=False),
    Meta("call_in_scope", _body("call_in_scope([a], load)"), live=False),
    Meta("findall in subquery", "r :- findall(x, GOAL, K).\n" + _body("subquery(r, P)")),
    Meta("if-then-else, condition", _body("(GOAL -> true ; fail)"), live=False),
    Meta("if-then-else, branch", _body("(true -> GOAL ; fail)"), live=False),
    Meta("a disjunction", _body("(fail ; GOAL)")),
    Meta("aggregate", ":- use_module(library(aggregate)).\n" + _body(
        "aggregate(sum, V, W, (GOAL, V = 1, W = 1), R)")),
    Meta("collect", ":- use_module(library(collect)).\n" + _body(
        "'=>'((GOAL, V = 1), list(V, R))")),
    Meta("maplist", ":- use_module(library(apply)).\n" + _body("maplist(run, [a])")),
    Meta("include of lists", ":- use_module(library(apply)).\n" + _body("include(run, [a], K)")),
    Meta("foldl", ":- use_module(library(apply)).\n" + _body("foldl(run, [a], b, K)")),
    Meta("cut", ":- use_module(library(cut)).\nr(1, a) :- GOAL.\n" + _body("cut(r(a))")),
    Meta("on_fail", ":- use_module(library(control)).\n" + _body("on_fail(fail, load)")),
    # A constraint or query of no predicate of the program is refused, trusted or not.
    Meta("a directive", ":- GOAL.\nq.", live=False),
    Meta("evidence/1", "evidence(load).\nq."),
    Meta("evidence/2", "evidence(load, true).\nq."),
    Meta("query", "query(load).", facts=True),
    Meta("a computed query", "query(X) :- findall(x, GOAL, X).", facts=True, live=False),
    Meta("an annotated disjunction", "0.5::q ; 0.5::r :- GOAL."),
    Meta("a computed probability", "P::q :- findall(x, GOAL, K), P = 0.5."),
    Meta("a neural predicate", "nn(net, [i], Y, [0, 1])::d(i, Y) :- GOAL.\nq :- d(i, 1)."),
]  # fmt: skip


def program(form: Form, meta: Meta, folder: Path) -> str:
    """Writes the program that reaches for the evil files of a folder."""
    text = ":- use_module(library(lists)).\n:- use_module(library(string)).\n" + HELPER + meta.text
    return text.replace("GOAL", form.goal).replace("EVIL", str(folder))


def lay_out(folder: Path) -> None:
    """Puts into a folder what may be loaded: code that leaves a mark, and secrets."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evil.py").write_text(f"open({str(folder / MARK)!r}, 'w').write('loaded')\n")
    (folder / "evil.pl").write_text(f":- use_module('{folder}/evil.py').\nrow({SECRET}).\n")
    (folder / "facts.pl").write_text(f"fact({SECRET}).\n")
    (folder / "data.csv").write_text(f"name\n{SECRET}\n")
    base = sqlite3.connect(folder / "data.db")
    base.execute("create table row (name text)")
    base.execute("insert into row values (?)", (SECRET,))
    base.commit()
    base.close()


class Watch:
    """Sees what this process does to files, processes and the network, by Python's audit events."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = int(flags or 0) & 3 or any(letter in str(mode) for letter in "wax+")
            inside = isinstance(path, str) and os.path.realpath(path).startswith(str(self.folder))
            # Python keeps the compiled form of what it imports; that is no program's doing.
            if inside or (writes and "__pycache__" not in str(path)):
                self.seen.append(f"{event} {path}")
        elif event.startswith(
            ("os.exec", "os.fork", "os.link", "os.posix_spawn", "os.remove", "os.symlink")
        ) or event.startswith(
            ("os.system", "pickle", "socket", "sqlite3", "subprocess", "tempfile", "urllib")
        ):
            self.seen.append(f"{event} {arguments[:1]}")

    @contextmanager
    def over(self, folder: Path) -> Iterator[list[str]]:
        """Watches for a while; yields what it sees, which in the end says if files changed."""
        before = snapshot(folder)
        self.seen = []
        self.folder = folder
        try:
            yield self.seen
        finally:
            self.folder = None
            if snapshot(folder) != before:
                self.seen.append("files were written")
