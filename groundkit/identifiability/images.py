"""Relations over the joint symbols of images that several networks read.

What a network calls red and another an obstacle are two symbols of one image. A map of such an
image is a map of both at once: networks may have swapped their roles, which no map of one network
alone would tell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from groundkit.errors import LimitError
from groundkit.identifiability.relations import Relation

SIGN = " + "
"""Joins the names of networks that read the same images."""
MOST_JOINT, MOST_CELLS = 4096, 4_000_000
"""Joint symbols of one image, and cells of a relation over them, at most."""


def name_of(group: Sequence[str]) -> str:
    """Names a group of networks, a single network by itself."""
    return SIGN.join(group)


def joint(name: str) -> bool:
    """Whether a name is that of several networks."""
    return SIGN in name


def members(name: str) -> list[str]:
    """Lists the networks of a group's name."""
    return name.split(SIGN)


def joint_domain(group: Sequence[str], domains: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Names the joint symbols of an image: ``red, no obstacle``, the last network fastest.

    Raises:
        LimitError: There are too many.
    """
    size = math.prod(len(domains[name]) for name in group)
    if size > MOST_JOINT:
        raise LimitError(
            f"images that {', '.join(group)} read have {size} joint symbols",
            expected=f"at most {MOST_JOINT} to count maps of",
        )
    return tuple(", ".join(symbols) for symbols in itertools.product(*(domains[n] for n in group)))


def over_images(
    relation: Relation, groups: Sequence[Sequence[str]], domains: Mapping[str, Sequence[str]]
) -> Relation:
    """Turns a relation over networks' calls into one over images and their joint symbols.

    An image that only some networks of its group are asked about may show anything to the others.

    Args:
        relation: A row per combination; its columns are named by the inputs of the calls.
        groups: Networks that read the same images.
        domains: Network -> its symbols.

    Raises:
        LimitError: There are too many joint symbols or combinations.
    """
    calls = list(zip(relation.columns, relation.names, strict=True))
    place = {call: column for column, call in enumerate(calls)}
    group_of = {name: tuple(group) for group in groups for name in group if len(group) > 1}
    rows, answers = relation.rows, relation.answers
    columns: list[str] = []
    names: list[str] = []
    values: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]] = []
    found: dict[str, tuple[str, ...]] = {}
    done: set[tuple[tuple[str, ...], str]] = set()
    for column, (network, name) in enumerate(calls):
        group = group_of.get(network, (network,))
        if (group, name) in done and len(group) > 1:
            continue
        done.add((group, name))
        if len(group) == 1:
            value, label = rows[:, column], network
            found[label] = relation.domains[network]
        else:
            label = name_of(group)
            found[label] = joint_domain(group, domains)
            missing = [other for other in group if (other, name) not in place]
            free = math.prod(len(domains[other]) for other in missing)
            if len(rows) * free * len(relation.columns) > MOST_CELLS:
                raise LimitError(
                    f"'{name}' has too many combinations of joint symbols to list",
                    expected=f"at most {MOST_CELLS} cells",
                )
            count = len(rows)
            rows, answers = np.repeat(rows, free, axis=0), np.repeat(answers, free)
            values = [np.repeat(one, free) for one in values]
            spread = np.tile(np.arange(free), count)
            value = np.zeros(len(rows), dtype=np.int64)
            for other in group:
                size = len(domains[other])
                if other in missing:
                    free //= size
                    value = value * size + spread // free % size
                else:
                    value = value * size + rows[:, place[other, name]]
        columns.append(label)
        names.append(name)
        values.append(value)
    joined = Relation.build(
        found,
        columns,
        np.stack(values, axis=1) if values else np.zeros((len(rows), 0), dtype=np.int64),
        answers,
        names=names,
    )
    return replace(joined, answer_names=relation.answer_names)


def factored(
    maps: Mapping[str, Sequence[int]], domains: Mapping[str, Sequence[str]]
) -> dict[str, tuple[int, ...]] | None:
    """Returns a map by network, where every joint one moves each network's symbols by itself.

    Args:
        maps: Group -> predicted joint symbol of every joint symbol.
        domains: Network -> its symbols.

    Returns:
        ``None`` where a symbol of one network decides on that of another.
    """
    found: dict[str, tuple[int, ...]] = {}
    for name, moved in maps.items():
        group = members(name)
        shape = [len(domains[network]) for network in group]
        images = np.stack(np.unravel_index(np.asarray(moved), shape))
        for axis, network in enumerate(group):
            table = np.moveaxis(images[axis].reshape(shape), axis, 0).reshape(shape[axis], -1)
            if (table != table[:, :1]).any():
                return None
            found[network] = tuple(table[:, 0].tolist())
    return found
