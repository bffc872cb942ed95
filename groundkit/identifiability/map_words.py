"""Maps of symbols in words: ``identity``, ``d -> 9-d``, ``everything -> 0``, ``swaps 3 and 5``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def describe_map(domain: Sequence[str], image: Sequence[int]) -> str:
    """Words a map of one network's symbols.

    Args:
        domain: (K,) the symbols as printed text.
        image: (K,) index of the symbol that each symbol is sent to.
    """
    if list(image) == list(range(len(domain))):
        return "identity"
    for words in (_constant, _one_swap, _reflection, _affine, _swaps):
        found = words(domain, image)
        if found is not None:
            return found
    return describe_moves(domain, image)


def describe_moves(domain: Sequence[str], image: Sequence[int]) -> str:
    """Lists what a map moves: ``3->5, 5->3``; ``nothing`` if it moves nothing."""
    moves = [f"{domain[old]}->{domain[new]}" for old, new in enumerate(image) if old != new]
    return ", ".join(moves) or "nothing"


def describe_maps(domains: Mapping[str, Sequence[str]], maps: Mapping[str, Sequence[int]]) -> str:
    """Words a map per network; networks are named only where there are several."""
    parts = {network: describe_map(domains[network], image) for network, image in maps.items()}
    if len(parts) == 1:
        return next(iter(parts.values()))
    if all(words == "identity" for words in parts.values()):
        return "identity"
    return "; ".join(f"{network}: {words}" for network, words in parts.items())


def simplicity(words: str) -> tuple[int, int]:
    """Orders descriptions so that the one easiest to take in comes first."""
    openings = ("identity", "everything", "swaps", "d ->")
    listed = ";" in words or not words.startswith(openings)
    return int(listed), len(words)


def _constant(domain: Sequence[str], image: Sequence[int]) -> str | None:
    return f"everything -> {domain[image[0]]}" if len(set(image)) == 1 else None


def _one_swap(domain: Sequence[str], image: Sequence[int]) -> str | None:
    return _swaps(domain, image) if sum(old != new for old, new in enumerate(image)) == 2 else None


def _swaps(domain: Sequence[str], image: Sequence[int]) -> str | None:
    if any(image[new] != old for old, new in enumerate(image)):
        return None
    pairs = [f"{domain[old]} and {domain[new]}" for old, new in enumerate(image) if old < new]
    return "swaps " + ", ".join(pairs)


def _reflection(domain: Sequence[str], image: Sequence[int]) -> str | None:
    values = _whole_numbers(domain)
    if values is None or len(values) < 3:
        return None
    sums = {values[old] + values[new] for old, new in enumerate(image)}
    return f"d -> {sums.pop()}-d" if len(sums) == 1 else None


def _affine(domain: Sequence[str], image: Sequence[int]) -> str | None:
    size = len(domain)
    if size < 4 or _whole_numbers(domain) != list(range(size)):
        return None
    shift, factor = image[0], (image[1] - image[0]) % size
    if any((factor * d + shift) % size != new for d, new in enumerate(image)):
        return None
    product = "d" if factor == 1 else f"{factor}*d"
    return f"d -> ({product} + {shift}) mod {size}" if shift else f"d -> {product} mod {size}"


def _whole_numbers(domain: Iterable[str]) -> list[int] | None:
    try:
        return [int(symbol) for symbol in domain]
    except ValueError:
        return None
