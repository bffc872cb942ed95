"""What ProbLog defines by itself: the built-in predicates and those of its list library."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from problog.engine import DefaultEngine
from problog.logic import Term
from problog.program import PrologString


@lru_cache(maxsize=1)
def _empty_database() -> Any:
    """Prepares a database with nothing in it but ProbLog's list library."""
    return DefaultEngine().prepare(PrologString(":- use_module(library(lists))."))


_LIBRARIES = ("apply", "aggregate", "string", "collect", "control", "cut", "lists")


@lru_cache(maxsize=1)
def _libraries() -> dict[str, Any]:
    """Prepares a database of each library that only computes."""
    return {
        name: DefaultEngine().prepare(PrologString(f":- use_module(library({name}))."))
        for name in _LIBRARIES
    }


def library_of(predicate: str) -> str | None:
    """Returns the library of ProbLog that defines a name and arity, ``None`` when there is none."""
    name, _, arity = predicate.rpartition("/")
    for library, database in _libraries().items():
        if database.find(Term(name, *[None] * int(arity))) is not None:
            return library
    return None


def is_builtin(predicate: str) -> bool:
    """Tells whether ProbLog's engine or its list library defines a name and arity."""
    database = _empty_database()
    if predicate in database.engine.get_builtins():
        return True
    name, _, arity = predicate.rpartition("/")
    return database.find(Term(name, *[None] * int(arity))) is not None
