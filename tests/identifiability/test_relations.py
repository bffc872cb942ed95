"""Relations: membership, order of columns, words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from groundkit.identifiability.relations import Relation, RowIndex


@dataclass
class Support:
    values: dict[str, np.ndarray]
    answers: np.ndarray


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=40), st.data())
def test_membership_equals_a_set(rows, data) -> None:
    index = RowIndex(np.array(rows, dtype=np.int64).reshape(-1, 3), [5, 5, 5])
    asked = data.draw(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=20))
    found = index.contains(np.array(asked, dtype=np.int64).reshape(-1, 3))
    assert found.tolist() == [row in set(rows) for row in asked]


def test_membership_of_rows_too_long_for_one_number() -> None:
    rows = np.random.default_rng(0).integers(0, 50, (100, 40))
    index = RowIndex(rows, [50] * 40)
    assert index.contains(rows).all()
    assert not index.contains(49 - rows).any()


def test_support_and_examples_fit_whatever_order_their_networks_come_in() -> None:
    domains = {"b": ["0", "1"], "a": ["x", "y", "z"], "unused": ["0"]}
    one = Support({"b": np.array([[0, 1]]), "a": np.array([[2]])}, np.array([0]))
    two = Support({"a": np.array([[2]]), "b": np.array([[0, 1]])}, np.array([0]))
    slots = {"a": [("X",)], "b": [("Y",), ("Z",)]}
    left = Relation.from_support(one, domains, slots=slots, answer_names=[("7",)])
    right = Relation.from_support(two, domains)
    left.require_subset(right)
    assert set(left.domains) == {"a", "b"}
    assert left.describe(0) == "X = z, Y = 0, Z = 1 gives 7"


def test_unknown_answers_are_not_members() -> None:
    known = Relation.build({"n": ["0", "1"]}, ["n"], [(0,), (1,)], [0, 1])
    asked = known.contains(np.array([[0], [0], [0]]), np.array([0, 1, 5]))
    assert asked.tolist() == [True, False, False]
