"""What a program and a spec ask for, bound to each other, before any data.

This is the one place that turns a program, a spec and a goal into the arguments of an engine:
checks, plans, identification, training and finished runs all come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.nursery import nurseries
from groundkit.circuit.reasoner import Reasoner
from groundkit.data.examples import Roles
from groundkit.deepproblog.engine import build_deepproblog_reasoner
from groundkit.device import processors
from groundkit.errors import GroundkitError, Location, SpecError, choose_from
from groundkit.files import read_text
from groundkit.perception.own_modules import Module
from groundkit.program.goal import Goal, check_goal, parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import Program
from groundkit.task.place import place_of
from groundkit.task.roles import (
    OBSERVED,
    check_modules,
    check_networks,
    check_readers,
    check_variables,
    find_roles,
    given_variables,
    shared_trunk,
)
from groundkit.task.spec import ExamplesSpec, QuerySpec, Spec
from groundkit.task.templates import Template, flatten, shaped_program

ENGINES: Mapping[str, Callable[..., Reasoner]] = {
    "circuit": build_reasoner,
    "deepproblog": build_deepproblog_reasoner,
}


def tell_nobody(done: int, total: int) -> None:
    """Is told how many shapes are compiled, and of how many, where nobody asked."""


HANDED_OVER = "<spec>"
"""Where a key stands of a spec that was handed over in Python."""


@dataclass(frozen=True)
class Sources:
    """Where a task was read from, for messages and for repeating it.

    Attributes:
        program: The program's file.
        spec: The spec's file, or where it would be: paths in the spec are relative to its folder.
        settings: ``--set`` texts that override keys of the spec.
        handed_over: The spec was handed over in Python, and is not in its file.
    """

    program: Path
    spec: Path
    settings: tuple[str, ...] = ()
    handed_over: bool = False


@dataclass(frozen=True)
class BoundQuery:
    """One query of the spec.

    Attributes:
        number: Its position in the spec.
        spec: Its table.
        examples: Where its examples come from.
        goal: Its goal.
        drawn: The goal that its examples are drawn from.
        given: Variables that `observed` networks read.
        key: The way to ``examples`` in the spec, for messages.
    """

    number: int
    spec: QuerySpec
    examples: ExamplesSpec
    goal: Goal
    drawn: Goal
    given: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, or its goal where it has none."""
        return self.spec.name or self.goal.text

    @property
    def inputs(self) -> tuple[str, ...]:
        """Variables of the goal that are images, or lists of images."""
        return tuple(self.examples.inputs)


@dataclass(frozen=True)
class BoundGoal:
    """A query's goal in one shape, compiled.

    Attributes:
        query: The query.
        template: The shape.
        goal: The goal as it was compiled, its lists written out.
        names: Variable of the query's goal -> its flat variables.
        reasoner: The circuit.
        roles: What each flat variable stands for.
    """

    query: BoundQuery
    template: Template
    goal: Goal
    names: dict[str, tuple[str, ...]]
    reasoner: Reasoner
    roles: Roles


class Learnt(nn.Module):
    """The learnable probabilities of a program, shared by all of its circuits."""

    def __init__(self) -> None:
        super().__init__()
        self.learnable = nn.ParameterDict()

    def share(self, reasoner: Reasoner) -> None:
        """Lets a circuit use these probabilities; new ones start at the circuit's own."""
        for name in list(reasoner.learnable):
            if name not in self.learnable:
                self.learnable[name] = reasoner.learnable[name]
            reasoner.learnable[name] = self.learnable[name]


