"""Any array of images comes to the models' range, with its assumptions said, or is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.data.archives import load_npz
from groundkit.data.levels import take_images
from groundkit.errors import DataError

SIDES = st.integers(5, 9)
CHANNELS = st.sampled_from([1, 2, 3, 4])


@st.composite
def images(draw, channels=CHANNELS):
    """Bytes ``(N, C, H, W)`` that reach from 0 to 255."""
    shape = (draw(st.integers(2, 4)), draw(channels), draw(SIDES), draw(SIDES))
    found = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape)
    found.flat[:2] = 0, 255
    return found.astype(np.uint8)


def oracle(array, black, white):
    """The same by the definition, value by value."""
    return [round((float(v) - black) / (white - black) * 255) for v in np.ravel(array)]


@settings(max_examples=60, deadline=None)
@given(images())
def test_order_of_axes_does_not_matter(pixels):
    """All of 1 to 4 channels, first or last, on every machine's strides."""
    last = np.moveaxis(pixels, 1, -1)
    for array in (pixels, last, np.ascontiguousarray(last), np.asfortranarray(last)):
        taken = take_images(array, "X")
        assert torch.equal(taken.pixels(), torch.from_numpy(pixels))
    assert "channels are the last axis" in take_images(last, "X").assumed[0]
    assert torch.equal(take_images(pixels[:, 0], "X").pixels(), torch.from_numpy(pixels[:, :1]))


@settings(max_examples=60, deadline=None)
@given(images(), st.sampled_from(["<u2", "<i8", "u1", ">u2", "<f4", "<f8", "<f2"]))
def test_ranges_of_any_type_give_the_same_bytes(pixels, kind):
    kind = np.dtype(kind)
    want = torch.from_numpy(pixels)
    if kind.kind == "f":
        for array in (pixels / 255, pixels / 127.5 - 1, pixels):
            got = take_images(array.astype(kind), "X")
            assert (got.pixels().int() - want.int()).abs().max() <= (kind.itemsize == 2)
            assert got.levels.assumed
    else:
        got = take_images(pixels.astype(kind), "X")
        assert torch.equal(got.pixels(), want)
        assert bool(got.levels.assumed) == (kind.itemsize > 1)
    if kind.itemsize == 2 and kind.kind == "u":
        wide = (pixels.astype(np.uint16) * 257).astype(kind)
        assert torch.equal(take_images(wide, "X").pixels(), want)


@settings(max_examples=40, deadline=None)
@given(images(), st.sampled_from([(0, 1), (-1, 1), (0, 65535)]))
def test_scaling_is_that_of_the_definition(pixels, levels):
    black, white = levels
    array = pixels / 255 * (white - black) + black
    array = array.astype(np.uint16) if white > 1 else array
    taken = take_images(array, "X")
    assert taken.pixels().flatten().tolist() == oracle(array, black, white)
    assert np.allclose(taken.floats(), taken.pixels().numpy() / 127.5 - 1, atol=1 / 127)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32, np.uint16])
def test_masks_are_black_and_white(kind):
    mask = np.zeros((2, 6, 6), kind)
    mask[0, :3] = 1
    taken = take_images(mask, "X")
    assert sorted(set(taken.pixels().flatten().tolist())) == [0, 255]
    assert "white" in taken.assumed[0]


def test_dark_whole_numbers_stay_and_it_is_said():
    taken = take_images(np.full((2, 8, 8), 16, np.uint8), "X")
    assert taken.pixels().max() == 16
    assert taken.assumed == ("255 is white, so that images are dark: their largest value is 16",)


@pytest.mark.parametrize("shape", [(2, 3, 8, 3), (2, 3, 3, 3), (2, 8, 8, 8), (2, 12, 8, 8)])
def test_axes_that_could_be_either_are_refused_and_the_remedy_works(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with pytest.raises(DataError, match=r'channels first or last(.|\n)*order="NHWC"'):
        take_images(array, "X")
    np.savez(tmp_path / "a.npz", images=array, order="NHWC")
    assert load_npz(tmp_path / "a.npz").train.shape == (shape[3], *shape[1:3])
    np.savez(tmp_path / "a.npz", images=array, order="NCHW")
    assert load_npz(tmp_path / "a.npz").train.shape == shape[1:]
    np.savez(tmp_path / "a.npz", images=array, order="CHWN")
    with pytest.raises(DataError, match="order is 'CHWN'\n  expected: NCHW or NHWC"):
        load_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 0, 0), np.uint8), r"shape \(2, 0, 0\)\n  expected: at least 1 image"),
        (np.zeros((0, 8, 8)), r"shape \(0, 8, 8\)"),
        (np.zeros((8, 8)), r"shape \(8, 8\)\n  expected: \(N, H, W\)"),
        (np.zeros((2, 8, 8), complex), "of type complex128"),
        (np.array([["a"]]), "of type"),
        (np.full((2, 8, 8), 7.0), "pixels run from 7.0 to 7.0"),
        (np.full((2, 8, 8), -3), "pixels run from -3.0 to -3.0"),
        (np.full((2, 8, 8), 70000), "pixels run from 70000.0"),
        (np.linspace(0, 16, 128).reshape(2, 8, 8), r"save images / 16:"),
    ],
)
def test_what_fits_no_range_is_refused(array, words):
    with pytest.raises(DataError, match=words):
        take_images(array, "X")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_counted_and_located(value):
    array = np.zeros((3, 8, 8), np.float32)
    array[1, 2, 3] = value
    with pytest.raises(DataError, match=r"X: 1 pixels are not finite, the first at \[1, 0, 2, 3\]"):
        take_images(array, "X")


def test_levels_of_training_hold_for_what_is_read_later():
    levels = take_images(np.array([[[0, 1.0]]]), "X").levels
    dim = np.full((1, 1, 2), 0.5)
    assert take_images(dim, "X", levels=levels).pixels().flatten().tolist() == [128, 128]
    with pytest.raises(DataError, match="expected: 0 for black to 1 for white, as in training"):
        take_images(np.full((1, 1, 2), 200.0), "X", levels=levels)
    with pytest.raises(DataError, match="not finite"):
        take_images(np.full((1, 1, 2), np.nan), "X", levels=levels)
