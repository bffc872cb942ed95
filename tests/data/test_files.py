"""The user's own files are read, or refused by name."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from groundkit.data import files
from groundkit.errors import DataError, Location


def save(path, array):
    Image.fromarray(array).save(path)
    return path


def test_images_keep_their_proportions_and_border(tmp_path):
    wide = np.zeros((10, 20), np.uint8)
    wide[:, 8:12] = 255
    tensor = files.read_image(save(tmp_path / "a.png", wide), (1, 28, 28))
    assert tensor.shape == (1, 28, 28)
    assert tensor[0, :6].max() == 0
    assert tensor[0, 14, 14] > 200


def test_colour_and_grey_are_converted(tmp_path):
    colour = save(tmp_path / "c.png", np.full((8, 8, 3), (255, 0, 0), np.uint8))
    assert files.read_image(colour, (1, 8, 8)).shape == (1, 8, 8)
    assert files.read_image(colour, (3, 8, 8))[0].min() == 255


@pytest.mark.parametrize("name", ["a.png", "a.pgm", "a.tif"])
def test_grey_of_sixteen_bits_is_scaled_not_clipped(tmp_path, name):
    levels = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
    path = save(tmp_path / name, levels.astype(np.uint16) * 257)
    assert files.read_image(path, (1, 8, 8))[0].tolist() == levels.tolist()
    assert files.read_image_size(path) == (1, 8, 8)


def test_grey_of_floats_is_scaled_and_what_is_not_finite_refused(tmp_path):
    levels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    path = save(tmp_path / "a.tif", levels)
    assert files.read_image(path, (1, 8, 8))[0].tolist() == np.round(levels * 255).tolist()
    levels[0, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        files.read_image(save(path, levels), (1, 8, 8))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\nxxxx"])
def test_what_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"t.csv:4: .*a.png.* cannot be read"):
        files.read_image(path, (1, 8, 8), Location("t.csv", 4))


def test_image_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_PIXELS", 50)
    path = save(tmp_path / "a.png", np.zeros((10, 10), np.uint8))
    with pytest.raises(DataError, match="too large"):
        files.read_image(path, (1, 8, 8))


def test_folders_of_classes_are_split_by_class(tmp_path):
    for name, level in (("dark", 10), ("light", 240)):
        (tmp_path / name).mkdir()
        for i in range(10):
            save(tmp_path / name / f"{i}.png", np.full((28, 28), level, np.uint8))
    data = files.load_folder(tmp_path)
    assert data.classes == ("dark", "light")
    assert np.bincount(data.train.labels).tolist() == [8, 8]
    light = data.test.pixels[torch.from_numpy(data.test.labels == 1)]
    assert light.min() == 240


def test_folders_with_images_on_two_levels_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    save(tmp_path / "a" / "1.png", np.zeros((8, 8), np.uint8))
    save(tmp_path / "2.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match="both beside and inside"):
        files.load_folder(tmp_path)


def test_npz_with_labels_reads_back(tmp_path):
    images = np.arange(10 * 8 * 8).reshape(10, 8, 8).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.array(list("ab") * 5))
    data = files.load_npz(tmp_path / "a.npz")
    assert data.classes == ("a", "b")
    assert len(data.train) == 8


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros(3)}, "an array 'images'"),
        ({"images": np.zeros((3, 8, 8)) * np.nan}, "not finite"),
        ({"images": np.full((3, 8, 8), 300.0)}, "pixels run from"),
        ({"images": np.zeros(3)}, "have shape"),
        ({"images": np.zeros((3, 8, 8)), "labels": np.zeros(2)}, "labels have shape"),
    ],
)
def test_wrong_npz_arrays_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=said):
        files.load_npz(tmp_path / "a.npz")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}, {"b": 2}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        files.load_npz(tmp_path / "a.npz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=120))
def test_any_bytes_are_a_table_or_a_data_error(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    try:
        header, rows = files.read_table(path)
        assert all(set(row) == set(header) for row in rows)
    except DataError as error:
        assert str(path) in str(error)
