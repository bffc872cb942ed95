"""The labels that a run was given, each of which takes the place of an earlier one of its image.

What the labels leave is worked out anew from what training left, so that a label that was given
wrongly is corrected by giving the right one. A network may also have mistaken an image: where the
labels contradict each other, each is taken to be of such an image with a small probability, and the
readings keep weight by how many labels they explain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundkit.errors import CheckpointError, DataError
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.report.words import listing

MISTAKEN = 0.01
"""Probability that an image was given the wrong symbol, once labels contradict each other.

A reading that explains one label more than another leaves the doubt open, one that explains two
more does not (``LIGHTEST``)."""
Names = Mapping[str, Sequence[int]]
"""Network -> which symbol of the saved weights each of its symbols is, where labels came later."""


@dataclass(frozen=True)
class Noted:
    """A label.

    Attributes:
        image: The image, as it was named.
        network: The network, or the networks that read it.
        symbol: The symbol, as it was written.
        content: Digest of the image, by which it is known under any name.
        predicted: The (joint) symbol that the networks gave it as training left them.
        meant: The (joint) symbols of which the label says that it is one.
    """

    image: str
    network: str
    symbol: str
    content: str
    predicted: int
    meant: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON-able values."""
        return {**vars(self), "meant": list(self.meant)}


@dataclass(frozen=True)
class Labels:
    """What training left of a run's readings, and the labels since then.

    Attributes:
        readings: The readings as training left them.
        names: The names of that time.
        noted: The labels, one for each image and network.
    """

    readings: FactoredPosterior
    names: Names
    noted: tuple[Noted, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any], readings: FactoredPosterior) -> Labels:
        """Reads them from a run's facts.

        Args:
            facts: The facts.
            readings: The readings that are left now; all there is of a run of an earlier version,
                whose labels are part of them.

        Raises:
            CheckpointError: The facts are damaged.
        """
        trained = facts.get("trained")
        if trained is None:
            return cls(readings, _checked_names(facts.get("names", {})))
        try:
            before = FactoredPosterior.from_dict(trained["ambiguity"])
            if before.domains != readings.domains:
                raise ValueError("readings before and after the labels are of other networks")
            noted = [
                Noted(**{**one, "meant": tuple(map(int, one["meant"]))})
                for one in facts.get("labelled", [])
                if "content" in one
            ]
            for one in noted:
                size = len(before.domains[one.network])
                if not all(0 <= place < size for place in (one.predicted, *one.meant)):
                    raise ValueError(f"{one.network} has no such symbol")
            return cls(before, _checked_names(trained["names"]), tuple(noted))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the labels of the run are damaged: {error}",
                remedy="copy the run folder again from where it was made",
            ) from None

    def with_label(self, label: Noted) -> Labels:
        """Adds a label, in the place of an earlier one of the same image."""
        key = (label.network, label.content)
        kept = [one for one in self.noted if (one.network, one.content) != key]
        return Labels(self.readings, self.names, (*kept, label))

    def left(self) -> FactoredPosterior:
        """Returns the readings that the labels leave, under the names that training left.

        Raises:
            DataError: They contradict the program: no reading explains half of a network's labels.
            LimitError: Too many of them contradict each other.
        """
        readings = self.readings
        for place, one in enumerate(self.noted):
            try:
                readings = readings.given(one.network, one.predicted, one.meant)
            except DataError as error:
                doubtful = self._doubtful()
                if doubtful is not None:
                    return doubtful
                error.found = f"the label {one.symbol} of '{one.image}' cannot be: {error.found}"
                others = [f"'{o.image}' {o.symbol}" for o in self.noted[:place]]
                if others:
                    error.remedy = f"{error.remedy} (labels so far: {listing(others)})"
                raise
        return readings

    def _doubtful(self) -> FactoredPosterior | None:
        """Returns what is left if any label may be of an image that its network mistakes.

        ``None`` where no reading explains half of a network's labels.
        """
        readings = self.readings
        for one in self.noted:
            readings = readings.given(one.network, one.predicted, one.meant, mistaken=MISTAKEN)
        aside = [one.network for one in self.unexplained(readings)]
        given = [one.network for one in self.noted]
        if any(2 * aside.count(network) > given.count(network) for network in aside):
            return None
        return readings

    def unexplained(self, left: FactoredPosterior) -> tuple[Noted, ...]:
        """Returns the labels that the heaviest reading contradicts: of images that are mistaken.

        Args:
            left: What :meth:`left` returned.
        """
        best = left.best()
        return tuple(one for one in self.noted if best[one.network][one.predicted] not in one.meant)

    def to_facts(self) -> dict[str, Any]:
        """Returns what :meth:`of` reads."""
        trained = {"ambiguity": self.readings.to_dict(), "names": dict(self.names)}
        return {"trained": trained, "labelled": [one.to_dict() for one in self.noted]}


def _checked_names(names: Mapping[str, Sequence[int]]) -> Names:
    """Returns names that are orders of symbols.

    Raises:
        ValueError: They are none.
    """
    for network, order in names.items():
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"the names of {network} are no order of its symbols")
    return names
