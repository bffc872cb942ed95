"""A task: program, spec and data checked against each other and made ready for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from groundkit.circuit.cache import cache_folder
from groundkit.circuit.deepproblog import build_deepproblog_reasoner
from groundkit.circuit.reasoner import Reasoner, build_reasoner
from groundkit.data import sources
from groundkit.data.examples import (
    Examples,
    Roles,
    check_stacked,
    draw,
    input_of,
    read_examples,
    restrict,
)
from groundkit.data.images import DataSource, ImageSet
from groundkit.data.labels import Labelled, draw_labelled, read_labelled
from groundkit.data.sources import check_ood
from groundkit.errors import DataError, Location, SpecError, choose_from
from groundkit.grounding.roles import (
    OBSERVED,
    check_networks,
    check_variables,
    find_roles,
    given_variables,
)
from groundkit.program.limits import Limits
from groundkit.program.query import Goal, check_goal, parse_goal
from groundkit.program.source import Program, load_program
from groundkit.spec import Spec, line_of, load_spec

# Log-probability of a symbol that an observation excludes: finite, so that gradients are.
EXCLUDED = -1e4
_TRAIN, _TEST = 0, 1
ENGINES = {"circuit": build_reasoner, "deepproblog": build_deepproblog_reasoner}


@dataclass(frozen=True)
class Sources:
    """Where a task was read from, for messages and for repeating it."""

    program: Path
    spec: Path


class Task:
    """Everything that a run knows before it trains.

    Args:
        program: The parsed program.
        spec: The spec.
        sources: Where both were read from.
        cache: Folder of compiled circuits, or ``None``.
        limits: Limits of grounding and compiling.
        engine: What evaluates the queries in training: ``circuit``, or ``deepproblog``.

    Raises:
        InputError: Program, spec and data do not fit each other.
    """

    def __init__(
        self,
        program: Program,
        spec: Spec,
        sources: Sources,
        *,
        cache: Path | None = None,
        limits: Limits | None = None,
        engine: str = "circuit",
    ) -> None:
        if engine not in ENGINES:
            raise SpecError(f"unknown engine '{engine}'", remedy=choose_from(engine, ENGINES))
        self._build = ENGINES[engine]
        self._banks: dict[int, dict[str, ImageSet]] = {}
        self.program = program
        self.spec = spec
        self.sources = sources
        self._cache = cache
        self._limits = limits
        check_networks(program, spec, sources.program, self.at)
        for name in spec.evaluate.ood:
            check_ood(name, sources.spec.parent, self.at("evaluate", "ood"))
        if self.asks:
            check_goal(program, self.goal)
            check_variables(self.goal, spec, self.at)
            self._drawn_goal = self._read_drawn_goal()
        elif spec.examples.file is not None or spec.examples.images:
            raise SpecError(
                "the spec has examples but asks for no goal",
                remedy='add [query] with goal = "...", or name a data set in [examples] data and '
                "leave out file and images, to cluster it without a program",
                at=self.at("examples"),
            )

    def prepare(self) -> None:
        """Compiles the goal and draws or reads the examples, so that training cannot fail for them.

        Raises:
            InputError: They do not fit each other.
        """
        if self.asks:
            self.answer_rows(self.examples)
            self.observed_log_probs(self.examples)
        _ = self.examples, self.held_out, self.labelled

    @property
    def asks(self) -> bool:
        """Whether the spec asks for a goal; without one, networks cluster their images alone."""
        return self.spec.query is not None

    @cached_property
    def goal(self) -> Goal:
        """The goal.

        Raises:
            SpecError: The spec asks for none.
        """
        if self.spec.query is None:
            raise SpecError(
                "the spec asks for no goal, so its networks only cluster images",
                remedy='add [query] with goal = "..." and the variables that are images',
                at=self.at("query"),
            )
        return parse_goal(self.spec.query.goal, self.at("query", "goal"))

    def at(self, *path: str) -> Location:
        """Locates a key of the spec file."""
        try:
            text = self.sources.spec.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = ""
        return Location(self.sources.spec, line_of(text, path))

    def _read_drawn_goal(self) -> Goal:
        """Returns the goal that examples are drawn from."""
        text = self.spec.examples.goal
        if text is None:
            return self.goal
        at = self.at("examples", "goal")
        goal = parse_goal(text, at)
        check_goal(self.program, goal)
        if set(goal.variables) != set(self.goal.variables):
            raise SpecError(
                f"examples are drawn from {goal.text}, the query is {self.goal.text}",
                expected="the same variables in both",
                at=at,
            )
        return goal

    @cached_property
    def reasoner(self) -> Reasoner:
        """The compiled goal, in float64 on the CPU."""
        return self._compile(self.goal)

    @cached_property
    def _drawer(self) -> Reasoner:
        """The compiled goal that examples are drawn from."""
        return self.reasoner if self._drawn_goal is self.goal else self._compile(self._drawn_goal)

    def _compile(self, goal: Goal) -> Reasoner:
        assert self.spec.query is not None  # nobody asks for a goal otherwise
        answers = {
            name: [str(value) for value in values]
            for name, values in self.spec.query.answers.items()
        }
        # Inputs of "observed" networks are placeholders of the ground program, like images.
        given = given_variables(self.program, self.spec, self.goal)
        placeholders = [*self.spec.examples.images, *given]
        return self._build(
            self.program,
            goal,
            placeholders,
            observed_values=answers,
            cache=self._cache,
            limits=self._limits,
        )

    @cached_property
    def roles(self) -> Roles:
        """What each variable stands for.

        Raises:
            InputError: The spec says otherwise than the program.
        """
        if not self.asks:
            return Roles({}, (), self.domains, {})
        return find_roles(self.program, self.spec, self.goal, self.reasoner, self.at)

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
    def data(self) -> dict[str, DataSource]:
        """The data set of every network."""
        found = {}
        for name in self.neural:
            wanted = self.spec.network(name).data or self.spec.examples.data
            if wanted is None:
                raise SpecError(f"network '{name}' has no data set", at=self.at("examples"))
            key = (
                ("networks", name, "data") if self.spec.network(name).data else ("examples", "data")
            )
            found[name] = sources.load(wanted, self.sources.spec.parent, self.at(*key))
        return found

    def banks(self, split: int) -> dict[str, ImageSet]:
        """Labelled images of one split, restricted to every network's domain."""
        if split not in self._banks:
            self._banks[split] = self._restricted(split)
        return self._banks[split]

    def _restricted(self, split: int) -> dict[str, ImageSet]:
        found = {}
        for name, source in self.data.items():
            images = source.train if split == _TRAIN else source.test
            if self.asks or images.labels is not None:
                images = restrict(name, self.domains[name], images)
            found[name] = images
        return found

    def _draw(self, split: int, count: int) -> Examples:
        """Draws examples from labelled images of one split; without a goal there are none."""
        if not self.asks:
            return Examples(self.roles, self.banks(split), {}, {}, {})
        for network, calls in self._drawer.slots.items():
            if network in self.neural:
                at = self.program.networks[network].location
                check_stacked(network, calls, self.data[network].train, at)
        rng = np.random.default_rng([self.spec.examples.seed, split])
        worlds = self._drawer.sample(count, rng)
        values = {
            input_of(call): worlds.values[network][:, position]
            for network, calls in self._drawer.slots.items()
            for position, call in enumerate(calls)
        }
        observed = self._drawer.observed
        answers = [
            dict(zip(observed, self._drawer.answers[index], strict=True))
            for index in worlds.answers
        ]
        return draw(self.roles, self.banks(split), values, answers, rng)

    @cached_property
    def _read(self) -> tuple[Examples, Examples]:
        """Reads the user's examples; a fifth is held out."""
        assert self.spec.examples.file is not None
        shapes = {
            name: self.spec.network(name).image_shape or self.data[name].train.shape
            for name in self.neural
        }
        file = self.sources.spec.parent / self.spec.examples.file
        examples = read_examples(file, self.roles, shapes)
        # Rows that are held out are looked at after training: their mistakes are told before.
        self.answer_rows(examples)
        self.observed_log_probs(examples)
        order = np.random.default_rng(self.spec.examples.seed).permutation(len(examples))
        cut = max(1, len(examples) // 5) if len(examples) > 1 else 0
        return examples.subset(order[cut:]), examples.subset(order[:cut])

    @cached_property
    def examples(self) -> Examples:
        """The training examples."""
        if self.spec.examples.file is not None:
            return self._read[0]
        return self._draw(_TRAIN, self.spec.examples.count)

    @cached_property
    def held_out(self) -> Examples:
        """Examples of images that training does not see."""
        if self.spec.examples.file is not None:
            return self._read[1]
        return self._draw(_TEST, self.spec.examples.held_out)

    def pool(self, network: str) -> Tensor:
        """Returns the unlabelled training images of a network, ``(N, C, H, W)`` bytes.

        Without ``examples.pool`` these are the images of the examples alone.
        """
        pixels = self.examples.banks[network].pixels
        kept = self._pooled(network)
        return pixels if kept is None else pixels[torch.from_numpy(kept)]

    def pool_places(self, network: str, positions: np.ndarray) -> np.ndarray:
        """Finds where images of the examples' bank stand in the pool, in an array of any shape."""
        kept = self._pooled(network)
        return positions if kept is None else np.searchsorted(kept, positions)

    def _pooled(self, network: str) -> np.ndarray | None:
        """Returns the sorted bank positions that the pool consists of, ``None`` for all."""
        if self.spec.examples.pool and self.spec.examples.file is None:
            return None
        used = self.examples.images
        rows = [used[v] for v, name in self.roles.images.items() if name == network]
        return np.unique(np.concatenate(rows))

    @cached_property
    def labelled(self) -> dict[str, Labelled]:
        """The images whose labels training may use, of every network that has any.

        Raises:
            DataError: The spec names symbols or files that do not fit.
        """
        found = {name: self._labelled(name) for name in self.neural}
        return {name: known for name, known in found.items() if known is not None}

    def _labelled(self, network: str) -> Labelled | None:
        wanted = self.spec.network(network).labels
        if wanted.file is not None:
            shape = self.examples.banks[network].shape
            file = self.sources.spec.parent / wanted.file
            return read_labelled(file, self.domains[network], shape)
        if not wanted.per_symbol:
            return None
        images = self.examples.banks[network]
        if images.labels is None:
            raise DataError(
                f"'{images.name}' has no labels for network '{network}'",
                remedy=f"name a table of labelled images in [networks.{network}.labels] file",
                at=self.at("networks", network, "labels"),
            )
        return draw_labelled(
            images,
            self.domains[network],
            wanted.symbols,
            wanted.per_symbol,
            self.spec.examples.seed,
        )

    def answer_rows(self, examples: Examples) -> Tensor:
        """Finds every example's root: ``(n,)`` long."""
        names = self.reasoner.observed
        columns = [examples.symbols[name] for name in names]
        if not columns:
            return torch.zeros(len(examples), dtype=torch.long)
        rows = list(zip(*columns, strict=True))
        found: dict[tuple[str, ...], int] = {}
        for number, values in enumerate(rows):
            if values not in found:
                try:
                    found[values] = self.reasoner.answer_index(values)
                except DataError as error:
                    error.at = examples.place(number)
                    raise
        return torch.tensor([found[values] for values in rows], dtype=torch.long)

    def observed_log_probs(self, examples: Examples) -> dict[str, Tensor]:
        """One-hot log-probabilities of the observed networks' calls: network -> ``(n, S, K)``."""
        found: dict[str, Tensor] = {}
        for network, calls in self.reasoner.slots.items():
            if network in self.neural or not calls:
                continue
            domain = self.roles.domains[network]
            position = {symbol.strip("'"): k for k, symbol in enumerate(domain)}
            rows = torch.full((len(examples), len(calls), len(domain)), EXCLUDED)
            for slot, call in enumerate(calls):
                for row, value in enumerate(examples.symbols[call[0]]):
                    if value.strip("'") not in position:
                        raise SpecError(
                            f"{call[0]} = {value} is no symbol of network '{network}'",
                            remedy=choose_from(value, position),
                            at=examples.place(row),
                        )
                    rows[row, slot, position[value.strip("'")]] = 0.0
            found[network] = rows
        return found

    def slot_images(self, examples: Examples) -> dict[str, np.ndarray]:
        """Bank positions of every neural call's image: network -> ``(n, S)``."""
        return {
            network: np.stack([examples.images[input_of(call)] for call in calls], axis=1)
            for network, calls in self.reasoner.slots.items()
            if network in self.neural and calls
        }


def load_task(
    program: Path,
    spec: Path | None = None,
    *,
    settings: tuple[str, ...] = (),
    trust: bool = False,
    cache: Path | None = None,
    limits: Limits | None = None,
    engine: str = "circuit",
) -> Task:
    """Reads a program and the spec beside it.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` file; by default the one beside the program.
        settings: ``--set`` texts.
        trust: Allow the program to load Python and to touch files.
        cache: Folder of compiled circuits.
        limits: Limits of grounding and compiling.
        engine: ``circuit`` or ``deepproblog``.

    Raises:
        InputError: Something does not fit.
    """
    parsed = load_program(program, trust=trust)
    file = spec or program.with_suffix(".toml")
    read = load_spec(file, settings)
    return Task(parsed, read, Sources(program, file), cache=cache, limits=limits, engine=engine)


def read_task(
    program: Path | str,
    spec: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    trust: bool = False,
    engine: str = "circuit",
) -> Task:
    """Reads a task as the commands do: with the user's cache and under the spec's limits."""
    program = Path(program)
    file = Path(spec) if spec else program.with_suffix(".toml")
    parsed = load_program(program, trust=trust)
    read = load_spec(file, settings)
    return Task(
        parsed,
        read,
        Sources(program, file),
        cache=cache_folder(),
        limits=read.reasoning.limits,
        engine=engine,
    )
