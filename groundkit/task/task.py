"""A task: program, spec and data checked against each other and made ready for training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from groundkit.data import sources
from groundkit.data.examples import Indices, check_stacked, restrict
from groundkit.data.images import DataSource, ImageSet
from groundkit.data.labels import Labelled, draw_labelled, read_labelled
from groundkit.data.sources import check_ood
from groundkit.errors import (
    DataError,
    Location,
    NetworkError,
    NoSolutionError,
    ProgramError,
    SpecError,
    UnreadError,
    located,
)
from groundkit.program.source import Program
from groundkit.task.banks import Gathered, Group, Split
from groundkit.task.binding import Binding, BoundGoal, BoundQuery, Sources, tell_nobody
from groundkit.task.gather import Table, bind_table, draw_query, drawn_templates, read_rows
from groundkit.task.shaped import ShapedExamples
from groundkit.task.spec import Spec
from groundkit.task.templates import Template
from groundkit.task.unsolved import blame_example, blame_lengths, blame_network

_TRAIN, _TEST = 0, 1


class Task:
    """Everything that a run knows before it trains.

    Args:
        binding: The program and the spec.
        most: Examples of a query that are drawn at most, for a look at them before training; the
            training examples are all drawn where the unlabelled images are theirs alone.
        on_shape: Called with the number of shapes compiled, and of all.

    Raises:
        InputError: Program, spec and data do not fit each other.
    """

    def __init__(
        self,
        binding: Binding,
        *,
        most: int | None = None,
        on_shape: Callable[[int, int], None] = tell_nobody,
    ) -> None:
        self.binding = binding
        self.program: Program = binding.program
        self.spec: Spec = binding.spec
        self.sources: Sources = binding.sources
        self._most = most
        self._on_shape = on_shape
        self._given: dict[int, Table] = {}
        for name in self.spec.evaluate.ood:
            check_ood(name, self.sources.spec.parent, self.at("evaluate", "ood"))

    def prepare(self) -> None:
        """Compiles the goals and draws or reads the examples: training cannot fail for them.

        Raises:
            InputError: They do not fit each other.
        """
        for shaped in (*self.examples, *self.held_out):
            _ = shaped.answers, shaped.observed
        _ = self.labelled

    def give(self, query: BoundQuery, table: Table) -> None:
        """Takes a query's examples from memory instead of from where the spec says."""
        self._given[query.number] = table

    @property
    def asks(self) -> bool:
        """Whether the spec asks for a goal; without one, networks cluster their images alone."""
        return self.binding.asks

    @property
    def domains(self) -> dict[str, tuple[str, ...]]:
        """Network -> the printed values of its domain."""
        return self.binding.domains

    @property
    def neural(self) -> tuple[str, ...]:
        """Names of the networks that read images."""
        return self.binding.neural

    def at(self, *path: str) -> Location:
        """Locates a key of the spec file."""
        return self.binding.at(*path)

    @property
    def goals(self) -> tuple[BoundGoal, ...]:
        """The goals of the training examples, one for each shape."""
        return tuple(shaped.goal for shaped in self.examples)

    @property
    def queries(self) -> tuple[BoundQuery, ...]:
        """The queries of the spec."""
        return self.binding.queries

    @property
    def examples(self) -> tuple[ShapedExamples, ...]:
        """The training examples by shape."""
        return self._splits[_TRAIN].examples

    @property
    def held_out(self) -> tuple[ShapedExamples, ...]:
        """Examples that training does not see, by shape."""
        return self._splits[_TEST].examples

    @property
    def count(self) -> int:
        """Number of training examples."""
        return sum(len(shaped) for shaped in self.examples)

    @property
    def wanted(self) -> int:
        """Number of training examples that the spec asks for, or that are written."""
        written = {q.number: 0 for q in self.queries if q.number in self._tables}
        for shaped in self.examples:
            if shaped.goal.query.number in written:
                written[shaped.goal.query.number] += len(shaped)
        return sum(written.get(q.number, q.examples.count) for q in self.queries)

    def banks(self, split: int) -> dict[str, ImageSet]:
        """Network -> the images of training (0) or of evaluation (1)."""
        return self._splits[split].banks

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Networks that read the same images, in groups."""
        return self.binding.groups(self._asked)

    def group_of(self, network: str) -> Group:
        """Returns the group that a network is in."""
        return next(group for group in self.groups if network in group)

    @cached_property
    def _tables(self) -> dict[int, tuple[Table, Table | None]]:
        """The queries whose examples are written, with tables of training and evaluation."""
        folder = self.sources.spec.parent
        found: dict[int, tuple[Table, Table | None]] = {}
        for query in self.queries:
            if query.number in self._given:
                found[query.number] = (self._given[query.number], None)
            elif query.examples.file is not None:
                later = query.examples.held_out_file
                found[query.number] = (
                    self._rows(query, "file", folder / query.examples.file),
                    None if later is None else self._rows(query, "held_out_file", folder / later),
                )
        return found

    def _rows(self, query: BoundQuery, key: str, file: Path) -> Table:
        """Reads a table of a query's examples."""
        with located(lambda: self.at(*query.key, key)):
            return read_rows(query, file)

    @cached_property
    def _asked(self) -> tuple[BoundGoal, ...]:
        """Every shape that is known before images are drawn, compiled."""
        tables = [table for pair in self._tables.values() for table in pair if table is not None]
        for table in tables:
            self.binding.declare(table.signatures())
        written = [template for table in tables for template in table.rows]
        drawn = [
            template
            for query in self.queries
            if query.number not in self._tables
            for held_out in (False, True)
            for template in drawn_templates(query, held_out=held_out)
        ]
        self.binding.compile_all([*written, *drawn], self._on_shape)
        rows = {t: rows[0] for table in tables for t, rows in table.rows.items()}
        found = [self._written(template, rows[template].at) for template in dict.fromkeys(written)]
        return (*found, *self._possible(drawn))

    def _written(self, template: Template, at: Location) -> BoundGoal:
        """Compiles the shape of an example in a file; says which one where it has no solution."""
        try:
            return self.binding.compiled(template)
        except (NoSolutionError, UnreadError) as error:
            raise blame_example(self.binding, template, error, at) from None

    def _possible(self, templates: Iterable[Template]) -> Iterable[BoundGoal]:
        """Compiles the shapes to draw in; of several lengths some may not go together."""
        templates = list(dict.fromkeys(templates))
        failed: dict[int, tuple[Template, ProgramError]] = {}
        found: dict[int, list[BoundGoal]] = {}
        for template in templates:
            try:
                found.setdefault(template.query, []).append(self.binding.compiled(template))
            except ProgramError as error:
                if not template.lengths:
                    raise blame_lengths(self.binding, template, error) from None
                failed.setdefault(template.query, (template, error))
        for query, (template, problem) in failed.items():
            if query not in found:
                raise blame_lengths(self.binding, template, problem)
        return [goal for goals in found.values() for goal in goals]

    @cached_property
    def _splits(self) -> tuple[Split, Split]:
        """Draws or reads all examples."""
        gathered = (Gathered(self.groups), Gathered(self.groups))
        if not self.asks:
            for split, one in enumerate(gathered):
                for group in self.groups:
                    one.add(group, "data", self._images(group, None, split))
                    one.whole.add("data")
        for query in self.queries:
            if query.number in self._tables:
                self._gather_written(query, gathered)
            else:
                for split, one in enumerate(gathered):
                    self._gather_drawn(query, split, one)
        return gathered[0].finish(), gathered[1].finish()

    def _gather_drawn(self, query: BoundQuery, split: int, gathered: Gathered) -> None:
        """Draws examples of a query from the labelled images of one split."""
        read = {n for g in self._asked if g.query is query for n in g.reasoner.slots}
        source = f"data {query.examples.data}"
        banks: dict[str, ImageSet] = {}
        for goal in self._asked:
            if goal.query is query:
                self._check_stacked(goal)
        for group in self.groups:
            if read & set(group):
                images = self._images(group, query, split)
                gathered.add(group, source, images)
                banks |= gathered.parts[group][source]
        if query.examples.pool:
            gathered.whole.add(source)
        settings = query.examples
        # The first query's draws do not depend on whether there are others.
        others = (query.number,) if query.number else ()
        rng = np.random.default_rng([settings.seed, split, *others])
        count = settings.count if split == _TRAIN else settings.held_out
        if self._most is not None and (split == _TEST or settings.pool):
            count = min(count, self._most)
        for shaped in draw_query(self.binding, query, count, banks, rng, held_out=split == _TEST):
            gathered.examples.append((source, shaped))

    def _check_stacked(self, goal: BoundGoal) -> None:
        """Checks that data sets have images for calls that read several at once."""
        for network, calls in goal.reasoner.slots.items():
            if network in self.neural:
                at = self.program.networks[network].location
                check_stacked(network, calls, self._source(network, goal.query).train, at)

    def _gather_written(self, query: BoundQuery, gathered: tuple[Gathered, Gathered]) -> None:
        """Reads the user's examples; a fifth is held out where no file of such is named."""
        table, later = self._tables[query.number]
        shaped, images = self._read(table)
        for one in gathered[: 2 if later is None else 1]:
            for group, sets in images.items():
                one.add(group, table.contents.name, sets)
        if query.number in self._given:
            gathered[0].examples += [(table.contents.name, part) for part in shaped]
            return
        if later is None:
            train, test = _part(shaped, query.examples.seed)
        else:
            train, (test, images) = shaped, self._read(later, images)
            for group, sets in images.items():
                gathered[1].add(group, later.contents.name, sets)
        gathered[0].examples += [(table.contents.name, part) for part in train]
        name = (later or table).contents.name
        gathered[1].examples += [(name, part) for part in test]

    def _read(
        self, table: Table, like: Mapping[Group, Mapping[str, ImageSet]] | None = None
    ) -> tuple[list[ShapedExamples], dict[Group, dict[str, ImageSet]]]:
        """Binds a table's examples and reads its images, each once for a group of networks.

        Args:
            table: The table.
            like: Images whose levels of black and white hold for these as well.
        """
        places: dict[Group, dict[tuple[str, ...], int]] = {}

        def place(readers: tuple[str, ...], keys: tuple[str, ...]) -> int:
            known = places.setdefault(self.group_of(readers[0]), {})
            return known.setdefault(keys, len(known))

        shaped = bind_table(self.binding, table, place)
        for part in shaped:
            # Rows that are held out are looked at after training: their mistakes are told before.
            _ = part.answers, part.observed
            if self.binding.engine == "circuit" and self.spec.reasoning.mode == "exact":
                part.check_possible()
        images: dict[Group, dict[str, ImageSet]] = {}
        for group, keys in places.items():
            known = (like or {}).get(group, {}).get(group[0])
            levels = None if known is None else known.levels
            bank = table.contents.read(list(keys), self._shape(group, table), levels)
            images[group] = dict.fromkeys(group, bank)
        return shaped, images

    def _shape(self, group: Group, table: Table) -> tuple[int, ...]:
        """Returns ``(C, H, W)`` that the images of a group are brought to."""
        if table.query.number in self._given or table.contents.rows:
            return ()
        shapes = {
            name: self.spec.network(name).image_shape or self._source(name, table.query).train.shape
            for name in group
        }
        return self._one_shape(shapes)

    def _one_shape(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """Returns the shape of the images that networks of a group read."""
        if len(set(shapes.values())) > 1:
            words = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
            asks = [name for name in shapes if self.spec.network(name).image_shape] or [*shapes]
            raise NetworkError(
                f"networks that read the same images want them in different shapes ({words})",
                remedy="give them one image_shape",
                at=self.at("networks", asks[0], "image_shape"),
            )
        return next(iter(shapes.values()))

    def _source(self, network: str, query: BoundQuery | None) -> DataSource:
        """Loads the data set of a network."""
        examples = self.spec.examples if query is None else query.examples
        key = ("examples",) if query is None else query.key
        own = self.spec.network(network).data
        wanted = own or examples.data
        if wanted is None:
            raise SpecError(f"network '{network}' has no data set", at=self.at(*key))
        at = self.at("networks", network, "data") if own else self.at(*key, "data")
        with located(lambda: at):
            found = sources.load_data(wanted, self.sources.spec.parent, at)
        shape = self.spec.network(network).image_shape
        with located(lambda: self.at("networks", network, "image_shape")):
            return found if shape is None else found.brought_to(shape)

    def _images(self, group: Group, query: BoundQuery | None, split: int) -> dict[str, ImageSet]:
        """Returns the images of one split that a group reads, with each network's labels."""
        loaded = {name: self._source(name, query) for name in group}
        names = {source.name for source in loaded.values()}
        if len(names) > 1:
            raise NetworkError(
                f"networks that read the same images have different data sets: "
                f"{', '.join(sorted(names))}",
                remedy="name one data set for them",
                at=self.at("networks", group[0], "data"),
            )
        source = loaded[group[0]]
        self._one_shape({name: one.train.shape for name, one in loaded.items()})
        images = source.train if split == _TRAIN else source.test
        if query is None and images.labels is None and not images.attributes:
            return dict.fromkeys(group, images)
        wanted = {name: self.spec.network(name).attribute for name in group}
        named = next((name for name in group if wanted[name] is not None), None)
        data = (*(("examples",) if query is None else query.key), "data")
        key = ("networks", named, "attribute") if named else data
        with located(lambda: self.at(*key)):
            return restrict({name: self.domains[name] for name in group}, images, wanted)

    @property
    def handed_over(self) -> bool:
        """Whether examples were given as arrays, so that no file has them."""
        return bool(self._given)

    def pool(self, network: str) -> Tensor:
        """Returns the unlabelled training images of a network, ``(N, C, H, W)`` bytes.

        Without ``examples.pool`` these are the images of the examples alone.

        Raises:
            DataError: No example has an input for the network.
        """
        pixels = self._bank(network).pixels
        kept = self._splits[_TRAIN].pooled.get(network)
        return pixels if kept is None else pixels[kept]

    def _bank(self, network: str) -> ImageSet:
        """Returns the training images of a network; a DataError says why it has none."""
        banks = self.banks(_TRAIN)
        if network not in banks:
            raise blame_network(self.binding, network)
        return banks[network]

    def pool_places(self, network: str, positions: Indices) -> Indices:
        """Finds where images of the training bank stand in the pool, in an array of any shape."""
        kept = self._splits[_TRAIN].pooled.get(network)
        return positions if kept is None else np.searchsorted(kept, positions)

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
        images = self._bank(network)
        if wanted.file is not None:
            file = self.sources.spec.parent / wanted.file
            with located(lambda: self.at("networks", network, "labels", "file")):
                return read_labelled(file, self.domains[network], images.shape, images.levels)
        if not wanted.per_symbol:
            return None
        if images.labels is None:
            raise DataError(
                f"'{images.name}' has no labels for network '{network}'",
                remedy=f"name a table of labelled images in [networks.{network}.labels] file",
                at=self.at("networks", network, "labels"),
            )
        with located(lambda: self.at("networks", network, "labels", "per_symbol")):
            return draw_labelled(
                images,
                self.domains[network],
                wanted.symbols,
                wanted.per_symbol,
                self.spec.examples.seed,
            )


def _part(
    shaped: Sequence[ShapedExamples], seed: int
) -> tuple[list[ShapedExamples], list[ShapedExamples]]:
    """Parts written examples into those to train on, and a fifth to be held out."""
    owner = np.concatenate([np.full(len(part), number) for number, part in enumerate(shaped)])
    place = np.concatenate([np.arange(len(part)) for part in shaped])
    order = np.random.default_rng(seed).permutation(len(owner))
    cut = max(1, len(order) // 5) if len(order) > 1 else 0
    parts: tuple[list[ShapedExamples], list[ShapedExamples]] = ([], [])
    for found, rows in zip(parts, (order[cut:], order[:cut]), strict=True):
        for number, part in enumerate(shaped):
            own = place[rows[owner[rows] == number]]
            if len(own):
                found.append(part.subset(own))
    return parts
