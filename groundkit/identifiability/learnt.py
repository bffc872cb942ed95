"""Which of the admitted maps a trained network has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from groundkit.errors import DataError
from groundkit.identifiability.identification import Identification
from groundkit.identifiability.map_words import describe_maps


@dataclass(frozen=True)
class LearntMap:
    """The map from true to predicted symbols that most held-out images follow.

    Attributes:
        maps: Network -> predicted symbol of every true symbol; symbols without an image are
            given the one they have in the first admitted map that agrees with the rest, or
            themselves.
        agreement: Network -> share of images whose prediction is the one in the map.
        missing: Network -> true symbols without an image.
        admitted: Whether the map satisfies every observation.
        number: Its number among the admitted maps (the identity is 1), if they are listed.
        words: The map in words.
    """

    maps: Mapping[str, tuple[int, ...]]
    agreement: Mapping[str, float]
    missing: Mapping[str, tuple[int, ...]]
    admitted: bool
    number: int | None
    words: str

    def to_dict(self) -> dict[str, object]:
        """Returns the learnt map as JSON-able values."""
        return {
            "number": self.number,
            "admitted": self.admitted,
            "words": self.words,
            "maps": {network: list(image) for network, image in self.maps.items()},
            "agreement": dict(self.agreement),
            "missing": {network: list(symbols) for network, symbols in self.missing.items()},
        }


def learnt_map(
    found: Identification,
    labels: Mapping[str, ArrayLike],
    predictions: Mapping[str, ArrayLike],
) -> LearntMap:
    """Names the map that predictions on held-out images follow.

    Args:
        found: What the program and the observations admit.
        labels: Network -> (N,) true symbol indices.
        predictions: Network -> (N,) predicted symbol indices.

    Raises:
        DataError: Shapes differ, a network is missing, or an index is outside its domain.
    """
    majority: dict[str, list[int]] = {}
    agreement: dict[str, float] = {}
    missing: dict[str, tuple[int, ...]] = {}
    for network, domain in found.domains.items():
        table = _confusion(network, len(domain), labels, predictions)
        majority[network] = table.argmax(axis=1).tolist()
        agreement[network] = float(table.max(axis=1).sum() / max(table.sum(), 1))
        missing[network] = tuple(np.flatnonzero(table.sum(axis=1) == 0).tolist())
    maps = _filled(found, majority, missing)
    return LearntMap(
        maps=maps,
        agreement=agreement,
        missing={network: symbols for network, symbols in missing.items() if symbols},
        admitted=found.admits(maps),
        number=found.admitted_index(maps),
        words=describe_maps(found.domains, maps),
    )


def _confusion(
    network: str,
    size: int,
    labels: Mapping[str, ArrayLike],
    predictions: Mapping[str, ArrayLike],
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    if network not in labels or network not in predictions:
        raise DataError(f"no labels or predictions for network '{network}'")
    true, predicted = np.asarray(labels[network]), np.asarray(predictions[network])
    if true.shape != predicted.shape or true.ndim != 1:
        raise DataError(
            f"labels of shape {true.shape} and predictions of shape {predicted.shape}",
            expected="two vectors of one length",
        )
    for array in (true, predicted):
        if array.size and not 0 <= array.min() <= array.max() < size:
            raise DataError(
                f"a symbol index outside the {size} symbols of network '{network}'",
                expected=f"0 to {size - 1}",
            )
    table = np.zeros((size, size), dtype=np.int64)
    np.add.at(table, (true, predicted), 1)
    return table


def _filled(
    found: Identification,
    majority: Mapping[str, list[int]],
    missing: Mapping[str, tuple[int, ...]],
) -> dict[str, tuple[int, ...]]:
    """Completes a map at the symbols that no image shows."""

    def agrees(listed: Mapping[str, tuple[int, ...]]) -> bool:
        return all(
            listed[network][symbol] == image
            for network, images in majority.items()
            for symbol, image in enumerate(images)
            if symbol not in missing[network]
        )

    template = next((listed for listed in found.listed if agrees(listed)), None)
    if template is not None:
        return {network: template[network] for network in majority}
    return {
        network: tuple(
            symbol if symbol in missing[network] else image for symbol, image in enumerate(images)
        )
        for network, images in majority.items()
    }
