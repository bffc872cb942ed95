"""Reads a ``.pl`` program: neural predicates, learnable probabilities, evidence, queries.

ProbLog's own parser does the reading, so a program means here what it means there. What this
module adds are the checks that DeepProbLog leaves out, each with the place in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from problog.errors import ParseError, ProbLogError
from problog.logic import (
    And,
    AnnotatedDisjunction,
    Clause,
    Constant,
    Not,
    Or,
    Term,
    Var,
    list2term,
    term2list,
)

from groundkit.errors import Location, ProgramError
from groundkit.files import read_text
from groundkit.program.constraints import Constraint, find_constraints, is_directive
from groundkit.program.neural import (
    NeuralPredicate,
    check_networks,
    is_neural,
    neural_predicate,
)
from groundkit.program.parser import deep_terms, parse_statements
from groundkit.program.probability import (
    LearnableGroup,
    check_probabilities,
    is_learnable,
    learnable_group,
)
from groundkit.program.syntax import unreadable
from groundkit.program.terms import Places, rewrite_goals, text_of
from groundkit.program.trust import refuse_untrusted


@dataclass(frozen=True)
class Program:
    """A parsed and checked program; :func:`parse_program` makes it.

    Attributes:
        text: The source text.
        file: Where it was read.
        trust: Whether it may load code.
        neural: Its neural predicates in order.
        learnable: Its groups of ``t(...)`` probabilities in order.
        evidence: Printed ``evidence/1`` and ``evidence/2`` facts.
        queries: Printed arguments of ``query/1`` facts.
        predicates: Names and arities that the program defines.
        constraints: Its ``:- body.`` in order.
        statements: ProbLog's terms, neural and learnable probabilities rewritten to the
            symbolic ones ``'$nn'(Predicate, Inputs, Outcome)`` and ``'$t'(Group, Head, Keys)``.
    """

    text: str
    file: Path | None
    trust: bool
    neural: tuple[NeuralPredicate, ...]
    learnable: tuple[LearnableGroup, ...]
    evidence: tuple[str, ...]
    queries: tuple[str, ...]
    predicates: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    statements: tuple[Any, ...] = field(repr=False, compare=False)

    @property
    def networks(self) -> dict[str, NeuralPredicate]:
        """The first neural predicate of every network, by the network's name."""
        found: dict[str, NeuralPredicate] = {}
        for predicate in self.neural:
            found.setdefault(predicate.network, predicate)
        return found

    @property
    def places(self) -> Places:
        """Turns positions in :attr:`text` into lines and columns."""
        return Places(self.text, self.file)


def load_program(path: Path | str, trust: bool = False, within: Path | None = None) -> Program:
    """Reads a program from a file.

    Args:
        path: The ``.pl`` file.
        trust: Whether the program may load Python code and touch files.
        within: A folder that the file must lie in, as that of a run.

    Raises:
        ProgramError: The file is missing or the program is not acceptable.
    """
    path = Path(path)
    if path.suffix == ".toml":
        raise ProgramError(
            f"'{path}' is a spec",
            expected="a .pl program",
            remedy=f"name the program, such as {path.with_suffix('.pl')}; its spec is found beside",
        )
    try:
        text = read_text(path, error=ProgramError, what="the program", within=within)
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.pl")) if path.parent.is_dir() else []
        remedy = (
            f"programs beside it: {', '.join(near)}"
            if near
            else "check the path; a first program: groundkit new first --like sum, "
            "then groundkit run first.pl"
        )
        raise ProgramError(f"there is no program '{path}'", remedy=remedy) from None
    return parse_program(text, path, trust)


def parse_program(text: str, file: Path | None = None, trust: bool = False) -> Program:
    """Reads a program from text; see :func:`load_program`."""
    places = Places(text, file)
    parsed = _parse(text, places)
    if not trust:
        refuse_untrusted(parsed, places)
    reader = _Reader(places)
    with deep_terms():
        read = [reader.read(statement) for statement in parsed]
        check_networks(reader.neural)
        statements, constraints = find_constraints(read, reader.neural, reader.predicates, places)
    return Program(
        text=text,
        file=file,
        trust=trust,
        neural=tuple(reader.neural),
        learnable=tuple(reader.learnable),
        evidence=tuple(reader.evidence),
        queries=tuple(reader.queries),
        predicates=tuple(dict.fromkeys(reader.predicates)),
        constraints=constraints,
        statements=statements,
    )


