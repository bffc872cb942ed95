"""Labels as a user gives them: by the commands that are printed, in any order, with slips."""

import json
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from groundkit.errors import DataError, LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.counted import CountedPosterior
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.runs.assess import held_out_images
from groundkit.runs.commands import query
from groundkit.runs.labels import label, suggest
from groundkit.runs.noted import Labels, Noted
from groundkit.runs.run import run
from groundkit.runs.session import open_run
from tests.identifiability.oracle import only, relation

PROGRAM = """nn(left, [X], Y, [0,1]) :: a(X, Y).
nn(right, [X], Y, [2,3]) :: b(X, Y).
goal(X, Y, Z) :- a(X, A), b(Y, B), Z is (A+B) mod 2.
"""
SPEC = """[query]
goal = "goal(X, Y, Z)"
[examples]
data = "digits8"
images = ["X", "Y"]
count = 500
held_out = 100
[networks.left]
backbone = "mlp"
perception.augmentation = "none"
perception.generative = 0.0
[networks.right]
backbone = "mlp"
perception.augmentation = "none"
perception.generative = 0.0
[train]
epochs = 1
min_steps = 60
cluster_steps = 40
cluster_batch = 64
[evaluate]
ood = []
samples = 0
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    (folder / "p.pl").write_text(PROGRAM)
    (folder / "p.toml").write_text(SPEC)
    return run(folder / "p.pl", out=folder / "a run", device="cpu").folder


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained.parent, tmp_path / "all")
    return tmp_path / "all" / "a run"


def right(settled):
    """The least share of images that a network gives their symbols."""
    return min(share or 0.0 for share in settled.accuracy.values())


def shown(session, network, file):
    """The true symbol of an image that a run has written."""
    pixels = np.asarray(Image.open(file))
    images = held_out_images(session.task, network)
    (place,) = np.flatnonzero([np.array_equal(one[0].numpy(), pixels) for one in images.pixels])
    return session.task.domains[network][int(images.labels[place])]


def test_the_printed_commands_work_for_several_networks(copied):
    before = suggest(copied, device="cpu")
    assert before.maps > 1 and before.several
    session = open_run(copied, device="cpu")
    commands = [line for line in str(before).splitlines() if line.startswith("next: ")]
    assert {one.network for one in before.asked} == {
        shlex.split(line)[shlex.split(line).index("--network") + 1] for line in commands
    }
    for line in commands:
        _, program, command, folder, option, network, *pairs = shlex.split(line)
        assert [program, command, option] == ["groundkit", "label", "--network"]
        told = [(image, shown(session, network, image)) for image in pairs[::2]]
        assert set(pairs[1::2]) == {"SYMBOL"}
        after = label(folder, told, network=network, device="cpu")
    assert after.maps == 1 and not after.asked and right(after) > 0.9


def test_a_slip_is_mended_by_labelling_the_same_file_again(copied):
    """A file that was suggested keeps its content, whatever its symbol is called since."""
    session = open_run(copied, device="cpu")
    (asked, *_) = suggest(copied, device="cpu").asked
    file = copied / asked.image
    content, truth = file.read_bytes(), shown(session, asked.network, file)
    (wrong,) = set(session.task.domains[asked.network]) - {truth}
    for symbol in (wrong, truth, truth):
        after = label(copied, [(file, symbol)], network=asked.network, device="cpu")
        assert file.read_bytes() == content and not after.mistaken
    for one in after.asked:
        told = shown(session, one.network, copied / one.image)
        after = label(copied, [(copied / one.image, told)], network=one.network, device="cpu")
    assert after.maps == 1 and right(after) > 0.9


def test_the_last_word_on_a_run_with_one_reading_asks_for_nothing(copied):
    for one in suggest(copied, device="cpu").asked:
        label(copied, [(copied / one.image, one.symbol)], network=one.network, device="cpu")
    settled = json.loads((copied / "metrics.json").read_text())["ambiguity"]
    assert settled["maps"] == 1 and settled["suggested"] == []


def test_an_image_unlike_those_of_the_training_is_told(copied, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    after = label(copied, [(tmp_path / "noise.png", "0")], network="left", device="cpu")
    assert after.foreign == (str(tmp_path / "noise.png"),)
    assert "noise.png: out of distribution" in str(after)


def test_a_symbol_that_is_set_is_in_no_doubt(copied):
    image = next(copied / one.image for one in suggest(copied, device="cpu").asked)
    network = "a" if "left" in image.name else "b"
    symbol = {"a": 1, "b": 3}[network]
    asked = query(copied, f"{network}('{image}', Z)", device="cpu")
    assert "cannot tell" in str(asked) and "averaged" in str(asked)
    fixed = [f"{network}('{image}')={symbol}"]
    told = query(copied, f"{network}('{image}', Z)", fixed=fixed, device="cpu")
    assert told.best.probability == 1 and told.best.text.endswith(f",{symbol})")
    assert "cannot tell" not in str(told) and "averaged" not in str(told)


def counted(size):
    """Readings of a network of which two sums were seen."""
    target = relation(size, 2, lambda a, b: a + b)
    known = Knowledge((only(target, [(1, 2), (3, 4)]),))
    return FactoredPosterior((CountedPosterior.of(AdmittedMaps([target]), known),))


def noted(pairs):
    return tuple(
        Noted(f"{place}.png", "net", str(true), str(place), predicted, (true,))
        for place, (predicted, true) in enumerate(pairs)
    )


@pytest.mark.parametrize("seed", range(5))
def test_labels_of_a_network_that_errs_settle_what_few_examples_leave(seed):
    """True labels, an eighth of them of images that are misread, lead to the right names."""
    readings, rng = counted(10), np.random.default_rng(seed)
    assert readings.total > 1000
    true = np.concatenate([rng.permutation(10) for _ in range(5)])
    wrong = rng.random(len(true)) < 0.125
    read = np.where(wrong, rng.integers(0, 10, len(true)), true)
    labels = Labels(readings, {}, noted(zip(read.tolist(), true.tolist(), strict=True)))
    left = labels.left()
    assert left.best()["net"] == tuple(range(10)) and left.count == 1
    assert len(labels.unexplained(left)) == (read != true).sum()


def test_more_contradictions_than_can_be_weighed_are_told_as_that(monkeypatch):
    monkeypatch.setattr("groundkit.identifiability.counted._MOST_CASES", 1)
    labels = Labels(counted(10), {}, noted([(0, 0), (0, 1)]))
    with pytest.raises(LimitError, match="too many labels that contradict") as error:
        labels.left()
    assert "correct the labels" in str(error.value)


@pytest.mark.parametrize("labels", [None, 3, "a.png", [("a.png",)], ["a.png"]])
def test_what_are_no_labels_is_told(copied, labels):
    with pytest.raises(DataError, match="label") as error:
        label(copied, labels, network="left", device="cpu")
    assert 'for instance [("a.png", "3")]' in str(error.value)
