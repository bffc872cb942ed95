"""One image in several places of a goal: a circuit for each of its symbols."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.circuit import cutset
from groundkit.circuit.compile import compile_program
from groundkit.circuit.eliminate import TooWideError
from groundkit.circuit.evaluate import evaluate
from groundkit.circuit.ir import Circuit, CircuitBuilder
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.ground import FixedSource, GroundProgram
from groundkit.program.source import parse_program

from . import worlds

MOVES = {-1: 0.2, 0: 0.5, 1: 0.3}


def walk(images: list[int]) -> GroundProgram:
    """Grounds a walk that goes left, stays or goes right by what each image in turn shows."""
    text = f"""
    0.2::step(X,-1); 0.5::step(X,0); 0.3::step(X,1) :- image(X).
    image(I) :- between(1, 30, I).
    walk([], N, N).
    walk([X|Xs], M, N) :- step(X, D), K is M + D, walk(Xs, K, N).
    end(N) :- walk({images}, 0, N)."""
    return ground(Shape(parse_program(text), parse_goal("end(N)")))


def ends(images: list[int]) -> dict[int, float]:
    """Probabilities of the walk's ends: an image moves it by the same in all its places."""
    found = {0: 1.0}
    for image in set(images):
        times, grown = images.count(image), dict[int, float]()
        for at, mass in found.items():
            for move, chance in MOVES.items():
                to = at + times * move
                grown[to] = grown.get(to, 0.0) + mass * chance
        found = grown
    return found


def by_cases(program: GroundProgram) -> Circuit:
    builder = CircuitBuilder()
    return builder.finish(cutset.compile_references(program, program.roots, builder))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=9))
def test_an_image_says_the_same_in_all_its_places(images: list[int]) -> None:
    program, expected = walk(images), ends(images)
    circuit = by_cases(program)
    assert worlds.is_decomposable(circuit)
    weights = [
        choice.source.probabilities
        for choice in program.choices
        if isinstance(choice.source, FixedSource)
    ]
    found = [math.exp(log) for log in evaluate(circuit, weights)]
    ways = {int(answer[0]): p for answer, p in zip(program.answers, found, strict=True)}
    assert ways == pytest.approx({end: expected.get(end, 0.0) for end in ways}, abs=1e-12)
    assert sum(found) == pytest.approx(1.0)


def test_a_long_walk_past_one_image_twice_is_compiled_by_cases() -> None:
    images = [*range(1, 30), 3]
    compiled = compile_program(walk(images))
    assert "by cases" in compiled.reason
    assert len(compiled.circuit) < 3 * 30 * 61


def test_parts_that_do_not_speak_of_the_image_are_built_once() -> None:
    """Behind the image's last place a walk goes on as it does without cases."""
    alone = len(by_cases(walk([1, *range(2, 20)])))
    both = len(by_cases(walk([1, 1, *range(2, 20)])))
    assert both < alone + 50


def test_too_many_cases_are_refused() -> None:
    images = [*range(1, 16), *range(1, 16)]
    with pytest.raises(TooWideError, match="too many cases"):
        by_cases(walk(images))
