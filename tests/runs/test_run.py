"""A run leaves what it promises, whole and readable."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from groundkit.data import sources
from groundkit.device import choose_device
from groundkit.errors import ProgramError, SpecError
from groundkit.runs.run import run
from groundkit.task.spec import Spec
from tests.small import write_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_task(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def result(folder):
    return run(folder / "add.pl", out=folder / "out", seed=3)


def test_the_folder_holds_everything(result):
    found = {p.relative_to(result.folder).as_posix() for p in result.folder.rglob("*")}
    assert {
        "spec.toml",
        "program.pl",
        "metrics.json",
        "history.jsonl",
        "report.html",
        "checkpoint/manifest.json",
        "checkpoint/net.safetensors",
        "plots",
    } <= found
    assert [p for p in found if p.startswith("plots/") and p.endswith(".png")]


def test_metrics_have_the_promised_keys(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    keys = {"accuracy", "accuracy_matched", "nmi", "ari", "collapse", "ece", "per_symbol"}
    assert keys <= set(metrics["grounding"])
    assert {"accuracy", "nll"} <= set(metrics["query"])
    assert (metrics["identify"]["count"], metrics["identify"]["collapses"]) == (2, 1)
    assert {"auroc", "fpr95", "aupr"} <= set(metrics["ood"]["noise"])
    assert {"fid", "extractor", "n"} <= set(metrics["generation"])
    stages = ("ground", "compile", "train", "reason", "perceive", "sample", "evaluate")
    assert {f"{stage}_s" for stage in stages} <= set(metrics["timing"])
    assert metrics["memory"]["peak_mb"] > 10
    assert metrics["seed"] == 3
    assert metrics["environment"]["versions"]["torch"]


def paths(value, above=()):
    """The paths of all keys in nested tables."""
    for key, inner in value.items():
        yield (*above, key)
        if isinstance(inner, dict):
            yield from paths(inner, (*above, key))


def meets(row, path):
    """Whether a path runs along a row of the page, in which names in capitals stand for any."""
    return all(step.isupper() or step == key for step, key in zip(row, path, strict=False))


def test_every_number_is_explained_and_everything_explained_is_there(result):
    found = list(paths(json.loads((result.folder / "metrics.json").read_text())))
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    rows = [row.split(".") for row in re.findall(r"^\| `([^`]+)` \|", page, re.M)]
    for path in found:
        mean = path[0] == "networks" and len(path) > 2 and path[2] != "augmentation"
        own = path[2:] if mean else path  # a network's scores have the keys of their mean
        assert any(meets(row, own) for row in rows), path
    elsewhere = ["query.queries.QUERY", "learnable.HEAD", "ood.SET.note"]
    for row in rows:
        if ".".join(row) not in elsewhere and row[-1] != "reason":
            assert any(len(path) == len(row) and meets(row, path) for path in found), row


def test_the_written_spec_is_complete_and_repeats_the_run(result, folder):
    written = Spec.model_validate(tomllib.loads((result.folder / "spec.toml").read_text()))
    assert written.train.batch == 16
    again = run(folder / "add.pl", result.folder / "spec.toml", out=folder / "again", seed=3)
    assert again.metrics["grounding"] == result.metrics["grounding"]
    assert again.metrics["query"] == result.metrics["query"]


def test_scores_stand_in_fields_of_the_result(result):
    scores = result.metrics["grounding"]
    assert (result.accuracy, result.accuracy_matched, result.nmi) == (
        scores["accuracy"],
        scores["accuracy_matched"],
        scores["nmi"],
    )
    assert result.query_accuracy == result.metrics["query"]["accuracy"]


def test_history_is_one_object_a_line(result):
    rows = [json.loads(line) for line in (result.folder / "history.jsonl").open()]
    assert {row["phase"] for row in rows} == {"cluster", "joint"} or rows[0]["phase"] == "joint"
    assert any("reground" in row for row in rows)
    assert all(row["seconds"] >= 0 for row in rows)


def test_the_report_names_verdict_and_command(result):
    page = (result.folder / "report.html").read_text()
    assert result.verdict.found.split(".")[0][:20] in page
    assert "groundkit run" in page
    assert "src=&#34;http" not in page
    assert "<script" not in page


def test_a_finished_run_is_not_overwritten(result, folder):
    with pytest.raises(SpecError, match="holds a run already"):
        run(folder / "add.pl", out=result.folder)


def test_absent_foreign_data_is_null_with_a_reason(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("GROUNDKIT_DATA", str(tmp_path))
    monkeypatch.setattr(sources, "DEBIAN_FASHION", Path("/nowhere"))
    sources._load_named.cache_clear()
    found = run(
        folder / "add.pl",
        out=tmp_path / "out",
        settings=['evaluate.ood=["fashion-mnist","letters","noise"]', "train.min_steps=4"],
    )
    letters = found.metrics["ood"]["letters"]  # 8x8 pixels are too few to draw a letter in
    assert letters["auroc"] is None
    assert "cannot be drawn at 8x8" in letters["reason"]
    scores = found.metrics["ood"]["fashion-mnist"]
    assert scores["auroc"] is None
    assert "apt-get install" in scores["reason"]
    assert found.metrics["ood"]["noise"]["auroc"] is not None


def test_the_symbolic_term_alone_collapses_and_the_report_says_so(folder, tmp_path):
    """With nothing but the query's likelihood every image may be called 0."""
    off = [f"networks.net.perception.{term}=0" for term in ("generative", "invariance", "prior")]
    found = run(
        folder / "add.pl",
        out=tmp_path / "out",
        settings=[*off, "train.cluster_steps=0", "train.reground=false", "train.min_steps=400",
                  "evaluate.samples=0"],
    )  # fmt: skip
    assert found.metrics["grounding"]["collapse"] >= 0.6
    assert found.verdict.status == "collapsed"
    assert "never" in (tmp_path / "out" / "report.html").read_text()


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(SpecError, match="unknown device 'gpu'"):
        choose_device("gpu")


