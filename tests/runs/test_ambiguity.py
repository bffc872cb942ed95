"""What a run leaves open is weighed without a true symbol, told, and settled by few labels."""

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.errors import CheckpointError, DataError, NetworkError
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.runs.ambiguity import weigh_readings
from groundkit.runs.asked import ask_for, digest
from groundkit.runs.commands import explain, query
from groundkit.runs.doubt import Doubt
from groundkit.runs.identify import identify_task
from groundkit.runs.labels import label, settled_scores, suggest
from groundkit.runs.run import run
from groundkit.runs.session import open_run
from tests.loaded import load_task
from tests.trained import write_digit

HEAD = "nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).\n"
SPEC = """[query]
goal = "goal(X, Y, Z)"
[examples]
data = "digits8"
images = ["X", "Y"]
count = 500
held_out = 100
[networks.net]
backbone = "mlp"
[networks.net.perception]
augmentation = "none"
generative = 0.0
[train]
epochs = 1
min_steps = 60
cluster_steps = 40
cluster_batch = 64
[evaluate]
ood = []
samples = 0
"""
# Goal -> readings left, labels that settle them.
CASES = {
    "abs(A-B)": (2, 1),
    "(A+B) mod 10": (2, 1),
    "A+B": (1, 0),
    "(A+B) mod 2": (2 * math.factorial(5) ** 2, 8),
}


def load(folder, body, head=HEAD, spec=SPEC):
    (folder / "p.pl").write_text(f"{head}goal(X, Y, Z) :- digit(X, A), digit(Y, B), {body}.\n")
    (folder / "p.toml").write_text(spec)
    return load_task(folder / "p.pl")


def knowing(task, moved, sure=0.98, mistakes=0.02, network="net"):
    """Predicts moved true symbols, some wrong: a network that has learnt another map."""
    rng = np.random.default_rng(0)
    known = {}
    for split in (0, 1):
        bank = task.banks(split)[network]
        for pixels, truth in zip(bank.pixels, bank.labels.tolist(), strict=True):
            size = len(moved)
            said = moved[truth] if rng.random() > mistakes else int(rng.integers(size))
            probs = np.full(size, (1 - sure) / (size - 1))
            probs[said] = sure
            known[pixels.numpy().tobytes()] = np.log(probs)

    def predict(network, pixels):
        return torch.from_numpy(np.array([known[one.numpy().tobytes()] for one in pixels]))

    return predict


@pytest.mark.parametrize("body", CASES)
@pytest.mark.parametrize("number", [0, 1])
def test_doubt_is_exact_whichever_map_was_learnt(tmp_path, body, number):
    left, labels = CASES[body]
    task = load(tmp_path, f"Z is {body}")
    identity = list(range(10))
    maps = {"abs(A-B)": identity[::-1], "(A+B) mod 10": identity[5:] + identity[:5]}
    maps["(A+B) mod 2"] = [2, 1, 4, 3, 0, 5, 8, 7, 6, 9]
    moved = maps.get(body, identity) if number else identity
    predict = knowing(task, moved)
    found = weigh_readings(task, identify_task(task), predict)
    assert isinstance(found, FactoredPosterior)
    assert found.count == left
    scores = settled_scores(task, found, predict, tmp_path)
    assert scores["maps"] == left
    assert scores["concept_ece"] <= 0.05
    assert len(scores["suggested"]) == labels
    assert all((tmp_path / one["image"]).is_file() for one in scores["suggested"])
    truth = np.argsort(moved)  # what each predicted symbol stands for
    for one in scores["suggested"]:
        symbol = int(one["symbol"])
        found = found.given("net", symbol, [int(truth[symbol])])
    assert found.count == 1 and found.best()["net"] == tuple(truth.tolist())


def test_nearly_equal_readings_are_in_doubt_too(tmp_path):
    """Few misread images decide which reading is ahead by a hair: nothing to be sure of."""
    task = load_task(Path(__file__).parent.parent.parent / "programs" / "even_odd.pl")
    predict = knowing(task, list(range(10)), network="mnist_net")
    found = weigh_readings(task, identify_task(task), predict)
    assert found.total == found.count == 2 and found.orbit == 1
    assert 0.45 < found.parts[0].weights[0] < 0.55
    assert settled_scores(task, found, predict, tmp_path)["concept_ece"] <= 0.05


