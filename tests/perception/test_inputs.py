"""Kinds of inputs by shape, and the scale that is learnt from training rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundkit.errors import DataError
from groundkit.perception.inputs import SPREADS, Scale, by_row, kind_of, scale_for, take

ROWS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=6),
    elements=st.floats(-1e4, 1e4, width=32) | st.just(float("nan")),
)


@pytest.mark.parametrize(
    ("shape", "kind"), [((3,), "row"), ((4, 3), "sequence"), ((1, 4, 3), "image")]
)
def test_the_kind_is_told_by_the_axes(shape, kind):
    assert kind_of(shape) == kind
    assert (scale_for(shape) is None) == (kind == "image")


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4)])
def test_other_axes_are_refused(shape):
    with pytest.raises(DataError, match="for a row of features"):
        kind_of(shape)


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_a_scale_makes_every_column_alike_and_missing_values_its_middle(values):
    rows = torch.from_numpy(values)
    scale = Scale(rows.shape[-1])
    scale.fit(rows)
    scaled = scale(rows)
    assert bool(torch.isfinite(scaled).all())
    for column, of_numpy in zip(
        scaled.reshape(-1, rows.shape[-1]).T, values.reshape(-1, values.shape[-1]).T, strict=True
    ):
        known = ~np.isnan(of_numpy)
        assert bool((column[torch.from_numpy(~known)] == 0).all())
        if known.any():
            spread = of_numpy[known].astype(np.float64).std()
            wanted = 1 / SPREADS if spread > 1e-3 * (1 + np.abs(of_numpy[known]).max()) else None
            found = float(column[torch.from_numpy(known)].double().std(correction=0))
            assert wanted is None or found == pytest.approx(wanted, rel=1e-2)


def test_a_scale_goes_back_to_the_units_that_rows_came_in():
    rows = torch.tensor([[1000.0, 0.5, 7.0], [3000.0, 0.1, 7.0]])
    scale = Scale(3)
    scale.fit(rows)
    assert torch.allclose(scale.back(scale(rows)), rows)
    assert float(scale.reach[2]) == 1  # a column that never changes


def test_images_and_rows_are_taken_each_in_their_way():
    assert float(take(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8), None)) == 1
    scale = Scale(1)
    scale.fit(torch.tensor([[10.0], [20.0]]))
    assert float(take(torch.tensor([[15.0]]), scale)) == 0


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 1, 3, 4)])
def test_values_spread_over_the_axes_of_their_inputs(shape):
    spread = by_row(torch.tensor([1.0, 2.0]), torch.zeros(shape))
    assert (torch.zeros(shape) + spread)[1].eq(2).all()
