"""Random programs over terms and images against the enumeration of their worlds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import ProgramError
from groundkit.program.goal import Goal, parse_goal
from groundkit.program.source import Program, parse_program
from groundkit.program.terms import printed, read_term
from tests.circuit.random_terms import IMAGES, TermProgram, term_programs


def compare(
    program: TermProgram,
    build: Callable[[Program, Goal, Sequence[str]], Reasoner] = build_reasoner,
) -> float:
    """Asks every goal, built by ``build``; returns the largest difference of a probability."""
    expected = program.probabilities()
    parsed = parse_program(program.text)
    images = [image for image in IMAGES if program.readers]
    worst = 0.0
    for goal in program.goals:
        question = parse_goal(f"ask_{goal}({','.join(IMAGES)},V)")
        if not images:
            question = parse_goal(f"ask_{goal}(i0,i1,V)")
        try:
            reasoner = build(parsed, question, images)
        except ProgramError as error:
            impossible = expected is None or not any(expected[goal].values())
            assert impossible, f"{error}\n{program.text}"
            continue
        assert expected is not None, program.text
        rows = {
            network: torch.tensor(
                [[program.rows[network, call[0]] for call in calls]], dtype=torch.float64
            ).log()
            for network, calls in reasoner.slots.items()
            if calls
        }
        values = reasoner(rows)[0].exp().tolist()
        found = {value: p for (value,), p in zip(reasoner.answers, values, strict=True)}
        for value in {*found, *expected[goal]}:
            difference = abs(found.get(value, 0.0) - expected[goal].get(value, 0.0))
            assert difference < 1e-9, f"{goal}: {value}\n{program.text}"
            worst = max(worst, difference)
        for (value,) in reasoner.answers:
            assert printed(read_term(value)) == value
    return worst


@given(term_programs())
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
def test_equals_the_enumeration_of_all_worlds(program: TermProgram) -> None:
    assert compare(program) == pytest.approx(0.0, abs=1e-9)