def test_queries_stay_sure_while_symbols_are_in_doubt(tmp_path):
    task = load(tmp_path, "Z is abs(A-B)")
    found = weigh_readings(task, identify_task(task), knowing(task, list(range(10))))
    doubt = Doubt(found)
    one = torch.full((1, 10), 0.02 / 9).double()
    one[0, 3] = 0.98
    symbols = doubt.symbols("net", {"net": one.log()})
    assert symbols[0, 3].item() == pytest.approx(symbols[0, 6].item(), abs=1e-6)
    assert doubt.words("net", {"net": one.log()}) == "3 or 6, 0.49 each: the program cannot tell"
    two = torch.full((1, 10), 0.02 / 9).double()
    two[0, 5] = 0.98
    seen = {"X": ("net", {"net": one.log()}), "Y": ("net", {"net": two.log()})}
    reasoner = task.goals[0].reasoner

    def evaluate(logs):
        rows = {"net": torch.stack([logs["X"]["net"], logs["Y"]["net"]], 1)}
        return reasoner(rows).exp()

    mixed, note = doubt.answer(seen, evaluate)
    plain, nothing = Doubt(found, averaging=False).answer(seen, evaluate)
    assert "2 readings" in note and nothing == ""
    torch.testing.assert_close(mixed, plain, atol=1e-6, rtol=0)


def test_many_alike_symbols_are_averaged_without_being_listed(tmp_path):
    task = load(tmp_path, "(A == B, Z = yes ; A \\== B, Z = no)")
    found = weigh_readings(task, identify_task(task), knowing(task, list(range(10))))
    assert found.count == math.factorial(10) and len(found.representatives(10)[0]) == 1
    doubt = Doubt(found)
    logs = torch.log_softmax(torch.randn(1, 10, generator=torch.manual_seed(0)).double(), 1)
    other = torch.log_softmax(torch.randn(1, 10, generator=torch.manual_seed(1)).double(), 1)
    seen = {"X": ("net", {"net": logs}), "Y": ("net", {"net": other})}
    reasoner = task.goals[0].reasoner

    def evaluate(one):
        return reasoner({"net": torch.stack([one["X"]["net"], one["Y"]["net"]], 1)}).exp()

    mixed, note = doubt.answer(seen, evaluate)
    assert "3,628,800" in note and "drawn" not in note
    torch.testing.assert_close(mixed, evaluate({k: v for k, (_, v) in seen.items()})[0])

    def names(one):  # a question that does tell symbols apart
        return one["X"]["net"].exp() * one["Y"]["net"].exp()[:, :1]

    assert "drawn from the 3,628,800" in doubt.answer(seen, names)[1]


def test_answers_are_averaged_by_the_weights_of_the_readings(tmp_path):
    task = load(tmp_path, "Z is abs(A-B)")
    found = weigh_readings(task, identify_task(task), knowing(task, list(range(10))))
    assert isinstance(found, FactoredPosterior)
    (part,) = found.parts
    heavy = replace(part, weights=np.array([0.9, 0.1])[: len(part.weights)])
    one = torch.full((1, 10), 1e-12).double()
    one[0, 3] = 1 - 9e-12

    def shown(logs):
        return logs["X"]["net"].exp()

    doubt = Doubt(replace(found, parts=(heavy,)))
    mixed, _ = doubt.answer({"X": ("net", {"net": one.log()})}, shown)
    assert sorted(mixed.tolist())[-2:] == pytest.approx([0.1, 0.9], abs=1e-6)


def test_an_image_that_has_a_label_is_not_asked_for(tmp_path):
    task = load(tmp_path, "Z is abs(A-B)")
    predict = knowing(task, list(range(10)))
    found = weigh_readings(task, identify_task(task), predict)
    seen, labelled = [], set()
    for _ in range(3):
        (asked,) = ask_for(task, found, predict, tmp_path, labelled)
        pixels = np.asarray(Image.open(tmp_path / asked.image))[None]
        labelled.add(digest(pixels))
        seen.append(asked)
    assert len({one.symbol for one in seen}) == 1 and len(labelled) == 3


