"""Examples gathered by their shapes: drawn through the program itself, or read from a table."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from groundkit.data.examples import (
    UNKNOWN,
    Examples,
    Indices,
    draw_images,
    input_of,
    parts_of,
)
from groundkit.data.images import ImageSet
from groundkit.data.tables import TRUTH, RawExample, Value, read_raw
from groundkit.errors import DataError, ProgramError
from groundkit.program.facts import parse_facts, signature_of
from groundkit.symbols import Values
from groundkit.task.binding import Binding, BoundGoal, BoundQuery, of_lengths
from groundkit.task.contents import Contents
from groundkit.task.shaped import ShapedExamples
from groundkit.task.templates import Template, flat_names
from groundkit.task.unsolved import blame_lengths


def drawn_templates(query: BoundQuery, *, held_out: bool) -> list[Template]:
    """Returns the shapes that examples of a query are drawn in: one for each choice of lengths."""
    lengths = query.examples.lengths
    if held_out:
        lengths = lengths | query.examples.held_out_lengths
    choices = [[(name, length) for length in values] for name, values in sorted(lengths.items())]
    return [of_lengths(query, dict(chosen)) for chosen in itertools.product(*choices)]


def draw_query(
    binding: Binding,
    query: BoundQuery,
    count: int,
    banks: Mapping[str, ImageSet],
    rng: np.random.Generator,
    *,
    held_out: bool,
) -> list[ShapedExamples]:
    """Draws examples of a query from labelled images: worlds in which its goal holds.

    Args:
        binding: Program and spec.
        query: The query.
        count: Number of examples over all shapes.
        banks: Network -> labelled images of one split.
        rng: Source of randomness.
        held_out: Whether the lengths are those of held-out examples.

    Raises:
        ProgramError: The goal has a solution in none of the lengths.
        DataError: A symbol that the program needs has no image.
    """
    goals, failed = [], None
    for template in drawn_templates(query, held_out=held_out):
        try:
            goals.append(binding.compiled(template, drawn=True))
        except ProgramError as error:  # lists of these lengths do not go together
            failed = blame_lengths(binding, template, error)
    if not goals:
        assert failed is not None  # there is a template, and it has failed
        raise failed
    shares = [len(part) for part in np.array_split(np.arange(count), len(goals))]
    found = []
    for goal, share in zip(goals, shares, strict=True):
        if share:
            found += _draw_shape(binding, goal, share, banks, rng)
    return found


def _draw_shape(
    binding: Binding,
    goal: BoundGoal,
    count: int,
    banks: Mapping[str, ImageSet],
    rng: np.random.Generator,
) -> list[ShapedExamples]:
    """Draws examples in one shape; those in which an image stands twice are of another one."""
    reasoner, roles = goal.reasoner, goal.roles
    worlds = reasoner.sample(count, rng)
    values = {
        (network, input_of(call)): worlds.values[network][:, position]
        for network, calls in reasoner.slots.items()
        for position, call in enumerate(calls)
    }
    images, truth = draw_images(roles, banks, values, count, rng)
    symbols = {}
    for variable in roles.observed:
        if variable in roles.given:
            network = roles.given[variable]
            domain = roles.domains[network]
            symbols[variable] = tuple(domain[k] for k in values[network, variable])
        else:
            place = reasoner.observed.index(variable)
            symbols[variable] = tuple(reasoner.answers[index][place] for index in worlds.answers)
    asked = binding.compiled(goal.template)
    whole = Examples(asked.roles, {}, images, symbols, truth)
    return _by_equal_images(binding, asked, whole)


def _by_equal_images(binding: Binding, goal: BoundGoal, whole: Examples) -> list[ShapedExamples]:
    """Parts drawn examples by which of their inputs show the same image."""
    readers = goal.roles.images
    single = [name for name in whole.images if len(parts_of(name)) == 1]
    rows: dict[tuple[tuple[str, str], ...], list[int]] = defaultdict(list)
    for row in range(len(whole)):
        first: dict[tuple[str, int], str] = {}
        same = []
        for name in single:
            key = (readers[name][0], int(whole.images[name][row]))
            earlier = first.setdefault(key, name)
            if earlier != name:
                same.append((name, earlier))
        rows[tuple(same)].append(row)
    found = []
    for same_pairs, places in rows.items():
        part = whole.subset(np.array(places))
        merged = goal
        if same_pairs:
            merged = binding.compiled(goal.template.merged(dict(same_pairs)))
            names = merged.roles.images
            part = replace(
                part,
                roles=merged.roles,
                images={name: part.images[name] for name in names},
                truth={key: v for key, v in part.truth.items() if key[1] in names},
            )
        found.append(ShapedExamples(merged, part))
    return found


@dataclass
class Table:
    """Examples that a user has written, sorted by shape; images are known by their content.

    Attributes:
        query: The query.
        contents: The images.
        rows: Shape -> its examples.
        keys: Shape -> flat image variable -> the key of its image in every example.
    """

    query: BoundQuery
    contents: Contents
    rows: dict[Template, list[RawExample]] = field(default_factory=dict)
    keys: dict[Template, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, example: RawExample, keys: Mapping[str, Sequence[str]]) -> None:
        """Adds an example.

        Args:
            example: The example.
            keys: Input variable -> keys of its images, several for a list.

        Raises:
            ProgramError: One of its facts is none.
        """
        query = self.query
        lengths = {}
        for name, value in example.values.items():
            if isinstance(value, tuple) and (name in query.inputs or name in query.given):
                lengths[name] = len(value)
        template = of_lengths(query, lengths)
        template = replace(template, facts=parse_facts(example.facts, example.at))
        first: dict[str, str] = {}
        same = {}
        flat: dict[str, str] = {}
        for name in query.inputs:
            names: tuple[str, ...] = (name,)
            if name in lengths:
                names = flat_names(name, lengths[name], query.goal.variables)
            for one, key in zip(names, keys[name], strict=True):
                earlier = first.setdefault(key, one)
                if earlier == one:
                    flat[one] = key
                else:
                    same[one] = earlier
        template = template.merged(same)
        self.rows.setdefault(template, []).append(example)
        own = self.keys.setdefault(template, {})
        for one, key in flat.items():
            own.setdefault(one, []).append(key)

    def signatures(self) -> set[str]:
        """Returns the predicates that some example gives facts of."""
        return {signature_of(fact) for template in self.rows for fact in template.facts}


def read_rows(query: BoundQuery, file: Path) -> Table:
    """Reads a table of examples, without reading its images yet.

    Raises:
        DataError: A value is missing or of a wrong kind, or an image file does not exist.
        ProgramError: A fact is none.
    """
    table = Table(query, Contents(str(file)))
    for example in read_raw(file, query.goal.variables, query.inputs):
        keys = {}
        for name in query.inputs:
            value = example.values[name]
            paths = value if isinstance(value, tuple) else (value,)
            keys[name] = [table.contents.add_file(file.parent, p, example.at) for p in paths]
        table.add(example, keys)
    return table


Place = Callable[[tuple[str, ...], tuple[str, ...]], int]
"""Finds the place in a bank of networks' images of one neural call, by their keys."""


