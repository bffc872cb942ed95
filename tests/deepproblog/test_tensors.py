"""Programs with nn/3: asked and trained by DeepProbLog, refused by name everywhere else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from groundkit.circuit.build import build_reasoner
from groundkit.deepproblog.engine import build_deepproblog_reasoner
from groundkit.deepproblog.tensors import TensorProgram, TermEmbeddings
from groundkit.errors import DataError, NetworkError, ProgramError
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

pytest.importorskip("deepproblog")

DIGITS = """nn(encode, [X], E) :: code(X, E).
nn(classify, [E], Y, [0,1,2]) :: symbol(E, Y).
digit(X, Y) :- code(X, E), symbol(E, Y).
total(X, Y, Z) :- digit(X, A), digit(Y, B), noise(N), Z is A+B+N.
t(0.2)::noise(1); t(0.8)::noise(0).
"""
SIMILAR = """nn(encode, [X], E) :: code(X, E).
nn(judge, [E, F]) :: alike(E, F).
fits(X, T) :- code(X, E), embed(T, F), alike(E, F).
"""


class Judge(nn.Module):
    """The probability that two tensors are alike, ``(B, 1)``."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid((first * second).sum(1, keepdim=True))


def addition() -> TensorProgram:
    torch.manual_seed(0)
    classify = nn.Sequential(nn.Linear(3, 3), nn.Softmax(1))
    networks = {"encode": nn.Linear(4, 3), "classify": classify}
    return TensorProgram(parse_program(DIGITS), networks)


def by_hand(program: TensorProgram, x: torch.Tensor, y: torch.Tensor, total: int) -> torch.Tensor:
    modules = {name: network.module for name, network in program.networks.items()}
    first, second = (modules["classify"](modules["encode"](image)) for image in (x, y))
    one, none = program.learnable.log_rows("group0")[:2].exp()
    chances = torch.zeros(len(x), 6, dtype=torch.float64)
    for a in range(3):
        for b in range(3):
            chances[:, a + b] += first[:, a] * second[:, b] * none
            chances[:, a + b + 1] += first[:, a] * second[:, b] * one
    return chances[:, total]


def test_values_and_gradients_go_through_the_tensor() -> None:
    program, goal = addition(), parse_goal("total(X, Y, Z)")
    x, y = torch.randn(2, 4), torch.randn(2, 4)
    found = program(goal, {"X": x, "Y": y}, {"Z": [2, 2]})
    expected = by_hand(program, x, y, 2).log()
    assert torch.allclose(found.double(), expected, atol=1e-6)
    parameters = list(program.parameters())
    mine = torch.autograd.grad(found.sum(), parameters)
    theirs = torch.autograd.grad(expected.sum(), parameters)
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_free_variables_give_the_distribution() -> None:
    program = addition()
    x, y = torch.randn(1, 4), torch.randn(1, 4)
    (found,) = program.answers(parse_goal("total(X, Y, Z)"), {"X": x, "Y": y})
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-5)
    for total in range(6):
        expected = float(by_hand(program, x, y, total))
        assert found[f"total(X,Y,{total})"] == pytest.approx(expected, abs=1e-6)


def test_inputs_in_lists_keep_their_names() -> None:
    program = TensorProgram(
        parse_program(DIGITS + "all([X,Y],[A,B]) :- digit(X,A), digit(Y,B)."),
        {"encode": nn.Identity(), "classify": nn.Softmax(1)},
    )
    x, y = torch.randn(1, 3), torch.randn(1, 3)
    (found,) = program.answers(parse_goal("all([X,Y],[A,B])"), {"X": x, "Y": y})
    assert len(found) == 9 and sum(found.values()) == pytest.approx(1.0, abs=1e-5)
    chance = float(x.softmax(1)[0, 2] * y.softmax(1)[0, 1])
    assert found["all([X, Y],[2, 1])"] == pytest.approx(chance, abs=1e-6)


def test_it_learns_from_sums() -> None:
    program, goal = addition(), parse_goal("total(X, Y, Z)")
    images = torch.eye(4)[[0, 1, 2]]
    pairs = [(a, b) for a in range(3) for b in range(3)]
    inputs = {
        "X": images[[a for a, _ in pairs]],
        "Y": images[[b for _, b in pairs]],
    }
    sums = {"Z": [a + b for a, b in pairs]}
    optimiser = torch.optim.Adam(program.parameters(), 0.2)
    losses = []
    for _ in range(6):
        loss = -program(goal, inputs, sums).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]


