"""The traps of the field's other tools: each gives a right answer or a clear error here."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.klay_export import to_klay
from groundkit.circuit.answer import answer_queries
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.ir import CircuitBuilder
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import DataError, NetworkError, ProgramError, RunError
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

THREE = "nn(net,[X],Y,[a,b,c])::sym(X,Y). pick(X,Y) :- sym(X,Y)."


def reasoner_of(text: str, goal: str, images: list[str]) -> Reasoner:
    return build_reasoner(parse_program(text), parse_goal(goal), images)


def test_evidence_is_honoured() -> None:
    text = "0.3::a. 0.4::b. c :- a. c :- b. evidence(c). query(a)."
    assert answer_queries(parse_program(text))["a"] == pytest.approx(0.3 / 0.58)


def test_negative_evidence_is_honoured() -> None:
    text = "0.3::a. 0.4::b. c :- a. c :- b. evidence(b,false). query(c)."
    assert answer_queries(parse_program(text))["c"] == pytest.approx(0.3)


@pytest.mark.parametrize("outputs", [2, 4])
def test_wrong_number_of_outputs(outputs: int) -> None:
    reasoner = reasoner_of(THREE, "pick(X,Y)", ["X"])
    with pytest.raises(NetworkError, match=rf"'net' have shape \(5, 1, {outputs}\)") as info:
        reasoner({"net": torch.zeros(5, 1, outputs).log_softmax(-1)})
    assert "3 values in the program's domain" in str(info.value)


def test_logits_are_not_probabilities() -> None:
    reasoner = reasoner_of(THREE, "pick(X,Y)", ["X"])
    with pytest.raises(NetworkError, match="not log-probabilities"):
        reasoner({"net": torch.tensor([[[2.0, 3.0, -1.0]]])})
    with pytest.raises(NetworkError, match="not log-probabilities"):
        reasoner({"net": torch.tensor([[[0.2, 0.3, 0.5]]])})


def test_wrong_network_name() -> None:
    reasoner = reasoner_of(THREE, "pick(X,Y)", ["X"])
    with pytest.raises(NetworkError, match="no outputs of network 'net'") as info:
        reasoner({"nets": torch.zeros(1, 1, 3).log_softmax(-1)})
    assert "nets" in str(info.value)


def test_networks_that_disagree_on_the_batch() -> None:
    text = "nn(a,[X])::p(X). nn(b,[X])::q(X). r(X,Y) :- p(X), q(Y)."
    reasoner = reasoner_of(text, "r(X,Y)", ["X", "Y"])
    rows = {name: torch.zeros(n, 1, 2).log_softmax(-1) for name, n in (("a", 2), ("b", 3))}
    with pytest.raises(NetworkError, match="3 examples, others 2"):
        reasoner(rows)


def test_disjunction_above_one() -> None:
    with pytest.raises(ProgramError, match=r"sum to 1\.3") as info:
        parse_program("\n0.6::a; 0.7::b.")
    assert info.value.at is not None and info.value.at.line == 2


def test_computed_disjunction_above_one() -> None:
    text = "w(0.6). w(0.7). P::a(P); P::b(P) :- w(P). query(a(_)). query(b(_))."
    with pytest.raises(ProgramError, match="sum to"):
        answer_queries(parse_program(text))


def test_query_without_a_proof_is_an_error_not_a_dropped_example() -> None:
    with pytest.raises(ProgramError, match="has no solution"):
        reasoner_of(THREE + " never(X) :- sym(X,d).", "never(X)", ["X"])
    reasoner = reasoner_of(THREE, "pick(X,Y)", ["X"])
    with pytest.raises(DataError, match="no solution with Y = d"):
        reasoner.answer_index(["d"])


def test_parenthesised_negation() -> None:
    text = """
    0.3::a. 0.4::b.
    both :- \\+ (a, b).      none :- \\+ (a ; b).     nested :- \\+ (\\+ (a, b)).
    query(both). query(none). query(nested).
    """
    found = answer_queries(parse_program(text))
    assert found == pytest.approx({"both": 0.88, "none": 0.42, "nested": 0.12})


@pytest.mark.parametrize(
    ("text", "goal", "message", "line"),
    [
        ("0.5::a(X).\nq :- a(X).", "q", "unbound variable", 1),
        ("q :- r(1).\nr(X) :- missing(X).", "q", "no clause defines missing/1", 2),
        ("q(X) :-\n  Y is X + 1, r(Y). r(1).", "q(Z)", "argument types for call to 'is/2'", 2),
        ("p :- \\+ q.\nq :- \\+ p.", "p", "negation", None),
    ],
)
def test_grounding_errors_name_the_clause(
    text: str, goal: str, message: str, line: int | None
) -> None:
    with pytest.raises(ProgramError, match=f"(?i){message}") as info:
        reasoner_of(text, goal, [])
    assert info.value.remedy
    if line is not None:
        assert info.value.at is not None and info.value.at.line == line


def test_inconsistent_evidence_is_blamed_on_what_conflicts() -> None:
    text = "0.3::a. 0.4::b. 0.5::c. d :- a, b.\nevidence(c). evidence(d). evidence(\\+b). query(a)."
    with pytest.raises(ProgramError) as info:
        answer_queries(parse_program(text))
    assert "d" in info.value.found and "b" in info.value.found
    assert "evidence can never hold together: d; \\+b" in info.value.found


def test_unknown_goal_names_the_nearest() -> None:
    with pytest.raises(ProgramError, match="does not define") as info:
        reasoner_of(THREE, "pik(X,Y)", ["X"])
    assert "pick/2" in str(info.value)
    with pytest.raises(ProgramError, match="pick/3"):
        reasoner_of(THREE, "pick(X,Y,Z)", ["X"])


def test_image_that_nothing_reads() -> None:
    with pytest.raises(ProgramError, match="no network looks at the image Z"):
        reasoner_of(THREE + " two(X,Z,Y) :- sym(X,Y).", "two(X,Z,Y)", ["X", "Z"])


def test_tensors_of_nn3_are_refused_by_name() -> None:
    text = "nn(rnn,[X],E)::embed(X,E). q(X) :- embed(X,E)."
    with pytest.raises(ProgramError, match="nn/3") as info:
        reasoner_of(text, "q(X)", ["X"])
    assert "TensorProgram" in str(info.value) and "DeepProbLog" in str(info.value)


def test_saturated_networks_keep_finite_gradients() -> None:
    text = "nn(net,[X],Y,[0,1])::d(X,Y). s(X,Y,Z) :- d(X,A), d(Y,B), Z is A+B."
    reasoner = reasoner_of(text, "s(X,Y,Z)", ["X", "Y"])
    logits = torch.tensor([[[800.0, -800.0], [0.0, 0.0]]], requires_grad=True)
    out = reasoner({"net": logits.log_softmax(-1)})
    out[0, :2].sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    hard = torch.tensor([[[0.0, -math.inf], [0.0, -math.inf]]], requires_grad=True)
    found = reasoner({"net": hard})
    assert found[0].tolist() == [0.0, -math.inf, -math.inf]
    found[0, 0].backward()
    assert hard.grad is not None and hard.grad.isfinite().all()
    hard.grad = None
    reasoner({"net": hard})[0, 1].backward()
    assert hard.grad.isfinite().all()


def test_probabilities_of_exactly_zero_and_one() -> None:
    text = "1.0::a. 0.0::b. 1/3::c. q(1) :- a, c. q(2) :- b. q(3) :- \\+b. query(q(_))."
    found = answer_queries(parse_program(text))
    assert found == pytest.approx({"q(1)": 1 / 3, "q(2)": 0.0, "q(3)": 1.0})


def test_one_image_twice_is_one_symbol() -> None:
    text = "nn(net,[X],Y,[0,1])::d(X,Y). q(X) :- d(X,A), d(X,B), A =\\= B. q(X) :- d(X,1)."
    reasoner = reasoner_of(text, "q(X)", ["X"])
    found = reasoner({"net": torch.tensor([[[0.3, 0.7]]]).log()})
    assert found.exp().item() == pytest.approx(0.7)


def test_one_compilation_serves_every_answer_and_example(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "nn(net,[X],Y,[0,1,2])::d(X,Y). s(X,Y,Z) :- d(X,A), d(Y,B), Z is A+B."
    reasoner = reasoner_of(text, "s(X,Y,Z)", ["X", "Y"])
    monkeypatch.setattr("groundkit.circuit.prepare.ground", None)
    rows = torch.randn(50, 2, 3, dtype=torch.float64).log_softmax(-1)
    answers = torch.arange(50) % 5
    expected = [
        sum(
            float(one[0, a].exp() * one[1, total - a].exp()) for a in range(3) if 0 <= total - a < 3
        )
        for one, total in zip(rows, answers.tolist(), strict=True)
    ]
    found = reasoner.log_likelihood({"net": rows}, answers).exp()
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_a_circuit_without_roots_does_not_reach_klay() -> None:
    with pytest.raises(RunError, match="without roots"):
        to_klay(CircuitBuilder().finish([]), [])


def test_networks_that_share_a_name_agree_on_inputs_and_outputs() -> None:
    with pytest.raises(ProgramError, match="has 3 outputs here and 2 at"):
        parse_program("nn(n,[X],Y,[a,b])::p(X,Y).\nnn(n,[X],Y,[a,b,c])::q(X,Y).")
    with pytest.raises(ProgramError, match="reads 2 inputs here and 1 at"):
        parse_program("nn(n,[X],Y,[a,b])::p(X,Y).\nnn(n,[X,Z],Y,[a,b])::q(X,Z,Y).")
