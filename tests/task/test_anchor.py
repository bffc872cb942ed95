"""A spec whose paths hold from anywhere."""

from groundkit.task.anchor import anchored
from groundkit.task.spec import parse_spec


def test_paths_of_a_spec_hold_from_anywhere(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mnist5k").mkdir()  # the name of a data set stays one
    (tmp_path / "rows.csv").write_text("X\n")
    (tmp_path / "nets.py").touch()
    spec = parse_spec(
        '[examples]\ndata = "mine"\nfile = "rows.csv"\n[networks.n]\ndata = "mnist5k"\n'
        'backbone = "module:nets:Net"\n[networks.o]\nbackbone = "module:elsewhere.nets:Net"\n'
        '[evaluate]\nood = ["noise", "mine"]\n'
    )
    found = anchored(spec, tmp_path, tmp_path)
    assert found.examples.data == str(tmp_path / "mine")
    assert found.examples.file == tmp_path / "rows.csv"
    assert found.networks["n"].data == "mnist5k"
    assert found.evaluate.ood == ["noise", str(tmp_path / "mine")]
    assert found.networks["n"].backbone == f"module:{tmp_path / 'nets.py'}:Net"
    assert found.networks["o"].backbone == "module:elsewhere.nets:Net"


def test_so_do_the_tables_of_each_query(tmp_path):
    (tmp_path / "short.jsonl").touch()
    (tmp_path / "long.jsonl").touch()
    table = '[[query]]\nname = "{0}"\ngoal = "g(X)"\n[query.examples]\nfile = "{0}.jsonl"\n'
    spec = parse_spec(table.format("short") + table.format("long"))
    found = anchored(spec, tmp_path, tmp_path)
    assert [query.examples.file for query in found.query] == [
        tmp_path / "short.jsonl",
        tmp_path / "long.jsonl",
    ]
