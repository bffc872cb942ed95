"""The layer as a torch module: shapes in one call, conversion, saving, compiling; its messages."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch

from groundkit.errors import DataError, NetworkError, ProgramError
from groundkit.layer.program_layer import ProgramLayer
from tests.circuit.test_compile import EVIDENCE_APART

SUM = "nn(net,[X],Y,[0,1,2])::digit(X,Y). s(X,Y,Z) :- digit(X,A), digit(Y,B), Z is A+B."
TOTAL = """
nn(net,[X],Y,[0,1,2])::digit(X,Y). t(0.3)::noise.
total([],0). total([X|Xs],N) :- total(Xs,M), digit(X,D), N is M+D.
seen(Xs,N) :- total(Xs,N), \\+noise. seen(Xs,0) :- noise.
"""


def make(text: str, goal: str, inputs: list[str] | None = None, **options: object) -> ProgramLayer:
    return ProgramLayer(text, goal, inputs, cache=None, limits=None, **options)


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).log_softmax(-1)


def test_slots_follow_the_goal_and_inputs_are_found() -> None:
    layer = make("nn(net,[X],Y,[0,1])::d(X,Y). q(X,Y) :- d(Y,1), d(X,0).", "q(X, Y)")
    assert layer.slots == {"net": (("X",), ("Y",))}
    table = rows(1, 2, 2)
    assert layer.log_prob({"net": table}).item() == pytest.approx(
        (table[0, 0, 0] + table[0, 1, 1]).item()
    )


def test_one_value_speaks_for_all_examples_and_numbers_are_symbols() -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])
    table = {"net": rows(3, 2, 3)}
    expected = layer(table)[:, 2]
    for told in (2, "2", [2, 2, 2], torch.tensor([2, 2, 2]), [2.0, "2", 2]):
        assert torch.equal(layer.log_prob(table, Z=told), expected)


def test_lists_of_different_length_in_one_call() -> None:
    layer = make(TOTAL, "seen(Xs,N)", ["Xs"], lists=["Xs"])
    tables = [rows(n, 3, seed=n).requires_grad_() for n in (2, 3, 2, 0)]
    told = layer.log_prob({"net": tables}, N=[1, 4, 2, 0], lengths={"Xs": [2, 3, 2, 0]})
    for table, n, found in zip(tables, (1, 4, 2, 0), told, strict=True):
        size = len(table)
        alone = layer.log_prob({"net": table.unsqueeze(0)}, N=n, lengths={"Xs": size})
        assert alone.item() == pytest.approx(found.item(), abs=1e-12)
    told[:3].sum().backward()
    assert all(table.grad.abs().sum() > 0 for table in tables[:3])
    best = layer.mpe({"net": tables}, N=[1, 4, 2, 0], lengths={"Xs": [2, 3, 2, 0]})
    assert best.symbols["net"][1].tolist() != [-1, -1, -1]
    assert best.symbols["net"][0, 2] == -1
    with pytest.raises(DataError, match="different lengths"):
        layer({"net": tables}, lengths={"Xs": [2, 3, 2, 0]})
    with pytest.raises(DataError, match="length of the list Xs is not known"):
        layer({"net": tables})


def test_evidence_may_differ_between_examples() -> None:
    layer = make(TOTAL, "seen(Xs,N)", ["Xs"], lists=["Xs"])
    table = {"net": rows(3, 2, 3)}
    told = {
        "noise": [True, False, None],
        "digit(Xs_0)": 1,
        "total([Xs_0,Xs_1],2)": [None, True, None],
    }
    found = layer.log_prob(table, N=[0, 2, 2], lengths={"Xs": 2}, evidence=told)
    second = table["net"][2, 1, 1].item()
    noise = torch.tensor([0.7], dtype=torch.float64).log().item()
    assert found.tolist() == pytest.approx([0.0, 0.0, second + noise], abs=1e-9)


def test_derived_evidence_is_compiled_once() -> None:
    layer = make(SUM + " even(X) :- digit(X,A), 0 is A mod 2.", "s(X,Y,Z)", ["X", "Y"])
    table = {"net": rows(2, 2, 3)}
    for _ in range(3):
        layer(table, evidence={"even(X)": [True, None], "digit(Y)": 1})
    assert len(layer._shapes.known) == 2
    even = table["net"][0, 0].exp()[[0, 2]].sum().log()
    found = layer.log_prob(table, Z=3, evidence={"even(X)": [True, None], "digit(Y)": 1})
    assert found[0].item() == pytest.approx((table["net"][0, 0, 2] - even).item())


def test_surely_wrong_inputs_give_no_nan() -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])
    sure = torch.tensor([[[0.0, 0.0, 1.0]] * 2], dtype=torch.float64).log().requires_grad_()
    found = layer.log_prob({"net": sure}, Z=0)
    assert found.item() == -torch.inf
    (gradient,) = torch.autograd.grad(found.sum() + layer.entropy({"net": sure}).sum(), sure)
    assert not gradient.isnan().any()
    assert not layer.posterior({"net": sure}, Z=0)["net"].isnan().any()
    assert layer.mpe({"net": sure}, Z=0).symbols["net"].tolist() == [[-1, -1]]
    assert layer.sample({"net": sure}, 3, Z=0).symbols["net"].unique().tolist() == [-1]
    told = layer.log_prob({"net": sure}, Z=2, evidence={"digit(X)": 0})
    assert told.item() == -torch.inf
    assert torch.autograd.grad(told.sum(), sure)[0].isnan().sum() == 0


def test_conditioning_holds_where_probabilities_underflow() -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])
    table = torch.tensor([[[0.0, -300.0, -400.0], [0.0, -300.0, -400.0]]]).log_softmax(-1)
    found = layer.log_prob({"net": table}, Z=2, evidence={"digit(X)": 1, "digit(Y)": 1})
    assert found.item() == pytest.approx(0.0)


def test_copies_and_states_go_along() -> None:
    layer = make(TOTAL, "seen([A,B],N)", ["A", "B"])
    table = {"net": rows(2, 2, 3)}
    with torch.no_grad():
        layer.learnable["group0"].copy_(torch.tensor([1.0, 0.5]))
    expected = layer(table)
    saved = io.BytesIO()
    torch.save(layer.state_dict(), saved)
    saved.seek(0)
    fresh = make(TOTAL, "seen([A,B],N)", ["A", "B"])
    fresh.load_state_dict(torch.load(saved))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), fresh):
        assert torch.equal(other(table), expected)
        other.zero_grad()
        other(table)[0, 0].backward()
        assert next(other.parameters()).grad.abs().sum() > 0
        assert next(layer.parameters()).grad is None
    assert list(layer.state_dict()) == ["learnable.group0"]


def test_precision_and_autocast() -> None:
    layer = make(TOTAL, "seen([A,B],N)", ["A", "B"])
    table = rows(4, 2, 3)
    exact = layer({"net": table})
    assert layer.to(torch.float32)({"net": table.float()}).dtype == torch.float32
    assert torch.allclose(layer.double()({"net": table}), exact, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer({"net": table.float()})
    assert inside.dtype == torch.float32
    assert torch.allclose(inside.double(), exact, atol=1e-5)
    half = layer({"net": table.bfloat16()})
    assert half.dtype == torch.float32 and torch.allclose(half.double(), exact, atol=0.1)
    assert half.exp().sum(1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)


def test_compiled_code_may_call_it() -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])

    @torch.compile(backend="eager")
    def loss(logits: torch.Tensor, totals: list[int]) -> torch.Tensor:
        return -layer.log_prob({"net": logits.log_softmax(-1)}, Z=totals).mean()

    logits = rows(2, 2, 3).requires_grad_()
    found = loss(logits, [1, 2])
    found.backward()
    expected = -layer.log_prob({"net": logits.log_softmax(-1)}, Z=[1, 2]).mean()
    assert found.item() == pytest.approx(expected.item())
    assert logits.grad.abs().sum() > 0


def test_learnable_probabilities_that_a_shape_does_not_read_have_gradient_zero() -> None:
    text = TOTAL + " t(0.5)::other. q(X) :- digit(X,0), other."
    layer = make(text, "seen([A],N)", ["A"])
    layer({"net": rows(1, 1, 3)}).exp()[0, 0].backward()
    gradients = [parameter.grad for parameter in layer.parameters()]
    assert gradients[0].abs().sum() > 0 and gradients[1].tolist() == [0.0, 0.0]


def test_draws_repeat_with_their_generator_and_need_no_answer() -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])
    table = {"net": rows(2, 2, 3)}
    one, two = (
        layer.sample(table, 50, generator=torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert torch.equal(one.symbols["net"], two.symbols["net"])
    assert torch.equal(one.symbols["net"].sum(-1), one.answers)


def test_constraints_over_constants_are_semantic_losses() -> None:
    text = """
    nn(net,[C])::on(C). class(C) :- between(0,3,C).
    another(C) :- class(D), D =\\= C, on(D). one :- class(C), on(C), \\+another(C).
    """
    layer = make(text, "one")
    assert layer.slots == {"net": (("0",), ("1",), ("2",), ("3",))}
    logits = torch.randn(5, 4, dtype=torch.float64)
    chance = logits.sigmoid()
    both = torch.stack([chance, 1 - chance], -1).log()
    others = torch.stack(
        [(1 - chance).prod(1) / (1 - chance[:, i]) * chance[:, i] for i in range(4)]
    )
    assert torch.allclose(layer.log_prob({"net": both}), others.sum(0).log())


@pytest.mark.parametrize(
    ("given", "options", "message", "error"),
    [
        (rows(2, 2, 3), {}, r'pass {"net": log_probs}', NetworkError),
        ({"nte": rows(2, 2, 3)}, {}, "did you mean 'net'", NetworkError),
        ({}, {}, "no outputs of network 'net'", NetworkError),
        ({"net": rows(2, 2, 4)}, {}, "(batch, calls, 3)", NetworkError),
        ({"net": rows(2, 1, 3)}, {}, "2, in this order: (X), (Y)", NetworkError),
        ({"net": rows(2, 3, 3)}, {}, "is given 3 calls", NetworkError),
        ({"net": rows(2, 2, 3).exp()}, {}, "apply log_softmax", NetworkError),
        ({"net": rows(2, 2, 3) * torch.nan}, {}, "contain NaN", NetworkError),
        ({"net": rows(2, 2, 3)}, {"Z": [1, 2, 3]}, "Z has 3 entries", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": [1, 9]}, "no solution with Z = 9", DataError),
        ({"net": rows(2, 2, 3)}, {"W": 1}, "no variable 'W'", DataError),
        ({"net": rows(2, 2, 3)}, {}, "pass Z=...", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": 1, "evidence": {"digit(W)": 1}}, "'W'", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": 1, "evidence": {"digit(X)": 7}}, "cannot be", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": 1, "evidence": {"digt(X)": 1}}, "digit/2", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": 1, "evidence": {"a,b": True}}, "no atom", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": 1, "evidence": {"digit(Z)": 1}}, "does not ask", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": 1, "evidence": [("digit(X)", 1)]}, "a mapping", DataError),
        ({"net": rows(2, 2, 3)}, {"Z": 1, "evidence": {3: 1}}, "a mapping", DataError),
        ({"net": [[0.0]]}, {"Z": 1}, "a list of tensors (calls, 3)", NetworkError),
    ],
)
def test_messages(given: dict, options: dict, message: str, error: type[Exception]) -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])
    with pytest.raises(error) as caught:
        layer.log_prob(given, **options)
    assert message in str(caught.value)


def test_a_wrong_goal_or_name_is_refused_at_once() -> None:
    with pytest.raises(ProgramError, match="does not define"):
        make(SUM, "t(X,Y,Z)", ["X", "Y"])
    with pytest.raises(DataError, match="no variable 'W'"):
        make(SUM, "s(X,Y,Z)", ["X", "W"])
    with pytest.raises(ProgramError, match="no program"):
        make("nowhere.pl", "s(X,Y,Z)", ["X", "Y"])


def test_arrays_are_taken_like_tensors() -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])
    table = rows(2, 2, 3)
    assert torch.equal(layer({"net": table.numpy()}), layer({"net": table}))


def test_a_batch_may_be_empty() -> None:
    layer = make(SUM, "s(X,Y,Z)", ["X", "Y"])
    none = {"net": rows(0, 2, 3)}
    assert layer(none).shape == (0, 5)
    assert layer.log_prob(none, Z=[]).shape == layer.entropy(none).shape == (0,)
    assert layer.mpe(none, Z=[]).symbols["net"].shape == (0, 2)
    assert layer.sample(none, 4).symbols["net"].shape == (0, 4, 2)
    assert layer.posterior(none, Z=[])["net"].shape == (0, 2, 3)
    many = make(TOTAL, "seen(Xs,N)", ["Xs"], lists=["Xs"])
    assert many.log_prob({}, N=[], lengths={"Xs": []}).shape == (0,)
    with pytest.raises(DataError, match="-1 worlds"):
        layer.sample(none, -1)


def test_lists_may_all_be_empty() -> None:
    layer = make(TOTAL, "seen(Xs,N)", ["Xs"], lists=["Xs"])
    assert layer.log_prob({}, N=[0, 0], lengths={"Xs": [0, 0]}).exp().tolist() == [1, 1]


def test_an_empty_list_has_the_type_of_its_batch() -> None:
    layer = make(TOTAL, "seen(Xs,N)", ["Xs"], lists=["Xs"])
    table = {"net": rows(2, 1, 3).float()}
    told = {"N": [0, 0], "lengths": {"Xs": [1, 0]}}
    assert layer.log_prob(table, **told).dtype == torch.float32
    assert layer.mpe(table, **told).log_prob.dtype == torch.float32


@pytest.mark.parametrize(
    ("evidence", "possible"),
    [
        ({"sure": False}, [False, False]),
        ({"never": True}, [False, False]),
        ({"digit(Y,0)": False}, [False, True]),
        ({"odd": False, "even": False}, [False, False]),
        ({"sure": True, "odd": True}, [True, True]),
    ],
)
def test_impossible_evidence_makes_all_impossible(evidence: dict, possible: list[bool]) -> None:
    """Also where the answer does not depend on it: the first example is sure that Y shows a 0."""
    layer = make(
        """
        nn(net,[X],Y,[0,1])::digit(X,Y). 1.0::sure. 0.0::never. 0.3::odd. even :- \\+odd.
        ask(X,Y,A) :- digit(X,A), sure, \\+never.
        ask(X,Y,both) :- digit(X,1), digit(Y,1), odd.
        """,
        "ask(X,Y,Z)",
        ["X", "Y"],
    )
    table = torch.tensor([[[0.5, 0.5], [1.0, 0.0]], [[0.4, 0.6], [0.3, 0.7]]]).log()
    told = {"Z": 0, "evidence": evidence}
    assert layer.log_prob({"net": table}, **told).isfinite().tolist() == possible
    best = layer.mpe({"net": table}, **told)
    assert best.log_prob.isfinite().tolist() == possible
    assert (best.symbols["net"] >= 0).all(1).tolist() == possible
    drawn = layer.sample({"net": table}, 3, **told).symbols["net"]
    assert (drawn >= 0).all(2).all(1).tolist() == possible


def test_posteriors_beside_evidence_sum_to_one() -> None:
    layer = make(EVIDENCE_APART, "ask(X,Y,Z)", ["X", "Y"])
    table = {"net": rows(3, 2, 3)}
    for (answer,) in layer.answers:
        sums = layer.posterior(table, Z=answer)["net"].exp().sum(-1)
        assert torch.allclose(sums, torch.ones_like(sums))
    assert layer.mpe(table, Z="2").symbols["net"][:, 0].tolist() == [1, 1, 1]


def test_facts_are_found_whatever_they_or_their_evidence_are_called() -> None:
    """``even`` is decided by ``odd`` alone, and a fact may be called ``none``."""
    layer = make(
        """
        0.4::a. 0.3::none. 0.2::odd. even :- \\+odd.
        ask(0) :- a, none. ask(1) :- odd, a. ask(2) :- a, \\+odd.
        """,
        "ask(Z)",
    )
    both = layer.log_prob({}, Z=1, evidence={"even": False, "odd": True}).exp()
    assert both.item() == pytest.approx(0.4)
    assert layer.log_prob({}, Z=2, evidence={"even": True, "odd": True}).item() == -torch.inf
    assert layer.log_prob({}, Z=0, evidence={"none": True}).exp().item() == pytest.approx(0.4)
