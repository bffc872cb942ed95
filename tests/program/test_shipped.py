"""Every shipped program at its own size: it compiles, and its answers and drawings are right."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from groundkit.circuit.reasoner import Reasoner, build_reasoner
from groundkit.program.goal import parse_goal
from groundkit.program.source import load_program

PROGRAMS = Path(__file__).parents[2] / "programs"
DISTRIBUTIONS = ["multi_addition", "noisy_addition", "coins", "poker", "forth_sort", "forth_add"]


# What DeepProbLog's own form of a program asks, where the spec asks for lists.
OWN_FORMS = {"hwf": ("formula([A,P,B], V)", ["A", "P", "B"])}


@cache
def reasoner_of(name: str) -> Reasoner:
    if name in OWN_FORMS:
        goal, images = OWN_FORMS[name]
    else:
        spec = tomllib.loads((PROGRAMS / f"{name}.toml").read_text())
        goal, images = spec["query"]["goal"], spec["examples"]["images"]
    return build_reasoner(load_program(PROGRAMS / f"{name}.pl"), parse_goal(goal), images)


def sharp(reasoner: Reasoner, symbols: dict[str, str]) -> dict[str, torch.Tensor]:
    """Beliefs of networks that are certain of the given symbol of every input."""
    rows = {}
    for network, calls in reasoner.slots.items():
        domain = reasoner.program.networks[network].domain
        hot = torch.full((1, len(calls), len(domain)), -torch.inf, dtype=torch.float64)
        for slot, (name,) in enumerate(calls):
            hot[0, slot, domain.index(symbols[name])] = 0.0
        rows[network] = hot
    return rows


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_answers_are_a_distribution(name: str) -> None:
    reasoner = reasoner_of(name)
    torch.manual_seed(0)
    rows = {
        network: torch.randn(2, len(calls), reasoner.sizes[network]).double().log_softmax(-1)
        for network, calls in reasoner.slots.items()
    }
    assert reasoner(rows).exp().sum(1).tolist() == pytest.approx([1.0, 1.0])


CASES = [
    ("multi_addition", {"X1": "4", "X2": "7", "Y1": "5", "Y2": "9"}, "106"),
    ("forth_sort", {"X": "7", "Y": "2", "Z": "5"}, "[2, 5, 7]"),
    ("forth_add", {"X1": "4", "X2": "7", "Y1": "5", "Y2": "9"}, "[1,0,6]"),
    ("coins", {"X": "0", "Y": "*"}, "loss"),
    ("hwf", {"A": "7", "P": "/", "B": "2"}, "7/2"),
    ("hwf", {"A": "8", "P": "/", "B": "2"}, "4"),
    ("hwf", {"A": "3", "P": "-", "B": "9"}, "-6"),
    ("kinship", {"X": "1", "Y": "1"}, "grandparent"),
    ("any_sum", {"A": "1", "B": "2", "C": "9", "D": "9"}, "18"),
]


@pytest.mark.parametrize(("name", "symbols", "answer"), CASES)
def test_certain_symbols_give_the_answer_a_person_gives(
    name: str, symbols: dict[str, str], answer: str
) -> None:
    reasoner = reasoner_of(name)
    found = reasoner(sharp(reasoner, symbols))[0]
    assert found[reasoner.answer_index([answer])].exp().item() == pytest.approx(1.0)


def test_the_house_has_each_card_equally_often_at_the_start() -> None:
    reasoner = reasoner_of("poker")
    # Own pair of 2 against 1 and 4: lost to the house's 1 (pair), 4 is a higher card but no pair.
    rows = sharp(reasoner, {"A": "2", "B": "2", "C": "1", "D": "4"})
    found = dict(
        zip((a for (a,) in reasoner.answers), reasoner(rows)[0].exp().tolist(), strict=True)
    )
    assert found == pytest.approx({"win": 0.75, "loss": 0.25, "draw": 0.0}, abs=1e-9)


def test_drawn_sums_with_a_carry_are_sums() -> None:
    reasoner = reasoner_of("carry")
    worlds = reasoner.sample(50, np.random.default_rng(0))
    digits = {
        name: worlds.values["mnist_net"][:, i]
        for i, (name,) in enumerate(reasoner.slots["mnist_net"])
    }
    given = {
        name: worlds.values["given"][:, i] for i, (name,) in enumerate(reasoner.slots["given"])
    }
    for row in range(50):
        x, y, z = (
            int("".join(str(part[f"{letter}{i}"][row]) for i in places))
            for part, letter, places in (
                (digits, "X", range(1, 5)),
                (digits, "Y", range(1, 5)),
                (given, "Z", range(5)),
            )
        )
        assert x + y == z
