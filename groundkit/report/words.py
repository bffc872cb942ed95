"""Numbers and lists in words, as every page and verdict writes them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

UNKNOWN = "\u2013"
"""The dash that stands for what is not known."""


class ShownAsPrinted:
    """A result that notebooks show as it prints."""

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def percent(share: float | None) -> str:
    """A share as a percentage, ``97.3 %``; a dash for what is not known."""
    return UNKNOWN if share is None else f"{100 * share:.1f} %"


def listing(items: Sequence[str], most: int = 6) -> str:
    """Names in a row, the last ones counted when they are many."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def counted(count: int, noun: str) -> str:
    """A number of things: ``1 grounding``, ``3 groundings``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash for what is not known."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return f"{value:,}"
    shown = digits if abs(value) < 10 else min(digits, 1) if abs(value) < 1000 else 0
    return f"{value:,.{shown}f}"


def seconds(value: float) -> str:
    """A duration for people: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def chance(probability: float) -> str:
    """A probability with four decimals, or as a power of ten where those would all be 0."""
    return f"{probability:.4f}" if probability == 0 or probability >= 5e-5 else f"{probability:.0e}"