@pytest.mark.parametrize("count", [1, 2])
def test_readings_of_few_examples_are_counted_averaged_and_settled(tmp_path, count):
    spec = SPEC.replace("count = 500\nheld_out = 100", f"count = {count}\nheld_out = 1")
    task = load(tmp_path, "Z is A+B", spec=spec)
    predict = knowing(task, list(range(10)))
    found = weigh_readings(task, identify_task(task), predict)
    assert isinstance(found, FactoredPosterior) and not found.weighed
    assert found.total == found.count > 1000
    scores = settled_scores(task, found, predict, tmp_path)
    assert scores["maps"] == found.total and not scores["weighed"]
    meanings = found.meanings()["net"]
    np.testing.assert_allclose(meanings.sum(axis=1), 1)
    one = torch.full((1, 10), 0.02 / 9).double()
    one[0, int(meanings.max(axis=1).argmin())] = 0.98
    doubt = Doubt(found)
    assert "the program cannot tell" in doubt.words("net", {"net": one.log()})
    seen = {"X": ("net", {"net": one.log()})}
    mixed, note = doubt.answer(seen, lambda r: r["X"]["net"].exp())
    assert f"over the {found.total:,} readings" in note  # one image: exactly
    torch.testing.assert_close(mixed, doubt.symbols("net", {"net": one.log()})[0])
    seen["Y"] = seen["X"]
    same, note = doubt.answer(seen, lambda r: r["X"]["net"].exp() * r["Y"]["net"].exp())
    assert re.search(rf"2,000 readings, .* error of 0.0\d+, drawn from the {found.total:,}", note)
    exact = sum(p * p for p in one[0].tolist())
    assert float(same.sum()) == pytest.approx(exact, abs=1e-6)
    for asked in scores["suggested"]:
        symbol = int(asked["symbol"])
        found = found.given("net", symbol, [symbol])
    assert found.count == 1 and found.best()["net"] == tuple(range(10))


def test_being_right_about_examples_that_were_trained_on_makes_nothing_sure(tmp_path):
    """Networks that explain all of four examples may misread any image that they do not know."""
    spec = SPEC.replace("count = 500\nheld_out = 100", "count = 4\nheld_out = 1")
    task = load(tmp_path, "Z is A+B", spec=spec)
    knows = knowing(task, list(range(10)), sure=1 - 1e-9, mistakes=0.0)
    (held_out,) = task.held_out
    bank = task.banks(1)["net"].pixels
    images = [held_out.examples.images[name][0] for name in ("X", "Y")]

    def predict(network, pixels):  # held-out images are read as the symbol two after theirs
        unseen = torch.tensor([bool((one == bank).flatten(1).all(1).any()) for one in pixels])
        logs = knows(network, pixels)
        return torch.where(unseen[:, None], logs.roll(2, dims=1), logs)

    found = weigh_readings(task, identify_task(task), predict)
    assert isinstance(found, FactoredPosterior) and found.weighed
    rows, weights = found.parts[0].every(10_000)
    read = [int(predict("net", bank[[k]])[0].argmax()) for k in images]
    right = rows[:, read].sum(axis=1) == int(held_out.examples.symbols["Z"][0])
    assert 0 < right.sum() < len(rows)
    # Half of such examples may be misread, and one of 19 sums is guessed.
    ratio = (0.5 + 0.5 / 19) / (0.5 / 19)
    assert weights[right].max() / weights[~right].max() == pytest.approx(ratio, rel=1e-3)


TWO = """nn(first, [X], Y, [0,1]) :: a(X, Y).
nn(second, [X], Y, [0,1]) :: b(X, Y).
both(X, Z) :- a(X, A), b(X, B), Z is A+B.
same(X, Z) :- a(X, A), b(X, A), Z is A+A.
"""


