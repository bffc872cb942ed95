"""Rows of every kind come back from ``history.jsonl`` as they were written."""

import json

import pytest

from groundkit.errors import CheckpointError
from groundkit.perception.health import Health
from groundkit.perception.history import ClusterRow, RollbackRow, StepRow
from groundkit.runs.folder import History, Origin, RunFolder
from groundkit.training.history import RenameRow, SplitRow, read_row
from groundkit.training.states import Saved

SOUND = Health(9.5, 0.1, 10, 0.9, 12.0, None, ("something shows",))
ROWS = [
    ClusterRow(step=20, network="net", terms={"contrastive": -1.5}),
    RenameRow(step=0, found={"accepted": True, "gain": 1.0}, words="moved 3->5"),
    SplitRow(step=5, network="net", symbol=4, of=3, words="4 takes half of 3"),
    RollbackRow(step=28, network="net", step_size=1.0),
    StepRow(
        step=40,
        terms={"prior": -0.1, "symbolic": -2.0},
        objective=-3.0,
        health={"net": SOUND},
        learning_rate=1e-3,
    ),
]
# As version 0.1.0 wrote them.
OLD = [
    {"phase": "cluster", "network": "net", "step": 20, "terms": {"contrastive": -1.5}},
    {
        "phase": "joint",
        "step": 0,
        "reground": {"accepted": True, "gain": 1.0},
        "words": "moved 3->5",
    },
    {
        "phase": "joint",
        "step": 5,
        "split": {"network": "net", "symbol": 4, "of": 3},
        "words": "4 takes half of 3",
    },
    {"phase": "joint", "step": 28, "rollback": "net", "step_size": 1.0},
    {
        "phase": "joint",
        "step": 40,
        "terms": {"prior": -0.1, "symbolic": -2.0},
        "objective": -3.0,
        "health": {
            "net": {
                "effective_symbols": 9.5,
                "conditional_entropy": 0.1,
                "symbols_used": 10,
                "view_agreement": 0.9,
                "effective_rank": 12.0,
                "energy_gap": None,
                "verdicts": ["something shows"],
            }
        },
        "learning_rate": 1e-3,
    },
]


@pytest.mark.parametrize(("row", "old"), list(zip(ROWS, OLD, strict=True)))
def test_a_row_is_written_with_the_keys_it_always_had_and_read_again(row, old):
    written = row.to_dict()
    assert json.loads(json.dumps(written)) == old
    assert read_row(json.loads(json.dumps(written))) == row
    assert read_row(old | {"seconds": 1.5}).to_dict() == old | {"seconds": 1.5}


def test_a_resumed_run_has_the_rows_up_to_its_state(tmp_path):
    with History(tmp_path / "history.jsonl", [], 0.0) as history:
        for row in ROWS:
            history.add(row)
    folder = RunFolder(tmp_path, Origin(0, "circuit", "groundkit run"))
    with folder.history(Saved(9, {}, {"rows": 3, "seconds": 2.0}, ())) as again:
        assert again.rows == history.rows[:3]
        assert [row.to_dict() | {"seconds": 0} for row in again.rows] == [
            row.to_dict() | {"seconds": 0} for row in ROWS[:3]
        ]


@pytest.mark.parametrize(
    "line",
    [
        {"phase": "joint", "step": 1},
        {"phase": "joint"},
        {"phase": "cluster", "step": 1, "network": "net"},
        {"phase": "joint", "step": 1, "split": {"network": "net", "from": 3}, "words": ""},
        OLD[4] | {"health": {"net": {"verdicts": []}}},
        OLD[4] | {"health": []},
    ],
)
def test_a_row_of_no_known_kind_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(OLD[0]) + "\n" + json.dumps(line) + "\n")
    folder = RunFolder(tmp_path, Origin(0, "circuit", "groundkit run"))
    with pytest.raises(CheckpointError, match="the line is no row of a history") as caught:
        folder.history(Saved(9, {}, {"rows": 2, "seconds": 2.0}, ()))
    assert caught.value.at.line == 2
