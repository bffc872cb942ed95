"""The programs of `programs/` through the whole chain: program, circuit, support, count."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from groundkit.circuit.build import build_reasoner
from groundkit.circuit.reasoner import Reasoner
from groundkit.errors import SpecError
from groundkit.program.goal import parse_goal
from groundkit.program.source import load_program
from groundkit.task.load import read_task
from tests.identifiability.oracle import identify

PROGRAMS = Path(__file__).parents[2] / "programs"

# Program -> maps admitted by all combinations, and those among them that are permutations.
COUNTS = {
    "addition": (2, 1),
    "sum": (1, 1),
    "product": (1, 1),
    "maximum": (1, 1),
    "difference": (2, 2),
    "modulo": (2, 2),
    "equality": (24, 24),
    "parity": (32, 8),
    "half": (1, 1),
    "even_odd": (1, 1),
    "xor": (2, 2),
    "arithmetic": (1, 1),
    "sudoku": (24, 24),
    "garments": (1, 1),
    "mnmath": (1, 1),
}
# Program -> the same for the combinations that its examples are drawn from.
DRAWN = {"half": (3, 1), "even_odd": (36, 2), "mnmath": (2, 2)}


@dataclass
class Drawn:
    values: dict[str, np.ndarray]
    answers: np.ndarray


def _reasoner(name: str, goal: str, spec: dict) -> Reasoner:
    program = load_program(PROGRAMS / f"{name}.pl")
    return build_reasoner(program, parse_goal(goal), spec["examples"]["images"])


def _identify(name: str):
    spec = tomllib.loads((PROGRAMS / f"{name}.toml").read_text())
    reasoner = _reasoner(name, spec["query"]["goal"], spec)
    examples = None
    if "goal" in spec["examples"]:
        other = _reasoner(name, spec["examples"]["goal"], spec)
        support = other.support()
        index = [reasoner.answer_index(other.answers[answer]) for answer in support.answers]
        examples = Drawn(dict(support.values), np.array(index))
    domains = {network: reasoner.program.networks[network].domain for network in reasoner.slots}
    return identify(
        reasoner.support(),
        domains,
        examples=examples,
        slots=reasoner.slots,
        answers=reasoner.answers,
    )


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    found = _identify(name)
    assert (found.count, found.permutations) == COUNTS[name]
    if name in DRAWN:
        assert found.examples is not None
        assert (found.examples.count, found.examples.permutations) == DRAWN[name]


@pytest.mark.parametrize("name", sorted(set(COUNTS) - {"addition", "sum"}))
def test_pages_name_the_count(name: str) -> None:
    page = (PROGRAMS / f"{name}.md").read_text()
    count, _ = DRAWN.get(name, COUNTS[name])
    assert f"**{count}**" in page


def test_examples_are_drawn_from_their_own_goal() -> None:
    examples = (
        read_task(PROGRAMS / "half.pl", settings=["examples.data=digits8"]).examples[0].examples
    )
    truth = {name: rows.tolist() for (_, name), rows in examples.truth.items()}
    pairs = set(zip(truth["X"], truth["Y"], strict=True))
    assert pairs == {(0, 0), (0, 1), (2, 3), (2, 4)}


def test_a_goal_for_examples_over_other_variables_is_refused() -> None:
    with pytest.raises(SpecError, match="drawn from half"):
        read_task(PROGRAMS / "half.pl", settings=["examples.goal=half(A, B, C)"])
