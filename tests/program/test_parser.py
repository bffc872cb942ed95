"""ProbLog's parser with bounds: the same terms, faster, and no warning at legal signs."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problog.program import PrologString

from groundkit.errors import ProgramError
from groundkit.program import parser
from groundkit.program.parser import parse_statements
from groundkit.program.source import parse_program

PROGRAMS = sorted((Path(__file__).parents[2] / "programs").glob("*.pl"))
SIGNS = (
    "a b(X) X 1 2.5 [a,b|T] (a,b) + - * / // mod ** ^ = \\= == \\== is < >= , ; :- \\+ not ( ) "
    "[ ] | . :: -> 'q r' \"s\" @< =.. xor"
)
PIECES = st.sampled_from(SIGNS.split())


def outcome(read: object, text: str) -> object:
    """Returns the statements, or that they cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [repr(term) for term in read(text)]  # type: ignore[operator]
        except Exception as error:
            return getattr(error, "base_message", "cannot be read")


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=14))
def test_terms_are_those_of_problogs_own_parser(pieces: list[str]) -> None:
    text = " ".join(pieces) + "."
    mine, theirs = outcome(parse_statements, text), outcome(PrologString, text)
    assert mine == theirs or (isinstance(mine, str) and isinstance(theirs, str))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_shipped_programs_are_read_as_problog_reads_them(path: Path) -> None:
    text = path.read_text()
    assert outcome(parse_statements, text) == outcome(PrologString, text)


DENSE = {
    "sums": ("q :- X = " + "-".join(["a"] * 2_400) + ".\n") * 12,
    "terms": ("q(" + ",".join(["f(a,[b,c|d])"] * 380) + ").\n") * 12,
    "negations": ("q :- " + "\\+ " * 4_900 + "a.\n") * 4,
    "goals": ("q :- " + ",".join(["a"] * 2_400) + ".\n") * 12,
    "nesting": ("q(" + "f(" * 1_200 + "a" + ")" * 1_200 + ").\n") * 12,
}


@pytest.mark.parametrize("name", DENSE)
def test_58_kilobytes_of_dense_terms_take_no_minutes(name: str) -> None:
    started = time.thread_time()
    parse_statements(DENSE[name])
    assert time.thread_time() - started < 6  # ProbLog's own takes 13 s


def test_a_text_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MOST_SECONDS", 0.01)
    with pytest.raises(ProgramError, match="took more than") as info:
        parse_program("a(1).\n" * 20_000)
    assert info.value.at is not None and info.value.at.line is not None


def test_a_long_list_is_read_whole() -> None:
    (term,) = parse_statements("q([" + "a," * 3_000 + "a]).")
    assert str(term).count("a") == 3_001


@pytest.mark.parametrize("sign", ["==", "\\=="])
def test_comparing_terms_warns_of_nothing(sign: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (term,) = parse_statements(f"q :- a {sign} b.")
    assert str(term.body) == f"a{sign}b"
