"""Values, evidence, posteriors, explanations and draws against the enumeration of all worlds."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from groundkit.errors import ProgramError
from tests.circuit.random_programs import RandomProgram, programs
from tests.layer.oracle import SETTINGS, key_of, layer_of, worlds_of


def possible(program: RandomProgram) -> dict[str, float]:
    """The probabilities of a program with images and a possible query."""
    expected = program.probabilities()
    assume(program.images and expected is not None and max(expected.values()) > 1e-9)
    return expected


@given(programs(neural=True))
@SETTINGS
def test_answers_and_gradients(program: RandomProgram) -> None:
    expected = possible(program)
    layer, rows, _ = layer_of(program)
    found = layer(rows)[0].exp()
    for answer, value in zip(layer.answers, found.tolist(), strict=True):
        assert value == pytest.approx(expected[str(answer[0])], abs=1e-9)
        told = layer.log_prob(rows, Q=[answer[0]]).exp()
        assert told.tolist() == pytest.approx([value], abs=1e-12)
    logits = rows["net"].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: layer({"net": x.log_softmax(-1)}).exp(), (logits,), atol=1e-6
    )
    entropy = -sum(p * math.log(p) for p in (found / found.sum()).tolist() if p > 0)
    assert layer.entropy(rows).item() == pytest.approx(entropy, abs=1e-9)


@given(programs(neural=True), st.data())
@SETTINGS
def test_evidence_of_facts_and_of_what_follows_from_them(
    program: RandomProgram, data: st.DataObject
) -> None:
    possible(program)
    layer, rows, _ = layer_of(program)
    atoms = [h for d in program.disjunctions for h in d.heads] + list(program.queries)
    told = data.draw(st.dictionaries(st.sampled_from(atoms), st.booleans(), max_size=3))
    worlds = worlds_of(program)
    holds = [w for w in worlds if all((a in w.model) == v for a, v in told.items())]
    total = sum(w.weight for w in holds)
    evidence = {key_of(program, atom): value for atom, value in told.items()}
    try:
        found = layer(rows, evidence=evidence)[0]
    except ProgramError as error:
        if "inside the recursion" in error.found:
            assume(False)
        answered = sum(w.weight for w in holds if w.model & set(program.queries))
        assert answered < 1e-9, str(error)
        return
    for answer, value in zip(layer.answers, found.exp().tolist(), strict=True):
        given_ = sum(w.weight for w in holds if str(answer[0]) in w.model)
        expected = given_ / total if total > 0 else 0.0
        assert value == pytest.approx(expected, abs=1e-7)
    if total > 0:
        logits = rows["net"].clone().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x: layer({"net": x.log_softmax(-1)}, evidence=evidence).exp(),
            (logits,),
            atol=1e-6,
        )


@given(programs(neural=True), st.data())
@SETTINGS
def test_posteriors_and_symbols_as_evidence(program: RandomProgram, data: st.DataObject) -> None:
    expected = possible(program)
    layer, rows, order = layer_of(program)
    query = max(expected, key=expected.__getitem__)
    worlds = worlds_of(program)
    holds = [w for w in worlds if query in w.model]
    total = sum(w.weight for w in holds)
    posterior = layer.posterior(rows, Q=query)["net"][0].exp()
    for slot, image in enumerate(order):
        for symbol in range(3):
            mass = sum(w.weight for w in holds if w.symbols[image] == symbol)
            assert posterior[slot, symbol].item() == pytest.approx(mass / total, abs=1e-7)
    slot = data.draw(st.integers(0, len(order) - 1))
    image, symbol = order[slot], data.draw(st.integers(0, 2))
    sure = [w for w in worlds if w.symbols[image] == symbol]
    expected_ = sum(w.weight for w in sure if query in w.model) / sum(w.weight for w in sure)
    told = layer.log_prob(rows, Q=query, evidence={f"sym(I{image})": symbol}).exp()
    assert told.item() == pytest.approx(expected_, abs=1e-7)
    same = layer.log_prob(rows, Q=query, evidence={f"sym(I{image},{symbol})": [True]}).exp()
    assert same.item() == pytest.approx(told.item(), abs=1e-12)


@given(programs(neural=True))
@SETTINGS
def test_the_most_probable_explanation(program: RandomProgram) -> None:
    expected = possible(program)
    layer, rows, order = layer_of(program)
    query = max(expected, key=expected.__getitem__)
    choices = layer.shape().reasoner.ground_program.choices
    asked = {outcome.partition("(")[0] for choice in choices for outcome in choice.outcomes}
    asked |= {head for image in order for head in program.images[image].heads}
    # Heads that the goal does not ask are one outcome together: "none of these".
    masses: Counter[tuple[str | None, ...]] = Counter()
    for world in worlds_of(program):
        if query in world.model:
            masses[tuple(head if head in asked else None for head in world.heads)] += world.weight
    best = max(masses.values())
    found = layer.mpe(rows, Q=query)
    assert found.log_prob.exp().item() == pytest.approx(best, rel=1e-6)
    symbols = {
        program.images[i].heads[s]
        for i, s in zip(order, found.symbols["net"][0].tolist(), strict=True)
    }
    assert max(m for heads, m in masses.items() if symbols <= set(heads)) == pytest.approx(best)


@given(programs(neural=True))
@SETTINGS
def test_draws_follow_the_posterior(program: RandomProgram) -> None:
    expected = possible(program)
    layer, rows, order = layer_of(program)
    query = max(expected, key=expected.__getitem__)
    holds = [w for w in worlds_of(program) if query in w.model]
    total = sum(w.weight for w in holds)
    count = 2000
    drawn = layer.sample(rows, count, generator=torch.Generator().manual_seed(0), Q=query)
    seen = Counter(map(tuple, drawn.symbols["net"][0].tolist()))
    masses: Counter[tuple[int, ...]] = Counter()
    for world in holds:
        masses[tuple(world.symbols[image] for image in order)] += world.weight / total
    assert set(seen) <= set(masses)
    for symbols, mass in masses.items():
        spread = math.sqrt(count * mass * (1 - mass)) + 1
        assert abs(seen[symbols] - count * mass) < 5.5 * spread
