"""A batch of columns from examples, for a ``DataLoader`` over the user's own data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundkit.errors import DataError, choose_from

_LIST = 4
"""Axes of a stack of images, a list of inputs."""


def collate(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Makes a batch of examples: the columns that :class:`NeuralProgram` takes.

    Arrays become one tensor ``(B, ...)``. Lists of inputs, given as Python lists or as stacks
    ``(L, C, H, W)``, stay apart, for they may have different lengths; symbols become a list.

    Args:
        examples: Goal's variable -> an input, a list of inputs or a symbol, of each example.

    Raises:
        DataError: There is none, or one is no mapping, has other variables than the first, or an
            input of another shape.

    Example:
        >>> import torch, groundkit
        >>> examples = [{"X": torch.zeros(1, 8, 8), "Z": 3}, {"X": torch.ones(1, 8, 8), "Z": 4}]
        >>> batch = groundkit.collate(examples)
        >>> batch["X"].shape, batch["Z"]
        (torch.Size([2, 1, 8, 8]), [3, 4])
    """
    if not examples:
        raise DataError("a batch of no example has no columns", expected="at least one example")
    for example in examples:
        if not isinstance(example, Mapping):
            raise DataError(
                f"an example is a {type(example).__name__}",
                expected="a mapping from the goal's variables to inputs and symbols",
            )
        for name in {*example} ^ {*examples[0]}:
            raise DataError(
                f"some examples have '{name}', others do not",
                expected="the same variables in all",
                remedy=choose_from(name, examples[0]),
            )
    return {name: _column(name, [one[name] for one in examples]) for name in examples[0]}


def _column(name: str, values: list[Any]) -> Any:
    """Stacks single inputs; leaves lists of inputs and symbols apart."""
    first = values[0]
    if not isinstance(first, Tensor | np.ndarray):
        return values
    tensors = [torch.as_tensor(value) for value in values]
    if not first.ndim:
        return [one.item() for one in tensors]
    if first.ndim >= _LIST:
        return tensors
    shapes = {tuple(one.shape) for one in tensors}
    if len(shapes) > 1:
        words = ", ".join("x".join(map(str, shape)) for shape in sorted(shapes))
        raise DataError(
            f"the inputs '{name}' of a batch have the shapes {words}",
            expected="one shape",
            remedy=f"bring them to one shape; where '{name}' is a list of inputs, give a Python "
            "list",
        )
    return torch.stack(tensors)
