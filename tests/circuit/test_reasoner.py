"""The facade: answers, drawing, listing, explaining, learnable probabilities."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from groundkit.circuit.answer import answer_queries
from groundkit.circuit.reasoner import Reasoner, build_reasoner
from groundkit.errors import DataError, LimitError, ProgramError
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

SUM = "nn(net,[X],Y,[0,1,2])::digit(X,Y). s(X,Y,Z) :- digit(X,A), digit(Y,B), Z is A+B."
EXACT = (
    "nn(net,[X],Y,[0,1,2])::digit(X,Y). s(X,Y,Z) :- digit(X,A), digit(Y,B), digit(Z,C), C is A+B."
)


def reasoner_of(text: str, goal: str, images: list[str]) -> Reasoner:
    return build_reasoner(parse_program(text), parse_goal(goal), images)


def random_rows(reasoner: Reasoner, batch: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(
            batch, len(calls), reasoner.sizes[name], generator=generator, dtype=torch.float64
        ).log_softmax(-1)
        for name, calls in reasoner.slots.items()
    }


def test_answers_form_a_distribution_and_are_found_by_value() -> None:
    reasoner = reasoner_of(SUM, "s(X,Y,Z)", ["X", "Y"])
    rows = random_rows(reasoner, 5)
    assert torch.allclose(reasoner(rows).exp().sum(1), torch.ones(5, dtype=torch.float64))
    assert reasoner.answer_index(["3"]) == reasoner.answer_index([" 3.0"]) == 3
    with pytest.raises(DataError, match="no solution with Z = 9"):
        reasoner.answer_index(["9"])
    answers = torch.tensor([0, 1, 2, 3, 4])
    picked = reasoner.log_likelihood(rows, answers)
    assert torch.equal(picked, reasoner(rows)[range(5), answers])


def test_float32_agrees_with_float64() -> None:
    reasoner = reasoner_of(SUM, "s(X,Y,Z)", ["X", "Y"])
    rows = random_rows(reasoner, 4)
    single = reasoner({"net": rows["net"].float()})
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), reasoner(rows), atol=1e-5)


def test_support_lists_every_combination_once() -> None:
    support = reasoner_of(EXACT, "s(X,Y,Z)", ["X", "Y", "Z"]).support()
    expected = {(a, b, a + b) for a in range(3) for b in range(3) if a + b < 3}
    assert set(map(tuple, support.values["net"])) == expected
    assert len(support.answers) == len(expected)


def test_support_completes_images_that_an_answer_leaves_open() -> None:
    text = SUM + " zero(X,Y) :- digit(X,0). zero(X,Y) :- digit(Y,0)."
    support = reasoner_of(text, "zero(X,Y)", ["X", "Y"]).support()
    assert set(map(tuple, support.values["net"])) == {
        (a, b) for a, b in itertools.product(range(3), repeat=2) if a == 0 or b == 0
    }


def test_support_stops_at_its_limit() -> None:
    with pytest.raises(LimitError, match="more than 5"):
        reasoner_of(SUM, "s(X,Y,Z)", ["X", "Y"]).support(limit=5)


def test_samples_follow_the_uniform_distribution_over_solutions() -> None:
    worlds = reasoner_of(EXACT, "s(X,Y,Z)", ["X", "Y", "Z"]).sample(6000, np.random.default_rng(0))
    counts = Counter(map(tuple, worlds.values["net"].tolist()))
    assert len(counts) == 6 and all(a + b == c for a, b, c in counts)
    assert max(abs(n - 1000) for n in counts.values()) < 5 * math.sqrt(1000)


def test_samples_honour_fixed_probabilities_and_evidence() -> None:
    text = "nn(net,[X])::p(X). 0.9::f. 0.5::g. q(X) :- p(X), f. q(X) :- \\+p(X), \\+f. evidence(g)."
    worlds = reasoner_of(text, "q(X)", ["X"]).sample(4000, np.random.default_rng(1))
    assert np.mean(worlds.values["net"] == 0) == pytest.approx(0.9, abs=0.03)


def test_the_same_call_in_two_predicates_has_one_value_in_samples() -> None:
    text = """
    nn(net,[X],Y,[0,1,2])::a(X,Y). nn(net,[X],Y,[0,1,2])::b(X,Y).
    q(X,Z) :- a(X,A), b(X,B), Z is 3*A+B.
    """
    reasoner = reasoner_of(text, "q(X,Z)", ["X"])
    worlds = reasoner.sample(50, np.random.default_rng(0))
    found = {reasoner.answers[i][0] for i in worlds.answers}
    assert found <= {"0", "4", "8"}
    assert {reasoner.answers[i][0] for i in reasoner.support().answers} == {"0", "4", "8"}


def test_explanation_is_the_most_probable_solution() -> None:
    reasoner = reasoner_of(EXACT, "s(X,Y,Z)", ["X", "Y", "Z"])
    rows = random_rows(reasoner, 1, seed=3)
    values, log_prob = reasoner.explain(rows, 0)
    table = rows["net"][0]
    scores = {
        (a, b, a + b): float(table[0, a] + table[1, b] + table[2, a + b])
        for a in range(3)
        for b in range(3)
        if a + b < 3
    }
    best = max(scores, key=scores.__getitem__)
    assert tuple(values["net"]) == best and log_prob == pytest.approx(scores[best])


def test_learnable_groups_start_where_told_and_learn() -> None:
    text = "t(0.2)::a. t(0.25)::b; t(0.75)::c. q(1) :- a, b. q(2) :- c. q(3) :- \\+a, b."
    reasoner = reasoner_of(text, "q(Z)", [])
    assert reasoner({})[0].exp().tolist() == pytest.approx([0.05, 0.75, 0.2])
    optimizer = torch.optim.Adam(reasoner.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (-reasoner({})[0, 0]).backward()
        optimizer.step()
    learned = reasoner.learned_probabilities()
    assert learned["a (line 1)"] > 0.95 and learned["b (line 1)"] > 0.95
    assert learned["b (line 1)"] + learned["c (line 1)"] == pytest.approx(1.0, abs=1e-5)


def test_negated_goals_and_conjunctions_are_goals() -> None:
    text = "nn(net,[X])::p(X). 0.5::f."
    rows = {"net": torch.tensor([[[0.2, 0.8]]]).log()}
    assert reasoner_of(text, "\\+ p(X)", ["X"])(rows).exp().item() == pytest.approx(0.8)
    assert reasoner_of(text, "p(X), f", ["X"])(rows).exp().item() == pytest.approx(0.1)


def test_queries_of_a_program_without_networks() -> None:
    text = (
        "0.4::heads(c1). 0.6::heads(c2). two :- heads(c1), heads(c2). query(two). query(heads(_))."
    )
    assert answer_queries(parse_program(text)) == pytest.approx(
        {"two": 0.24, "heads(c1)": 0.4, "heads(c2)": 0.6}
    )
    assert answer_queries(parse_program(text), "heads(X), \\+two") == pytest.approx(
        {"heads(c1), \\+two": 0.16, "heads(c2), \\+two": 0.36}
    )


def test_queries_need_numbers_for_their_networks() -> None:
    with pytest.raises(ProgramError, match="outputs of network 'net'"):
        answer_queries(parse_program(SUM), "s(X,Y,Z)")
    with pytest.raises(ProgramError, match="asks nothing"):
        answer_queries(parse_program("0.4::a."))


def test_a_large_batch_without_gradients_is_evaluated_in_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "nn(net,[X],Y,[0,1,2])::d(X,Y). t(0.2)::n. s(X,Y,Z) :- d(X,A), d(Y,B), n, Z is A+B."
    reasoner = reasoner_of(text, "s(X,Y,Z)", ["X", "Y"])
    rows = random_rows(reasoner, 200, seed=1)
    at_once = reasoner(rows)
    monkeypatch.setattr("groundkit.circuit.layer._CACHED", 1)
    with torch.no_grad():
        assert torch.equal(reasoner(rows), at_once)
