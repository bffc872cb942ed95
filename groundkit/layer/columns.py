"""What is told of every example of a batch: observed values, evidence, the lengths of lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundkit.errors import DataError, choose_from
from groundkit.layer.shapes import CompiledShape, Lengths, elements
from groundkit.program.goal import Goal


@dataclass(frozen=True)
class Columns:
    """Columns of one batch.

    Attributes:
        batch: Number of examples B.
        values: Observed variables -> ``B`` values, or one for all.
        evidence: Atoms -> ``B`` symbols, truth values or ``None``; or one for all.
        lengths: ``B`` combinations of lengths, or one for all.
        parts: Names of list elements -> their list and place.
    """

    batch: int
    values: dict[str, list[Any]]
    evidence: dict[str, list[Any]]
    lengths: list[Lengths]
    parts: dict[str, tuple[str, int]]

    def by_lengths(self) -> Iterator[tuple[Lengths, Sequence[int]]]:
        """Yields the different lengths with the positions of their examples."""
        if len(self.lengths) == 1:
            yield self.lengths[0], range(self.batch)
            return
        groups: dict[Lengths, list[int]] = {}
        for position, lengths in enumerate(self.lengths):
            groups.setdefault(lengths, []).append(position)
        yield from groups.items()

    def given(self) -> set[str]:
        """Names the variables, and elements of lists, that have observed values."""
        return {*self.values, *(n for n, (whole, _) in self.parts.items() if whole in self.values)}

    def printed(self, name: str, index: Sequence[int]) -> list[str]:
        """Prints observed values of a variable, or of an element of a list, on some examples."""
        whole, place = self.parts.get(name, (name, -1))
        column = self.values[whole]
        if len(column) == 1:
            return [symbol(column[0] if place < 0 else column[0][place])] * len(index)
        if place < 0:
            return [symbol(column[example]) for example in index]
        return [symbol(column[example][place]) for example in index]

    def answers(self, shape: CompiledShape, index: Sequence[int]) -> list[int]:
        """Finds the roots of some examples' observed values.

        Raises:
            DataError: A variable has no value, or one that is no answer.
        """
        observed = shape.reasoner.observed
        given = self.given()
        for name in observed:
            if name not in given:
                raise DataError(
                    f"the variable {name} of the goal '{shape.reasoner.goal.text}' has no value",
                    remedy=f"pass {name}=..., or ask for all answers: a NeuralProgram by "
                    "predict(), a ProgramLayer by calling it",
                )
        if not observed:
            return [shape.answer(())] * len(index)
        return list(
            map(shape.answer, zip(*(self.printed(n, index) for n in observed), strict=True))
        )

    def told(self, index: Sequence[int], read: Callable[[str, Any], Any]) -> list[list[Any]]:
        """Reads the evidence on some examples, an entry for each atom."""
        return [
            [
                None if value is None else read(key, value)
                for value in (column if len(column) == 1 else [column[i] for i in index])
            ]
            for key, column in self.evidence.items()
        ]


def read_columns(
    goal: Goal,
    lists: Sequence[str],
    batch: int | None,
    *,
    values: Mapping[str, Any],
    evidence: Mapping[str, Any],
    lengths: Mapping[str, Any],
) -> Columns:
    """Reads what was given beside the networks' outputs.

    Args:
        goal: The goal, its lists as variables.
        lists: Those of its variables that are lists.
        batch: Number of examples, ``None`` when no network gives it.
        values: Observed values by variable.
        evidence: Symbols and truth values by atom.
        lengths: Lengths by list.

    Raises:
        DataError: A name is no variable of the goal, or the columns differ in length.
    """
    if not isinstance(evidence, Mapping) or not all(isinstance(key, str) for key in evidence):
        raise DataError(
            f"the evidence is {evidence!r}",
            expected="a mapping from atoms to symbols and truth values",
            remedy='pass evidence={"digit(X)": 3, "noisy": False}',
        )
    for name in (*values, *lengths):
        if name not in goal.variables:
            raise DataError(
                f"the goal '{goal.text}' has no variable '{name}'",
                remedy=choose_from(name, goal.variables),
            )
    sizes = {
        name: len(entries(value))
        for told in (values, evidence, lengths)
        for name, value in told.items()
        if is_column(value)
    }
    if batch is None:
        batch = max(sizes.values(), default=1)
    for name, size in sizes.items():
        if size != batch:
            raise DataError(
                f"{name} has {size} entries, and there are {batch} examples",
                remedy="give one entry an example, or a single value for all",
            )
    observed = {name: entries(value) for name, value in values.items()}
    counted = {name: [int(one) for one in entries(v)] for name, v in lengths.items()}
    for name in lists:
        if name in observed and name not in counted:
            counted[name] = [len(one) for one in observed[name]]
    parts = {
        element: (name, place)
        for name, counts in counted.items()
        for place, element in enumerate(elements(goal, name, max(counts, default=0)))
    }
    told = {name: entries(value) for name, value in evidence.items()}
    return Columns(batch, observed, told, _combine(counted), parts)


def _combine(counted: Mapping[str, Sequence[int]]) -> list[Lengths]:
    """Lists the lengths of every example, or one combination where all agree."""
    size = max((len(counts) for counts in counted.values()), default=1)
    wide = {n: list(c) * size if len(c) == 1 else list(c) for n, c in sorted(counted.items())}
    found = [tuple((n, c[example]) for n, c in wide.items()) for example in range(size)]
    return found[:1] if len(set(found)) == 1 else found


def symbol(value: Any) -> str:
    """Prints a symbol as programs do: 3.0 is 3, True is true."""
    if type(value) is int:  # a bool is another type
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def is_column(value: Any) -> bool:
    """Tells a value for every example from one for all of them."""
    if isinstance(value, str | bytes):
        return False
    if hasattr(value, "ndim"):
        return bool(value.ndim > 0)
    return isinstance(value, Sequence)


def entries(value: Any) -> list[Any]:
    """Returns plain Python values: of a list, an array or a tensor, or the one that was given."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [one.tolist() if hasattr(one, "tolist") else one for one in value]
    return [value]