@dataclass
class Binding:
    """A program and a spec, checked for consistency.

    Args:
        program: The parsed program.
        spec: The spec.
        sources: Where both were read from.
        cache: Folder of compiled circuits, or ``None``.
        limits: Limits of grounding and compiling.
        engine: What evaluates the queries: ``circuit``, or ``deepproblog``.
        learnt: Where the program's learnable probabilities are kept.
        modules: Network -> the user's own module, or what makes it; its backbone is ``own``.

    Raises:
        InputError: Program and spec do not fit each other.
    """

    program: Program
    spec: Spec
    sources: Sources
    cache: Path | None = None
    limits: Limits | None = None
    engine: str = "circuit"
    learnt: Learnt = field(default_factory=Learnt)
    modules: Mapping[str, Module] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise SpecError(
                f"unknown engine '{self.engine}'", remedy=choose_from(self.engine, ENGINES)
            )
        self._compiled: dict[tuple[Template, bool], BoundGoal] = {}
        self.declared: frozenset[str] = frozenset()
        check_networks(self.program, self.spec, self.sources.program, self.at)
        check_modules(self.modules, self.program)
        for query in self.queries:
            check_goal(self.program, query.goal, self.declared)
            place = self._key_at(query)
            check_variables(
                query.goal, query.spec, query.examples, place, self._table_at(query.number)
            )
            check_readers(self.program, self.spec, query.goal, query.inputs, place)
        if not self.asks and (self.spec.examples.file is not None or self.spec.examples.inputs):
            raise SpecError(
                "the spec has examples but asks for no goal",
                remedy='add [query] with goal = "...", or name a data set in [examples] data and '
                "leave out file and inputs, to cluster it without a program",
                at=self.at("examples"),
            )

    def at(self, *path: str) -> Location:
        """Locates a key of the spec."""
        if self.sources.handed_over:
            return Location(HANDED_OVER)
        try:
            text = read_text(self.sources.spec, error=SpecError)
        except (FileNotFoundError, SpecError):
            text = ""
        names = [query.name for query in self.spec.query]
        return place_of(self.sources.spec, text, path, self.sources.settings, names)

    def _key_at(self, query: BoundQuery) -> Callable[..., Location]:
        return lambda *path: self.at(*query.key, *path)

    def _table_at(self, number: int) -> Callable[..., Location]:
        return lambda *path: self.at("query", str(number), *path)

    @property
    def asks(self) -> bool:
        """Whether the spec asks for a goal; without one, networks cluster their images alone."""
        return bool(self.spec.query)

    @property
    def domains(self) -> dict[str, tuple[str, ...]]:
        """Network -> the printed values of its domain."""
        return {name: tuple(p.domain) for name, p in self.program.networks.items()}

    @property
    def neural(self) -> tuple[str, ...]:
        """Names of the networks that read images."""
        return tuple(
            name for name in self.program.networks if self.spec.network(name).backbone != OBSERVED
        )

    @cached_property
    def queries(self) -> tuple[BoundQuery, ...]:
        """The queries of the spec."""
        return tuple(self._bind(number, query) for number, query in enumerate(self.spec.query))

    def _bind(self, number: int, query: QuerySpec) -> BoundQuery:
        place = ("query", str(number))
        own = query.examples is not None
        key = (*place, "examples") if own else ("examples",)
        examples = self.spec.examples_of(query)
        goal = parse_goal(query.goal, self.at(*place, "goal"))
        drawn = goal
        if examples.goal is not None:
            drawn = parse_goal(examples.goal, self.at(*key, "goal"))
            check_goal(self.program, drawn)
            if set(drawn.variables) != set(goal.variables):
                raise SpecError(
                    f"examples are drawn from {drawn.text}, the query is {goal.text}",
                    expected="the same variables in both",
                    at=self.at(*key, "goal"),
                )
        given = given_variables(self.program, self.spec, goal, examples.inputs, query.answers)
        return BoundQuery(number, query, examples, goal, drawn, given, key)

    def trunk_of(self, network: str) -> str | None:
        """Returns the network whose backbone a network shares, ``None`` where it has its own."""
        return shared_trunk(self.spec.network(network).backbone)

    def own(self, network: str) -> dict[str, Any]:
        """Returns where a network's own module comes from, as ``build_model`` takes it."""
        return {"given": self.modules.get(network), "beside": self.sources.program.parent}

    def declare(self, signatures: Iterable[str]) -> None:
        """Says which predicates examples give facts of, before any shape is compiled."""
        self.declared = self.declared | frozenset(signatures)

    def compiled(self, template: Template, *, drawn: bool = False) -> BoundGoal:
        """Grounds and compiles a query in one shape, once.

        Args:
            template: The shape.
            drawn: Compile the goal that examples are drawn from.

        Raises:
            ProgramError: The goal has no solution in this shape, or is not supported.
            LimitError: Grounding or compiling took too long or too much memory.
        """
        query = self.queries[template.query]
        if query.drawn is query.goal:
            drawn = False
        key = (template, drawn)
        if key not in self._compiled:
            self._compiled[key] = self._compile(
                query, template, query.drawn if drawn else query.goal
            )
        return self._compiled[key]

    def compile_all(
        self,
        templates: Sequence[Template],
        on_shape: Callable[[int, int], None] = tell_nobody,
    ) -> None:
        """Compiles many shapes, several at a time where each runs in a process of its own.

        Args:
            templates: The shapes.
            on_shape: Called with the number of shapes done, and of all.
        """
        missing = [t for t in dict.fromkeys(templates) if (t, False) not in self._compiled]
        together = processors() if self.limits is not None and len(missing) > 1 else 1

        def attempt(template: Template) -> None:
            with suppress(GroundkitError):  # it is raised where the shape is used
                self.compiled(template)

        with nurseries(), ThreadPoolExecutor(together) as pool:
            for done, _ in enumerate(pool.map(attempt, missing), start=1):
                on_shape(done, len(missing))

    def _compile(self, query: BoundQuery, template: Template, goal: Goal) -> BoundGoal:
        program = shaped_program(self.program, template, self.declared)
        flat = flatten(goal, template)
        try:
            reasoner = self.reasoner(
                program,
                flat.goal,
                [*flat.of(query.inputs), *flat.of(query.given)],
                {name: [str(v) for v in values] for name, values in query.spec.answers.items()},
            )
        except GroundkitError as error:
            if template.words() and "shape" not in error.found:
                error.found = f"{error.found} (in the shape: {template.words()})"
            raise
        roles = find_roles(
            program,
            self.spec,
            flat.goal,
            reasoner,
            inputs=flat.of(query.inputs),
            at=self._key_at(query),
        )
        return BoundGoal(query, template, flat.goal, flat.names, reasoner, roles)

    def reasoner(
        self,
        program: Program,
        goal: Goal,
        placeholders: Sequence[str],
        answers: Mapping[str, Sequence[str]],
    ) -> Reasoner:
        """Compiles any goal of the program with its learnt probabilities.

        Args:
            program: The program, perhaps with facts of an example.
            goal: The goal.
            placeholders: Its variables that are images, or symbols that networks observe.
            answers: Values of observed variables, for a program that cannot enumerate them.
        """
        found = ENGINES[self.engine](
            program,
            goal,
            placeholders,
            observed_values=answers,
            cache=self.cache,
            limits=self.limits,
        )
        self.learnt.share(found)
        return found

    def groups(self, goals: Iterable[BoundGoal]) -> tuple[tuple[str, ...], ...]:
        """Joins networks that read the same images.

        Args:
            goals: Every shape that is asked.

        Returns:
            The neural networks, those that read a common input in one group, in program order.
        """
        leader = {name: name for name in self.neural}

        def find(name: str) -> str:
            while leader[name] != name:
                name = leader[name]
            return name

        for goal in goals:
            for readers in goal.roles.images.values():
                for other in readers[1:]:
                    leader[find(other)] = find(readers[0])
        found: dict[str, list[str]] = {}
        for name in self.neural:
            found.setdefault(find(name), []).append(name)
        return tuple(tuple(group) for group in found.values())


def alone(query: BoundQuery) -> Template:
    """Returns the shape of a query without lists, equal images or facts."""
    return Template(query.number)


def of_lengths(query: BoundQuery, lengths: Mapping[str, int]) -> Template:
    """Returns the shape of a query whose lists have the given lengths."""
    return replace(alone(query), lengths=tuple(sorted(lengths.items())))
