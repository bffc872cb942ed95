"""A symbol as a user writes it means one value, or the user is asked which."""

from __future__ import annotations

import pytest

from groundkit.errors import DataError
from groundkit.symbols import Values, plain


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("7", "7"), ("07", "7"), ("7.0", "7"), (" 7 ", "7"), ("+7", "7"), ("-0.50", "-0.5"),
        ("[1,2]", "[1, 2]"), ("[01, 2.0]", "[1, 2]"), ("New York", "'New York'"),
        ("'New York'", "'New York'"), ("yes", '"yes"'), ("7", "'7'"), ("7", "'07'"),
        ("1e3", "1000"),
        ("[a,B]", "[a, 'B']"), ("point(1,2)", "point(1, 2)"), ("12345678901234567891",) * 2,
    ],
)  # fmt: skip
def test_finds_what_is_meant(written: str, value: str) -> None:
    assert Values(["other", value, "[9]"]).find(written) == 1


def test_exactly_written_comes_first_and_ambiguity_is_told() -> None:
    values = Values(["1", "'1'", "'yes'", '"yes"', "yes"])
    assert [values.find(v) for v in ("1", "'1'", "'yes'", '"yes"', "yes")] == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="may mean 1 or '1'"):
        values.find("1.0")
    with pytest.raises(DataError, match=r"may mean 'no' or \"no\"") as info:
        Values(["'no'", '"no"']).position("no", "symbol")
    assert "with its quotes" in str(info.value)


def test_large_numbers_and_words_like_numbers_stay_apart() -> None:
    assert Values(["12345678901234567890"]).find("12345678901234567891") is None
    assert plain("1_000") == "1_000" and plain("inf") == "inf" and plain("infinity") == "infinity"


def test_rows_are_found_column_by_column() -> None:
    rows = Values([("1", "'A'"), ("2", "'A'")])
    assert rows.find("02", "A") == 1 and rows.find("3", "A") is None
