"""How long work tells what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """How a run tells what it is doing."""

    def say(self, text: str) -> None:
        """Tells of something that has happened."""

    def step(self, done: int, total: int, what: str) -> None:
        """Tells how far long work has come."""


class Silent:
    """Tells nothing."""

    def say(self, text: str) -> None:
        """Tells nothing."""

    def step(self, done: int, total: int, what: str) -> None:
        """Tells nothing."""
