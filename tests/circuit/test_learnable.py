"""Learnable probabilities beside fixed ones of the same disjunction."""

import math

import pytest

from groundkit.circuit.learnable import LearnableGroups, log
from groundkit.errors import Location
from groundkit.program.probability import LearnableGroup


def group(initial, fixed=(), heads=("a", "b")):
    others = tuple(f"other{k}" for k in range(len(fixed)))
    places = tuple(range(len(initial), len(initial) + len(fixed)))
    return LearnableGroup(heads[: len(initial)], initial, others, fixed, places, Location(None, 1))


@pytest.mark.parametrize(
    ("initial", "fixed", "none"), [((0.2, 0.3), (0.4,), 0.1), ((0.2, 0.4), (0.4,), 0.0)]
)
def test_rows_start_where_told_and_leave_fixed_ones_their_share(initial, fixed, none):
    rows = LearnableGroups({"g": group(initial, fixed)}).log_rows("g").exp().tolist()
    assert rows == pytest.approx([*initial, none, *fixed])
    assert sum(rows) == pytest.approx(1)


def test_what_starts_impossible_stays_so():
    groups = LearnableGroups({"g": group((0.0, 0.5))})
    assert groups.log_rows("g")[0] == -math.inf and groups["g"].numel() == 2
    assert log(0.0) == -math.inf


def test_values_are_told_by_head_and_line():
    found = LearnableGroups({"g": group((0.25, 0.75))}).probabilities()
    assert found == {"a (line 1)": pytest.approx(0.25), "b (line 1)": pytest.approx(0.75)}
