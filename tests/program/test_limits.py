"""Amounts of memory as people write them."""

import pytest

from groundkit.program.limits import memory_bytes


@pytest.mark.parametrize(
    ("text", "found"),
    [("4GB", 4 << 30), ("512 MiB", 512 << 20), ("1.5g", 3 << 29), ("268435456", 1 << 28)],
)
def test_units_are_powers_of_1024(text, found):
    assert memory_bytes(text) == found


@pytest.mark.parametrize("text", ["much", "255MB", "-1GB", "99999999T"])
def test_what_is_no_amount_or_too_little_is_refused(text):
    with pytest.raises(ValueError):
        memory_bytes(text)
