"""Facts that hold for one example only: a graph, a scene, a story."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from problog.errors import ProbLogError
from problog.logic import Clause, Term, Var, is_ground

from groundkit.errors import Location, ProgramError, choose_from
from groundkit.program.builtins import is_builtin
from groundkit.program.constraints import signature
from groundkit.program.parser import parse_statements
from groundkit.program.source import Program, parse_program
from groundkit.program.terms import walk

_REMEDY = "write ground facts, such as edge(a, b); rules and probabilities belong to the program"


def parse_facts(texts: Sequence[str], at: Location | None = None) -> tuple[str, ...]:
    """Reads the facts of an example.

    Args:
        texts: The facts, each with or without a full stop.
        at: Where the example stands.

    Returns:
        The printed facts, sorted, each once.

    Raises:
        ProgramError: One is no ground fact, or of a predicate of ProbLog's own.
    """
    return tuple(sorted({_parse_fact(text, at) for text in texts}))


def signature_of(fact: str) -> str:
    """Names the predicate of a printed fact: ``edge/2``."""
    (term,) = parse_statements(f"{fact}.")
    return str(term.signature).replace("'", "")


def _parse_fact(text: str, at: Location | None) -> str:
    def refuse(why: str) -> ProgramError:
        return ProgramError(f"the fact '{text}' {why}", expected="a fact", remedy=_REMEDY, at=at)

    if not isinstance(text, str) or not text.strip():
        raise refuse("is empty" if isinstance(text, str) else "is no text")
    try:
        parsed: list[Any] = parse_statements(f"{text.strip().removesuffix('.')}.")
    except (ProbLogError, RecursionError) as error:
        raise refuse(f"cannot be read: {getattr(error, 'base_message', error)}") from None
    if len(parsed) != 1:
        raise refuse("is more than one statement")
    (term,) = parsed
    if not isinstance(term, Term) or isinstance(term, Var | Clause) or term.functor in (":-", "<-"):
        raise refuse("is no fact")
    if term.probability is not None:
        raise refuse("has a probability")
    if not is_ground(term):
        raise refuse("has a variable in it")
    signature = str(term.signature).replace("'", "")
    if is_builtin(signature) or signature in ("query/1", "evidence/1", "evidence/2"):
        raise refuse(f"is about {signature}, which is ProbLog's own")
    return str(term)


def check_asked(program: Program, facts: Sequence[str], known: Collection[str]) -> None:
    """Checks that facts can change an answer.

    Args:
        program: The program.
        facts: Printed facts, as :func:`parse_facts` returns them.
        known: Names and arities that are asked elsewhere, or that other facts are about.

    Raises:
        ProgramError: Nothing asks for a fact's predicate, which is likely misspelt.
    """
    asked = {*known, *program.predicates}
    asked |= {signature(term) for statement in program.statements for term in walk(statement)}
    for fact in facts:
        name = signature_of(fact)
        if name not in asked:
            plain = {one for one in asked if not one.startswith("$") and not is_builtin(one)}
            predicates = {one for one in plain if not one.endswith("/0")} | {*program.predicates}
            raise ProgramError(
                f"the fact '{fact}' changes nothing: no clause and no goal asks {name}",
                expected="a fact of a predicate that is asked",
                remedy=choose_from(name, predicates),
            )


def with_facts(program: Program, facts: Sequence[str], declared: Collection[str]) -> Program:
    """Returns a program with more facts at its end.

    Args:
        program: The program.
        facts: Printed facts, as :func:`parse_facts` returns them.
        declared: Names and arities of predicates that are known even without a fact.
    """
    known = {*program.predicates, *(signature_of(fact) for fact in facts)}
    lines = [f"{fact}." for fact in facts]
    for predicate in sorted(set(declared) - known):
        name, _, arity = predicate.rpartition("/")
        head = f"{name}({', '.join('_' * int(arity))})" if int(arity) else name
        lines.append(f"{head} :- fail.")
    return parse_program(
        "\n".join([program.text.rstrip(), *lines, ""]), program.file, program.trust
    )
