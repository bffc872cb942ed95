"""All tables made anew: in order, within a budget, on a copy, every one accounted for."""

import importlib.util

import pytest

from benchmarks import __main__ as tables
from benchmarks import mutants


def test_every_table_is_a_module_and_every_module_that_writes_one_is_listed():
    names = {table.name for table in tables.TABLES}
    for name in names:
        assert importlib.util.find_spec(f"benchmarks.{name}") is not None
    written = {path.stem for path in (tables.ROOT / "benchmarks/results").glob("*.md")}
    assert written - names <= {"golden", "walks", "remade", "coverage", "versions", "gpu"}


@pytest.mark.parametrize(
    ("text", "found"), [("6h", 21600), ("90m", 5400), ("1.5 h", 5400), ("3600", 3600)]
)
def test_a_budget_has_units(text, found):
    assert tables.seconds(text) == found


def test_what_is_no_time_is_refused():
    with pytest.raises(ValueError, match="is no time"):
        tables.seconds("soon")


def test_a_dry_run_begins_what_fits(capsys):
    assert tables.main(["all", "--budget", "200m", "--dry"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(tables.TABLES)
    assert lines[0].split()[0] == "150" and "left out" not in lines[0]
    assert "left out" in next(line for line in lines if "benchmarks.zoo" in line)


class Fake(tables.Table):
    """A table that a line of Python makes."""

    @property
    def command(self):
        return ["-c", self.says]


def test_tables_are_made_on_a_copy_and_each_is_accounted_for(tmp_path, monkeypatch):
    root = tmp_path / "root"
    (root / "benchmarks" / "results").mkdir(parents=True)
    monkeypatch.setattr(mutants, "ROOT", root)
    write = "from pathlib import Path; Path('benchmarks/results/one.md').write_text('made')"
    chosen = [
        Fake("one", write, 0),
        Fake("broken", "raise SystemExit(3)", 0),
        Fake("long", write, 60),
        Fake("strange", write, 0, needs="no_such_module"),
    ]
    out = tmp_path / "out"
    rows = tables.remake(chosen, 600.0, out)
    assert [row["outcome"].split(",")[0] for row in rows] == [
        "made",
        "failed with 3",
        "left out: 10 minutes of the budget were left",
        "left out: no_such_module is not installed",
    ]
    assert (out / "results" / "one.md").read_text() == "made\n\nMade in 0.0 minutes.\n"
    assert not (root / "benchmarks" / "results" / "one.md").exists()
    assert "| broken |" in (out / "results" / "remade.md").read_text()


def test_a_table_that_takes_too_long_is_stopped(tmp_path):
    command = ["-c", "import time; time.sleep(600)"]
    assert (
        tables.run(command, tmp_path, tmp_path / "log", 0.2) == "stopped at the end of the budget"
    )
