"""Rows of features, sequences and token ids: any array of theirs as floats at rest.

Nothing is scaled here: what a column's values are like is learnt from training rows, and kept with
the network (:class:`~groundkit.perception.inputs.Scale`).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.errors import DataError
from groundkit.report.words import counted

Layout: TypeAlias = Literal["rows", "sequences", "tokens"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_AXES = {"rows": "(N, D)", "sequences": "(N, T, D)", "tokens": "(N, T)"}
MOST_TOKENS = 512
"""Different token ids: each is a column. Texts of more belong into an embedding of the user's."""
_MOST_BYTES = 1 << 32
NO_TOKEN = -1


def take_rows(array: Any, layout: Layout, what: str, *, tokens: int | None = None) -> Tensor:
    """Takes up an array of rows, sequences or token ids.

    Args:
        array: ``(N, D)`` rows, ``(N, T, D)`` sequences, or ``(N, T)`` token ids from 0, of numbers
            of any type. A value that is not a number (NaN) is missing; so is a token -1.
        layout: Which of these it is.
        what: What it is, for messages, such as ``'a.npz': rows``.
        tokens: Number V of token ids, that of the training data; by default one more than the
            largest.

    Returns:
        Float32 ``(N, D)`` or ``(N, T, D)``; of token ids ``(N, T, V)``, 1 in a token's column.

    Raises:
        DataError: It has other axes, holds no numbers or infinite ones, or nothing at all.
    """
    values = np.asarray(array)
    axes = 3 if layout == "sequences" else 2
    if values.ndim != axes or 0 in values.shape:
        raise DataError(
            f"{what} have the shape {values.shape}",
            expected=f"{_AXES[layout]}, none of them 0",
            remedy="save values[:, None]" if values.ndim == axes - 1 else None,
        )
    if values.dtype.kind not in ("iu" if layout == "tokens" else "buif"):
        numbers = "whole numbers" if layout == "tokens" else "numbers"
        raise DataError(
            f"{what} are of type {values.dtype}",
            expected=numbers,
            remedy=f"save values.astype({'int' if layout == 'tokens' else 'float'})",
        )
    if layout == "tokens":
        return _one_hot(values, what, tokens)
    with np.errstate(over="ignore"):
        floats = np.array(values, dtype=np.float32, order="C")  # a copy: torch may write to it
    endless = np.isinf(floats)
    if endless.any():
        place = np.argwhere(endless)[0].tolist()
        raise DataError(
            f"{what}: {counted(int(endless.sum()), 'value')} infinite or too large, the first at "
            f"{place}",
            expected="numbers below 3e38, or NaN for a missing one",
            remedy="leave out what is infinite, or save it as missing: numpy.nan",
        )
    return torch.from_numpy(floats)


def refuse_empty_columns(rows: Tensor, what: str) -> None:
    """Refuses rows ``(N, ..., D)`` with a column that has no value at all.

    Raises:
        DataError: They have one.
    """
    known = torch.isfinite(rows).flatten(0, -2).any(0)
    if not bool(known.all()):
        column = int((~known).nonzero()[0])
        raise DataError(
            f"{what}: column {column} has no value in any row",
            expected="some rows in which each column has a value",
            remedy="leave the column out",
        )


def _one_hot(ids: NDArray[Any], what: str, tokens: int | None) -> Tensor:
    """Token ids ``(N, T)`` as sequences with a column for every id."""
    low, high = int(ids.min()), int(ids.max())
    count = high + 1 if tokens is None else tokens
    if low < NO_TOKEN or not 0 <= high < min(count, MOST_TOKENS):
        most = min(count, MOST_TOKENS) if tokens is not None else MOST_TOKENS
        if low < NO_TOKEN:
            remedy = f"save {NO_TOKEN} where there is none: numpy.where(ids < 0, {NO_TOKEN}, ids)"
        elif high < 0:
            remedy = "give texts that have a token"
        else:
            remedy = "for a larger vocabulary, give sequences of the tokens' embeddings"
        raise DataError(
            f"{what} run from {low} to {high}",
            expected=f"token ids from 0 to {most - 1}, {NO_TOKEN} where there is none",
            remedy=remedy,
        )
    if 4 * ids.size * count > _MOST_BYTES:
        raise DataError(
            f"{what}: {ids.size:,} tokens of {count} kinds need {4 * ids.size * count:,} bytes",
            expected=f"at most {_MOST_BYTES:,} bytes",
            remedy="name a smaller part of the set, or give embeddings",
        )
    whole = torch.from_numpy(ids.astype(np.int64))
    found = torch.zeros(*ids.shape, count + 1)
    found.scatter_(2, torch.where(whole < 0, count, whole)[:, :, None], 1.0)
    return found[:, :, :count].contiguous()


def words_of(rows: Tensor, layout: Layout) -> tuple[str, ...]:
    """Says what was taken for granted of rows at rest, in words."""
    found = []
    missing = int((~torch.isfinite(rows)).sum())
    if missing:
        found.append(
            f"{missing:,} of {counted(rows.numel(), 'value')} are missing: their column's mean is "
            "taken"
        )
    if layout == "tokens":
        found.append(f"token ids run from 0 to {rows.shape[-1] - 1}")
    return tuple(found)
