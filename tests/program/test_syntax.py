"""What is said of programs that ProbLog's parser cannot read: place and remedy."""

import pytest

from groundkit.errors import ProgramError
from groundkit.program.source import parse_program


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("a(X :- b.", "<text>:1:", "brackets and quotes come in pairs"),
        ("a.\nb :- c", "<text>:2:", "end the last clause with a full stop"),
        ("a.\n:- dynamic b/1.\n", "<text>:2:", "remove the directive"),
        ("a('it''s').", "<text>:1:", "write a quote inside of quotes with a backslash"),
        ("a(0'x).", "<text>:1:", "write a character as an atom in quotes"),
        ("a :- b({c}).", "<text>:1:", "write a list"),
        ("a. /* open", "<text>:1:", "end the comment"),
    ],
)
def test_the_remedy_is_the_one_for_what_was_written(text, place, remedy):
    with pytest.raises(ProgramError) as info:
        parse_program(text)
    assert remedy in info.value.remedy and str(info.value.at).startswith(place)


def test_a_column_of_the_first_line_is_counted_as_those_of_others():
    """ProbLog's own count differs by one there."""
    columns = []
    for before in ("", "a.\n"):
        with pytest.raises(ProgramError) as info:
            parse_program(f"{before}b(c :- d.")
        columns.append(info.value.at.column)
    assert columns[0] == columns[1]
