"""What the variables of a goal stand for, by program and spec, which are held to agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from groundkit.circuit.reasoner import Reasoner
from groundkit.data.examples import Roles, input_of, parts_of
from groundkit.errors import Location, NetworkError, SpecError, choose_from
from groundkit.perception.own_names import OWN
from groundkit.program.constraints import readers_of
from groundkit.program.goal import Goal
from groundkit.program.source import Program
from groundkit.task.spec import ExamplesSpec, QuerySpec, Spec

SHARED = "shared:"
"""What a backbone begins with that is another network's."""
OBSERVED = "observed"
"""The backbone of a network that reads observed symbols."""


_OF_THE_TRUNK = ("encoder", "encoder_weights", "options")
"""Keys that say what layers a network has."""


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
        _check_trunk(name, program, spec, at)
        prior = settings.perception.given_shares
        if prior is not None and len(prior) != len(networks[name].domain):
            raise SpecError(
                f"networks.{name}.perception.prior_probabilities has {len(prior)} numbers",
                expected=f"one for each of the {len(networks[name].domain)} symbols in "
                f"{networks[name].location}",
                at=at("networks", name, "perception", "prior_probabilities"),
            )


def check_modules(modules: Mapping[str, object], program: Program) -> None:
    """Holds modules that are handed over against the program's networks.

    Raises:
        NetworkError: The program has no such network, or it is no module and makes none.
    """
    for name, module in modules.items():
        if name not in program.networks:
            raise NetworkError(
                f"the program has no network '{name}'", remedy=choose_from(name, program.networks)
            )
        if not callable(module):
            raise NetworkError(
                f"network '{name}' is a {type(module).__name__}",
                expected="an nn.Module, or a class or function that makes one",
            )


def own_settings(modules: Mapping[str, object]) -> list[str]:
    """Words that networks have modules of their own, as ``--set`` texts."""
    return [f'networks.{name}.backbone="{OWN}"' for name in modules]


def shared_trunk(backbone: str) -> str | None:
    """Returns the network whose backbone is meant by ``shared:NAME``."""
    return backbone.removeprefix(SHARED) if backbone.startswith(SHARED) else None


def _check_trunk(name: str, program: Program, spec: Spec, at: Locate) -> None:
    """A network shares the backbone of another one that has its own."""
    other = shared_trunk(spec.network(name).backbone)
    if other is None:
        return
    own = [
        one
        for one in program.networks
        if one != name
        and shared_trunk(spec.network(one).backbone) is None
        and spec.network(one).backbone != OBSERVED
    ]
    if other not in own:
        lacking = other if other in program.networks else name
        raise SpecError(
            f"networks.{name}.backbone is 'shared:{other}', and '{other}' has no backbone of its "
            "own to share",
            expected="a network of the program with a backbone such as convnet",
            remedy=choose_from(other, own)
            if own
            else f'write networks.{lacking}.backbone = "convnet"',
            at=at("networks", name, "backbone"),
        )
    mine = spec.network(name)
    for key in _OF_THE_TRUNK:
        if getattr(mine, key) and not (key == "options" and mine.preset is not None):
            raise SpecError(
                f"networks.{name}.{key} has no effect: the network has the layers of '{other}'",
                remedy=f"set networks.{other}.{key} instead, or leave it out",
                at=at("networks", name, key),
            )


def check_variables(
    goal: Goal, query: QuerySpec, examples: ExamplesSpec, at: Locate, at_query: Locate
) -> None:
    """Holds the variables that the spec names against the goal's.

    Args:
        goal: The goal.
        query: The query's table.
        examples: The table of its examples.
        at: Locates a key of the query's examples.
        at_query: Locates a key of the query.

    Raises:
        SpecError: The goal has no such variable, or the spec names no image.
    """
    inputs = examples.inputs
    named = [
        ("the image variable", inputs, at, "inputs"),
        ("the list", examples.lengths, at, "lengths"),
        ("the list", examples.held_out_lengths, at, "held_out_lengths"),
        ("the observed variable", query.answers, at_query, "answers"),
    ]
    for what, names, place, key in named:
        for name in names:
            if name not in goal.variables:
                raise SpecError(
                    f"{what} '{name}' is not in the goal {goal.text}",
                    remedy=choose_from(name, goal.variables)
                    if goal.variables
                    else "begin the goal's variables with a capital letter, such as "
                    "addition(X, Y, Z)",
                    at=place(key, name) if isinstance(names, Mapping) else place(key),
                )
    twofold = [name for name in query.answers if name in inputs]
    if twofold:
        raise SpecError(
            f"'{twofold[0]}' is among the inputs, and has observed values in query.answers",
            remedy=f"leave it out of inputs if it is observed, else leave query.answers."
            f"{twofold[0]} out",
            at=at_query("answers", twofold[0]),
        )
    if not inputs:
        raise SpecError(
            f"no variable of the goal {goal.text} is an image",
            remedy=f"set [examples] inputs to some of: {', '.join(goal.variables)}",
            at=at(),
        )