def test_shipped_programs_have_spec_and_note():
    programs = sorted(Path("programs").glob("*.toml"))
    assert programs
    for spec in programs:
        assert spec.with_suffix(".pl").exists()
        assert spec.with_suffix(".md").exists()


def test_both_engines_train_the_same_weights(folder, tmp_path):
    settings = ["train.min_steps=6", "train.epochs=1", "train.batch=4", "train.cluster_steps=0",
                "examples.count=24", "evaluate.samples=0", "examples.held_out=5"]  # fmt: skip
    for suffix in ("pl", "toml"):  # DeepProbLog has an add/3 of its own
        text = (folder / f"add.{suffix}").read_text().replace("add(", "addition(")
        (folder / f"addition.{suffix}").write_text(text)
    found = [
        run(folder / "addition.pl", out=tmp_path / engine, engine=engine, settings=settings)
        for engine in ("circuit", "deepproblog")
    ]
    one, other = (result.metrics for result in found)
    assert one["query"]["nll"] == pytest.approx(other["query"]["nll"], abs=1e-4)
    assert one["grounding"]["accuracy"] == other["grounding"]["accuracy"]


def test_unknown_engines_are_refused(folder, tmp_path):
    with pytest.raises(SpecError, match="did you mean 'circuit'"):
        run(folder / "add.pl", out=tmp_path / "out", engine="circuits")


def test_deepproblog_refuses_predicates_that_it_hides(folder, tmp_path):
    with pytest.raises(ProgramError, match="tensor operation add/3"):
        run(folder / "add.pl", out=tmp_path / "out", engine="deepproblog")


CLUSTERS = """[examples]
data = "digits8"
[networks.net]
backbone = "mlp"
[networks.net.perception.sampler]
steps = 2
buffer = 50
batch = 8
[train]
epochs = 1
min_steps = 24
pool_batch = 64
cluster_steps = 40
[evaluate]
ood = ["noise"]
ood_count = 50
"""


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
    """A program without rules and a spec without a goal."""
    folder = tmp_path_factory.mktemp("clusters")
    (folder / "alone.pl").write_text("nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).\n")
    (folder / "alone.toml").write_text(CLUSTERS)
    return folder


def test_without_a_goal_networks_cluster_alone(clusters):
    found = run(clusters / "alone.pl", out=clusters / "out")
    assert found.metrics["query"] is None
    assert found.metrics["identify"] is None
    assert found.metrics["relabellings"] == []
    assert found.metrics["grounding"]["accuracy_matched"] > 0.5
    assert found.verdict.found.startswith("Clustered without a program")
    assert "Clustered without a program" in (clusters / "out" / "report.html").read_text()
    rows = [json.loads(line) for line in (clusters / "out" / "history.jsonl").open()]
    assert not [row for row in rows if "symbolic" in row.get("terms", {})]


def test_a_run_without_a_goal_can_be_evaluated_sampled_and_asked_for_clusters(clusters):
    from groundkit.runs.commands import evaluate, query, sample

    if not (clusters / "out").exists():
        run(clusters / "alone.pl", out=clusters / "out")
    measured = evaluate(clusters / "out", settings=["evaluate.samples=1"])
    assert measured["query"] is None
    assert measured["ood"]["noise"]["auroc"] is not None
    assert sample(clusters / "out", 2)["net"]["0"].shape == (2, 1, 8, 8)
    Image.new("L", (8, 8)).save(clusters / "a.png")
    found = query(clusters / "out", f"digit('{clusters / 'a.png'}', Y)")
    assert sum(answer.probability for answer in found.answers) == pytest.approx(1)


def test_what_a_spec_without_a_goal_cannot_have_is_refused(clusters):
    for setting in ('examples.file="x.csv"', 'examples.images=["X"]'):
        with pytest.raises(SpecError, match="asks for no goal") as error:
            run(clusters / "alone.pl", settings=[setting])
        assert "[query]" in error.value.remedy