def test_networks_that_read_one_image_are_read_together(tmp_path):
    (tmp_path / "p.pl").write_text(TWO)
    spec = SPEC.replace("goal(X, Y, Z)", "both(X, Z)").replace('["X", "Y"]', '["X"]')
    spec = spec.replace("[examples]", '[examples]\ngoal = "same(X, Z)"')
    (tmp_path / "p.toml").write_text(spec.replace("networks.net", "networks.first"))
    task = load_task(tmp_path / "p.pl")

    def predict(network, pixels):
        own = knowing_both[network]
        return torch.from_numpy(np.array([own[one.numpy().tobytes()] for one in pixels]))

    knowing_both = {name: {} for name in task.neural}
    for split in (0, 1):
        for name, bank in task.banks(split).items():
            for pixels, truth in zip(bank.pixels, bank.labels.tolist(), strict=True):
                probs = np.full(2, 0.01)
                probs[truth] = 0.99
                knowing_both[name][pixels.numpy().tobytes()] = np.log(probs)
    found = weigh_readings(task, identify_task(task), predict)
    # No image shows two different symbols, so that 0, 1 and 1, 0 could be each other.
    assert list(found.domains) == ["first + second"] and found.total == 2
    scores = settled_scores(task, found, predict, tmp_path)
    assert scores["concept_ece"] < 0.05 and scores["suggested"] == []
    doubt = Doubt(found)
    logs = {"first": torch.tensor([[0.99, 0.01]]).log(), "second": torch.tensor([[0.9, 0.1]]).log()}
    # P(0, 1) = 0.099 and P(1, 0) = 0.009 are averaged, P(0, 0) = 0.891 is not.
    mixed = doubt.symbols("first", logs)
    assert mixed[0].tolist() == pytest.approx([0.891 + 0.054, 0.055], abs=1e-6)
    assert doubt.words("first", logs) == ""
    logs["second"] = logs["second"].flip(1)
    assert doubt.words("first", logs) == "(0, 1) or (1, 0), 0.45 each: the program cannot tell"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xor")
    body = "Z is A xor B"
    load(folder, body, head=HEAD.replace("0,1,2,3,4,5,6,7,8,9", "0,1"))
    for digit in (0, 1):
        write_digit(folder / f"{digit}.png", digit)
    return run(folder / "p.pl", out=folder / "run", device="cpu").folder


@pytest.fixture
def copied(trained, tmp_path, monkeypatch):
    shutil.copytree(trained.parent, tmp_path / "all")
    monkeypatch.chdir(tmp_path / "all")
    return tmp_path / "all" / "run"


def test_a_run_says_that_it_cannot_tell_and_answers_queries_all_the_same(copied):
    metrics = json.loads((copied / "metrics.json").read_text())
    assert metrics["ambiguity"]["maps"] == 2 and metrics["ambiguity"]["concept_ece"] <= 0.05
    report = (copied / "report.html").read_text()
    assert "Labels of these images leave one meaning" in report
    assert "An image that net reads as" in report
    found = query(copied, "goal('0.png', '1.png', Z)", device="cpu")
    assert found.best.text == "goal('0.png','1.png',1)" and found.best.probability > 0.95
    assert "averaged over the 2 readings" in str(found)
    assert "0.png: 0 or 1, 0.5 each: the program cannot tell" in str(found)
    asked = query(copied, "digit('0.png', Z)", device="cpu")
    assert [a.probability for a in asked.answers] == pytest.approx([0.5, 0.5], abs=1e-6)
    picked = query(copied, "digit('0.png', Z)", pick=True, device="cpu")
    assert picked.best.probability > 0.95 and picked.note == ""
    why = explain(copied, "digit('0.png', Z)", device="cpu")
    assert why.probability == pytest.approx(0.5, abs=1e-6) and "averaged" in str(why)


def test_a_label_settles_it_without_training(copied):
    before = suggest(copied, device="cpu")
    assert before.maps == 2 and len(before.asked) == 1 and "groundkit label" in str(before)
    weights = (copied / "checkpoint" / "net.safetensors").read_bytes()
    after = label(copied, [("0.png", "0")], device="cpu")
    assert after.maps == 1 and after.accuracy["net"] > 0.95
    assert (copied / "checkpoint" / "net.safetensors").read_bytes() == weights
    session = open_run(copied, device="cpu")
    for digit in ("0", "1"):
        (reading,) = session.read([f"{digit}.png"])
        assert reading.symbol == digit and reading.doubt == ""
    metrics = json.loads((copied / "metrics.json").read_text())
    assert metrics["grounding"]["accuracy"] > 0.95 and metrics["ambiguity"]["maps"] == 1
    assert metrics["query"]["accuracy"] > 0.95
    assert suggest(copied, device="cpu").maps == 1
    with pytest.raises(DataError, match="no symbol of network"):
        label(copied, [("0.png", "7")], device="cpu")


