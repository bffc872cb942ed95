"""Examples: what every variable of the goal is bound to, drawn from labels or read from a file.

Labels draw and score examples; they never reach the training. What training may see of an example
is :attr:`Examples.images` and :attr:`Examples.symbols`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundkit.data.images import Attribute, ImageSet, labelling
from groundkit.errors import DataError, Location, NetworkError, choose_from
from groundkit.report.words import counted, listing
from groundkit.symbols import Values
from groundkit.symbols import plain as plain_text

Indices = NDArray[np.int64]
UNKNOWN = -1


@dataclass(frozen=True)
class Roles:
    """What each variable of a goal stands for.

    Attributes:
        images: What networks read at once -> the networks that read it: an image variable, or
            several joined by commas, whose images are stacked along channels.
        observed: Variables whose symbol is observed, in goal order: arguments of the program's
            logic and inputs of ``observed`` networks.
        domains: Network -> the printed values of its domain.
        given: Observed variable -> the ``observed`` network that reads it.
    """

    images: dict[str, tuple[str, ...]]
    observed: tuple[str, ...]
    domains: dict[str, tuple[str, ...]]
    given: dict[str, str]


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
        banks: Network -> the images that ``images`` points into; networks that read the same
            inputs have the same images, each with its own labels.
        images: As named in ``roles.images`` -> ``(n,)`` positions in its networks' bank.
        symbols: Observed variable -> the ``n`` printed values.
        truth: Network and input -> ``(n,)`` positions in the network's domain, ``UNKNOWN`` where
            not known.
        places: Where each was read, for messages; empty for those that were drawn.
        targets: The probability ``(n,)`` that each query is to have; 1 for all if ``None``.
    """

    roles: Roles
    banks: dict[str, ImageSet]
    images: dict[str, Indices]
    symbols: dict[str, tuple[str, ...]]
    truth: dict[tuple[str, str], Indices]
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
            {key: rows[where] for key, rows in self.truth.items()},
            tuple(self.places[i] for i in where) if self.places else (),
            None if self.targets is None else self.targets[where],
        )

    def place(self, number: int) -> Location | None:
        """Returns where an example was read, ``None`` if it was drawn."""
        return self.places[number] if self.places else None


def domain_classes(
    network: str, domain: Sequence[str], classes: Sequence[str], source: str
) -> Indices:
    """Finds the data set's class of every symbol of a domain.

    Symbols are classes by their names or, where none is a name and they are whole numbers, by
    their numbers.

    Args:
        network: The network, for messages.
        domain: Its symbols.
        classes: Names of the data set's classes.
        source: Name of the data set, for messages.

    Returns:
        ``(K,)`` class positions.

    Raises:
        DataError: A symbol names none of the classes.
    """
    known = Values(classes)
    by_name = [known.find(symbol) for symbol in domain]
    found: list[int] = []
    named = any(position is not None for position in by_name)
    for symbol, position in zip(domain, by_name, strict=True):
        plain = plain_text(symbol)
        if position is not None:
            found.append(position)
        elif not named and plain.isdigit() and int(plain) < len(classes):
            found.append(int(plain))
        else:
            raise DataError(
                f"network '{network}' has the symbol {symbol}, '{source}' has no such class",
                expected=f"{len(domain)} of its classes, by name or by number",
                remedy=f"name a class in place of {symbol} in nn({network}, ...), or leave it out "
                f"there: {choose_from(plain, classes)}",
            )
    return np.array(found, dtype=np.int64)


def restrict(
    domains: Mapping[str, Sequence[str]],
    images: ImageSet,
    attributes: Mapping[str, str | None] | None = None,
) -> dict[str, ImageSet]:
    """Keeps the images whose class is a symbol of every network that reads them.

    Args:
        domains: Network -> its symbols, of networks that read the same images.
        images: Labelled images.
        attributes: Network -> the attribute that its symbols are from, where it has to be named.

    Returns:
        Network -> the same images, labels being positions in its domain.

    Raises:
        DataError: The data set has no labels, or a symbol names none of its classes.
    """
    labels: dict[str, Indices] = {}
    assumed = list(images.assumed)
    for network, domain in domains.items():
        if images.labels is None and not images.attributes:
            raise DataError(
                f"'{images.name}' has no labels to draw examples of network '{network}' from",
                remedy="name a labelled data set, or give examples in [examples] file = ...",
            )
        wanted = (attributes or {}).get(network)
        if images.labels is None or images.attributes or wanted is not None:
            own = labelling(images, domain, wanted)
        else:
            own = Attribute(images.labels, images.classes)
        classes = domain_classes(network, domain, own.classes, images.name)
        position = np.full(len(own.classes), UNKNOWN, dtype=np.int64)
        position[classes] = np.arange(len(domain))
        labels[network] = position[own.labels]
        assumed += _read_as(network, domain, own, classes, labels[network])
    kept = np.flatnonzero(np.all([rows != UNKNOWN for rows in labels.values()], axis=0))
    shown = images.subset(kept)
    return {
        network: replace(
            shown, labels=rows[kept], classes=tuple(domains[network]), assumed=tuple(assumed)
        )
        for network, rows in labels.items()
    }


