"""Addition of long numbers with a carry: exact against a dynamic program written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.reasoner import Reasoner
from groundkit.program.goal import parse_goal
from groundkit.program.source import load_program

PROGRAM = Path(__file__).parents[2] / "programs" / "carry.pl"


def carry_reasoner(digits: int) -> Reasoner:
    names = [[f"{letter}{i}" for i in range(digits + (letter == "Z"))] for letter in "XYZ"]
    lists = ",".join(f"[{','.join(part)}]" for part in names)
    goal = parse_goal(f"addition({lists})")
    return build_reasoner(load_program(PROGRAM), goal, names[0] + names[1])


def by_hand(p: dict[str, torch.Tensor], z: dict[str, int], digits: int) -> torch.Tensor:
    """log P(sum) for one example, digit by digit from the right."""
    carry = [torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)]
    for i in range(digits - 1, -1, -1):
        following = [0.0, 0.0]
        for c0 in (0, 1):
            for a in range(10):
                b = z[f"Z{i + 1}"] - a - c0
                for borrow in (0, 10):
                    if 0 <= b + borrow <= 9:
                        weight = carry[c0] * p[f"X{i}"][a] * p[f"Y{i}"][b + borrow]
                        following[borrow // 10] = following[borrow // 10] + weight
        carry = following
    return torch.log(carry[z["Z0"]])


@pytest.mark.parametrize("digits", [1, 2, 4])
def test_equals_a_dynamic_program_with_gradients(digits: int) -> None:
    reasoner = carry_reasoner(digits)
    assert reasoner.observed == () and reasoner.compiled.stage == "a"
    torch.manual_seed(digits)
    logits = torch.randn(2, 2 * digits, 10, dtype=torch.float64, requires_grad=True)
    a, b = (int("".join(str(d) for d in torch.randint(10, (digits,)).tolist())) for _ in range(2))
    z = {f"Z{i}": int(d) for i, d in enumerate(str(a + b).zfill(digits + 1))}
    given = torch.full((2, digits + 1, 10), -torch.inf, dtype=torch.float64)
    for slot, (name,) in enumerate(reasoner.slots["given"]):
        given[:, slot, z[name]] = 0.0
    probabilities = logits.log_softmax(-1)
    ours = reasoner({"mnist_net": probabilities, "given": given})[:, 0]
    rows = [name for (name,) in reasoner.slots["mnist_net"]]
    hand = torch.stack(
        [
            by_hand(dict(zip(rows, example.exp(), strict=True)), z, digits)
            for example in probabilities
        ]
    )
    assert torch.allclose(ours, hand, rtol=1e-12, atol=0)
    mine = torch.autograd.grad(ours.sum(), logits, retain_graph=True)[0]
    theirs = torch.autograd.grad(hand.sum(), logits)[0]
    assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-13)
    assert mine.isfinite().all()
