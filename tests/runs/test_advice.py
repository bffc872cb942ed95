"""What a run advises after a failure, done to the letter, mends it."""

import pytest

from benchmarks.verdicts import CASES, GOOD, measure


@pytest.mark.parametrize("name", CASES)
def test_the_advice_mends_the_failure(name):
    row = measure(name)
    assert row["right"] and row["advised"], row["verdict"]
    assert row["after"] >= GOOD
