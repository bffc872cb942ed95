"""Limits are the user's: how they are written, and what is said where they are met."""

from __future__ import annotations

import pytest

from groundkit.circuit.answer import answer_queries
from groundkit.circuit.compile import Compiled
from groundkit.circuit.prepare import prepare
from groundkit.errors import LimitError, ProgramError
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits, memory_bytes
from groundkit.program.source import parse_program
from groundkit.task.spec import parse_spec


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4GB", 4 << 30), ("512 mb", 512 << 20), ("1.5GiB", 3 << 29), ("536870912", 512 << 20)],
)
def test_memory_is_read(text: str, expected: int) -> None:
    assert memory_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "4 bananas", "-1GB", "10MB", "1e99GB"])
def test_no_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"memory|less than"):
        memory_bytes(text)


def test_a_spec_sets_them() -> None:
    spec = parse_spec('[reasoning]\nmode = "auto"\nlimit_seconds = 7\nlimit_memory = "8GB"\n')
    assert spec.reasoning.limits == Limits(7.0, 8 << 30, "auto")
    assert parse_spec("").reasoning.limits == Limits()


def test_what_takes_too_long_names_the_option() -> None:
    program = parse_program("p(X) :- p(f(X)).\nquery(p(a)).\n")
    with pytest.raises(LimitError) as caught:
        answer_queries(program, limits=Limits(2.0))
    assert "--limit-seconds" in str(caught.value)


def test_a_cycle_through_findall_is_named_not_a_lack_of_memory() -> None:
    program = parse_program("a(1).\na(2).\na(L) :- findall(X, a(X), L).\nquery(a(L)).\n")
    with pytest.raises(ProgramError, match="own answers") as caught:
        answer_queries(program, limits=Limits(100.0))
    assert caught.value.at is not None and caught.value.at.line == 3


def test_a_chain_of_200_steps_compiles_in_the_worker() -> None:
    text = (
        "0.6::s(0).\n0.7::s(T) :- T > 0, P is T-1, s(P).\n0.2::s(T) :- T > 0, P is T-1, \\+s(P).\n"
    )
    shape = Shape(parse_program(text), parse_goal("s(200)"))
    _, compiled = prepare(shape, None, Limits(120.0))
    assert isinstance(compiled, Compiled) and len(compiled.circuit) < 4000
