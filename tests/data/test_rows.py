"""Arrays of rows, sequences and token ids: taken up as they are, or refused by name."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundkit.data.rows import refuse_empty_columns, take_rows, words_of
from groundkit.errors import DataError, GroundkitError

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
KINDS = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?"),
    arrays.complex_number_dtypes(endianness="="),
    arrays.unicode_string_dtypes(max_len=3),
    arrays.datetime64_dtypes(),
)


@settings(max_examples=300, deadline=None)
@given(arrays.arrays(KINDS, SHAPES), st.sampled_from(["rows", "sequences", "tokens"]))
def test_any_array_is_taken_up_or_refused(array, layout):
    try:
        found = take_rows(array, layout, "X")
    except GroundkitError as error:
        assert str(error).startswith("X") and error.expected
        return
    axes = 3 if layout == "sequences" else 2
    assert array.ndim == axes and array.size and found.dtype == torch.float32
    assert found.shape[: array.ndim if layout != "tokens" else 2] == array.shape
    if layout == "tokens":
        assert torch.equal(found.sum(2), torch.from_numpy((array >= 0).astype(np.float32)))
    else:
        wanted = array.astype(np.float32)
        assert np.array_equal(found.numpy(), wanted, equal_nan=wanted.dtype.kind == "f")


def test_what_is_taken_up_is_a_copy():
    array = np.zeros((2, 2), np.float32)
    take_rows(array, "rows", "X")[0, 0] = 1
    assert array[0, 0] == 0


def test_token_ids_become_columns_and_none_becomes_nothing():
    found = take_rows([[0, 2], [1, -1]], "tokens", "X")
    assert found.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 0]]]
    assert take_rows([[0]], "tokens", "X", tokens=5).shape == (1, 1, 5)


@pytest.mark.parametrize(
    ("array", "layout", "said"),
    [
        (np.zeros(3), "rows", r"have the shape \(3,\)\n  expected: \(N, D\)"),
        (np.zeros((2, 3)), "sequences", r"expected: \(N, T, D\)"),
        (np.array([["a"]]), "rows", "of type <U1\n  expected: numbers"),
        (np.array([[0.5]]), "tokens", "expected: whole numbers"),
        (np.array([[-2]]), "tokens", "run from -2 to -2"),
        (np.array([[-1]]), "tokens", "run from -1 to -1"),
        (np.array([[10**6]]), "tokens", "embeddings"),
        (np.array([[1.0, np.inf]]), "rows", r"1 value infinite or too large, the first at "),
        (np.array([[1e300]]), "rows", "expected: numbers below 3e38"),
    ],
)
def test_what_is_no_such_array_is_refused(array, layout, said):
    with pytest.raises(DataError, match=said):
        take_rows(array, layout, "X")


def test_token_ids_beyond_those_of_training_are_refused():
    with pytest.raises(DataError, match="run from 0 to 5\n  expected: token ids from 0 to 4"):
        take_rows([[0, 5]], "tokens", "X", tokens=5)


def test_missing_values_are_counted_and_a_column_of_them_is_refused():
    rows = torch.tensor([[1.0, float("nan")], [2.0, 3.0]])
    assert words_of(rows, "rows") == ("1 of 4 values are missing: their column's mean is taken",)
    refuse_empty_columns(rows, "X")
    with pytest.raises(DataError, match="X: column 1 has no value"):
        refuse_empty_columns(rows[:1], "X")
