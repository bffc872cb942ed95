"""Probabilities that a program states are checked where they stand, and free ones are filled in."""

import pytest

from groundkit.errors import ProgramError
from groundkit.program.source import parse_program


def learnable(text):
    (group,) = parse_program(text).learnable
    return group


@pytest.mark.parametrize(
    ("text", "initial"),
    [
        ("t(0.2)::a.", [0.2]),
        ("t(_)::a.", [0.5]),
        ("t(_)::a; t(_)::b.", [0.5, 0.5]),
        ("t(0.2)::a; t(_)::b; t(_)::c.", [0.2, 0.4, 0.4]),
        ("t(_)::a; 0.4::b; t(_)::c.", [0.3, 0.3]),
    ],
)
def test_a_free_start_takes_an_equal_part_of_what_is_left(text, initial):
    assert list(learnable(text).initial) == pytest.approx(initial)


def test_a_disjunction_that_starts_full_has_no_outcome_beside_its_heads():
    assert learnable("t(0.6)::a; t(0.4)::b.").exhaustive
    assert not learnable("t(0.6)::a; t(0.3)::b.").exhaustive
    assert not learnable("t(1.0)::a.").exhaustive  # over true and false
    assert learnable("t(0.6)::a; t(0.1)::b.").residual == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.2::a.", "is not a probability"),
        ("-0.2::a.", "is not a probability"),
        ("0.7::a; 0.6::b.", "sum to 1.3"),
        ("t(0.7)::a; 0.6::b.", "sum to 1.3"),
        ("t(-0.1)::a.", "does not start from a probability"),
    ],
)
def test_what_is_no_distribution_is_refused(text, told):
    with pytest.raises(ProgramError, match=told):
        parse_program(text)


def test_fractions_may_round():
    assert parse_program("1/3::a; 1/3::b; 1/3::c.").learnable == ()
