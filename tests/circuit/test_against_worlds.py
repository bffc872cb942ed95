"""Random programs against the enumeration of their worlds and against ProbLog itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from problog import get_evaluatable
from problog.program import PrologString

from groundkit.circuit.build import build_reasoner
from groundkit.errors import ProgramError
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program
from tests.circuit.random_programs import RandomProgram, programs

SETTINGS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)


def answers_of(program: RandomProgram) -> dict[str, float]:
    """Computes the queries' probabilities with our engine."""
    try:
        reasoner = build_reasoner(parse_program(program.text(False)), parse_goal("ask(Q)"), [])
    except ProgramError as error:
        assume("inside the recursion" not in error.found)  # a limit of ProbLog's engine
        raise
    found = reasoner({})[0].exp().tolist()
    return {answer[0]: p for answer, p in zip(reasoner.answers, found, strict=True)}


@given(programs())
@SETTINGS
def test_equals_the_enumeration_of_all_worlds(program: RandomProgram) -> None:
    expected = program.probabilities()
    if expected is None:
        with pytest.raises(ProgramError, match=r"evidence|no solution|never hold"):
            answers_of(program)
        return
    if max(expected.values()) == 0.0:
        return
    found = answers_of(program)
    for query in program.queries:
        assert found.get(query, 0.0) == pytest.approx(expected[query], abs=1e-9)


@given(programs())
@settings(SETTINGS, max_examples=15)
def test_equals_problog(program: RandomProgram) -> None:
    expected = program.probabilities()
    assume(expected is not None and max(expected.values()) > 0.0)
    text = program.text(neural=False) + "\nquery(ask(_))."
    result = get_evaluatable("sdd").create_from(PrologString(text)).evaluate()
    found = answers_of(program)
    for atom, probability in result.items():
        if not atom.args[0].is_var():
            assert found.get(str(atom.args[0]), 0.0) == pytest.approx(probability, abs=1e-9)


@given(programs(neural=True))
@settings(SETTINGS, max_examples=20)
def test_neural_predicates_equal_worlds_and_gradients_equal_differences(
    program: RandomProgram,
) -> None:
    expected = program.probabilities()
    assume(program.images and expected is not None and max(expected.values()) > 0.0)
    images = [f"I{i}" for i in range(len(program.images))]
    goal = parse_goal(f"ask({','.join(images)},Q)")
    try:
        reasoner = build_reasoner(parse_program(program.text(neural=True)), goal, images)
    except ProgramError as error:
        assert "no network looks at" in error.found or "inside the recursion" in error.found
        assume(False)
    order = [images.index(call[0]) for call in reasoner.slots["net"]]
    rows = torch.tensor([program.images[i].probabilities for i in order], dtype=torch.float64)
    logits = rows.log().unsqueeze(0).requires_grad_()
    found = reasoner({"net": logits.log_softmax(-1)})[0].exp()
    for answer, value in zip(reasoner.answers, found.tolist(), strict=True):
        assert value == pytest.approx(expected[answer[0]], abs=1e-9)
    assert torch.autograd.gradcheck(
        lambda x: reasoner({"net": x.log_softmax(-1)}).exp(), (logits,), atol=1e-6
    )