def test_embeddings_of_terms_are_read_and_trained() -> None:
    torch.manual_seed(0)
    embeddings = TermEmbeddings(["cat", "dog"], 3)
    encode = nn.Linear(4, 3)
    program = TensorProgram(
        parse_program(SIMILAR), {"encode": encode, "judge": Judge()}, embeddings
    )
    x = torch.randn(2, 4)
    found = program(parse_goal("fits(X, T)"), {"X": x}, {"T": ["dog", "cat"]})
    expected = torch.sigmoid((encode(x) * embeddings.table.weight[[1, 0]]).sum(1)).log()
    assert torch.allclose(found, expected, atol=1e-6)
    found.sum().backward()
    assert embeddings.table.weight.grad.abs().min() > 0
    with pytest.raises(DataError, match="did you mean 'dog'"):
        program(parse_goal("fits(X, T)"), {"X": x[:1]}, {"T": ["dig"]})


@pytest.mark.parametrize("build", [build_reasoner, build_deepproblog_reasoner])
def test_a_run_refuses_tensors_by_name_and_line(build) -> None:
    with pytest.raises(ProgramError, match="nn/3 of network 'encode'") as info:
        build(parse_program(DIGITS), parse_goal("total(X,Y,Z)"), ["X", "Y"])
    assert info.value.at is not None and info.value.at.line == 1
    assert "TensorProgram" in str(info.value)


def test_what_deepproblog_would_swallow_is_refused() -> None:
    modules = {"encode": nn.Identity(), "classify": nn.Softmax(1)}
    body = DIGITS.replace("code(X, E).", "code(X, E) :- noise(0).", 1)
    with pytest.raises(ProgramError, match="drops the body"):
        TensorProgram(parse_program(body), modules)
    with pytest.raises(ProgramError, match="ignores evidence"):
        TensorProgram(parse_program(DIGITS + "evidence(noise(1))."), modules)
    with pytest.raises(ProgramError, match="asks for embeddings"):
        TensorProgram(parse_program(SIMILAR), {"encode": nn.Identity(), "judge": nn.Identity()})
    with pytest.raises(NetworkError, match="'classify' is missing"):
        TensorProgram(parse_program(DIGITS), {"encode": nn.Identity()})
    with pytest.raises(NetworkError, match="no network 'other'"):
        TensorProgram(parse_program(DIGITS), {**modules, "other": nn.Identity()})


def test_wrong_outputs_and_inputs_are_named() -> None:
    goal, x = parse_goal("digit(X, Y)"), torch.randn(1, 3)
    for classify in (nn.Identity(), nn.Sequential(nn.Linear(3, 4), nn.Softmax(1))):
        program = TensorProgram(
            parse_program(DIGITS), {"encode": nn.Identity(), "classify": classify}
        )
        with pytest.raises(NetworkError, match="'classify' gives"):
            program(goal, {"X": x}, {"Y": [0]})
    program = TensorProgram(
        parse_program(DIGITS), {"encode": nn.Identity(), "classify": nn.Softmax(1)}
    )
    with pytest.raises(DataError, match="variable Y of the goal"):
        program(goal, {"X": x})
    with pytest.raises(DataError, match="no proof"):
        program(goal, {"X": x}, {"Y": [7]})
    with pytest.raises(ProgramError, match="asks for one predicate"):
        program.answers(parse_goal("digit(X, Y), noise(N)"), {"X": x})
    with pytest.raises(DataError, match="no variable 'W'"):
        program.answers(goal, {"X": x, "W": x})


def test_what_grounding_refuses_has_its_place() -> None:
    program = TensorProgram(
        parse_program(DIGITS + "late(X, Y) :- digit(X, Y),\n    missing(Y)."),
        {"encode": nn.Identity(), "classify": nn.Softmax(1)},
    )
    with pytest.raises(ProgramError, match="no clause defines missing/1"):
        program.answers(parse_goal("late(X, Y)"), {"X": torch.randn(1, 3)})
