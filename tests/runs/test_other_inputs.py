"""Runs on rows, sequences, token ids and encoded images, from the data to an answer."""

import json
import sys

import numpy as np
import pytest
import torch

from groundkit.errors import CheckpointError, DataError, NetworkError
from groundkit.runs.check import check_program
from groundkit.runs.commands import sample, write_grids
from groundkit.runs.explain import explain
from groundkit.runs.run import run
from groundkit.runs.session import open_run

PROGRAM = """nn(net, [X], Y, [0,1,2]) :: kind(X, Y).
sum(X, Y, Z) :- kind(X, A), kind(Y, B), Z is A+B.
"""
SPEC = """[query]
goal = "sum(X, Y, Z)"
[examples]
{examples}
inputs = ["X", "Y"]
count = 120
held_out = 30
[networks.net]
{network}
[networks.net.perception.sampler]
steps = 2
buffer = 50
batch = 8
[train]
epochs = 1
min_steps = {steps}
cluster_steps = {steps}
cluster_batch = 64
[evaluate]
ood = ["noise", "letters"]
ood_count = 30
samples = 2
sample_steps = 3
"""
LABELS = np.arange(90) % 3


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDKIT_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)


def blobs(rng):
    """Rows of three kinds, in columns of very different units."""
    rows = 4 * np.eye(3)[LABELS] @ rng.normal(size=(3, 5)) + 0.3 * rng.normal(size=(90, 5))
    return rows * [1, 1000, 0.01, 1, 1] + [0, 5000, 0, 1, -7]


def write(folder, network, examples='data = "data.npz"', steps=60):
    (folder / "case.pl").write_text(PROGRAM)
    spec = SPEC.format(network=network, examples=examples, steps=steps)
    (folder / "case.toml").write_text(spec)
    return folder / "case.pl"


