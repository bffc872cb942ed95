"""Proofs that bounds are made of: the most probable ones, weighed by what they restrict."""

import itertools
import math

import pytest

from groundkit.circuit.bounds import best_proofs, probabilities
from groundkit.program.engine import Shape, ground
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program


def proofs(text, number=64):
    found = ground(Shape(parse_program(text), parse_goal("q")))
    weights = [probabilities(found, choice) for choice in range(len(found.choices))]
    (root,) = found.roots
    (own,), complete = best_proofs(found, [root], weights, number)
    return own, complete, weights


def mass(proof, weights):
    return sum(
        math.prod(weights[c][o] for c, o in zip(proof, chosen, strict=True))
        for chosen in itertools.product(
            *([o for o in range(len(weights[c])) if mask >> o & 1] for c, mask in proof.items())
        )
    )


def test_a_proof_weighs_the_probability_of_its_restriction():
    """Two calls of one choice restrict it twice: their masks meet, their masses do not multiply."""
    text = "0.2::a; 0.3::b; 0.1::c. 0.6::d. q :- ab, bc, d. ab :- a. ab :- b. bc :- b. bc :- c."
    own, complete, weights = proofs(text)
    assert complete and own
    for weight, proof in own:
        assert weight == pytest.approx(mass(proof, weights))
    assert max(weight for weight, _ in own) == pytest.approx(0.3 * 0.6)


def test_the_most_probable_proof_comes_first_and_few_are_not_all():
    text = "0.1::a. 0.7::b. 0.4::c. q :- a. q :- b. q :- c."
    own, complete, _ = proofs(text, number=1)
    assert not complete and [round(weight, 6) for weight, _ in own] == [0.7]
    assert [round(weight, 6) for weight, _ in proofs(text)[0]] == [0.7, 0.4, 0.1]
