"""SECURITY.md says what holds: every row of its table names tests, and these are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith("|---")
]
HEADER, *THREATS = ROWS


def test_the_table_has_its_columns() -> None:
    assert HEADER == ["From a stranger", "What could happen", "What is done", "Shown by"]
    assert len(THREATS) >= 15
    assert all(len(row) == 4 and all(row) for row in THREATS)


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0])
def test_every_row_names_tests_that_exist(row: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[3])
    assert named
    for file, function in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in functions, f"{file} has no {function}"


def test_files_that_the_text_links_to_exist() -> None:
    for link in re.findall(r"\]\(([^)#:]+)", TEXT):
        assert (ROOT / link).exists(), link


def test_no_code_unpickles() -> None:
    for file in (ROOT / "groundkit").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (pickle|shelve|joblib|dill)", text, re.M), file
        assert "torch.load(" not in text and "allow_pickle=True" not in text, file


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    from groundkit.program.limits import Limits
    from groundkit.program.parser import MOST_OPERATORS, MOST_SECONDS
    from tests.hostile.crossing import FORMS, METAS

    assert f"more than {MOST_OPERATORS:,} operators" in TEXT
    assert f"after {MOST_SECONDS:g} s" in TEXT
    assert (Limits().seconds, Limits().memory) == (600, 4 << 30)
    assert "10 minutes and 4 GiB" in TEXT
    assert f"{len(FORMS)} ways to load in {len(METAS)} places" in TEXT
