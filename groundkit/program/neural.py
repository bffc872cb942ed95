"""Reads and checks ``nn(...)``: the neural predicates of a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from problog.logic import Term, Var, term2list

from groundkit.errors import Location, ProgramError
from groundkit.program.terms import printed, text_of, walk

Kind = Literal["categorical", "bernoulli", "deterministic"]

_NN_FORMS = {2: "bernoulli", 3: "deterministic", 4: "categorical"}


@dataclass(frozen=True, slots=True)
class NeuralPredicate:
    """One ``nn(...)::head`` of the program.

    Attributes:
        network: The name of the network.
        kind: ``categorical`` for nn/4, ``bernoulli`` for nn/2, ``deterministic`` for nn/3.
        inputs: Printed input terms, normally variables; ``None`` where they are a variable that
            a call binds to a list.
        output: Name of the output variable; ``None`` for nn/2.
        domain: Values in the order of the network's outputs, as a user writes them: without the
            quotes of quoted atoms, unless another value differs from it in nothing else.
        values: The same values, printed so that ProbLog's parser reads them back.
        predicate: Name and arity of the head, such as ``digit/2``.
        location: Where it stands.
    """

    network: str
    kind: Kind
    inputs: tuple[str, ...] | None
    output: str | None
    domain: tuple[str, ...]
    values: tuple[str, ...]
    predicate: str
    location: Location


def is_neural(head: Any) -> bool:
    """Tells whether a head's probability is ``nn(...)``."""
    return isinstance(head.probability, Term) and head.probability.functor == "nn"


def neural_predicate(head: Term, at: Location) -> NeuralPredicate:
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
    named = _inputs(inputs, head, str(network), at)
    kind: Kind = _NN_FORMS[nn.arity]  # type: ignore[assignment]
    output = None
    values: tuple[str, ...] = ("true", "false") if kind == "bernoulli" else ()
    domain = values
    if kind != "bernoulli":
        output = _output(nn.args[2], head, at)
    if kind == "categorical":
        domain, values = _domain(nn.args[3], str(network), at)
    return NeuralPredicate(
        network=text_of(network),
        kind=kind,
        inputs=named,
        output=output,
        domain=domain,
        values=values,
        predicate=head.signature.replace("'", ""),
        location=at,
    )


def _inputs(term: Any, head: Term, network: str, at: Location) -> tuple[str, ...] | None:
    """Checks the inputs of a network: a list, or a variable that a call binds to one."""
    if isinstance(term, Var):
        if term not in [inner for arg in head.args for inner in walk(arg)]:
            raise ProgramError(
                f"the inputs {term} of network '{network}' do not occur in the head "
                f"'{head.with_probability(None)}'",
                remedy=f"add {term} to the head's arguments; a call binds it to a list of inputs",
                at=at,
            )
        return None
    if not is_proper_list(term):
        raise ProgramError(
            f"the inputs '{term}' of network '{network}' are not a list",
            expected=f"nn({network}, [{term}], ...)",
            at=at,
        )
    return tuple(str(inner) for inner in term2list(term, False))


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


def _domain(term: Any, network: str, at: Location) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Checks the domain of nn/4; returns its values as a user writes them, and printed."""
    if not is_proper_list(term):
        raise ProgramError(
            f"the domain '{term}' of network '{network}' is not a list",
            expected="a list of values, such as [0,1,2]",
            at=at,
        )
    terms = list(term2list(term, False))
    if not terms:
        raise ProgramError(
            f"the domain of network '{network}' is empty", expected="at least one value", at=at
        )
    variables = {str(v): None for one in terms for v in walk(one) if isinstance(v, Var)}
    if variables:
        names = ", ".join(variables)
        quoted = ", ".join(f"'{name}'" for name in variables)
        raise ProgramError(
            f"the domain of network '{network}' has variables in it: {names}",
            expected="values: names with a capital letter are variables unless they are quoted",
            remedy=f"quote them: {quoted}",
            at=at,
        )
    values = tuple(map(printed, terms))
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ProgramError(
            f"the domain of network '{network}' has {', '.join(twice)} more than once",
            remedy="every output of the network needs a value of its own",
            at=at,
        )
    loose = [text_of(inner) for inner in terms]
    shared = {text for text, count in Counter(loose).items() if count > 1}
    domain = [exact if text in shared else text for text, exact in zip(loose, values, strict=True)]
    return tuple(domain), values


def is_proper_list(term: Any) -> bool:
    """Tells whether a term is a list that ends in ``[]``."""
    while isinstance(term, Term) and term.functor == "." and term.arity == 2:
        term = term.args[1]
    return isinstance(term, Term) and str(term) == "[]"


def check_networks(neural: Iterable[NeuralPredicate]) -> None:
    """One network has one number of inputs and of outputs, wherever it is used."""
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
        if other.inputs is None or predicate.inputs is None:
            continue  # a call tells
        if len(other.inputs) != len(predicate.inputs):
            raise ProgramError(
                f"network '{predicate.network}' reads {len(predicate.inputs)} inputs here and "
                f"{len(other.inputs)} at {other.location}",
                expected="one number of inputs per network",
                remedy="use two networks",
                at=predicate.location,
            )
