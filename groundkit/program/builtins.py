"""What ProbLog defines by itself: the built-in predicates and those of its list library."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import problog
from problog.engine import DefaultEngine
from problog.logic import Term
from problog.program import PrologString


@lru_cache(maxsize=1)
def _empty_database() -> Any:
    """Prepares a database with nothing in it but ProbLog's list library."""
    return DefaultEngine().prepare(PrologString(":- use_module(library(lists))."))


_LIBRARIES = ("apply", "aggregate", "string", "collect", "control", "cut")
_FOLDER = Path(problog.__file__).parent / "library"


@lru_cache(maxsize=1)
def _names_of_lists() -> frozenset[str]:
    """Reads what ProbLog's list library exports, from its head: parsing it all takes a while."""
    head = (_FOLDER / "lists.pl").read_text("utf-8").partition("]).")[0]
    return frozenset(re.findall(r"(\w+)/\d", head)) | {"lists"}


def may_use_lists(text: str) -> bool:
    """Tells whether a program or goal could call a predicate of ProbLog's list library.

    It can if it names one, be it as data. Names that are put together come from other libraries.
    """
    words = set(re.findall(r"\w+", text))
    return "library" in words or not words.isdisjoint(_names_of_lists())


@lru_cache(maxsize=32)
def library_of(predicate: str) -> str | None:
    """Returns the library of ProbLog that defines a name and arity, ``None`` when there is none.

    Only libraries that compute are looked into, and only those whose text has the name.
    """
    name, _, arity = predicate.rpartition("/")
    for library in _LIBRARIES:
        files = [_FOLDER / f"{library}{suffix}" for suffix in (".pl", ".py")]
        if not any(file.exists() and f"{name}(" in file.read_text("utf-8") for file in files):
            continue
        database = DefaultEngine().prepare(PrologString(f":- use_module(library({library}))."))
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