def _read_as(
    network: str, domain: Sequence[str], own: Attribute, classes: Indices, labels: Indices
) -> Iterator[str]:
    """Says which classes a network's symbols were taken for, and which images are left out."""
    names = [own.classes[place] for place in classes]
    if [plain_text(symbol) for symbol in domain] != [plain_text(name) for name in names]:
        yield (
            f"the symbols of {network}, {listing(domain)}, are the classes {listing(names)} by "
            "their numbers"
        )
    left = int((labels == UNKNOWN).sum())
    if left:
        others = [name for place, name in enumerate(own.classes) if place not in classes]
        yield (
            f"{counted(left, 'image')} of classes that are no symbols of {network} "
            f"{'is' if left == 1 else 'are'} left out: {listing(others)}"
        )


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
            f"{counted(images.shape[0], 'channel')}",
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


def draw_images(
    roles: Roles,
    banks: Mapping[str, ImageSet],
    worlds: Mapping[tuple[str, str], Indices],
    count: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Indices], dict[tuple[str, str], Indices]]:
    """Draws an image for every input of worlds in which the goal holds.

    The images of one example differ where the data set has enough of them.

    Args:
        roles: What each variable stands for.
        banks: Network -> labelled images, labels being positions in the network's domain; those
            of networks that read one input are the same.
        worlds: Network and input -> ``(n,)`` positions in the network's domain. An input that the
            goal does not depend on is absent and gets a symbol at random.
        count: Number of examples.
        rng: Source of randomness.

    Returns:
        Input -> ``(n,)`` positions in its bank; network and input -> the symbol there.

    Raises:
        DataError: A combination of symbols that the program needs has no image.
    """
    images: dict[str, Indices] = {}
    truth: dict[tuple[str, str], Indices] = {}
    used: dict[int, list[Indices]] = {}
    for name, readers in roles.images.items():
        first = readers[0]
        unread = rng.integers(len(roles.domains[first]), size=count)
        fixed = {n: worlds[n, name] for n in readers if (n, name) in worlds} or {first: unread}
        taken = used.setdefault(id(banks[first].pixels), [])
        picked = _pick(roles, banks, fixed, taken, rng)
        taken.append(picked)
        images[name] = picked
        for network in readers:
            truth[network, name] = _labels(banks[network])[picked]
    return images, truth


def _pick(
    roles: Roles,
    banks: Mapping[str, ImageSet],
    fixed: Mapping[str, Indices],
    taken: Sequence[Indices],
    rng: np.random.Generator,
) -> Indices:
    """Picks an image for every example's symbols, other than those that it has already."""
    networks = list(fixed)
    wanted = np.stack([np.asarray(fixed[network]) for network in networks], axis=1)
    labels = np.stack([_labels(banks[network]) for network in networks], axis=1)
    picked = np.empty(len(wanted), dtype=np.int64)
    for symbols in np.unique(wanted, axis=0):
        choices = np.flatnonzero((labels == symbols).all(axis=1))
        if not len(choices):
            shown = " and ".join(
                f"{roles.domains[network][symbol]} of network '{network}'"
                for network, symbol in zip(networks, symbols.tolist(), strict=True)
            )
            raise DataError(
                f"'{banks[networks[0]].name}' has no image of the symbol {shown} to draw",
                remedy="give every symbol at least two images; one of them is held out",
            )
        rows = np.flatnonzero((wanted == symbols).all(axis=1))
        picked[rows] = rng.choice(choices, size=len(rows))
        for row in rows:
            others = [earlier[row] for earlier in taken]
            if picked[row] in others:
                free = np.setdiff1d(choices, others)
                picked[row] = rng.choice(free) if len(free) else picked[row]
    return picked


def _labels(images: ImageSet) -> Indices:
    assert images.labels is not None  # restrict has refused unlabelled sets
    return images.labels


def inside(folder: Path, name: str, at: Location | None = None) -> Path:
    """Resolves a path that a file names, refusing those that leave the file's folder.

    Raises:
        DataError: The path is absolute or climbs out of the folder.
    """
    try:
        path = (folder / name).resolve()
        circular = False
        with suppress(OSError):  # a name may be too long
            circular = path.is_symlink()
    except RuntimeError:  # before Python 3.13
        circular = True
    except (ValueError, OSError) as error:
        raise DataError(f"'{ascii(name)[1:-1]}' is no path: {error}", at=at) from None
    if circular:
        raise DataError(f"'{ascii(name)[1:-1]}' is no path: its links lead in a circle", at=at)
    if not path.is_relative_to(folder.resolve()):
        raise DataError(
            f"the path '{name}' leaves the folder '{folder}'",
            expected="paths below the file that names them",
            at=at,
        )
    return path
