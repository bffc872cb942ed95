"""Pictures of rows and sequences."""

import numpy as np
import pytest

from groundkit.report.rows import draw_inputs, spread_evenly

WHITE = np.ones(3)


def test_bars_stand_up_above_the_middle_and_hang_below_it():
    picture = draw_inputs([[1.0, -1.0, 0.0]])[0]
    third = picture.shape[2] // 3
    up, down, level = (picture[:, :, n * third] for n in range(3))
    half = picture.shape[1] // 2
    assert (up[:, :half] != WHITE[:, None]).any(0).all() and np.allclose(up[:, half + 1 :], 1)
    assert (down[:, half:] != WHITE[:, None]).any(0).all() and np.allclose(down[:, :half], 1)
    assert np.allclose(np.delete(level, half, axis=1), 1)
    assert up[2, 0] > up[0, 0] and down[0, -1] > down[2, -1]  # blue above, vermilion below


def test_a_map_has_time_to_the_right_and_columns_downwards():
    sequence = np.zeros((1, 4, 2))
    sequence[0, 3, 1] = 1
    picture = draw_inputs(sequence)[0]
    assert picture.shape[2] == 4
    assert np.allclose(picture[:, : picture.shape[1] // 2], 1) and np.allclose(picture[:, :, :3], 1)
    assert picture[2, -1, 3] > picture[0, -1, 3]


@pytest.mark.parametrize("shape", [(2, 500), (2, 1), (2, 300, 90), (2, 1, 1), (2, 3, 9, 8)])
def test_inputs_of_any_size_become_small_pictures(shape):
    values = np.random.default_rng(0).normal(size=shape) * 3
    values.flat[0] = np.nan
    picture = draw_inputs(values)
    assert picture.ndim == 4 and len(picture) == 2 and max(picture.shape[2:]) <= 56
    assert picture.min() >= 0 and picture.max() <= 1


def test_columns_in_units_of_their_own_are_spread_evenly():
    found = spread_evenly([[0.0, 5.0], [10.0, 5.0], [5.0, 5.0]])
    assert found.tolist() == [[-1, 0], [1, 0], [0, 0]]
