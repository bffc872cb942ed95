"""Which predicates of a program call which others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from problog.logic import AnnotatedDisjunction, Clause

from groundkit.program.constraints import CONSTRAINT, signature
from groundkit.program.source import Program
from groundkit.program.terms import walk


def definitions(program: Program) -> tuple[dict[str, set[str]], set[str]]:
    """Returns what the bodies of each predicate's rules call, and which predicates are random."""
    rules: dict[str, set[str]] = {}
    random: set[str] = set()
    for statement in program.statements:
        heads: list[Any] = [statement]
        body = None
        if isinstance(statement, AnnotatedDisjunction):
            heads, body = list(statement.heads), statement.body
        elif isinstance(statement, Clause):
            heads, body = [statement.head], statement.body
        for head in heads:
            if getattr(head, "probability", None) is not None:
                random.add(signature(head))
            if body is not None and str(body) != "true" and head.functor != CONSTRAINT:
                rules.setdefault(signature(head), set()).update(called(body))
    return rules, random


def called(goal: Any) -> set[str]:
    """Lists every name and arity in a goal; data are among them, which does no harm."""
    return {signature(term) for term in walk(goal)} - {",/2", ";/2", "\\+/1"}


def reached(names: Iterable[str], rules: Mapping[str, set[str]]) -> set[str]:
    """Lists some predicates, and those that their rules call, directly or by others."""
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(rules.get(name, ()))
    return found