@pytest.fixture
def rows(tmp_path):
    """A table of rows, with a missing value."""
    values = blobs(np.random.default_rng(0)).round(6).astype(str)
    values[4, 1] = ""
    lines = [",".join([*row, f"{label}"]) for row, label in zip(values, LABELS, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c,d,e,label", *lines]) + "\n")
    return write(
        tmp_path, 'backbone = "mlp"\noptions = {width = 32, features = 16}', 'data = "data.csv"'
    )


def test_rows_are_grounded_and_answer_questions(rows, tmp_path):
    shown = str(check_program(rows))
    assert "inputs X by net, Y by net" in shown and "72 unlabelled rows of" in shown
    assert "augmentation features: rows" in shown and "the columns a, b, c, d, e" in shown
    found = run(rows, out=tmp_path / "run", device="cpu")
    assert found.accuracy == 1 and found.query_accuracy == 1
    assert found.metrics["ood"]["noise"]["auroc"] > 0.5
    assert "is made of images" in found.metrics["ood"]["letters"]["reason"]
    assert found.metrics["generation"]["extractor"].startswith("mlp-64")
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Here an image is a row drawn as bars" in report and "Map of 18 embeddings" in report
    assert (tmp_path / "run" / "plots" / "map.png").stat().st_size > 1000

    session = open_run(tmp_path / "run", device="cpu")
    table = tmp_path / "data.csv"
    answers = session.query(f"sum('{table}#1', '{table}#4', Z)")
    assert answers.best.values == {"Z": "2"} and answers.best.probability > 0.9
    missing = answers.images[f"{table}#4"]
    assert missing.done == ("1 missing value: their column's mean is taken",)
    assert missing.pixels.dtype == np.uint8 and missing.thumbnail().startswith("data:image/png")
    assert explain(session, f"sum('{table}#0', '{table}#2', Z)").picture()[:4] == b"\x89PNG"
    np.save(tmp_path / "odd.npy", np.full(5, 1e6))
    assert session.read([tmp_path / "odd.npy"])[0].out_of_distribution
    with pytest.raises(DataError, match="no row 90"):
        session.query(f"sum('{table}#90', '{table}#0', Z)")
    made = sample(tmp_path / "run", 3, steps=2)
    assert made["net"]["0"].shape == (3, 5)
    column = np.genfromtxt(table, delimiter=",", skip_header=1)[:, 1]
    away = np.concatenate([one[:, 1] for one in made["net"].values()]) - np.nanmean(column)
    assert 100 < np.abs(away).max() < 3.5 * np.nanstd(column)  # in the units of the table
    assert write_grids(made, tmp_path)["net"].exists()


def test_rows_of_ones_own_examples_are_named_by_their_numbers(rows, tmp_path):
    rng = np.random.default_rng(1)
    pairs = rng.integers(90, size=(100, 2))
    lines = [f"data.csv#{a},data.csv#{b},{LABELS[a] + LABELS[b]},{LABELS[a]}" for a, b in pairs]
    (tmp_path / "pairs.csv").write_text("\n".join(["X,Y,Z,X.truth", *lines]) + "\n")
    write(tmp_path, 'backbone = "identity"', 'file = "pairs.csv"')
    shown = check_program(rows)
    assert shown.networks["net"]["image_shape"] == [5] and shown.examples == 80
    assert run(rows, out=tmp_path / "run", device="cpu").query_accuracy > 0.8
    (tmp_path / "pairs.csv").write_text("X,Y,Z\ndata.csv#0,data.csv#90,1\n")
    with pytest.raises(DataError, match=r"pairs.csv:2: there is no row 90 in 'data.csv'"):
        check_program(rows)
    np.save(tmp_path / "short.npy", np.zeros((2, 3)))
    (tmp_path / "pairs.csv").write_text("X,Y,Z\ndata.csv#0,short.npy#1,1\n")
    with pytest.raises(DataError, match="have the shapes 3, 5"):
        check_program(rows)


@pytest.mark.parametrize("layout", ["sequences", "tokens"])
def test_sequences_and_token_ids_are_read_step_by_step(tmp_path, layout):
    rng = np.random.default_rng(0)
    starts = rng.integers(4, size=90)
    ids = (starts[:, None] + (LABELS[:, None] + 1) * np.arange(6)) % 7
    if layout == "tokens":
        np.savez(tmp_path / "data.npz", tokens=np.where(np.arange(6) < 5, ids, -1), labels=LABELS)
    else:
        steps = np.stack([np.sin(ids), 100 * np.cos(ids)], axis=2)
        steps[0, 5] = np.nan
        np.savez(tmp_path / "data.npz", sequences=steps, labels=LABELS)
    backbone = "gru" if layout == "tokens" else "transformer"
    program = write(
        tmp_path, f'backbone = "{backbone}"\noptions = {{width = 8, features = 8}}', steps=6
    )
    assert "augmentation sequences: sequences" in str(check_program(program))
    run(program, out=tmp_path / "run", device="cpu")
    assert "a sequence drawn as a map" in (tmp_path / "run" / "report.html").read_text()
    path = tmp_path / "data.npz"
    answers = open_run(tmp_path / "run", device="cpu").query(f"sum('{path}#0','{path}#1',Z)")
    assert sum(answer.probability for answer in answers.answers) == pytest.approx(1)


def test_a_backbone_of_images_is_refused_for_rows(rows):
    with pytest.raises(NetworkError, match="'convnet' reads images, the inputs are rows"):
        check_program(rows, settings=["networks.net.backbone=convnet", "networks.net.options={}"])


@pytest.fixture
def encoded(tmp_path, monkeypatch):
    """Images whose encoder is a module of one's own."""
    rng = np.random.default_rng(0)
    images = np.zeros((90, 8, 8), np.uint8)
    for place, label in enumerate(LABELS):
        images[place, 2 * label : 2 * label + 3] = rng.integers(150, 256, size=(3, 8))
    np.savez(tmp_path / "data.npz", images=images, labels=LABELS)
    source = (
        "from torch import nn\n"
        "class Rows(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return {factor} * x.mean((1, 3))\n"
        "class Thirds(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.mean((1, 3)).unflatten(1, (4, 2)).mean(2)\n"
    )
    (tmp_path / "rows_for_test.py").write_text(source.format(factor=3))
    monkeypatch.syspath_prepend(tmp_path)
    yield write(
        tmp_path,
        'encoder = "module:rows_for_test:Rows"\nbackbone = "mlp"\n'
        "options = {width = 32, features = 16}",
    )
    sys.modules.pop("rows_for_test", None)


def test_encoded_images_are_read_shown_and_asked_about_as_images(encoded, tmp_path):
    with pytest.raises(NetworkError, match=r"case.toml:9: encoder(.|\n)*--trust"):
        check_program(encoded)
    shown = check_program(encoded, trust=True).networks["net"]
    assert shown["image_shape"] == [1, 8, 8] and shown["augmentation"].startswith("features")
    found = run(encoded, out=tmp_path / "run", device="cpu", trust=True)
    assert found.accuracy == 1
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Here an image is" not in report
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 1

    with pytest.raises(NetworkError, match="--trust"):
        open_run(tmp_path / "run", device="cpu").model("net")
    session = open_run(tmp_path / "run", device="cpu", trust=True)
    assert session.in_distribution["net"].shape == (1, 8, 8)
    from PIL import Image

    picture = np.zeros((8, 8), np.uint8)
    picture[4:7] = 200
    Image.fromarray(picture).save(tmp_path / "a.png")
    reading = session.read([tmp_path / "a.png"])[0]
    assert reading.symbol == "2" and reading.pixels.shape == (1, 8, 8)
    assert session.generate(2)["net"].shape == (3, 2, 8)


def test_a_run_with_another_encoder_than_in_training_is_refused(encoded, tmp_path):
    run(
        encoded,
        out=tmp_path / "run",
        device="cpu",
        trust=True,
        settings=["train.min_steps=2", "train.cluster_steps=2"],
    )
    manifest = tmp_path / "run" / "checkpoint" / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["facts"]["networks"]["net"]["encoder"] = "of another"
    manifest.write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match="encoder of network 'net' is another one than in"):
        open_run(tmp_path / "run", device="cpu", trust=True).model("net")


def test_weights_without_an_encoder_are_refused(encoded):
    with pytest.raises(NetworkError, match="has encoder_weights and no encoder"):
        text = encoded.with_suffix(".toml").read_text()
        line = 'encoder_weights = "a.safetensors"'
        encoded.with_suffix(".toml").write_text(
            text.replace('encoder = "module:rows_for_test:Rows"', line)
        )
        check_program(encoded)
