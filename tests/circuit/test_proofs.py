"""The best proofs against all worlds, on random networks' outputs."""

import itertools
import math

import numpy as np
import pytest
import torch

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.proofs import best_proofs
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

PROGRAM = """nn(net, [X], Y, [0,1,2]) :: digit(X, Y).
0.3 :: carry.
sum(X, Y, Z) :- digit(X, A), digit(Y, B), \\+carry, Z is A+B.
sum(X, Y, Z) :- digit(X, A), digit(Y, B), carry, Z is A+B+1.
"""


def prepared(seed):
    reasoner = build_reasoner(parse_program(PROGRAM), parse_goal("sum(X, Y, Z)"), ["X", "Y"])
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(1, 2, 3, generator=generator, dtype=torch.float64).log_softmax(-1)
    return reasoner, rows


@pytest.mark.parametrize("seed", range(3))
def test_best_proofs_are_the_best_worlds(seed):
    reasoner, rows = prepared(seed)
    inputs = reasoner.input_rows({"net": rows})[:, 0].numpy()
    probs = rows[0].exp().numpy()
    for index, (value,) in enumerate(reasoner.answers):
        worlds = sorted(
            (
                probs[0, a] * probs[1, b] * (0.3 if carry else 0.7)
                for a, b, carry in itertools.product(range(3), range(3), (0, 1))
                if a + b + carry == int(value)
            ),
            reverse=True,
        )
        root = int(reasoner.compiled.circuit.roots[index])
        found = best_proofs(reasoner.explorer(), inputs, root, 100)
        assert [math.exp(p.log_probability) for p in found] == pytest.approx(worlds)
        first = best_proofs(reasoner.explorer(), inputs, root, 1)
        assert [p.log_probability for p in first] == [found[0].log_probability]
        assert all(root in proof.nodes for proof in found)


def test_one_image_read_twice_has_one_symbol_in_a_proof():
    program = parse_program(
        PROGRAM + "twice(X) :- digit(X, 1), digit(X, 1).\n"
        "never(X) :- digit(X, 0), carry.\nnever(X) :- digit(X, 1), carry.\n"
    )
    reasoner = build_reasoner(program, parse_goal("never(X)"), ["X"])
    rows = torch.full((1, 1, 3), -math.log(3.0), dtype=torch.float64)
    inputs = reasoner.input_rows({"net": rows})[:, 0].numpy()
    found = best_proofs(reasoner.explorer(), inputs, int(reasoner.compiled.circuit.roots[0]), 10)
    total = np.exp([proof.log_probability for proof in found]).sum()
    assert total == pytest.approx(0.3 * 2 / 3)
