"""The user's own files are read, or refused by name."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from groundkit.data import files, sources
from groundkit.data.archives import load_npz
from groundkit.data.photos import prepare_image
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
    data = load_npz(tmp_path / "a.npz")
    assert data.classes == ("a", "b")
    assert len(data.train) == 8


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros(3)}, "one of the arrays images, rows"),
        ({"images": np.zeros((3, 8, 8)) * np.nan}, "not finite"),
        ({"images": np.full((3, 8, 8), 300.0)}, "pixels run from"),
        ({"images": np.zeros(3)}, "have shape"),
        ({"images": np.zeros((3, 8, 8)), "labels": np.zeros(2)}, "labels have shape"),
    ],
)
def test_wrong_npz_arrays_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=said):
        load_npz(tmp_path / "a.npz")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}, {"b": 2}], dtype=object))
    with pytest.raises(DataError, match=r"images are pickled .*\n.*\n  remedy: bring all to one"):
        load_npz(tmp_path / "a.npz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=120))
def test_any_bytes_are_a_table_or_a_data_error(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    try:
        header, rows = files.read_table(path)
        assert all(set(row) == set(header) for _, row in rows)
    except DataError as error:
        assert str(path) in str(error)


def test_a_png_cut_anywhere_is_refused(tmp_path):
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for length in range(1, len(content)):
        (tmp_path / "b.png").write_bytes(content[:length])
        with pytest.raises(DataError, match="cannot be read as an image"):
            files.read_image(tmp_path / "b.png", (1, 8, 8))


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "WEBP", "TIFF", "PPM"])
def test_other_formats_cut_short_are_refused(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.img", kind)
    content = (tmp_path / "a.img").read_bytes()
    for length in range(1, len(content), 41):
        (tmp_path / "b.img").write_bytes(content[:length])
        with pytest.raises(DataError, match="cannot be read as an image"):
            files.read_image(tmp_path / "b.img", (1, 8, 8))


def classes(folder, levels, suffix=".png"):
    """Writes two class folders of blank images of the given levels."""
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number, level in enumerate(levels):
            save(folder / name / f"{number}{suffix}", np.full((28, 28), level))
    return folder


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "__MACOSX", ".git", "empty"])
def test_hidden_and_empty_folders_are_no_classes_and_it_is_said(tmp_path, name):
    folder = classes(tmp_path / "data", np.array([10, 200], np.uint8))
    (folder / name).mkdir()
    if name != "empty":
        save(folder / name / "1-checkpoint.png", np.zeros((8, 8), np.uint8))
    data = files.load_folder(folder)
    assert data.classes == ("a", "b") and len(data.train) + len(data.test) == 4
    assert data.train.assumed == (f"not taken for classes, hidden or without images: {name}",)


def test_a_linked_class_folder_is_a_class(tmp_path):
    folder = classes(tmp_path / "data", np.array([10, 200], np.uint8))
    classes(tmp_path / "else", np.array([50, 60, 70], np.uint8))
    (folder / "c").symlink_to(tmp_path / "else" / "a")
    data = files.load_folder(folder)
    assert data.classes == ("a", "b", "c")
    assert np.bincount(np.concatenate([data.train.labels, data.test.labels])).tolist() == [2, 2, 3]


def test_links_that_lead_back_or_out_of_a_class_are_refused(tmp_path):
    folder = classes(tmp_path / "data", np.array([10, 200], np.uint8))
    (folder / "loop").symlink_to("..")
    with pytest.raises(DataError, match=r"leads back to the folder(.|\n)*remedy: remove the link"):
        files.load_folder(folder)
    (folder / "loop").unlink()
    (folder / "a" / "x.png").symlink_to(folder / "b" / "0.png")
    assert len(files.load_folder(folder).train) == 3
    save(tmp_path / "out.png", np.zeros((8, 8), np.uint8))
    (folder / "a" / "y.png").symlink_to(tmp_path / "out.png")
    with pytest.raises(DataError, match=r"y.png' leaves the folder"):
        files.load_folder(folder)


@pytest.mark.parametrize("suffix", [".tiff", ".TIF", ".pnm", ".jfif"])
def test_all_endings_of_known_formats_are_images(tmp_path, suffix):
    kind = {".jfif": "JPEG", ".pnm": "PPM"}.get(suffix, "TIFF")
    for number in range(2):
        Image.new("L", (28, 28), 99).save(tmp_path / f"{number}{suffix}", kind)
    assert int(files.load_folder(tmp_path).train.pixels.max()) == 99


def test_levels_are_those_of_the_whole_folder_not_of_each_file(tmp_path):
    """A dark image of 16 bits stays dark beside bright ones, 8-bit values in 16 bits do not."""
    folder = classes(tmp_path / "wide", np.array([200, 65535], np.uint16))
    data = files.load_folder(folder)
    found = set(torch.cat([data.train.pixels, data.test.pixels]).flatten().tolist())
    assert found == {1, 255}
    assert data.train.assumed == ("values have 16 bits: 65535 is white, the largest is 65535",)
    data = files.load_folder(classes(tmp_path / "narrow", np.array([100, 200], np.uint16)))
    found = set(torch.cat([data.train.pixels, data.test.pixels]).flatten().tolist())
    assert found == {100, 200}
    assert data.train.assumed == ("values of uint16 are bytes: 255 is white",)


def test_floats_of_a_folder_share_their_range(tmp_path):
    folder = classes(tmp_path / "floats", np.array([0.5, 200.0], np.float32), ".tiff")
    data = files.load_folder(folder)
    found = set(torch.cat([data.train.pixels, data.test.pixels]).flatten().tolist())
    assert found == {0, 200}
    folder = classes(tmp_path / "odd", np.array([0.5, 3.0], np.float32), ".tiff")
    with pytest.raises(DataError, match=r"1.tiff'.*: pixels run from 0.5 to 3.0"):
        files.load_folder(folder)


def test_masks_of_zeros_and_ones_are_black_and_white(tmp_path):
    data = files.load_folder(classes(tmp_path / "masks", np.array([0, 1], np.uint8)))
    found = torch.cat([data.train.pixels, data.test.pixels])
    assert set(found.flatten().tolist()) == {0, 255}
    assert "the only values are 0 and 1" in data.train.assumed[0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK"])
def test_files_of_any_mode_come_to_any_number_of_channels(tmp_path, channels, mode):
    kind = "tiff" if mode == "CMYK" else "png"
    Image.new("RGB", (8, 8), (200, 200, 200)).convert(mode).save(tmp_path / f"a.{kind}")
    found = files.read_image(tmp_path / f"a.{kind}", (channels, 8, 8))
    assert found.shape == (channels, 8, 8)
    if channels in (2, 4):
        assert set(found[-1].flatten().tolist()) == {255}
    with pytest.raises(DataError, match=r"images of 5 channels are wanted(.|\n)*remedy: give one"):
        files.read_image(tmp_path / f"a.{kind}", (5, 8, 8))


def test_arrays_of_opacity_and_files_of_it_agree(tmp_path):
    """What is trained from an array with 4 channels reads a file of the same image alike."""
    array = np.random.default_rng(0).integers(1, 256, (2, 8, 8, 4)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=array)
    data = load_npz(tmp_path / "a.npz")
    Image.fromarray(array[0]).save(tmp_path / "a.png")
    file = files.read_image(tmp_path / "a.png", data.train.shape)
    assert any(torch.equal(file, one) for one in (*data.train.pixels, *data.test.pixels))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([3.0, 7.0] * 5), ("3", "7")),
        (np.array([[0], [1]] * 5), ("0", "1")),
        (np.array([b"x", b"y"] * 5), ("x", "y")),
        (np.array([0.5, 1.5] * 5), ("0.5", "1.5")),
    ],
)
def test_labels_of_any_type_are_named_as_people_write_them(tmp_path, labels, classes):
    np.savez(tmp_path / "a.npz", images=np.zeros((10, 8, 8), np.uint8), labels=labels)
    assert load_npz(tmp_path / "a.npz").classes == classes


def test_labels_that_are_not_finite_are_no_class(tmp_path):
    labels = np.array([0, 1, np.nan, 1])
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=labels)
    words = r"1 label is not finite, the first is that of input 2\n.*\n  remedy: leave out the"
    with pytest.raises(DataError, match=words):
        load_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("size", [(3, 0, 0), (3, 0, 8), (0, 8, 8), (1, 8, 8)])
def test_archives_without_pixels_are_refused(tmp_path, size):
    np.savez(tmp_path / "a.npz", images=np.zeros(size, np.uint8))
    with pytest.raises(DataError, match=r"images have shape .*\n  expected: at least 2 image"):
        load_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_tables_with_a_byte_order_mark_and_any_line_end_are_read(tmp_path, start, end):
    (tmp_path / "t.csv").write_bytes(start + end.join([b"X,Z", b"a.png,1", b""]))
    header, rows = files.read_table(tmp_path / "t.csv")
    assert header == ["X", "Z"] and [row for _, row in rows] == [{"X": "a.png", "Z": "1"}]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.sampled_from(["", "a,1", '"a\nb",1', "'a,1"]), max_size=8))
def test_a_row_is_said_to_stand_where_it_begins(tmp_path, lines):
    """Whatever stands before it: blank lines, and quoted values of several lines."""
    (tmp_path / "t.csv").write_text("\n".join(["", "X,Z", *lines, "last,2"]).lstrip("\n"))
    begins, expected = 2, []
    for line in [*lines, "last,2"]:
        expected += [begins] if line else []
        begins += 1 + line.count("\n")
    _, rows = files.read_table(tmp_path / "t.csv")
    assert [at.line for at, _ in rows] == expected


def test_points_have_no_other_shape():

    with pytest.raises(
        DataError, match=r"'moons' has rows of the shape 2(.|\n)*leave out image_shape"
    ):
        sources.load_data("moons").brought_to((1, 8, 8))


def test_a_labelled_set_is_brought_to_grey_as_its_files_would_be(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "colour").mkdir()
    for number in range(4):
        save(tmp_path / "colour" / f"{number}.png", rng.integers(0, 256, (28, 28, 3), np.uint8))
    data = files.load_folder(tmp_path / "colour")
    grey = data.brought_to((1, 28, 28))
    assert grey.train.shape == (1, 28, 28) and data.train.shape == (3, 28, 28)
    wanted = [files.read_image(p, (1, 28, 28)) for p in (tmp_path / "colour").iterdir()]
    for image in grey.train.pixels:
        assert min(int((image.int() - one.int()).abs().max()) for one in wanted) <= 1
    assert data.brought_to((3, 14, 14)).test.shape == (3, 14, 14)
    assert data.brought_to((4, 28, 28)).test.pixels[:, 3].min() == 255


def test_pictures_of_16_bits_are_turned_upright_as_their_camera_says(tmp_path):
    wide = np.zeros((4, 8), np.uint16)
    wide[:, 0] = 65535
    note = Image.Exif()
    note[274] = 6  # the camera was held on its side
    for kind in (np.uint16, np.uint8):
        Image.fromarray(wide.astype(kind)).save(tmp_path / "a.png", exif=note)
        found = files.read_image(tmp_path / "a.png", (1, 8, 4))[0]
        assert found[0].tolist() == [255] * 4 and int(found[1:].max()) == 0
        assert files.read_image_size(tmp_path / "a.png") == (1, 8, 4)


NO_IMAGES = {
    "other endings": ({"a.heic": b"x", "b.HEIC": b"x", "notes": b"x"}, "2 .heic, 1 without an end"),
    "an empty file": ({"a.png": b"", "b.png": b""}, "cannot be read as an image: it is empty"),
    "a text": ({"a.png": b"<svg/>", "b.png": b"x"}, "cannot be read as an image: it is none"),
    "nothing": ({}, "holds 0 images\n"),
}


@pytest.mark.parametrize("case", NO_IMAGES)
def test_a_folder_without_images_says_what_it_holds(tmp_path, case):
    held, words = NO_IMAGES[case]
    for name, content in held.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        files.load_folder(tmp_path)


def test_folders_of_a_split_are_said_to_be_classes(tmp_path):
    for name in ("train", "Test"):
        (tmp_path / name).mkdir()
        for number in range(2):
            save(tmp_path / name / f"{number}.png", np.eye(8, dtype=np.uint8) * 255)
    found = files.load_folder(tmp_path)
    assert found.classes == ("Test", "train") and "are classes, not parts" in str(
        found.train.assumed
    )


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_files_of_one_set_and_later_ones_share_their_levels(tmp_path, bits):
    """A dark picture that is asked about later is as dark as it was among the others."""
    white = (1 << bits) - 1
    values = np.full((8, 8), white, np.uint16)
    for place, shown in enumerate((values, values // 2, values // 300)):
        save(tmp_path / f"{place}.png", shown)
    data = files.load_folder(tmp_path)
    levels = data.train.levels
    assert (levels["uint16"].black, levels["uint16"].white) == (0, white)
    assert f"values have {bits} bits: {white} is white" in str(data.train.assumed)
    seen = torch.cat([data.train.pixels, data.test.pixels]).amax((1, 2, 3)).sort().values
    alone = [
        int(files.read_one(tmp_path / f"{place}.png", (1, 28, 28), known=levels)[0].max())
        for place in (2, 1, 0)
    ]
    assert alone == seen.tolist() and alone[0] <= 1
    pairs = {kind: (one.black, one.white) for kind, one in levels.items()}
    asked = prepare_image(tmp_path / "1.png", (1, 28, 28), 0.5, levels=pairs)
    assert int(asked.pixels.max()) == alone[1]
    if bits < 16:
        save(tmp_path / "3.png", np.full((8, 8), 65535, np.uint16))
        with pytest.raises(DataError, match=f"expected: 0 for black to {white} for white, as in"):
            files.read_one(tmp_path / "3.png", (1, 28, 28), known=levels)


LABELS = {
    "one-hot": (np.eye(4), "labels.argmax"),
    "too few": (np.arange(3), "there are 4 inputs"),
    "empty texts": (
        np.array(["a", "", "b", " "]),
        "2 labels are empty, the first is that of input 1",
    ),
    "complex numbers": (np.arange(4) * 1j, "labels are of type complex128"),
    "objects": (
        np.array(["a", 1, 2, "b"], dtype=object),
        r"pickled .*(?s:.*)numpy.array\(labels, d",
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_are_none_are_refused(tmp_path, case):
    labels, words = LABELS[case]
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=labels)
    with pytest.raises(DataError, match=words):
        load_npz(tmp_path / "a.npz")


def test_labels_are_read_without_space_and_truth_values_as_symbols(tmp_path):
    for labels, classes in (
        (np.array([" a", "a ", "b", "b"]), ("a", "b")),
        (np.array([True, False, True, False]), ("false", "true")),
        (np.array([b"x", b"y", b"x", b"y"]), ("x", "y")),
    ):
        np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=labels)
        assert load_npz(tmp_path / "a.npz").classes == classes


@pytest.mark.parametrize("order", ["NHWC", "nhwc", b"NHWC", np.array(["NHWC"])])
def test_the_order_of_axes_may_be_written_in_any_way(tmp_path, order):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 3, 3, 3), np.uint8), order=order)
    assert load_npz(tmp_path / "a.npz").train.shape == (3, 3, 3)
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 3, 3, 3), np.uint8), order=["NHWC", "x"])
    with pytest.raises(DataError, match="order is "):
        load_npz(tmp_path / "a.npz")


def test_an_archive_of_other_names_says_which_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", X_train=np.zeros(3), y=np.zeros(3))
    with pytest.raises(DataError, match=r"holds X_train, y\n(?s:.*)remedy: name them so"):
        load_npz(tmp_path / "a.npz")
