"""Built-in predicates and libraries of ProbLog have been looked at, or are refused."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import problog
import pytest
from problog.engine import DefaultEngine
from problog.program import PrologString

from groundkit.program import allowed, trust
from groundkit.program.source import parse_program
from groundkit.program.trust import Engine, GuardedDatabase, GuardedEngine, UntrustedError
from tests.hostile.crossing import METAS

REGISTRY = sorted(DefaultEngine().get_builtins())
LIBRARIES = sorted({path.stem for path in Path(problog.__file__).parent.glob("library/*.p[ly]")})
CATEGORIES = {
    "takes a goal": (
        r"engine\.call|call_intern|eng\.ground|\.extend\(\)|_builtin_(call|all|findall_base)\b",
        allowed.CALLING,
    ),
    "loads": (r"\.consult\(|use_module\(|load_external|_builtin_consult", allowed.IMPORTING),
    "opens, or asks the system": (r"\bopen\(|subprocess|os\.|tempfile|engine\.args", frozenset()),
    "prints": (r"\bprint\(|UserError", allowed.PRINTING),
    "imports a module of any name": (r"from engine_stack import", frozenset()),
}


def function_of(signature: str) -> Any:
    """Returns what ProbLog runs for a built-in predicate."""
    engine = DefaultEngine()
    function = engine.get_builtin(engine.get_builtins()[signature])
    return getattr(function, "base_function", function)


@pytest.mark.parametrize("category", CATEGORIES)
def test_what_a_builtin_does_is_known(category: str) -> None:
    pattern, listed = CATEGORIES[category]
    found = {s for s in REGISTRY if re.search(pattern, inspect.getsource(function_of(s)))}
    assert found, "the pattern finds nothing: ProbLog's source has changed"
    assert not (found & allowed.BUILTINS) - listed


def test_every_builtin_that_takes_a_goal_is_tried_by_the_hostile_tests() -> None:
    tried = "\n".join(meta.text for meta in METAS)
    for signature in allowed.CALLING:
        assert re.search(rf"\b{signature.rpartition('/')[0]}\(", tried), signature


def test_the_lists_name_nothing_that_problog_lacks() -> None:
    assert set(REGISTRY) >= allowed.BUILTINS
    assert set(LIBRARIES) >= allowed.LIBRARIES


@pytest.mark.parametrize("signature", [s for s in REGISTRY if s not in allowed.BUILTINS])
def test_a_builtin_that_is_not_listed_is_refused(signature: str) -> None:
    engine = GuardedEngine()
    with pytest.raises(UntrustedError, match="refused") as info:
        engine.get_builtin(engine.get_builtins()[signature])(None, None, database=None)
    assert signature in str(info.value)


def test_a_builtin_of_a_later_release_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(DefaultEngine):  # type: ignore[misc]
        def load_builtins(self) -> None:
            super().load_builtins()
            self.add_builtin("download", 1, lambda *args, **options: (True, []))

    class Guarded(GuardedEngine, Later):
        pass

    engine = Guarded()
    with pytest.raises(UntrustedError, match="download/1"):
        engine.get_builtin(engine.get_builtins()["download/1"])("x")
    monkeypatch.setattr(trust, "_engine_builtins", lambda: frozenset(engine.get_builtins()))
    with pytest.raises(Exception, match="download/1 is not among those known") as info:
        parse_program("a.\nq :- findall(x, download(y), L).")
    assert "--trust" in str(info.value)
    assert str(info.value).startswith("<text>:2:1")
    parse_program("a.\nq :- findall(x, download(y), L).", trust=True)


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_are_loaded_only_when_listed(library: str) -> None:
    program = PrologString(f":- use_module(library({library})).")
    if library in allowed.LIBRARIES:
        GuardedEngine().prepare(program)
        parse_program(f":- use_module(library({library})).")
        return
    with pytest.raises(UntrustedError, match="refused"):
        GuardedEngine().prepare(program)
    with pytest.raises(Exception, match="would load code"):
        parse_program(f":- use_module(library({library})).")


def test_predicates_in_python_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    defined: set[str] = set()
    add = GuardedDatabase.add_extern

    def note(self: Any, predicate: str, arity: int, function: Any, scope: Any = None) -> None:
        defined.add(f"{predicate}/{arity}")
        add(self, predicate, arity, function, scope)

    monkeypatch.setattr(GuardedDatabase, "add_extern", note)
    names = sorted(allowed.LIBRARIES)
    GuardedEngine().prepare(PrologString("".join(f":- use_module(library({n})).\n" for n in names)))
    assert defined == allowed.EXTERNS


def test_a_new_predicate_in_python_of_a_library_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust, "EXTERNS", allowed.EXTERNS - {"concat/2"})
    engine = GuardedEngine()
    text = ":- use_module(library(string)).\nq(X) :- concat([a], X)."
    database = engine.prepare(PrologString(text))
    with pytest.raises(UntrustedError, match="concat/2 is refused"):
        engine.query(database, PrologString("q(_).")._program()[0])


@pytest.mark.parametrize("kind", [Engine, GuardedEngine])
def test_databases_made_while_grounding_are_of_the_engines_kind(kind: type[Engine]) -> None:
    database = kind().prepare(PrologString("a."))
    assert type(database) is kind.database
    assert type(database.extend().extend()) is kind.database
    assert database.extend().engine is database.engine
