"""What training tells as it goes: the user's callbacks, the same for a run and for estimators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from groundkit.errors import SpecError
from groundkit.perception.history import Row
from groundkit.training.history import RenameRow, SplitRow


class Callback:
    """Told of training as it goes; a subclass overrides what it wants to hear.

    ``run`` and ``Grounder.fit`` take a list of these. What a callback raises ends training.

    Example:
        >>> import groundkit
        >>> class Loud(groundkit.Callback):
        ...     def on_names(self, row):
        ...         print(row.words)
        >>> Loud().on_end()
    """

    def on_step(self, row: Row) -> None:
        """Training has come to a step that is reported, one in twenty.

        Args:
            row: A row of the history: its phase, step, terms, and in joint training the objective,
                the health of every network and the learning rate; or a return to a good state.
        """

    def on_names(self, row: RenameRow | SplitRow) -> None:
        """Names were searched for, or a symbol was given half of another's images.

        Args:
            row: The finding, also in words.
        """

    def on_evaluate(self, metrics: Mapping[str, Any]) -> None:
        """What was learnt has been measured on held-out examples.

        Args:
            metrics: Of a run, what stands in ``metrics.json``; of ``Grounder.fit``, its ``query``.
        """

    def on_end(self) -> None:
        """Nothing more will come, whether training and evaluation went well or failed."""


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Checks what is to be told of training, before there is anything to tell.

    Raises:
        SpecError: One is no :class:`Callback`.
    """
    for one in callbacks:
        if not isinstance(one, Callback):
            name = one.__name__ if isinstance(one, type) else type(one).__name__
            raise SpecError(
                f"a callback is {'the class' if isinstance(one, type) else 'a'} {name}",
                expected="an instance of a subclass of groundkit.Callback",
                remedy="override on_step, on_names, on_evaluate or on_end there",
            )


@contextmanager
def ending(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Tells callbacks of the end, however it comes."""
    try:
        yield
    finally:
        for one in callbacks:
            one.on_end()


def tell(callbacks: Sequence[Callback], row: Row) -> None:
    """Hands a row of the history to the hooks that it concerns."""
    for one in callbacks:
        if isinstance(row, RenameRow | SplitRow):
            one.on_names(row)
        else:
            one.on_step(row)
