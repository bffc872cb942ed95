"""How a spec names a backbone of one's own; free of torch, as the spec is."""

from __future__ import annotations

NAMED = "module:"
"""What a backbone begins with that is named by its module."""
OWN = "own"
"""The backbone of a network whose module is handed over in Python."""


def is_own(backbone: str) -> bool:
    """Whether a backbone is the user's own module."""
    return backbone == OWN or backbone.startswith(NAMED)
