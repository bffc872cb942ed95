"""What training reports as it goes: the user's callbacks, for a run and for estimators alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from groundkit.errors import SpecError
from groundkit.perception.history import Row
from groundkit.training.history import RenameRow, SplitRow


class Callback:
    """Is told about training as it goes; a subclass overrides the methods that it needs.

    ``run`` and ``Grounder.fit`` take a list of callbacks. An error that a callback raises ends
    training.

    Example:
        >>> import groundkit
        >>> class Loud(groundkit.Callback):
        ...     def on_names(self, row):
        ...         print(row.words)
        >>> Loud().on_end()
    """

    def on_step(self, row: Row) -> None:
        """Called at every twentieth step of training.

        Args:
            row: A row of the history: its phase, step, terms, and in joint training the objective,
                the health of every network and the learning rate; or a return to a good state.
        """

    def on_names(self, row: RenameRow | SplitRow) -> None:
        """Called after a search for names, or when a symbol was given half of another's images.

        Args:
            row: What was found; ``row.words`` says it in words.
        """

    def on_evaluate(self, metrics: Mapping[str, Any]) -> None:
        """Called when what was learnt has been measured on held-out examples.

        Args:
            metrics: For a run, the contents of ``metrics.json``; for ``Grounder.fit``, its
                ``query`` alone.
        """

    def on_end(self) -> None:
        """Called last, whether training and evaluation succeeded or failed."""


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