def test_labels_that_contradict_each_other_leave_a_doubt_that_others_settle(copied):
    """One of two is wrong, or of an image that the network mistakes; another label tells which."""
    label(copied, [("0.png", "0")], device="cpu")
    after = label(copied, [("1.png", "0")], device="cpu")
    assert after.maps == 2 and len(after.mistaken) == 1 and after.asked
    assert "its label does not fit the others" in str(after)
    assert after.asked == suggest(copied, device="cpu").asked
    files = []
    for maps in (2, 1):  # one label more is not enough against the one that does not fit
        file = copied / after.asked[0].image
        files.append(file.read_bytes())
        read = open_run(copied, device="cpu").read(["0.png", file])
        zero, shown = (int(one.predicted.argmax()) for one in read)
        after = label(copied, [(file, "0" if shown == zero else "1")], device="cpu")
        assert after.maps == maps
    assert files[0] != files[1]
    assert [one.image for one in after.mistaken] == ["1.png"]
    corrected = label(copied, [("1.png", "1")], device="cpu")
    assert corrected.maps == 1 and corrected.mistaken == ()


def test_the_other_label_settles_it_the_other_way(copied):
    """Names are what the labels say, whatever was learnt."""
    label(copied, [("0.png", 1)], device="cpu")
    (reading,) = open_run(copied, device="cpu").read(["0.png"])
    assert reading.symbol == "1"


def test_a_label_given_wrongly_is_corrected_by_giving_the_right_one(copied):
    shutil.copyfile("0.png", "copy.png")
    fresh = open_run(copied, device="cpu").facts()
    label(copied, [("0.png", "0")], device="cpu")
    right = open_run(copied, device="cpu").facts()
    for wrong in ("0.png", "copy.png"):  # an image is known by its content
        assert label(copied, [(wrong, "1")], device="cpu").maps == 1
        assert open_run(copied, device="cpu").read(["1.png"])[0].symbol == "0"
    assert label(copied, [("0.png", "0"), ("1.png", "1")], device="cpu").accuracy["net"] > 0.95
    found = open_run(copied, device="cpu").facts()
    assert found["names"] == right["names"] and found["ambiguity"] == right["ambiguity"]
    assert found["trained"]["ambiguity"] == fresh["ambiguity"]
    assert [one["image"] for one in found["labelled"]] == ["0.png", "1.png"]
    metrics = json.loads((copied / "metrics.json").read_text())
    assert metrics["ambiguity"]["labelled"][1] == {
        "image": "1.png",
        "network": "net",
        "symbol": "1",
    }


@pytest.mark.parametrize(
    "change", [{"predicted": 7}, {"meant": [9]}, {"meant": 1}, {"network": "x"}]
)
def test_labels_of_a_stranger_are_checked(copied, change):
    label(copied, [("0.png", "0")], device="cpu")
    path = copied / "checkpoint" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["facts"]["labelled"][0] |= change
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="labels of the run are damaged"):
        label(copied, [("1.png", "1")], device="cpu")


def test_a_network_that_no_goal_asks_about_is_in_no_doubt(copied):
    program = copied / "program.pl"
    program.write_text(f"{program.read_text()}nn(other, [X], Y, [a,b]) :: letter(X, Y).\n")
    doubt = open_run(copied, device="cpu").doubt
    logs = {"other": torch.tensor([[0.9, 0.1]]).log()}
    assert doubt.symbols("other", logs).tolist() == [pytest.approx([0.9, 0.1])]
    assert doubt.words("other", logs) == ""
    found, note = doubt.answer({"X": ("other", logs)}, lambda seen: seen["X"]["other"].exp())
    assert found.tolist() == pytest.approx([0.9, 0.1]) and note == ""
    with pytest.raises(NetworkError, match="no goal of the run asks about network 'other'"):
        label(copied, [("0.png", "a")], network="other", device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"maps": [[0, 0]]},
        {"weights": [2.0]},
        {"weights": ["x"]},
        {"labels": [5, 5]},
        {"networks": {"net": ["0", "1", "2"]}},
        {"networks": {"other": ["0", "1"]}},
        {"maps": "no"},
    ],
)
def test_readings_of_a_stranger_are_checked(copied, change):
    path = copied / "checkpoint" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["facts"]["ambiguity"] |= change
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="damaged"):
        _ = open_run(copied, device="cpu").doubt
