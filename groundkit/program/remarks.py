"""What may be taken for something else in a program: told by `groundkit check`, not refused."""

from __future__ import annotations

from collections.abc import Iterator

from problog.logic import Term

from groundkit.errors import Location
from groundkit.program.constraints import signature
from groundkit.program.definitions import called, definitions, reached
from groundkit.program.source import Program
from groundkit.program.terms import walk

_COLLECTORS = frozenset({"findall/3", "all/3", "all_or_none/3"})


def remarks(program: Program) -> tuple[str, ...]:
    """Lists what a program means where ProbLog, DeepProbLog or common sense would differ."""
    found = [
        *_constraints(program),
        *_collected(program),
        *_certain(program),
        *_quoted_and_not(program),
    ]
    return tuple(f"{at}: {text}" for at, text in found)


def _constraints(program: Program) -> Iterator[tuple[Location, str]]:
    """Constraints are evidence here, and nothing at all to ProbLog."""
    for constraint in program.constraints:
        yield (
            constraint.location,
            f"'{constraint.text}' is evidence that its body is false; ProbLog ignores it",
        )


def _certain(program: Program) -> Iterator[tuple[Location, str]]:
    """A learnable probability of 0 or 1 stays what it is."""
    for group in program.learnable:
        for head, start in zip(group.heads, group.initial, strict=True):
            if start in (0.0, 1.0):
                yield (
                    group.location,
                    f"{head} starts at {start:g} and stays there: no training moves what is "
                    "impossible or certain",
                )


def _quoted_and_not(program: Program) -> Iterator[tuple[Location, str]]:
    """``x`` and ``'x'``, ``1`` and ``'1'`` are equal to ``=``, and to nothing else of ProbLog."""
    plain: set[str] = set()
    quoted: dict[str, Location] = {}
    for statement in program.statements:
        for term in walk(statement):
            if term.arity:
                continue
            text = str(term.functor)
            if len(text) > 2 and text[0] == text[-1] == "'":
                quoted.setdefault(text, program.places.of(statement))
            else:
                plain.add(text)
    for text, at in quoted.items():
        if text[1:-1] in plain:
            yield (
                at,
                f"{text[1:-1]} and {text} are two values: facts, arguments and answers keep them "
                "apart, though X = Y takes them as equal; write one of them throughout",
            )


def _collected(program: Program) -> Iterator[tuple[Location, str]]:
    """``findall`` collects one item a proof, as in ProbLog, and not one an answer."""
    rules, random = definitions(program)
    for statement in program.statements:
        body = getattr(statement, "body", None)
        for call in walk(body) if isinstance(body, Term) else ():
            if signature(call) not in _COLLECTORS or not isinstance(call.args[1], Term):
                continue
            met = reached(called(call.args[1]), rules)
            calls = [g for g in walk(call.args[1]) if signature(g) in random | set(rules)]
            if met & random and (met & set(rules) or len(calls) > 1):
                yield (
                    program.places.of(statement),
                    f"{call.functor} collects an item for each proof of '{call.args[1]}', so an "
                    "answer with two proofs is there twice",
                )
