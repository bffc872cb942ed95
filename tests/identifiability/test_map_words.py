"""Maps in words."""

from __future__ import annotations

import pytest

from groundkit.identifiability.map_words import describe_map, describe_maps

DIGITS = [str(d) for d in range(10)]


@pytest.mark.parametrize(
    ("domain", "image", "words"),
    [
        (DIGITS, range(10), "identity"),
        (DIGITS, [0] * 10, "everything -> 0"),
        (DIGITS, [0, 1, 2, 5, 4, 3, 6, 7, 8, 9], "swaps 3 and 5"),
        (DIGITS, range(9, -1, -1), "d -> 9-d"),
        (DIGITS, [(d + 5) % 10 for d in range(10)], "d -> (d + 5) mod 10"),
        (DIGITS, [3 * d % 10 for d in range(10)], "d -> 3*d mod 10"),
        (DIGITS, [1, 2, 0, *range(3, 10)], "0->1, 1->2, 2->0"),
        (["1", "2", "3"], [2, 1, 0], "swaps 1 and 3"),
        (["a", "b", "c", "d"], [1, 0, 3, 2], "swaps a and b, c and d"),
        (["a", "b", "c"], [0, 0, 2], "b->a"),
        (["true", "false"], [1, 0], "swaps true and false"),
    ],
)
def test_one_network(domain, image, words) -> None:
    assert describe_map(domain, list(image)) == words


def test_several_networks_are_named() -> None:
    domains = {"coin": ["h", "t"], "digit": DIGITS}
    maps = {"coin": [1, 0], "digit": list(range(10))}
    assert describe_maps(domains, maps) == "coin: swaps h and t; digit: identity"
    assert describe_maps(domains, {"coin": [0, 1], "digit": range(10)}) == "identity"