def bind_table(binding: Binding, table: Table, place: Place) -> list[ShapedExamples]:
    """Binds the examples of a table to the circuits of their shapes.

    Args:
        binding: Program and spec.
        table: The examples.
        place: Gives an image its place in the bank of the networks that read it.

    Raises:
        InputError: A value fits neither goal nor networks.
    """
    return [
        _bind_shape(binding.compiled(template), rows, table.keys[template], place)
        for template, rows in table.rows.items()
    ]


def _bind_shape(
    goal: BoundGoal,
    rows: Sequence[RawExample],
    keys: Mapping[str, Sequence[str]],
    place: Place,
) -> ShapedExamples:
    roles = goal.roles
    images = {}
    for name, readers in roles.images.items():
        columns = [keys[part] for part in parts_of(name)]
        images[name] = np.array([place(readers, names) for names in zip(*columns, strict=True)])
    symbols = {}
    for variable, names in goal.names.items():
        if variable in goal.query.inputs:
            continue
        for number, flat in enumerate(names):
            if flat in roles.observed:
                symbols[flat] = tuple(
                    _symbol(row.values[variable], number, listed=len(names) > 1 or flat != variable)
                    for row in rows
                )
    truth = {
        (network, name): _truth(goal, rows, network, name)
        for name, readers in roles.images.items()
        for network in readers
    }
    targets = np.array([row.target for row in rows])
    examples = Examples(
        roles,
        {},
        images,
        symbols,
        truth,
        tuple(row.at for row in rows),
        None if (targets == 1).all() else targets,
    )
    return ShapedExamples(goal, examples)


def _symbol(value: Value, number: int, *, listed: bool) -> str:
    """Returns an observed symbol; a list that is one argument of the logic is printed whole."""
    if isinstance(value, tuple):
        return value[number] if listed else f"[{','.join(value)}]"
    return value


def _truth(goal: BoundGoal, rows: Sequence[RawExample], network: str, name: str) -> Indices:
    """Reads the optional true symbols of an input as places in a network's domain."""
    symbols, what = Values(goal.roles.domains[network]), f"symbol of network '{network}'"
    variable, number = _origin(goal, name)
    found = np.full(len(rows), UNKNOWN, dtype=np.int64)
    for place, row in enumerate(rows):
        for column in (f"{variable}{TRUTH}.{network}", f"{variable}{TRUTH}"):
            if column in row.truth:
                break
        value = row.truth.get(column, "")
        if isinstance(value, tuple):
            if number >= len(value):
                raise DataError(
                    f"{column} has {len(value)} symbols",
                    expected=f"one for each image of {variable}",
                    at=row.at,
                )
            value = value[number]
        if value:
            found[place] = symbols.position(value, what, column, row.at)
    return found


def _origin(goal: BoundGoal, name: str) -> tuple[str, int]:
    """Returns the query's variable that an input belongs to, and its place in a list."""
    for variable, names in goal.names.items():
        if name in names:
            return variable, names.index(name)
    return name, 0  # several images of one call, joined
