"""Examples: what every variable of the goal is bound to, drawn from labels or read from a file.

Labels draw and score examples; they never reach the training. What training may see of an example
is :attr:`Examples.images` and :attr:`Examples.symbols`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from groundkit.data.files import read_image, read_probability, read_table
from groundkit.data.images import ImageSet, labelling
from groundkit.errors import DataError, Location, NetworkError, choose_from

Indices = NDArray[np.int64]
UNKNOWN = -1
TARGET = "probability"


@dataclass(frozen=True)
class Roles:
    """What each variable of a goal stands for.

    Attributes:
        images: What a network reads at once -> the network: an image variable, or several joined
            by commas, whose images are stacked along channels.
        observed: Variables whose symbol is observed, in goal order: arguments of the program's
            logic and inputs of ``observed`` networks.
        domains: Network -> the printed values of its domain.
        given: Observed variable -> the ``observed`` network that reads it.
    """

    images: dict[str, str]
    observed: tuple[str, ...]
    domains: dict[str, tuple[str, ...]]
    given: dict[str, str]

    @property
    def image_variables(self) -> tuple[str, ...]:
        """The image variables, each once."""
        return tuple(dict.fromkeys(part for name in self.images for part in parts_of(name)))


def input_of(call: Sequence[str]) -> str:
    """Names what a neural call reads at once: its input variables, joined by commas."""
    return ",".join(call)


def parts_of(name: str) -> list[str]:
    """Lists the variables that :func:`input_of` joined."""
    return name.split(",")


@dataclass(frozen=True)
class Examples:
    """A number of examples of one goal.

    Attributes:
        roles: What each variable stands for.
        banks: Network -> the images that ``images`` points into.
        images: As named in ``roles.images`` -> ``(n,)`` positions in its network's bank.
        symbols: Observed variable -> the ``n`` printed values.
        truth: As ``images`` -> ``(n,)`` positions in the domain, ``UNKNOWN`` where not known.
        places: Where each was read, for messages; empty for those that were drawn.
        targets: The probability ``(n,)`` that each query is to have; 1 for all if ``None``.
    """

    roles: Roles
    banks: dict[str, ImageSet]
    images: dict[str, Indices]
    symbols: dict[str, tuple[str, ...]]
    truth: dict[str, Indices]
    places: tuple[Location, ...] = ()
    targets: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        first = next(iter(self.images.values()), None)
        return len(first) if first is not None else len(next(iter(self.symbols.values()), ()))

    def subset(self, where: Indices) -> Examples:
        """Returns the examples at the given positions."""
        return Examples(
            self.roles,
            self.banks,
            {name: rows[where] for name, rows in self.images.items()},
            {name: tuple(values[i] for i in where) for name, values in self.symbols.items()},
            {name: rows[where] for name, rows in self.truth.items()},
            tuple(self.places[i] for i in where) if self.places else (),
            None if self.targets is None else self.targets[where],
        )

    def place(self, number: int) -> Location | None:
        """Returns where an example was read, ``None`` if it was drawn."""
        return self.places[number] if self.places else None


def domain_classes(network: str, domain: Sequence[str], images: ImageSet) -> Indices:
    """Finds the data set's class of every symbol of a domain.

    Symbols are classes by their names or, where none is a name and they are whole numbers, by
    their numbers.

    Returns:
        ``(K,)`` class positions.

    Raises:
        DataError: The data set has no labels, or a symbol names none of its classes.
    """
    if images.labels is None:
        raise DataError(
            f"'{images.name}' has no labels to draw examples of network '{network}' from",
            remedy="name a labelled data set, or give examples in [examples] file = ...",
        )
    by_name = {name: position for position, name in enumerate(images.classes)}
    found: list[int] = []
    named = any(symbol.strip("'\"") in by_name for symbol in domain)
    for symbol in domain:
        plain = symbol.strip("'\"")
        if plain in by_name:
            found.append(by_name[plain])
        elif not named and plain.isdigit() and int(plain) < len(images.classes):
            found.append(int(plain))
        else:
            raise DataError(
                f"network '{network}' has the symbol {symbol}, '{images.name}' has no such class",
                expected=f"{len(domain)} of its classes, by name or by number",
                remedy=choose_from(plain, images.classes),
            )
    return np.array(found, dtype=np.int64)


def restrict(
    network: str, domain: Sequence[str], images: ImageSet, attribute: str | None = None
) -> ImageSet:
    """Keeps the images whose class is a symbol of the domain; labels become domain positions.

    Args:
        network: The network, for messages.
        domain: Its printed symbols.
        images: Labelled images.
        attribute: Which of their labellings the symbols speak of; see
            :func:`~groundkit.data.images.labelling`.

    Raises:
        DataError: The images have no such labels.
    """
    if attribute is not None or images.attributes:
        found = labelling(images, domain, attribute)
        images = replace(images, labels=found.labels, classes=found.classes)
    classes = domain_classes(network, domain, images)
    assert images.labels is not None  # domain_classes has refused unlabelled sets
    position = np.full(len(images.classes), UNKNOWN, dtype=np.int64)
    position[classes] = np.arange(len(domain))
    labels = position[images.labels]
    named = replace(images, labels=labels, classes=tuple(domain))
    return named.subset(np.flatnonzero(labels != UNKNOWN))


def check_stacked(
    network: str, calls: Sequence[Sequence[str]], images: ImageSet, at: Location
) -> None:
    """Checks that a data set has images for calls that read several at once.

    Args:
        network: The network.
        calls: The input variables of each of its calls.
        images: Its data set.
        at: Where the network stands in the program.

    Raises:
        NetworkError: Channels do not divide into that many images, or an image is part of several
            calls, where a data set has stacked images for one call each.
    """
    width = len(calls[0]) if calls else 1
    if width == 1:
        return
    if images.shape[0] % width:
        raise NetworkError(
            f"network '{network}' reads {width} images at once, those of '{images.name}' have "
            f"{images.shape[0]} channel(s)",
            expected=f"{width} images stacked along channels, labelled by the values of the call",
            remedy="name such a data set, or give your own in [examples] file = ...",
            at=at,
        )
    times = Counter(name for call in calls for name in call)
    shared = [name for name, count in times.items() if count > 1]
    if shared:
        raise NetworkError(
            f"the image {shared[0]} is part of several calls of network '{network}', and a data "
            "set has stacked images for one call each",
            remedy="give examples of your own in [examples] file = ...",
            at=at,
        )


def draw(
    roles: Roles,
    banks: Mapping[str, ImageSet],
    worlds: Mapping[str, Indices],
    answers: Sequence[Mapping[str, str]],
    rng: np.random.Generator,
) -> Examples:
    """Draws an image for every symbol of worlds in which the goal holds.

    Args:
        roles: What each variable stands for.
        banks: Network -> labelled images, labels being positions in the network's domain.
        worlds: Variable read by a network -> ``(n,)`` positions in its domain. An image variable
            that the goal does not depend on is absent and gets a symbol at random.
        answers: The observed arguments' values, one mapping an example.
        rng: Source of randomness.

    Raises:
        DataError: A symbol that the program needs has no image.
    """
    count = len(answers)
    by_symbol = {
        network: [np.flatnonzero(bank.labels == k) for k in range(len(roles.domains[network]))]
        for network, bank in banks.items()
    }
    images, truth = {}, {}
    for variable, network in roles.images.items():
        size = len(roles.domains[network])
        values = worlds.get(variable, rng.integers(size, size=count))
        picked = np.empty(count, dtype=np.int64)
        for symbol in np.unique(values):
            choices = by_symbol[network][symbol]
            if not len(choices):
                raise DataError(
                    f"'{banks[network].name}' has no image of the symbol "
                    f"{roles.domains[network][symbol]} of network '{network}' to draw",
                    remedy="give every symbol at least two images; one of them is held out",
                )
            rows = np.flatnonzero(values == symbol)
            picked[rows] = rng.choice(choices, size=len(rows))
        images[variable], truth[variable] = picked, np.asarray(values, dtype=np.int64)
    symbols = {}
    for variable in roles.observed:
        if variable in roles.given:
            domain = roles.domains[roles.given[variable]]
            symbols[variable] = tuple(domain[k] for k in worlds[variable])
        else:
            symbols[variable] = tuple(answer[variable] for answer in answers)
    return Examples(roles, dict(banks), images, symbols, truth)


def read_examples(file: Path, roles: Roles, shapes: Mapping[str, tuple[int, ...]]) -> Examples:
    """Reads the user's own examples from a CSV file, a column a variable.

    The column ``probability`` may say how probable each query is to be: 0 for one that does not
    hold, anything between for one that may.

    Args:
        file: The CSV; image paths are relative to its folder and may not leave it.
        roles: What each variable stands for.
        shapes: Network -> ``(C, H, W)`` that each of its images is brought to.

    Raises:
        DataError: A column is missing or unknown, or a value is no image or no symbol.
    """
    header, rows = read_table(file)
    variables = [*roles.image_variables, *roles.observed]
    known = {*variables, TARGET, *(f"{variable}.truth" for variable in roles.images)}
    for name in variables:
        if name not in header:
            raise DataError(
                f"there is no column '{name}'",
                expected=f"the columns {', '.join(variables)}",
                remedy=choose_from(name, header),
                at=Location(file, 1),
            )
    for name in header:
        if name not in known:
            raise DataError(
                f"unknown column '{name}'", remedy=choose_from(name, known), at=Location(file, 1)
            )
    if not rows:
        raise DataError("there is no example below the header", at=Location(file, 1))
    return Examples(
        roles,
        *_read_banks(file, roles, rows, shapes),
        {name: tuple(row[name] for row in rows) for name in roles.observed},
        {name: _read_truth(file, roles, rows, name) for name in roles.images},
        tuple(Location(file, number) for number in range(2, len(rows) + 2)),
        _read_targets(file, rows) if TARGET in header else None,
    )


def _read_targets(file: Path, rows: Sequence[Mapping[str, str]]) -> NDArray[np.float64]:
    """Reads the probability that each query is to have; an empty field is 1."""
    found = np.ones(len(rows))
    for number, row in enumerate(rows):
        target = read_probability(row[TARGET] or "1")
        if target is None:
            raise DataError(
                f"{TARGET} is '{row[TARGET]}'",
                expected="a number from 0 to 1, or nothing for 1",
                at=Location(file, number + 2),
            )
        found[number] = target
    return found


def _read_banks(
    file: Path,
    roles: Roles,
    rows: Sequence[Mapping[str, str]],
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[dict[str, ImageSet], dict[str, Indices]]:
    """Reads what a network reads at once, each combination of files once."""
    places: dict[str, dict[tuple[str, ...], int]] = {
        network: {} for network in roles.images.values()
    }
    pixels: dict[str, list[torch.Tensor]] = {network: [] for network in places}
    images: dict[str, Indices] = {}
    for joined, network in roles.images.items():
        positions = []
        for number, row in enumerate(rows, start=2):
            names = tuple(row[variable] for variable in parts_of(joined))
            if names not in places[network]:
                at = Location(file, number)
                places[network][names] = len(pixels[network])
                paths = [inside(file.parent, name, at) for name in names]
                parts = [read_image(path, shapes[network], at) for path in paths]
                pixels[network].append(torch.cat(parts))
            positions.append(places[network][names])
        images[joined] = np.array(positions, dtype=np.int64)
    banks = {name: ImageSet(str(file), torch.stack(stack)) for name, stack in pixels.items()}
    return banks, images


def inside(folder: Path, name: str, at: Location | None = None) -> Path:
    """Resolves a path that a file names, refusing those that leave the file's folder.

    Raises:
        DataError: The path is absolute or climbs out of the folder.
    """
    try:
        path = (folder / name).resolve()
    except (ValueError, OSError, RuntimeError) as error:
        raise DataError(f"'{ascii(name)[1:-1]}' is no path: {error}", at=at) from None
    if not path.is_relative_to(folder.resolve()):
        raise DataError(
            f"the path '{name}' leaves the folder '{folder}'",
            expected="paths below the file that names them",
            at=at,
        )
    return path


def _read_truth(
    file: Path, roles: Roles, rows: Sequence[Mapping[str, str]], variable: str
) -> Indices:
    """Reads the optional truth column of an image variable as positions in its domain."""
    domain = roles.domains[roles.images[variable]]
    positions = {symbol.strip("'"): k for k, symbol in enumerate(domain)}
    column = f"{variable}.truth"
    found = np.full(len(rows), UNKNOWN, dtype=np.int64)
    for number, row in enumerate(rows):
        value = row.get(column, "")
        if not value:
            continue
        if value not in positions:
            raise DataError(
                f"{column} is '{value}', which is no symbol of network '{roles.images[variable]}'",
                remedy=choose_from(value, positions),
                at=Location(file, number + 2),
            )
        found[number] = positions[value]
    return found
