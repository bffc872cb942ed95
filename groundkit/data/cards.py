"""The card of a data set: what a person needs to know before using it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from groundkit.data.images import DataSource
from groundkit.errors import DataError


class MissingDataError(DataError):
    """A known data set is not on this machine; the remedy says how to get it."""


@dataclass(frozen=True)
class Card:
    """What a person needs to know of a data set.

    Attributes:
        name: Name in the spec.
        summary: What it holds.
        origin: Where its files come from, and under which licence.
        get: How to get it when it is not there.
        load: Reads it.
        licence: Under which terms its images may be used.
        split: How training and test images were told apart.
        checksums: File -> its checksum, ``sha256:...``, or ``md5:...`` where its makers publish
            that; empty for what is drawn.
        attributes: Attribute -> its classes, where the images have several labels each.
        there: Whether its files are on this machine, found without reading them; by default they
            are, as those of a set that is drawn, or of one's own.
    """

    name: str
    summary: str
    origin: str
    get: str
    load: Callable[[], DataSource]
    licence: str = "not stated"
    split: str = "not stated"
    checksums: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    there: Callable[[], bool] = lambda: True
