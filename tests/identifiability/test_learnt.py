"""Naming the map that a network has learnt."""

from __future__ import annotations

import json

import numpy as np
import pytest

from groundkit.errors import DataError
from groundkit.identifiability.learnt import learnt_map
from tests.identifiability.oracle import identify, relation

LABELS = np.arange(200) % 10


def _difference():
    return identify(relation(10, 2, lambda a, b: abs(a - b)))


def test_the_learnt_map_is_found_by_number_through_noise() -> None:
    predictions = 9 - LABELS
    predictions[:20] = 3
    learnt = learnt_map(_difference(), {"net": LABELS}, {"net": predictions})
    assert (learnt.number, learnt.admitted, learnt.words) == (2, True, "d -> 9-d")
    assert learnt.agreement["net"] == pytest.approx(0.91)
    json.dumps(learnt.to_dict())


def test_a_map_that_is_not_admitted_has_no_number() -> None:
    learnt = learnt_map(_difference(), {"net": LABELS}, {"net": np.zeros_like(LABELS)})
    assert (learnt.number, learnt.admitted, learnt.words) == (None, False, "everything -> 0")


def test_symbols_without_images_follow_the_map_of_the_others() -> None:
    shown = LABELS[LABELS < 8]
    learnt = learnt_map(_difference(), {"net": shown}, {"net": 9 - shown})
    assert learnt.number == 2
    assert learnt.missing == {"net": (8, 9)}


def test_admission_is_decided_even_where_maps_are_too_many_to_list() -> None:
    found = identify(relation(12, 2, lambda a, b: a == b))
    labels = np.arange(36) % 12
    turned = learnt_map(found, {"net": labels}, {"net": (labels + 3) % 12})
    merged = learnt_map(found, {"net": labels}, {"net": labels // 2})
    assert (turned.admitted, merged.admitted, turned.number) == (True, False, None)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="labels of shape"):
        learnt_map(_difference(), {"net": LABELS}, {"net": LABELS[1:]})
    with pytest.raises(DataError, match="outside the 10 symbols"):
        learnt_map(_difference(), {"net": LABELS}, {"net": LABELS + 1})