def check_readers(
    program: Program, spec: Spec, goal: Goal, inputs: Sequence[str], at: Locate
) -> None:
    """Refuses inputs that none but observed networks read.

    Raises:
        SpecError: There is one.
    """
    readers = readers_of(goal.term, program.statements, program.neural)
    for name in inputs:
        for network in sorted(readers.get(name, ())):
            if all(spec.network(one).backbone == OBSERVED for one in readers[name]):
                raise _observed_image(name, network, at)


def _observed_image(name: str, network: str, at: Locate) -> SpecError:
    return SpecError(
        f"the image variable '{name}' is read by the observed network '{network}'",
        remedy=f"take '{name}' out of inputs, or give the network a backbone",
        at=at("inputs"),
    )


def given_variables(
    program: Program,
    spec: Spec,
    goal: Goal,
    inputs: Sequence[str],
    answers: Mapping[str, object],
) -> tuple[str, ...]:
    """Names the goal's variables that `observed` networks read.

    When the spec has such a network, every variable that is not an image feeds it or is a
    logical argument; a variable named in ``query.answers`` is the latter.
    """
    if not any(spec.network(name).backbone == OBSERVED for name in program.networks):
        return ()
    return tuple(name for name in goal.variables if name not in {*inputs, *answers})


def find_roles(
    program: Program,
    spec: Spec,
    goal: Goal,
    reasoner: Reasoner,
    *,
    inputs: Sequence[str],
    at: Locate,
) -> Roles:
    """Finds out who reads each variable of a compiled goal.

    Args:
        program: The program.
        spec: The spec.
        goal: The flat goal.
        reasoner: Its circuit.
        inputs: Its variables that are images.
        at: Locates a key of the query's examples.

    Raises:
        NetworkError: A network reads what is not its kind.
        SpecError: An image is read as an observed symbol.
    """
    images: dict[str, list[str]] = {}
    given: dict[str, str] = {}
    for network, calls in reasoner.slots.items():
        observed = spec.network(network).backbone == OBSERVED
        where = program.networks[network].location
        for call in calls:
            _check_call(network, call, inputs, where, observed=observed)
            if observed:
                _check_alone(input_of(call), network, given, where)
                given[input_of(call)] = network
            else:
                images.setdefault(input_of(call), []).append(network)
    for name in inputs:
        if name in given:
            raise _observed_image(name, given[name], at)
    place = {name: number for number, name in enumerate(inputs)}
    ordered = sorted(images, key=lambda name: [place[part] for part in parts_of(name)])
    logical = tuple(name for name in goal.variables if name in given or name in reasoner.observed)
    domains = {name: tuple(one.domain) for name, one in program.networks.items()}
    return Roles({name: tuple(images[name]) for name in ordered}, logical, domains, given)


def _check_alone(name: str, network: str, given: Mapping[str, str], at: Location) -> None:
    """An observed symbol belongs to one network, whose domain it is from."""
    if given.get(name, network) != network:
        raise NetworkError(
            f"'{name}' is read by two observed networks, '{given[name]}' and '{network}'",
            expected="one observed network per symbol",
            remedy="name the second symbol by a variable of its own",
            at=at,
        )


def _check_call(
    network: str, call: tuple[str, ...], inputs: Sequence[str], at: Location, *, observed: bool
) -> None:
    """A call reads one observed symbol, or images."""
    if observed and len(call) != 1:
        raise NetworkError(
            f"the observed network '{network}' reads {len(call)} inputs at once",
            expected="one symbol a call",
            remedy="give every symbol a predicate of its own and join them in a rule",
            at=at,
        )
    strange = [name for name in call if name not in inputs]
    if not observed and strange and strange[0].startswith("["):
        raise NetworkError(
            f"network '{network}' is given a list where it reads one image",
            expected="one image a call",
            remedy="give one image in the examples, or write a rule that goes through the list",
            at=at,
        )
    if not observed and strange:
        raise NetworkError(
            f"network '{network}' reads '{strange[0]}', which is no image",
            expected=f"image variables: {', '.join(inputs)}",
            remedy=f"name it in [examples] inputs, or set networks.{network}.backbone to "
            '"observed"',
            at=at,
        )
