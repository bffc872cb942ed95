"""Printed terms read back as the same term, and different terms print differently."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from problog.logic import Constant, Term, list2term

from groundkit.program.parser import parse_statements
from groundkit.program.terms import printed, same, term_of

# ProbLog's parser takes a backslash before the closing quote for an escape, even when doubled, so
# no text may end in one.
_quoted = (
    st.text("aB 1.,'\\[]()\"-", max_size=4)
    .filter(lambda t: t[-1:] != "\\")
    .map(lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'")
)
_strings = (
    st.text("aB 1.,'\\[]()-", max_size=4)
    .filter(lambda t: t[-1:] != "\\")
    .map(lambda text: Constant('"' + text.replace("\\", "\\\\") + '"'))
)
_atoms = st.one_of(st.sampled_from(["yes", "no", "a1", "aB", "[]"]), _quoted)
_numbers = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False)
)
leaves = st.one_of(_atoms.map(Term), _strings, _numbers.map(Constant))
functors = st.one_of(st.sampled_from(["f", "g", "'-'", "'+'", "mod"]), _quoted)
terms = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(list2term),
        st.builds(
            lambda f, args: Term(f, *args), functors, st.lists(inner, min_size=1, max_size=3)
        ),
        st.builds(lambda a, b: Term(".", a, b), inner, inner),
    ),
    max_leaves=8,
)


def read(text: str) -> Any:
    (found,) = parse_statements(f"wrapper({text}).")
    assert found.arity == 1
    return found.args[0]


@given(terms)
@settings(max_examples=300, deadline=None)
def test_printed_terms_read_back(term: Any) -> None:
    text = printed(term)
    assert same(read(text), term)
    assert printed(read(text)) == text


@given(terms, terms)
@example(Constant(0.0), Constant(-0.0))
@settings(max_examples=200, deadline=None)
def test_different_terms_print_differently(first: Any, second: Any) -> None:
    assert (printed(first) == printed(second)) == same(first, second)


def test_atoms_that_a_built_in_made_are_quoted() -> None:
    assert printed(Term("New York")) == "'New York'"
    assert printed(Term("f", Term("A"))) == "f('A')"
    assert printed(Constant('"a"b"')) == '"a\\"b"'


def test_what_a_user_writes_is_a_ground_term_or_the_atom_of_that_text() -> None:
    assert printed(term_of(" [1, 2] ")) == "[1, 2]"
    assert printed(term_of("Bob")) == "'Bob'"
    assert printed(term_of("New York")) == "'New York'"
    assert printed(term_of("it's")) == "'it\\'s'"
    assert printed(term_of('"yes"')) == '"yes"'
