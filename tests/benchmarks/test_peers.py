"""The table of peers: its numbers stand where it says, and the page is rendered from it."""

import json

import pytest

from benchmarks.peers import KINDS, PAGE, ROOT, ROWS, ahead, render
from tests.test_numbers import WRITTEN

TABLE = json.loads(ROWS.read_text("utf-8"))["rows"]


def test_the_page_is_that_of_the_rows():
    assert PAGE.read_text("utf-8") == render(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['peer']}: {row['task']}")
def test_numbers_stand_in_the_table_that_a_row_names(row):
    assert row["kind"] in KINDS
    if "source" in row:
        lines = (ROOT / "benchmarks/results" / row["source"]).read_text("utf-8").splitlines()
        found = {
            one for line in lines for one in WRITTEN.findall(line) if row.get("line", "") in line
        }
        wanted = WRITTEN.findall(row["ours"])
        if row["kind"] != "earlier":
            wanted += WRITTEN.findall(row["theirs"])
        assert wanted and set(wanted) <= found


def test_who_is_ahead_follows_from_the_numbers():
    row = {"measure": "symbol accuracy", "better": "higher", "theirs": "0.977", "ours": "0.966"}
    assert ahead(row) == "**peer**" and ahead(row | {"better": "lower"}) == "groundkit"
    timed = {"measure": "steps per second", "better": "higher", "theirs": "17.9", "ours": "18"}
    assert ahead(timed) == "even"
    assert ahead(timed | {"better": "lower", "theirs": "over 60", "ours": "5.9"}) == "groundkit"


def test_rows_in_which_a_peer_is_better_are_there():
    better = {row["peer"].split()[0] for row in TABLE if ahead(row) == "**peer**"}
    assert {"ABLkit", "DeepLog", "SwAV", "A-NeSI,", "ProbLog"} <= better
