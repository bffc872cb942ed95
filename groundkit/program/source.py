"""Reads a ``.pl`` program: neural predicates, learnable probabilities, evidence, queries.

ProbLog's own parser does the reading, so a program means here what it means there. What this
module adds are the checks that DeepProbLog leaves out, each with the place in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from problog.errors import ParseError, ProbLogError
from problog.logic import (
    AnnotatedDisjunction,
    Clause,
    Constant,
    Not,
    Or,
    Term,
    Var,
    is_list,
    term2list,
)
from problog.program import PrologString

from groundkit.errors import Location, ProgramError
from groundkit.program.terms import Places, text_of, walk
from groundkit.program.trust import refuse_untrusted

Kind = Literal["categorical", "bernoulli", "deterministic"]

_ABOVE_ONE = 1e-9
_NN_FORMS = {2: "bernoulli", 3: "deterministic", 4: "categorical"}


@dataclass(frozen=True, slots=True)
class NeuralPredicate:
    """One ``nn(...)::head`` of the program.

    Attributes:
        network: The name of the network.
        kind: ``categorical`` for nn/4, ``bernoulli`` for nn/2, ``deterministic`` for nn/3.
        inputs: Printed input terms, normally variables.
        output: Name of the output variable; ``None`` for nn/2.
        domain: Printed values in the order of the network's outputs.
        predicate: Name and arity of the head, such as ``digit/2``.
        location: Where it stands.
    """

    network: str
    kind: Kind
    inputs: tuple[str, ...]
    output: str | None
    domain: tuple[str, ...]
    predicate: str
    location: Location


@dataclass(frozen=True, slots=True)
class LearnableGroup:
    """The ``t(...)`` probabilities of one fact or annotated disjunction.

    They form one distribution: a lone ``t(p)::f`` is over (true, false), a disjunction is over
    its learnable heads, with an outcome "none of them" when they start below their share.

    Attributes:
        heads: Printed heads, in order.
        initial: Their starting probabilities; ``t(_)`` takes an equal part of what is free.
        others: Printed fixed heads of the same disjunction.
        other_probabilities: Their probabilities.
        other_positions: Their positions among all heads.
        location: Where it stands.
    """

    heads: tuple[str, ...]
    initial: tuple[float, ...]
    others: tuple[str, ...]
    other_probabilities: tuple[float, ...]
    other_positions: tuple[int, ...]
    location: Location

    @property
    def fixed(self) -> float:
        """The mass that the fixed heads take."""
        return sum(self.other_probabilities)

    @property
    def residual(self) -> float:
        """Probability of none of the learnable heads, at the start."""
        return max(0.0, 1.0 - self.fixed - sum(self.initial))

    @property
    def exhaustive(self) -> bool:
        """Whether one head of the disjunction always holds, and so stays certain to."""
        return len(self.heads) + len(self.others) > 1 and self.residual <= _ABOVE_ONE


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
        statements: ProbLog's terms, neural and learnable probabilities rewritten to the
            symbolic ones ``'$nn'(Predicate, Inputs, Outcome)`` and ``'$t'(Group, Head)``.
    """

    text: str
    file: Path | None
    trust: bool
    neural: tuple[NeuralPredicate, ...]
    learnable: tuple[LearnableGroup, ...]
    evidence: tuple[str, ...]
    queries: tuple[str, ...]
    predicates: tuple[str, ...]
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


