"""The facade: answers, drawing, listing, explaining, learnable probabilities."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

import numpy as np
import pytest
import torch

from groundkit.circuit.answer import answer_queries
from groundkit.circuit.build import build_reasoner
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import DataError, LimitError, NetworkError, ProgramError
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


def test_samples_weigh_a_disjunction_by_all_of_its_ways() -> None:
    text = """
    nn(net,[X])::p(X). 0.3::a. 0.4::b. 0.58::f.
    any :- a. any :- b. q(X) :- p(X), any. q(X) :- \\+p(X), f.
    """
    worlds = reasoner_of(text, "q(X)", ["X"]).sample(4000, np.random.default_rng(1))
    assert np.mean(worlds.values["net"] == 0) == pytest.approx(0.5, abs=0.04)


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


def test_different_terms_are_different_answers_and_print_so_that_they_read_back() -> None:
    text = "0.3::w(\"yes\"). 0.4::w('yes'). 0.2::w(yes). 0.1::w(1). 0.15::w('1'). say(X) :- w(X)."
    found = answer_queries(parse_program(text), "say(X)")
    assert found == pytest.approx(
        {'say("yes")': 0.3, "say('yes')": 0.4, "say(yes)": 0.2, "say(1)": 0.1, "say('1')": 0.15}
    )
    reasoner = reasoner_of(text, "say(X)", [])
    assert reasoner.answers[reasoner.answer_index(["'1'"])] == ("'1'",)
    with pytest.raises(DataError, match="may mean"):
        reasoner.answer_index(["01"])


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("likes(bob,_). 0.3::free. val(X,Y) :- free.", "val(A,B)"),
        ("likes(bob,_).", "likes(A,B)"),
        ("0.3::free. val(X,[X,1]) :- free.", "val(A,B)"),
    ],
)
def test_an_unbound_answer_is_refused(text: str, goal: str) -> None:
    with pytest.raises(ProgramError, match=r"leaves .*B.* unbound"):
        answer_queries(parse_program(text), goal)


def test_an_unbound_query_fact_is_refused_as_by_problog_unless_it_is_certain() -> None:
    with pytest.raises(ProgramError, match="still has a variable"):
        answer_queries(parse_program("0.3::free. val(X,Y) :- free. query(val(A,B))."))
    assert answer_queries(parse_program("likes(bob,_). query(likes(_,_)).")) == {"likes(bob,_)": 1}


def test_an_input_shows_a_network_one_symbol() -> None:
    text = "nn(net,[X])::p(X). nn(net,[X])::q(X). both(X) :- p(X), q(X). one(X) :- p(X), \\+q(X)."
    reasoner = reasoner_of(text, "both(X)", ["X"])
    rows = {"net": torch.tensor([[[0.3, 0.7]]], dtype=torch.float64).log()}
    assert reasoner(rows).exp().item() == pytest.approx(0.3)
    assert reasoner.support().values["net"].tolist() == [[0]]
    assert reasoner.ground_program.shared == ("net(X) by p/1, q/1",)
    with pytest.raises(ProgramError, match="no solution"):
        reasoner_of(text, "one(X)", ["X"])
    own = text.replace("nn(net,[X])::q", "nn(other,[X])::q")
    independent = reasoner_of(own, "both(X)", ["X"])
    assert independent(rows | {"other": rows["net"]}).exp().item() == pytest.approx(0.09)


def test_learnable_probabilities_of_0_and_1_are_exact_and_stay() -> None:
    text = "t(0.1)::a. t(0.0)::b. t(1.0)::c. q(1) :- a. q(2) :- b. q(3) :- \\+c. q(4) :- c, \\+b."
    reasoner = reasoner_of(text, "q(Z)", [])
    assert reasoner({})[0].exp().tolist() == [pytest.approx(0.1, abs=1e-16), 0.0, 0.0, 1.0]
    optimizer = torch.optim.Adam(reasoner.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (-reasoner({})[0, [0, 3]].sum()).backward()
        optimizer.step()
    assert reasoner({})[0, 1:].exp().tolist() == [0.0, 0.0, 1.0]
    assert reasoner({})[0, 0].exp().item() > 0.1


def test_a_probability_for_each_value_of_a_variable() -> None:
    text = "t(_,C)::f(C) :- c(C). c(1). c('x.y'). q(C) :- f(C)."
    reasoner = reasoner_of(text, "q(C)", [])
    one = reasoner.answer_index(["1"])
    optimizer = torch.optim.Adam(reasoner.parameters(), lr=0.5)
    for _ in range(40):
        optimizer.zero_grad()
        (-reasoner({})[0, one]).backward()
        optimizer.step()
    learned = reasoner.learned_probabilities()
    assert learned["f(C) (line 1) with C = 1"] > 0.95
    assert learned["f(C) (line 1) with C = 'x.y'"] == pytest.approx(0.5)
    reasoner.load_state_dict(reasoner_of(text, "q(C)", []).state_dict())


def test_inputs_of_a_network_may_be_a_variable() -> None:
    text = "nn(net,E,Y,[0,1])::d(E,Y). q(X,Y,Z) :- d([X,Y],A), d([Y,X],B), Z is A+B."
    reasoner = reasoner_of(text, "q(X,Y,Z)", ["X", "Y"])
    assert reasoner.slots == {"net": (("X", "Y"), ("Y", "X"))}
    with pytest.raises(ProgramError, match="no list of inputs"):
        reasoner_of("nn(net,E,Y,[0,1])::d(E,Y). q(X,Z) :- d(X,Z).", "q(X,Z)", ["X"])


def test_long_domains_and_disjunctions_are_read() -> None:
    symbols = ",".join(f"s{i}" for i in range(2600))
    program = parse_program(f"nn(net,[X],Y,[{symbols}])::d(X,Y). q(X,Y) :- d(X,Y).")
    assert len(program.neural[0].domain) == 2600
    heads = ";".join(f"0.001::h({i})" for i in range(1000))
    assert answer_queries(parse_program(f"{heads}. q :- h(7)."), "q")["q"] == pytest.approx(0.001)


def test_an_anonymous_pattern_of_findall_is_read() -> None:
    text = "0.5::g(1). 0.5::g(2). q(N) :- findall(_, g(_), L), length(L,N)."
    found = answer_queries(parse_program(text), "q(N)")
    assert found == pytest.approx({"q(0)": 0.25, "q(1)": 0.5, "q(2)": 0.25})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("member(X,[1,2]), !", "ProbLog has no '!'"),
        ("(b -> X = 1 ; X = 2)", "ProbLog has no '->'"),
        ("maplist(b,[1],X)", r"library\(apply\), which the program does not load"),
        ("bb, X = 1", "did you mean b/0"),
    ],
)
def test_what_problog_lacks_is_told_by_name(body: str, expected: str) -> None:
    with pytest.raises(ProgramError) as info:
        answer_queries(parse_program(f"b. a(X) :- {body}."), "a(X)")
    assert re.search(expected, str(info.value))


def test_what_is_no_log_probability_is_refused_whichever_way_it_is_off() -> None:
    reasoner = reasoner_of(SUM, "s(X,Y,Z)", ["X", "Y"])
    rows = random_rows(reasoner, 3, seed=1)
    for wrong in (-1.0, 1.0):
        fresh = reasoner_of(SUM, "s(X,Y,Z)", ["X", "Y"])
        with pytest.raises(NetworkError, match="are not log-probabilities"):
            fresh({name: values + wrong for name, values in rows.items()})


def test_networks_with_different_numbers_of_examples_are_refused() -> None:
    text = "nn(one,[X])::p(X). nn(two,[Y])::r(Y). q(X,Y) :- p(X), r(Y)."
    reasoner = reasoner_of(text, "q(X,Y)", ["X", "Y"])
    rows = {"one": torch.zeros(3, 1, 2) - math.log(2), "two": torch.zeros(1, 1, 2) - math.log(2)}
    with pytest.raises(NetworkError, match="gives 1 examples, others 3"):
        reasoner(rows)


def test_answers_are_conditional_on_the_evidence() -> None:
    text = "0.3::a. 0.4::b. any :- a. any :- b. evidence(any). q(x) :- a. q(y) :- b."
    found = answer_queries(parse_program(text), "q(X)")
    assert found == pytest.approx({"q(x)": 0.3 / 0.58, "q(y)": 0.4 / 0.58})


def test_a_reasoner_conditions_on_the_evidence() -> None:
    text = "nn(net,[X])::p(X). 0.4::b. 0.5::c. any :- b. any :- c. evidence(any). q(X) :- p(X), b."
    found = reasoner_of(text, "q(X)", ["X"])({"net": torch.tensor([[[0.8, 0.2]]]).log()})
    assert found.exp().item() == pytest.approx(0.8 * 0.4 / 0.7)