def _parse(text: str, places: Places) -> list[Any]:
    """Runs ProbLog's parser and gives its complaints a place in the user's file."""
    try:
        return parse_statements(text)
    except ParseError as error:
        raise unreadable(error, text, places) from None
    except (ProbLogError, RecursionError) as error:
        raise ProgramError(f"the program cannot be parsed: {error}", at=places.at(None)) from None


class _Reader:
    """Walks over the statements once, collecting and rewriting."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.neural: list[NeuralPredicate] = []
        self.learnable: list[LearnableGroup] = []
        self.evidence: list[str] = []
        self.queries: list[str] = []
        self.predicates: list[str] = []

    def read(self, statement: Any) -> Any:
        """Checks one statement and returns it with symbolic probabilities."""
        at = self.places.of(statement)
        _refuse_question(statement, at)
        if is_directive(statement):
            return _with_body(statement, rewrite_goals(statement.body, _named_pattern))
        heads, body = _parts(statement)
        if body is not None:
            named = rewrite_goals(body, _named_pattern)
            if named is not body:
                body = named
                statement = _with_body(statement, body)
        for head in heads:
            self._note_head(head, at, body is not None)
            if len(heads) > 1 and getattr(head, "probability", None) is None:
                raise ProgramError(
                    f"'{head}' stands among several heads without a probability",
                    expected="such as 0.3::a ; 0.7::b.",
                    remedy=f"write a probability before {head}, or a clause of its own",
                    at=at,
                )
        if any(is_neural(head) for head in heads):
            if len(heads) > 1:
                raise ProgramError(
                    "a neural predicate stands among the heads of an annotated disjunction",
                    expected="nn(...)::head alone, with or without a body",
                    remedy="let an ordinary disjunction choose, and its clause call the predicate",
                    at=at,
                )
            return self._neural(heads[0], body, at)
        if any(head.probability is not None for head in heads):
            heads = self._learnable(heads, at)
            check_probabilities(heads, at)
            return _assemble(heads, body)
        return statement

    def _note_head(self, head: Any, at: Location, has_body: bool) -> None:
        """Records what a head defines, and the facts that ask and tell."""
        odd = not isinstance(head, Term) or isinstance(head, Var | Not | And | Constant)
        if odd or head.signature == ":-/0":
            raise ProgramError(
                f"'{head}' cannot be the head of a clause",
                expected="an atom or a compound term, such as addition(X,Y,Z)",
                at=at,
            )
        if text_of(head.functor) == ":" and head.arity == 2:
            raise ProgramError(
                f"'{head}' has one colon",
                expected="two of them between a probability, or nn(...), and what has it",
                remedy=f"write {head.args[0]}::{head.args[1]}",
                at=at,
            )
        bare = has_body and head.functor == "nn" and head.probability is None
        if bare and head.arity > 1 and str(head.args[1]).startswith("["):
            raise ProgramError(
                f"'{head}' stands before ':-'",
                expected="nn(...) :: predicate(X, Y).",
                remedy="write :: after nn(...), and after it the predicate that the network gives",
                at=at,
            )
        if isinstance(head.probability, Term) and str(head.probability) == "?":
            raise ProgramError(
                f"'{head}' is a decision of DTProbLog, which weighs decisions by their utility",
                remedy="give it a probability, or t(_) to learn one from examples",
                at=at,
            )
        if head.functor == "evidence" and head.arity in (1, 2):
            _check_asked(head, at, has_body)
            _check_told(head, at)
            self.evidence.append(", ".join(str(arg) for arg in head.args))
        elif head.functor == "query" and head.arity == 1:
            _check_asked(head, at, has_body)
            self.queries.append(str(head.args[0]))
        else:
            self.predicates.append(head.signature.replace("'", ""))

    def _neural(self, head: Term, body: Any, at: Location) -> Any:
        """Turns ``nn(...)::head :- body`` into a disjunction with symbolic probabilities."""
        predicate = neural_predicate(head, at)
        number = len(self.neural)
        self.neural.append(predicate)
        inputs = head.probability.args[1]
        if predicate.kind == "categorical":
            output = head.probability.args[2]
            heads = [
                head.with_probability(_symbol(number, inputs, j)).apply_term({output: value})
                for j, value in enumerate(term2list(head.probability.args[3], False))
            ]
        else:
            heads = [head.with_probability(_symbol(number, inputs, 0))]
        return _assemble(heads, body)

    def _learnable(self, heads: list[Any], at: Location) -> list[Any]:
        """Turns the ``t(...)`` of a statement into one group with symbolic probabilities."""
        chosen = [i for i, head in enumerate(heads) if is_learnable(head)]
        if not chosen:
            return heads
        number = len(self.learnable)
        self.learnable.append(learnable_group(heads, chosen, at))
        result = list(heads)
        for j, i in enumerate(chosen):
            keys = list2term(list(heads[i].probability.args[1:]))
            probability = Term("$t", Constant(number), Constant(j), keys)
            result[i] = heads[i].with_probability(probability)
        return result


def _symbol(number: int, inputs: Any, outcome: int) -> Term:
    """Builds the symbolic probability of one outcome of a neural predicate."""
    return Term("$nn", Constant(number), inputs, Constant(outcome))


def _refuse_question(statement: Any, at: Location) -> None:
    """Raises a ProgramError at ``?- goal.``, which only a Prolog prompt would answer."""
    first = statement
    while isinstance(first, And | Or):
        first = first.op1
    asks = isinstance(first, Term) and str(first.functor).strip("'") == "-" and first.arity == 2
    if asks and str(first.args[0]) == "?":
        goal = str(statement).strip("()").removeprefix("?-")
        raise ProgramError(
            f"'?- {goal}.' asks a question inside of a program",
            remedy=f"write query({goal}). or ask it beside the program: "
            f'groundkit query FILE.pl "{goal}"',
            at=at,
        )


def _check_asked(head: Term, at: Location, has_body: bool) -> None:
    """Raises a ProgramError at ``query(X)``, ``query(not(X))``, ``evidence(X)``.

    A variable is a goal where a body binds it: ``query(X) :- member(X, [a, b])``.
    """
    goal = inner = head.args[0]
    while isinstance(inner, Term) and inner.functor in ("not", "\\+") and inner.arity == 1:
        inner = inner.args[0]
    bound = has_body and inner is goal and isinstance(inner, Var)
    if bound or not (isinstance(inner, Var | Constant) or not isinstance(inner, Term)):
        return
    verb = "asks for" if head.functor == "query" else "speaks of"
    raise ProgramError(
        f"{head.functor}({goal}) {verb} no predicate",
        expected=f"a goal, such as {head.functor}(addition(1,2,{'Z' if verb[0] == 'a' else 3}))",
        at=at,
    )


def _check_told(head: Term, at: Location) -> None:
    """Raises a ProgramError at ``evidence(a, yes)``, which ProbLog would read over."""
    if head.arity == 2 and not isinstance(head.args[1], Var):
        told = str(head.args[1])
        if told not in ("true", "false"):
            raise ProgramError(
                f"{head.functor}({head.args[0]}, {told}) says neither true nor false",
                expected=f"evidence({head.args[0]}, true) or evidence({head.args[0]}, false)",
                remedy="leave the line out if nothing is known",
                at=at,
            )


def _named_pattern(goal: Any) -> Any:
    """Names the pattern of ``findall(_, Goal, L)``: ProbLog cannot read an anonymous one."""
    collects = goal.functor in _COLLECTORS and goal.arity == 3
    if collects and isinstance(goal.args[0], Var) and str(goal.args[0]) == "_":
        return goal.with_args(Var("_Pattern"), *goal.args[1:])
    return goal


_COLLECTORS = ("findall", "all", "all_or_none")


def _with_body(statement: Any, body: Any) -> Any:
    """Returns a clause or annotated disjunction with another body."""
    if body is statement.body:
        return statement
    if isinstance(statement, AnnotatedDisjunction):
        return AnnotatedDisjunction(statement.heads, body, location=statement.location)
    return Clause(statement.head, body, location=statement.location)


def _parts(statement: Any) -> tuple[list[Any], Any]:
    """Splits a statement into its heads and its body (``None`` for facts)."""
    if isinstance(statement, AnnotatedDisjunction):
        return list(statement.heads), statement.body
    if isinstance(statement, Clause):
        return [statement.head], statement.body
    if isinstance(statement, Or):
        return list(statement.to_list()), None
    return [statement], None


def _assemble(heads: list[Any], body: Any) -> Any:
    """Puts heads and body together again."""
    if len(heads) == 1 and body is None:
        return heads[0]
    if len(heads) == 1:
        return Clause(heads[0], body)
    return AnnotatedDisjunction(heads, body if body is not None else Term("true"))
