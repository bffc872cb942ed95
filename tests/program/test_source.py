"""Reading programs: what is found in them, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundkit.errors import ProgramError
from groundkit.program.source import load_program, parse_program

FULL = """\
% two networks
nn(digits,[X],Y,[0,1,2]) :: digit(X,Y).
nn(ops,[X],Y,[+,-,'a b']) :: op(X,Y) :- shown(X).
nn(check,[X,Y]) :: ok(X,Y).
t(0.3)::noisy.
t(_)::a ; 0.2::b ; t(_)::c :- noisy.
1/19::quiet.
shown(x).
evidence(noisy,false).
query(quiet).
"""


def test_finds_everything_a_program_declares() -> None:
    program = parse_program(FULL)
    digits, ops, check = program.neural
    assert (digits.network, digits.kind, digits.inputs, digits.output, digits.domain) == (
        "digits",
        "categorical",
        ("X",),
        "Y",
        ("0", "1", "2"),
    )
    assert ops.domain == ("+", "-", "a b") and ops.location.line == 3
    assert check.kind == "bernoulli" and check.domain == ("true", "false")
    assert check.inputs == ("X", "Y") and check.predicate == "ok/2"
    assert list(program.networks) == ["digits", "ops", "check"]
    lone, group = program.learnable
    assert lone.initial == (0.3,) and lone.residual == pytest.approx(0.7)
    assert group.heads == ("a", "c") and group.initial == pytest.approx((0.4, 0.4))
    assert group.fixed == pytest.approx(0.2)
    assert program.evidence == ("noisy, false",) and program.queries == ("quiet",)


REFUSED = [
    ("\na :- b c.", 2, "syntax error"),
    ("p(a.", 1, "syntax error"),
    ("nn(n,[X],Y,[]) :: d(X,Y).", 1, "is empty"),
    ("nn(n,[X],Y,[0,1,0]) :: d(X,Y).", 1, "0 more than once"),
    ("nn(n,[X],Y,[0,1]) :: d(X,Y).\nnn(n,[X],Y,[0,1,2]) :: e(X,Y).", 2, "3 outputs here and 2"),
    ("nn(n,[X],Y,[0,1]) :: d(X).", 1, "does not occur in the head"),
    ("nn(n,a,Y,[0,1]) :: d(a,Y).", 1, "are not a list"),
    ("nn(n,E,Y,[0,1]) :: d(X,Y).", 1, "do not occur in the head"),
    ("nn(n,[X],Y,[I,V]) :: d(X,Y).", 1, "variables in it: I, V"),
    ("?::x.", 1, "a decision of DTProbLog"),
    ("a.\n0.5:b.", 2, "has one colon"),
    ("nn(n,[X],Y,[0,1]) : d(X,Y).", 1, "has one colon"),
    ("nn(n,[X],Y,[0,1]) :- d(X,Y).", 1, "stands before ':-'"),
    ("nn(n,[X],Y,[0..9]) :: d(X,Y).", 1, "syntax error"),
    ("a.\n?- a, b.", 2, "asks a question"),
    (":- initialization(a). a.", 1, "no directive initialization/1"),
    ("query(not(X)).", 1, "asks for no predicate"),
    ("nn(n,[X],Y,Z) :: d(X,Y).", 1, "is not a list"),
    ("nn(n,[X],3,[0,1]) :: d(X,3).", 1, "is not a variable"),
    ("nn(n) :: d(X).", 1, "nn/1 is not"),
    ("nn(N,[X]) :: d(X).", 1, "not a network's name"),
    ("nn(n,[X],Y,[0,1]) :: d(X,Y) ; 0.2 :: e.", 1, "among the heads"),
    ("a.\n0.5::b; 0.6::c.", 2, r"sum to 1\.1"),
    ("1.5::a.", 1, "not a probability"),
    ("t(1.5)::a.", 1, "does not start from a probability"),
    ("t(0.5,X)::a(X); t(0.5,Y)::b(Y) :- c(X,Y).", 1, "is not supported"),
    ("t(0.7)::a; t(0.6)::b.", 1, r"sum to 1\.3"),
    ("X :- a.", 1, "Unexpected clause head"),
    ("b.\n(a, b) :- c.", 2, "Unexpected clause head"),
    ("0.3::1.", 1, "cannot be the head"),
    ("0,3::a.", 1, "cannot be the head"),
    (":-.", 1, "cannot be the head"),
    ("0.3::a ; b.", 1, "'b' stands among several heads without a probability"),
    ("query(X).", 1, "asks for no predicate"),
    ("evidence(X).", 1, "speaks of no predicate"),
    ("a.\nevidence(a, yes).", 2, "says neither true nor false"),
    ("evidence(a, 1).", 1, "says neither true nor false"),
    ("p('it''s').", 1, "syntax error"),
    ("a.\n:- dynamic b/1.", 2, "syntax error"),
    ("p(0'a).", 1, "syntax error"),
    ("p(a :- b).", 1, "syntax error"),
    ("p({}).", 1, "syntax error"),
    ("a. /* open", 1, "syntax error"),
    ("a.\nb", 2, "syntax error"),
]


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_refuses_with_place_and_words(text: str, line: int, message: str) -> None:
    with pytest.raises(ProgramError, match=message) as info:
        parse_program(text, Path("programs/mine.pl"))
    assert info.value.at is not None
    assert str(info.value.at).startswith("programs/mine.pl")
    assert info.value.at.line in (line, None if "head" in message else line)


@pytest.mark.parametrize("before", ["", "a.\n", "a.\n\n  "])
@pytest.mark.parametrize(
    ("wrong", "column"), [("b :- c,.", 7), ("p(a.", 2), ("p(`).", 3), ("X :- a.", 1), ("b c.", 3)]
)
def test_columns_count_from_one_on_every_line(before: str, wrong: str, column: int) -> None:
    with pytest.raises(ProgramError) as info:
        parse_program(before + wrong)
    lines = before.split("\n")
    at = info.value.at
    assert at is not None and (at.line, at.column) == (len(lines), len(lines[-1]) + column)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("p('it''s').", "'it\\'s'"),
        (":- dynamic a/1.", "remove the directive"),
        (":- table a/1, b/2.", "remove the directive"),
        ("p(0'a).", "in quotes: 'a'"),
        ("p(a :- b).", "f((a:-b))"),
        ("/* open", "end the comment with */"),
        ("a", "end the last clause with a full stop"),
        ("a b.", "every clause ends in a full stop"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(ProgramError) as info:
        parse_program(text)
    assert info.value.remedy is not None and remedy in info.value.remedy


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "other.pl").write_text("a.")
    with pytest.raises(ProgramError, match="no program") as info:
        load_program(tmp_path / "mine.pl")
    assert "other.pl" in str(info.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.pl").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ProgramError, match="UTF-8"):
        load_program(tmp_path / "mine.pl")


@pytest.mark.parametrize("text", ["nn(n,[X],Y,[0,1|T])::d(X,Y).", "nn(n,[X|T],Y,[0,1])::d(X,Y)."])
def test_a_list_without_end_is_no_list(text):
    with pytest.raises(ProgramError, match="not a list"):
        parse_program(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_is_no_part_of_a_program(tmp_path, end):
    text = end.join(["nn(net, [X], Y, [0,1]) :: d(X, Y).", "q(X) :- d(X, 1).", ""])
    (tmp_path / "a.pl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "b.pl").write_bytes(text.encode())
    assert load_program(tmp_path / "a.pl").text == load_program(tmp_path / "b.pl").text
    (tmp_path / "a.pl").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"q(X :- .")
    with pytest.raises(ProgramError, match=r"a.pl:3"):
        load_program(tmp_path / "a.pl")


@pytest.mark.parametrize(
    ("content", "place"),
    [(b"\0\0\0a.\n", "1:1"), (b"a.\nb\0.\n", "2:2"), (b"a.\r\n\0", "2:1")],
)
def test_nul_bytes_are_no_part_of_a_program(tmp_path, content, place):
    (tmp_path / "a.pl").write_bytes(content)
    with pytest.raises(ProgramError, match=f"a.pl:{place}: the program holds a NUL byte"):
        load_program(tmp_path / "a.pl")
