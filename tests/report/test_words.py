"""Numbers and lists as people read them."""

from groundkit.report.words import counted, listing, number, percent, seconds


def test_numbers_for_people():
    assert [number(v) for v in (None, 3, 12345, 0.12345, 64.62, 1234.5)] == [
        "\u2013", "3", "12,345", "0.123", "64.6", "1,234",
    ]  # fmt: skip
    assert [seconds(v) for v in (0.42, 12.3, 200, 7500)] == [
        "0.4 s", "12 s", "3 min 20 s", "2 h 5 min",
    ]  # fmt: skip


def test_lists_are_cut_and_shares_are_percentages():
    assert listing(["a", "b"]) == "a, b" and listing(list("abcd"), most=2) == "a, b and 2 more"
    assert percent(0.9731) == "97.3 %" and percent(None) == "\u2013"


def test_nouns_are_counted():
    assert [counted(n, "image") for n in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
