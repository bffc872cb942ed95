"""Parquet tables mean what CSV tables of the same content mean, and lists besides."""

import csv
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundkit.data.features import load_table, pick_row, prepare_row, read_bank
from groundkit.data.labels import read_labelled
from groundkit.data.sources import load_data
from groundkit.data.tables import read_raw
from groundkit.errors import DataError

arrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402 - where it is installed

FIELDS = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32), st.integers(-99, 99))


def write(path, **columns):
    parquet.write_table(arrow.table(columns), path)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data(), st.integers(2, 8), st.integers(1, 4), st.booleans())
def test_features_are_those_of_the_same_table_in_csv(tmp_path, data, count, width, labelled):
    columns = {
        f"c{k}": [float(k), *data.draw(st.lists(FIELDS, min_size=count - 1, max_size=count - 1))]
        for k in range(width)
    }
    columns = {k: [None if v is None else float(v) for v in col] for k, col in columns.items()}
    if labelled:
        columns["label"] = data.draw(
            st.lists(st.sampled_from("abc"), min_size=count, max_size=count)
        )
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    one = load_table(write(tmp_path / "t.parquet", **columns))
    other = load_table(tmp_path / "t.csv")
    for mine, theirs in ((one.train, other.train), (one.test, other.test)):
        np.testing.assert_array_equal(mine.pixels.numpy(), theirs.pixels.numpy())
        assert mine.classes == theirs.classes and mine.assumed == theirs.assumed
        assert labelled == (mine.labels is not None)
        assert not labelled or mine.labels.tolist() == theirs.labels.tolist()


def test_lists_are_rows_and_lists_of_lists_are_sequences(tmp_path):
    rows = load_data(str(write(tmp_path / "r.parquet", features=[[1.0, None], [2.0, 4.0]])))
    assert rows.train.shape == (2,) and "1 of 4 values are missing" in str(rows.train.assumed)
    steps = [[[1, 2]], [[3, 4], [5, 6]], [[7, 8], None, [9, 9]]]
    path = write(tmp_path / "s.parquet", steps=steps, Label=["a", "b", "a"])
    found = load_data(str(path))
    assert found.train.shape == (3, 2) and found.classes == ("a", "b")
    second = pick_row(read_bank(path), "s.parquet#1")
    assert second[:2].tolist() == [[3, 4], [5, 6]] and bool(second[2].isnan().all())
    assert prepare_row(f"{path}#2", (3, 2)).done == (
        "2 missing values: their column's mean is taken",
    )


def test_an_index_of_pandas_is_no_feature(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": [True, False, True]}, index=[5, 7, 9])
    frame["label"] = pandas.Categorical(["x", "y", "x"])
    frame.to_parquet(tmp_path / "t.parquet")
    found = load_data(str(tmp_path / "t.parquet"))
    assert found.train.shape == (2,) and found.classes == ("x", "y")


def test_examples_have_lists_truth_and_facts(tmp_path):
    path = write(
        tmp_path / "e.parquet",
        Xs=[["a.png", "b.png"], ["c.png"]],
        N=[7, 3],
        facts=[["edge(a,b)"], None],
        probability=[None, 0.5],
        **{"Xs.truth": [["3", "4"], None]},
    )
    first, second = read_raw(path, ["Xs", "N"], ["Xs"])
    assert first.values == {"Xs": ("a.png", "b.png"), "N": "7"} and first.facts == ("edge(a,b)",)
    assert (first.target, second.target, str(second.at)) == (1.0, 0.5, f"{path}:2")
    assert first.truth == {"Xs.truth": ("3", "4")} and second.truth == {"Xs.truth": ""}


def test_truth_values_are_those_of_prolog(tmp_path):
    path = write(tmp_path / "t.parquet", X=["a.png", "b.png"], same=[True, False])
    assert [row.values["same"] for row in read_raw(path, ["X", "same"], ["X"])] == ["true", "false"]


def test_labelled_rows_are_named_in_a_table(tmp_path):
    np.save(tmp_path / "r.npy", np.eye(3))
    path = write(tmp_path / "l.parquet", image=["r.npy#0", "r.npy#2"], symbol=[1, 0])
    found = read_labelled(path, ["0", "1"], (3,))
    assert found.pixels.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert found.targets.tolist() == [[0, 1], [1, 0]]


WRONG = {
    "texts": ({"a": ["x", "y"]}, "column a .* has values of the type string"),
    "bytes": ({"a": [b"x", b"y"]}, "has values of the type binary\n  expected: numbers, texts"),
    "structs": ({"a": [{"path": "x"}, {"path": "y"}]}, "has values of the type struct"),
    "lists of several lengths": ({"a": [[1.0], [1.0, 2.0]]}, "lists of numbers of lengths 1, 2"),
    "lists beside numbers": ({"a": [[1.0], [2.0]], "b": [1.0, 2.0]}, "columns a, b, some of"),
    "one row": ({"a": [1.0]}, "has 1 row\n"),
    "no row": ({"a": arrow.array([], arrow.float64())}, "no row below the header"),
    "labels alone": ({"label": ["x", "y"]}, "no column of features"),
    "two columns of labels": ({"a": [1, 2], "label": [0, 1], "Labels": [0, 1]}, "may both hold"),
    "an empty label": ({"a": [1, 2], "label": ["x", None]}, ":2: the column label is empty"),
    "no value in a column": ({"a": [1, 2], "b": [None, None]}, "column 1 has no value in any row"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_table_of_features_is_refused(tmp_path, case):
    columns, words = WRONG[case]
    with pytest.raises(DataError, match=words):
        load_table(write(tmp_path / "t.parquet", **columns))


def test_damaged_and_unfolding_files_are_refused(tmp_path):
    whole = write(tmp_path / "t.parquet", a=[1.0, 2.0]).read_bytes()
    for content in (b"", b"PAR1", whole[:-3], whole[:20] + bytes(20) + whole[40:], b"a,b\n1,2\n"):
        (tmp_path / "t.parquet").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            load_table(tmp_path / "t.parquet")
    equal = arrow.DictionaryArray.from_arrays(np.zeros(1 << 25, np.int8), ["x"])
    write(tmp_path / "bomb.parquet", a=equal, b=equal)
    with pytest.raises(DataError, match="unfolds to 67,108,864 values"):
        load_table(tmp_path / "bomb.parquet")


def test_where_pyarrow_is_absent_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "t.parquet", a=[1.0, 2.0])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for read in (load_table, lambda file: read_raw(file, ["a"], [])):
        with pytest.raises(DataError, match=r"remedy: pip install 'groundkit\[parquet\]', or save"):
            read(path)
