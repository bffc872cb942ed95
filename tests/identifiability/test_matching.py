"""Permanents of 0/1 matrices against trying every permutation."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from groundkit.identifiability.matching import count_matchings


@given(st.lists(st.integers(0, 63), max_size=6))
def test_equal_to_every_assignment(domains) -> None:
    expected = sum(
        all(domain >> value & 1 for domain, value in zip(domains, values, strict=True))
        for values in itertools.permutations(range(6), len(domains))
    )
    assert count_matchings(domains) == expected


def test_equal_domains_cost_nothing() -> None:
    assert count_matchings([(1 << 50) - 1] * 50) == math.factorial(50)