def load_program(path: Path | str, trust: bool = False) -> Program:
    """Reads a program from a file.

    Args:
        path: The ``.pl`` file.
        trust: Whether the program may load Python code and touch files.

    Raises:
        ProgramError: The file is missing or the program is not acceptable.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.pl")) if path.parent.is_dir() else []
        remedy = f"programs beside it: {', '.join(near)}" if near else "check the path"
        raise ProgramError(f"there is no program '{path}'", remedy=remedy) from None
    except UnicodeDecodeError as error:
        raise ProgramError(
            f"the program is not UTF-8 text: {error}", remedy="save it as UTF-8", at=Location(path)
        ) from None
    except OSError as error:
        raise ProgramError(f"the program cannot be read: {error}", at=Location(path)) from None
    return parse_program(text, path, trust)


def parse_program(text: str, file: Path | None = None, trust: bool = False) -> Program:
    """Reads a program from text; see :func:`load_program`."""
    places = Places(text, file)
    parsed = _parse(text, places)
    if not trust:
        refuse_untrusted(parsed, places)
    reader = _Reader(places)
    statements = tuple(reader.read(statement) for statement in parsed)
    _check_networks(reader.neural)
    return Program(
        text=text,
        file=file,
        trust=trust,
        neural=tuple(reader.neural),
        learnable=tuple(reader.learnable),
        evidence=tuple(reader.evidence),
        queries=tuple(reader.queries),
        predicates=tuple(dict.fromkeys(reader.predicates)),
        statements=statements,
    )


def _parse(text: str, places: Places) -> list[Any]:
    """Runs ProbLog's parser and gives its complaints a place in the user's file."""
    try:
        return list(PrologString(text))
    except ParseError as error:
        location = getattr(error, "location", None)
        at = places.at(None)
        if isinstance(location, tuple) and len(location) == 3:
            at = Location(at.file, location[1], location[2])
        raise ProgramError(
            f"syntax error: {error.base_message}",
            remedy="every clause ends in a full stop; brackets and quotes come in pairs",
            at=at,
        ) from None
    except (ProbLogError, RecursionError, ValueError, IndexError, AttributeError) as error:
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
        heads, body = _parts(statement)
        at = self.places.of(statement)
        for head in heads:
            self._note_head(head, at)
        if any(_is_neural(head) for head in heads):
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
            _check_probabilities(heads, at)
            return _assemble(heads, body)
        return statement

    def _note_head(self, head: Any, at: Location) -> None:
        """Records what a head defines, and the facts that ask and tell."""
        if not isinstance(head, Term) or isinstance(head, Var | Not):
            raise ProgramError(
                f"'{head}' cannot be the head of a clause",
                expected="an atom or a compound term, such as addition(X,Y,Z)",
                at=at,
            )
        if head.functor == "_directive":
            return
        if head.functor == "evidence" and head.arity in (1, 2):
            self.evidence.append(", ".join(str(arg) for arg in head.args))
        elif head.functor == "query" and head.arity == 1:
            self.queries.append(str(head.args[0]))
        else:
            self.predicates.append(head.signature.replace("'", ""))

    def _neural(self, head: Term, body: Any, at: Location) -> Any:
        """Turns ``nn(...)::head :- body`` into a disjunction with symbolic probabilities."""
        predicate = _neural_predicate(head, at)
        number = len(self.neural)
        self.neural.append(predicate)
        inputs = head.probability.args[1]
        if predicate.kind == "categorical":
            output = head.probability.args[2]
            heads = [
                head.with_probability(_symbol("$nn", number, inputs, j)).apply_term({output: value})
                for j, value in enumerate(term2list(head.probability.args[3], False))
            ]
        else:
            heads = [head.with_probability(_symbol("$nn", number, inputs, 0))]
        return _assemble(heads, body)

    def _learnable(self, heads: list[Any], at: Location) -> list[Any]:
        """Turns the ``t(...)`` of a statement into one group with symbolic probabilities."""
        chosen = [i for i, head in enumerate(heads) if _is_learnable(head.probability)]
        if not chosen:
            return heads
        for i in chosen:
            if heads[i].probability.arity != 1:
                raise ProgramError(
                    f"'{heads[i].probability}' is not supported",
                    expected="t(P) or t(_), one learnable probability per head",
                    remedy="write one clause per case instead of a further argument",
                    at=at,
                )
        others = [i for i in range(len(heads)) if i not in chosen]
        fixed = [_constant(heads[i].probability) for i in others]
        if None in fixed:
            raise ProgramError(
                "a disjunction with t(...) has a head whose probability is not a constant",
                expected="numbers beside learnable probabilities",
                at=at,
            )
        given = [_initial(heads[i].probability.args[0], at) for i in chosen]
        group = LearnableGroup(
            heads=tuple(str(heads[i].with_probability(None)) for i in chosen),
            initial=_fill_in(given, 1.0 - sum(f or 0.0 for f in fixed), lone=len(heads) == 1),
            others=tuple(str(heads[i].with_probability(None)) for i in others),
            other_probabilities=tuple(value or 0.0 for value in fixed),
            other_positions=tuple(others),
            location=at,
        )
        if sum(group.initial) + group.fixed > 1.0 + _ABOVE_ONE:
            raise _sums_above_one(sum(group.initial) + group.fixed, at)
        number = len(self.learnable)
        self.learnable.append(group)
        result = list(heads)
        for j, i in enumerate(chosen):
            result[i] = heads[i].with_probability(_symbol("$t", number, None, j))
        return result


def _symbol(functor: str, number: int, inputs: Any, outcome: int) -> Term:
    """Builds the symbolic probability of one outcome."""
    parts = [number] if inputs is None else [number, inputs]
    return Term(functor, *(_as_term(part) for part in [*parts, outcome]))


def _as_term(value: Any) -> Any:
    """Wraps integers as ProbLog constants."""
    return Constant(value) if isinstance(value, int) else value


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


def _is_neural(head: Any) -> bool:
    return isinstance(head.probability, Term) and head.probability.functor == "nn"


def _is_learnable(probability: Any) -> bool:
    return isinstance(probability, Term) and probability.functor == "t"


def _neural_predicate(head: Term, at: Location) -> NeuralPredicate:
    """Reads and checks one ``nn(...)``."""
    nn = head.probability
    if nn.arity not in _NN_FORMS:
        raise ProgramError(
            f"nn/{nn.arity} is not a neural predicate",
            expected="nn(Network, [X], Y, [v1, v2, ...]), nn(Network, [X]) or nn(Network, [X], Y)",
            remedy=f"check the arguments of '{nn}'",
            at=at,
        )
    network, inputs = nn.args[0], nn.args[1]
    if not isinstance(network, Term) or isinstance(network, Var) or network.arity:
        raise ProgramError(f"'{network}' is not a network's name", expected="an atom", at=at)
    if not _is_proper_list(inputs):
        raise ProgramError(
            f"the inputs '{inputs}' of network '{network}' are not a list",
            expected=f"nn({network}, [{inputs}], ...)",
            at=at,
        )
    kind: Kind = _NN_FORMS[nn.arity]  # type: ignore[assignment]
    output = None
    domain: tuple[str, ...] = ("true", "false") if kind == "bernoulli" else ()
    if kind != "bernoulli":
        output = _output(nn.args[2], head, at)
    if kind == "categorical":
        domain = _domain(nn.args[3], str(network), at)
    return NeuralPredicate(
        network=text_of(network),
        kind=kind,
        inputs=tuple(str(term) for term in term2list(inputs, False)),
        output=output,
        domain=domain,
        predicate=head.signature.replace("'", ""),
        location=at,
    )


def _output(term: Any, head: Term, at: Location) -> str:
    """Checks the output variable of nn/3 and nn/4."""
    if not isinstance(term, Var):
        raise ProgramError(
            f"the output '{term}' of a neural predicate is not a variable", expected="Y", at=at
        )
    if not any(
        isinstance(inner, Var) and inner == term for arg in head.args for inner in walk(arg)
    ):
        raise ProgramError(
            f"the output {term} does not occur in the head '{head.with_probability(None)}'",
            remedy=f"add {term} to the head's arguments",
            at=at,
        )
    return str(term)


def _domain(term: Any, network: str, at: Location) -> tuple[str, ...]:
    """Checks the domain of nn/4 and prints its values."""
    if not _is_proper_list(term):
        raise ProgramError(
            f"the domain '{term}' of network '{network}' is not a list",
            expected="a list of values, such as [0,1,2]",
            at=at,
        )
    values = tuple(text_of(value) for value in term2list(term, False))
    if not values:
        raise ProgramError(
            f"the domain of network '{network}' is empty", expected="at least one value", at=at
        )
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ProgramError(
            f"the domain of network '{network}' has {', '.join(twice)} more than once",
            remedy="every output of the network needs a value of its own",
            at=at,
        )
    if any(isinstance(inner, Var) for inner in walk(term)):
        raise ProgramError(f"the domain of network '{network}' has a variable in it", at=at)
    return values


def _is_proper_list(term: Any) -> bool:
    return isinstance(term, Term) and (bool(is_list(term)) or str(term) == "[]")


def _check_networks(neural: Iterable[NeuralPredicate]) -> None:
    """One network has one number of outputs, wherever it is used."""
    first: dict[str, NeuralPredicate] = {}
    for predicate in neural:
        other = first.setdefault(predicate.network, predicate)
        if len(other.domain) != len(predicate.domain) or other.kind != predicate.kind:
            raise ProgramError(
                f"network '{predicate.network}' has {len(predicate.domain)} outputs here and "
                f"{len(other.domain)} at {other.location}",
                expected="one number of outputs per network",
                remedy="use two networks, or give both predicates domains of one size",
                at=predicate.location,
            )


def _constant(probability: Any) -> float | None:
    """Evaluates a probability without variables; ``None`` when it depends on the clause."""
    if probability is None or any(isinstance(inner, Var) for inner in walk(probability)):
        return None
    try:
        value = probability.compute_value() if isinstance(probability, Term) else probability
        return float(value)
    except (ProbLogError, TypeError, ValueError, ZeroDivisionError):
        return None


def _initial(term: Any, at: Location) -> float | None:
    """Reads the starting value inside ``t(...)``; ``None`` for ``t(_)``."""
    if isinstance(term, Var) or term is None:
        return None
    value = _constant(term)
    if value is None or not 0.0 <= value <= 1.0:
        raise ProgramError(
            f"'t({term})' does not start from a probability",
            expected="a number from 0 to 1, or t(_)",
            at=at,
        )
    return value


def _fill_in(given: list[float | None], share: float, *, lone: bool) -> tuple[float, ...]:
    """Gives every ``t(_)`` an equal part of the mass that is free; a lone one gets a half."""
    free = max(0.0, share - sum(value for value in given if value is not None))
    unknown = sum(value is None for value in given) + (1 if lone else 0)
    return tuple(free / unknown if value is None else value for value in given)


def _check_probabilities(heads: Iterable[Any], at: Location) -> None:
    """Every constant probability lies in [0, 1], and a disjunction's sum does not pass 1."""
    total = 0.0
    for head in heads:
        value = _constant(head.probability)
        if value is None:
            continue
        if not 0.0 <= value <= 1.0 + _ABOVE_ONE:
            raise ProgramError(
                f"{head.probability} is not a probability",
                expected="a number from 0 to 1",
                at=at,
            )
        total += value
    if total > 1.0 + _ABOVE_ONE:
        raise _sums_above_one(total, at)


def _sums_above_one(total: float, at: Location) -> ProgramError:
    return ProgramError(
        f"the probabilities of this annotated disjunction sum to {total:g}",
        expected="at most 1",
        remedy="lower them, or write separate clauses if the heads do not exclude each other",
        at=at,
    )
