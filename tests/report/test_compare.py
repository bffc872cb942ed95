"""Medians, spread and success over seeds, as Markdown, HTML and JSON."""

import json

import pytest

from groundkit.errors import CheckpointError
from groundkit.report.compare import Criterion, compare, flatten, label_runs, load_runs


def run(label, seed, accuracy, **more):
    return {"label": label, "seed": seed, "metrics": {"grounding": {"accuracy": accuracy}} | more}


RUNS = [
    run("full", 0, 0.97),
    run("no | <b>", 0, None, reason="x"),
    run("full", 1, 0.99),
    run("full", 2, 0.5),
]


def test_median_spread_and_success():
    table = compare(RUNS)
    row = table.rows[0]
    cell = row.cells["grounding.accuracy"]
    assert (cell.median, cell.low, cell.high, cell.n) == (0.97, 0.5, 0.99, 3)
    assert row.success == "2 of 3" and row.seeds == (0, 1, 2)
    assert table.rows[1].success == "\u2013"


def test_markdown_cannot_be_broken_by_a_label():
    lines = compare(RUNS).to_markdown().splitlines()
    assert lines[2] == "| full | 3 | 2 of 3 | 0.970 (0.500 to 0.990) |"
    assert lines[3].startswith("| no \\| \\<b\\> |")


def test_counts_look_like_counts():
    runs = [run("full", seed, 0.9, identify={"count": 2 + seed % 2}) for seed in range(4)]
    texts = [compare(chosen, ["identify.count"]).to_markdown() for chosen in (runs[:3], runs)]
    assert "| 2 (2 to 3) |" in texts[0] and "| 2.500 (2 to 3) |" in texts[1]


def test_html_escapes_and_json_is_json():
    table = compare(RUNS)
    page = table.to_html("t <script>", "groundkit compare a b")
    assert "<b>" not in page and "<script>" not in page and "groundkit compare a b" in page
    d = json.loads(json.dumps(table.to_dict()))
    assert d["rows"][0]["cells"]["grounding.accuracy"]["median"] == 0.97
    assert d["rows"][1]["cells"]["grounding.accuracy"] is None


def test_columns_are_those_that_occur_foreign_sets_included():
    ood = {"fashion-mnist": {"auroc": 0.99, "scores": {"energy": {"auroc": 0.99}}}}
    table = compare([run("a", 0, 0.9, ood=ood)])
    assert table.columns == {
        "grounding.accuracy": "accuracy",
        "ood.fashion-mnist.auroc": "AUROC fashion-mnist",
    }


def test_columns_and_criterion_can_be_chosen():
    table = compare(RUNS, ["seed", "grounding.accuracy"], Criterion("grounding.accuracy", 0.98))
    assert list(table.columns) == ["seed", "grounding.accuracy"]
    assert table.rows[0].cells["seed"] is None and table.rows[0].success == "1 of 3"
    assert "accuracy at least 0.98" in table.note


def test_without_a_known_success_there_is_no_such_column():
    table = compare([run("a", 0, None, query={"nll": 0.5})])
    assert table.to_markdown().startswith("|  | runs | query NLL |")
    assert "success" not in table.to_markdown() and "success" not in table.to_html()


def test_no_runs():
    assert compare([]).rows == () and "no runs" in compare([]).to_html()


def test_flatten_keeps_finite_numbers_only():
    nested = {"a": {"b": 1, "c": None, "d": True}, "e": float("nan"), "f": "x"}
    assert flatten(nested) == {"a.b": pytest.approx(1.0)}


def test_runs_are_labelled_by_what_sets_them_apart():
    specs = [
        {"train": {"epochs": 30, "reground": True}},
        {"train": {"epochs": 30, "reground": False}},
        {"train": {"epochs": 30, "reground": True}, "x": 1},
        {"train": {"epochs": 7}},
    ]
    assert label_runs(["a", "a", "a", "b"], specs) == [
        "a: train.reground=True, no x",
        "a: train.reground=False, no x",
        "a: train.reground=True, x=1",
        "b",
    ]
    assert label_runs(["a", "a"], [specs[0], specs[0]]) == ["a", "a"]


def test_folders_of_runs_are_read(tmp_path):
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        metrics = {"program": "programs/add.pl", "seed": seed, "grounding": {"accuracy": 0.95}}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "spec.toml").write_text("[train]\nepochs = 3\n")
    table = compare(load_runs([tmp_path / "0", tmp_path / "1"]))
    assert [(r.label, r.seeds, r.success) for r in table.rows] == [("add", (0, 1), "2 of 2")]


@pytest.mark.parametrize("content", [None, "{", "[]", "\xff"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError) as error:
        load_runs([tmp_path])
    assert "metrics.json" in str(error.value)


def test_the_text_fits_a_terminal_and_loses_nothing():
    scores = {"nmi": 0.9, "ari": 0.8, "collapse": 0.0, "ece": 0.01, "accuracy_matched": 0.97}
    more = {"query": {"accuracy": 0.9, "nll": 0.31}, "timing": {"train_s": 1234.5}}
    label = "addition: networks.net.perception.invariance=0.123456, train.epochs=30"
    runs = [
        {"label": name, "seed": seed, "metrics": {"grounding": scores | {"accuracy": 0.9}} | more}
        for name in (label, "plain\x1b[31m")
        for seed in range(2)
    ]
    runs[0]["metrics"]["grounding"]["accuracy"] = 0.5
    table = compare(runs)
    text = str(table)
    assert max(map(len, text.splitlines())) <= 80 and "\x1b" not in text
    for title in (*table.columns.values(), "0.700 (0.500 to 0.900)", "1 of 2", "2 of 2"):
        assert title in text
    assert label in " ".join(text.split()) or "train.epochs=30" in text
    wide = table.to_text(300).splitlines()
    assert wide[1].startswith(label) and wide[1].split("  ")[-1].strip() == "1,234"
