"""What the variables of a goal stand for, by program and spec, which are held to agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from groundkit.circuit.reasoner import Reasoner
from groundkit.data.examples import Roles, input_of, parts_of
from groundkit.errors import Location, NetworkError, SpecError, choose_from
from groundkit.program.goal import Goal
from groundkit.program.source import Program
from groundkit.task.spec import Spec

OBSERVED = "observed"
"""The backbone of a network that reads observed symbols."""


Locate = Callable[..., Location]
"""Locates a key of the spec's file, given as the names on the way to it."""


def check_networks(program: Program, spec: Spec, file: Path, at: Locate) -> None:
    """Holds the spec's networks against the program's.

    Args:
        program: The program.
        spec: The spec.
        file: The program's file.
        at: Locates a key of the spec.

    Raises:
        SpecError: The program has no such network, none at all, or one with other symbols.
    """
    networks = program.networks
    if not networks:
        raise SpecError(
            f"the program '{file}' has no neural predicate",
            expected="nn(NAME, [X], Y, [symbols]) :: predicate(X, Y).",
            remedy="`groundkit query FILE.pl` answers programs without networks",
        )
    for name, settings in spec.networks.items():
        if name not in networks:
            raise SpecError(
                f"the program has no network '{name}'",
                remedy=choose_from(name, networks),
                at=at("networks", name),
            )
        prior = settings.perception.given_shares
        if prior is not None and len(prior) != len(networks[name].domain):
            raise SpecError(
                f"networks.{name}.perception.prior_probabilities has {len(prior)} numbers",
                expected=f"one for each of the {len(networks[name].domain)} symbols in "
                f"{networks[name].location}",
                at=at("networks", name, "perception", "prior_probabilities"),
            )


def check_variables(goal: Goal, spec: Spec, at: Locate) -> None:
    """Holds the spec's image variables against the goal's.

    Raises:
        SpecError: The goal has no such variable, or the spec names none.
    """
    images = spec.examples.images
    for name in images:
        if name not in goal.variables:
            raise SpecError(
                f"the image variable '{name}' is not in the goal {goal.text}",
                remedy=choose_from(name, goal.variables),
                at=at("examples", "images"),
            )
    if not images:
        raise SpecError(
            f"no variable of the goal {goal.text} is an image",
            remedy=f"set [examples] images to some of: {', '.join(goal.variables)}",
            at=at("examples"),
        )


def given_variables(program: Program, spec: Spec, goal: Goal) -> list[str]:
    """Names the goal's variables that `observed` networks read.

    When the spec has such a network, every variable that is not an image feeds it or is a
    logical argument; a variable named in ``query.answers`` is the latter.
    """
    if not any(spec.network(name).backbone == OBSERVED for name in program.networks):
        return []
    answers = {} if spec.query is None else spec.query.answers
    logical = {*spec.examples.images, *answers}
    return [name for name in goal.variables if name not in logical]


def find_roles(program: Program, spec: Spec, goal: Goal, reasoner: Reasoner, at: Locate) -> Roles:
    """Finds out who reads each variable of a compiled goal.

    Raises:
        NetworkError: A network reads what is not its kind, or what another one reads.
        SpecError: An image is read as an observed symbol.
    """
    images: dict[str, str] = {}
    given: dict[str, str] = {}
    reader: dict[str, str] = {}
    for network, calls in reasoner.slots.items():
        observed = spec.network(network).backbone == OBSERVED
        where = program.networks[network].location
        for call in calls:
            _check_call(network, call, spec, where, observed=observed)
            for name in call:
                other = reader.setdefault(name, network)
                if other != network:
                    raise NetworkError(
                        f"'{name}' is read by two networks, '{other}' and '{network}'",
                        expected="one network an image",
                        at=where,
                    )
            (given if observed else images)[input_of(call)] = network
    for name in spec.examples.images:
        if name in given:
            raise SpecError(
                f"the image variable '{name}' is read by the observed network '{given[name]}'",
                remedy=f"take '{name}' out of images, or give the network a backbone",
                at=at("examples", "images"),
            )
    place = {name: number for number, name in enumerate(spec.examples.images)}
    ordered = sorted(images, key=lambda name: [place[part] for part in parts_of(name)])
    logical = tuple(name for name in goal.variables if name in given or name in reasoner.observed)
    domains = {name: tuple(one.domain) for name, one in program.networks.items()}
    return Roles({name: images[name] for name in ordered}, logical, domains, given)


def _check_call(
    network: str, call: tuple[str, ...], spec: Spec, at: Location, *, observed: bool
) -> None:
    """A call reads one observed symbol, or images."""
    if observed and len(call) != 1:
        raise NetworkError(
            f"the observed network '{network}' reads {len(call)} inputs at once",
            expected="one symbol a call",
            remedy="give every symbol a predicate of its own and join them in a rule",
            at=at,
        )
    strange = [name for name in call if name not in spec.examples.images]
    if not observed and strange:
        raise NetworkError(
            f"network '{network}' reads '{strange[0]}', which is no image",
            expected=f"image variables: {', '.join(spec.examples.images)}",
            remedy=f"name it in [examples] images, or set networks.{network}.backbone to "
            '"observed"',
            at=at,
        )
