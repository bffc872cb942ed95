"""Files of rows: tables and arrays as data sets, and single rows by their numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundkit.data.features import (
    load_path,
    load_table,
    pick_row,
    prepare_row,
    read_bank,
    split_reference,
)
from groundkit.data.sources import load_data, load_ood
from groundkit.errors import DataError, Location

TABLE = "length,label,width\n1.5,a,10\n2.5,b,\n3.5,a,30\n4.5,b,40\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "rows.npy", rng.normal(size=(6, 3)))
    np.save(tmp_path / "one.npy", np.array([1.0, 2.0, 3.0]))
    np.save(tmp_path / "steps.npy", rng.normal(size=(6, 5, 2)))
    np.save(tmp_path / "grey.npy", np.zeros((6, 8, 8), np.uint8))
    np.savez(tmp_path / "rows.npz", rows=np.eye(4), labels=[0, 0, 1, 1])
    np.savez(tmp_path / "ids.npz", tokens=[[0, 1], [2, 1], [1, 1]])
    return tmp_path


def test_a_table_is_a_labelled_set_with_its_numbers_as_they_are(folder):
    data = load_table(folder / "t.csv")
    assert data.classes == ("a", "b") and data.train.shape == (2,)
    both = torch.cat([data.train.pixels, data.test.pixels])
    assert sorted(both[:, 0].tolist()) == [1.5, 2.5, 3.5, 4.5]
    assert int(both[:, 1].isnan().sum()) == 1
    assert data.train.assumed[0] == "features are the columns length, width"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("t.csv", (2,)),
        ("rows.npy", (3,)),
        ("steps.npy", (5, 2)),
        ("grey.npy", (1, 8, 8)),
        ("rows.npz", (4,)),
        ("ids.npz", (2, 3)),
    ],
)
def test_files_of_every_kind_are_data_sets(folder, name, shape):
    assert load_data(name, folder).train.shape == shape


def test_other_paths_are_none(folder):
    assert load_path(folder / "a.txt") is None and load_path(folder / "none.csv") is None


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("a,label\nred,1\n", "column a has 'red'", 2),
        ("label\n1\n", "no column of features", 1),
        ("a,b\n", "no row below the header", 1),
        ("a,label\n1,x\n2,\n3,x\n", "the column label is empty", 3),
    ],
)
def test_tables_that_are_none_are_refused_with_their_line(tmp_path, text, said, line):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=said) as info:
        load_table(tmp_path / "t.csv")
    assert info.value.at == Location(tmp_path / "t.csv", line)


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int16, np.uint8, np.bool_]),
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5),
        elements=st.integers(0, 1),
    )
)
def test_rows_come_back_whatever_their_type(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("any") / "a.npy"
    np.save(path, array)
    assert np.array_equal(read_bank(path).numpy(), array.astype(np.float32))


def test_an_array_whose_header_promises_more_than_the_file_holds_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    content = (tmp_path / "a.npy").read_bytes().replace(b"(2, 3)", b"(9, 9)")
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match="speaks of more than the file holds"):
        read_bank(tmp_path / "a.npy")


def test_a_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(DataError, match="pickled"):
        read_bank(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a.csv#3", ("a.csv", 3)), ("a.csv", ("a.csv", None)), ("a#b.csv#0", ("a#b.csv", 0))],
)
def test_a_number_is_taken_off_a_path(name, parts):
    assert split_reference(name) == parts


def test_rows_are_picked_by_their_numbers(folder):
    assert prepare_row(str(folder / "t.csv#2"), (2,)).pixels.tolist() == [3.5, 30]
    assert prepare_row(str(folder / "one.npy"), (3,)).pixels.tolist() == [1, 2, 3]
    assert prepare_row(str(folder / "ids.npz#1"), (2, 4)).pixels.shape == (2, 4)
    found = prepare_row(str(folder / "t.csv#1"), (2,))
    assert found.done == ("1 missing value: their column's mean is taken",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t.csv#4", r"no row 4 in '.*t.csv'\n  expected: a number from 0 to 3"),
        ("t.csv", r"has 4 rows(.|\n)*write '.*t.csv#0'"),
        ("rows.npy#0", "has the shape 3\n  expected: 2, as in training"),
        ("grey.npy#0", "holds images"),
        ("a.png", "is no row of features"),
        ("none.csv#0", "there is no file"),
        ("none.npy#0", "there is no file"),
    ],
)
def test_references_to_nothing_are_refused(folder, name, said):
    with pytest.raises(DataError, match=said):
        prepare_row(str(folder / name), (2,))


def test_a_reference_s_place_is_told(folder):
    at = Location(folder / "pairs.csv", 7)
    with pytest.raises(DataError) as info:
        read_bank(folder / "grey.npy", at)
    assert info.value.at == at
    with pytest.raises(DataError) as info:
        pick_row(torch.zeros(2, 3), "t.csv#9", at)
    assert info.value.at == at


def test_noise_lies_where_the_columns_do_and_sets_of_images_are_told_apart(folder):
    inside = load_data("rows.npy", folder).test
    noise = load_ood("noise", inside, 50, 0).pixels
    assert noise.shape == (50, 3)
    assert bool((noise >= inside.pixels.amin(0)).all() and (noise <= inside.pixels.amax(0)).all())
    with pytest.raises(DataError, match="'letters' is made of images"):
        load_ood("letters", inside, 50, 0)
    with pytest.raises(DataError, match=r"'digits8' has images(.|\n)*rows of the shape 3"):
        load_ood("digits8", inside, 50, 0)


def test_points_are_rows():
    assert load_data("moons").train.shape == (2,)


HEADERS = {
    "an index of pandas": (",a,b\n0,1,2\n1,3,4\n", "column 1 has no name"),
    "an index that was saved twice": ("Unnamed: 0,a\n0,1\n1,3\n", "column 1 has no name"),
    "no names": ("1.5,2\n3,4\n5,6\n", "the first line holds numbers: 1.5, 2"),
    "two columns of labels": ("a,label,Labels\n1,x,y\n2,x,y\n", "label and Labels may both hold"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_first_line_that_names_no_features_is_refused(tmp_path, case):
    text, words = HEADERS[case]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        load_data(str(tmp_path / "t.csv"))


@pytest.mark.parametrize("name", ["label", "Label", "LABELS"])
def test_labels_are_no_feature_however_they_are_capitalised(tmp_path, name):
    (tmp_path / "t.csv").write_text(f"0,1,{name}\n1,2,x\n3,4,y\n5,6,x\n")
    found = load_data(str(tmp_path / "t.csv"))
    assert found.train.shape == (2,) and found.classes == ("x", "y")
    assert (f"labels are the column {name}" in found.train.assumed) == (name != "label")


def test_a_row_by_itself_may_lack_a_value(tmp_path):
    (tmp_path / "one.csv").write_text("a,b\n1,\n")
    assert "1 missing value" in str(prepare_row(str(tmp_path / "one.csv"), (2,)).done)
    np.savez(tmp_path / "one.npz", rows=[[1.0, np.nan]])
    assert "1 missing value" in str(prepare_row(str(tmp_path / "one.npz"), (2,)).done)
    with pytest.raises(DataError, match="no value in any row"):
        load_data(str(tmp_path / "one.csv"))


@pytest.mark.parametrize("name", ["t.tsv", "t.xlsx", "a.png", "t"])
def test_a_file_of_another_kind_is_not_said_to_be_absent(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match="is a file of a kind that holds no data set") as told:
        load_data(str(tmp_path / name))
    assert ("put images into a folder" in str(told.value)) == (name == "a.png")
