"""Number of perfect matchings between variables and values: the permanent of a 0/1 matrix."""

from __future__ import annotations

from collections.abc import Sequence


def count_matchings(domains: Sequence[int]) -> int:
    """Counts the ways to give every variable a value of its domain, all different.

    A sweep over the variables keeps, per set of values in use, the number of ways to reach it.
    Values that the same remaining variables admit are told apart only by how many are in use,
    so that ``n`` equal domains cost ``n`` states instead of ``2 ** n``.

    Args:
        domains: A bit set of values per variable.

    Returns:
        The exact number, 0 if there is none.
    """
    order = sorted(domains, key=int.bit_count)
    union = 0
    for domain in order:
        union |= domain
    if union.bit_count() < len(order):
        return 0
    classes = _value_classes(order, union)
    sizes = [len(members) for members in classes]
    admits = [
        [place for place, members in enumerate(classes) if domain >> members[0] & 1]
        for domain in order
    ]
    ways: dict[tuple[int, ...], int] = {(0,) * len(classes): 1}
    for places in admits:
        ways = _next_variable(ways, places, sizes)
        if not ways:
            return 0
    return sum(ways.values())


def _next_variable(
    ways: dict[tuple[int, ...], int], places: Sequence[int], sizes: Sequence[int]
) -> dict[tuple[int, ...], int]:
    reached: dict[tuple[int, ...], int] = {}
    for used, number in ways.items():
        for place in places:
            free = sizes[place] - used[place]
            if free > 0:
                key = (*used[:place], used[place] + 1, *used[place + 1 :])
                reached[key] = reached.get(key, 0) + number * free
    return reached


def _value_classes(domains: Sequence[int], union: int) -> list[list[int]]:
    by_holders: dict[tuple[bool, ...], list[int]] = {}
    for value in range(union.bit_length()):
        if union >> value & 1:
            holders = tuple(bool(domain >> value & 1) for domain in domains)
            by_holders.setdefault(holders, []).append(value)
    return list(by_holders.values())
