"""Drawn data sets: fixed, disjoint, with every combination of labels, and as told apart by eye."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier

from groundkit.data import sources
from groundkit.data.drawn import leaf, objects, road, terrain, writing
from groundkit.data.images import TRUE_OR_FALSE, ImageSet

PLANS = {
    plan.name: plan
    for plan in (
        objects.SCENES,
        objects.KANDINSKY,
        road.ROAD,
        leaf.LEAF,
        terrain.TERRAIN,
        writing.LETTERS,
        writing.WORDS,
        writing.COLOUR_GLYPHS,
    )
}
SHAPES = {
    "scenes": (3, 28, 28),
    "kandinsky": (3, 28, 28),
    "road": (3, 32, 32),
    "leaf": (3, 32, 32),
    "terrain": (3, 16, 16),
    "letters26": (1, 28, 28),
    "kin-words": (1, 16, 64),
    "colour-glyphs": (3, 28, 28),
}
MIXED = {"hwf": (5200, 1300), "mnist5k-imbalanced": (1013, 253)}


def labels_of(images: ImageSet) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """All labellings of a set: its attributes, or its primary labels where it has no others."""
    found = {name: (one.labels, one.classes) for name, one in images.attributes.items()}
    return found or {"label": (images.labels, images.classes)}


@pytest.mark.parametrize("name", PLANS)
def test_the_same_images_are_drawn_each_time_and_others_for_the_test(name):
    plan = PLANS[name]
    one, again, other = plan.images(60, 1), plan.images(60, 1), plan.images(60, 2)
    assert one.shape == SHAPES[name] and one.pixels.dtype == torch.uint8
    assert torch.equal(one.pixels, again.pixels)
    for key, (labels, _) in labels_of(one).items():
        assert labels.tolist() == labels_of(again)[key][0].tolist()
    both = torch.cat([one.pixels, other.pixels]).flatten(1)
    assert len(torch.unique(both, dim=0)) == 120


@pytest.mark.parametrize("name", PLANS)
def test_every_combination_occurs_equally_often(name):
    plan = PLANS[name]
    joint = plan.combinations()
    images = plan.images(2 * len(joint), 3)
    found = labels_of(images)
    rows = Counter(zip(*(labels.tolist() for labels, _ in found.values()), strict=True))
    assert len(rows) == len(joint) and set(rows.values()) == {2}
    sizes = [range(len(classes)) for classes in plan.concepts.values()]
    everything = set(itertools.product(*sizes))
    assert set(rows) == everything or (name == "road" and set(rows) < everything)


def test_a_light_is_never_red_and_green():
    assert len(road.ROAD.combinations()) == 12
    assert all(one["red"] == "false" or one["green"] == "false" for one in road.ROAD.combinations())


def features(images: ImageSet) -> np.ndarray:
    """What a hand-made eye sees: brightness and differences of neighbours, pooled coarsely."""
    x = images.floats()
    edges = torch.cat([x.diff(dim=2).abs()[..., :-1], x.diff(dim=3).abs()[..., :-1, :]], dim=1)
    pools = [torch.nn.functional.adaptive_avg_pool2d(t, (8, 8)).flatten(1) for t in (x, edges)]
    moments = [x.std((2, 3)), x.amax((2, 3)), x.amin((2, 3)), edges.std((2, 3))]
    return torch.cat([*pools, *moments], dim=1).numpy()


@pytest.mark.parametrize(
    ("name", "attribute"),
    [("scenes", "colour"), ("scenes", "size"), ("kandinsky", "colour"), ("road", "red"),
     ("road", "green"), ("road", "obstacle"), ("road", "pedestrian"), ("leaf", "shape"),
     ("leaf", "surface"), ("leaf", "margin"), ("terrain", "label")],
)  # fmt: skip
def test_a_linear_reader_of_coarse_features_sees_each_attribute(name, attribute):
    plan = PLANS[name]
    train, test = plan.images(700, 5), plan.images(250, 6)
    labels, classes = labels_of(train)[attribute]
    reader = RidgeClassifier(10.0).fit(features(train), labels)
    score = reader.score(features(test), labels_of(test)[attribute][0])
    assert score > 1.4 / len(classes)
    assert score > 0.75 or (name, attribute) == ("leaf", "margin")


def test_a_small_network_sees_shapes_whatever_the_colour():
    plan = objects.SCENES
    train, test = plan.images(1600, 5), plan.images(300, 6)
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 5, 2, 2), torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, 1, 1), torch.nn.ReLU(),
        torch.nn.AdaptiveMaxPool2d(3), torch.nn.Flatten(), torch.nn.Linear(288, 4),
    )  # fmt: skip
    x, y = train.floats(), torch.from_numpy(train.attributes["shape"].labels)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(16):
        for part in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimiser.step()
    guessed = net(test.floats()).argmax(1).numpy()
    assert (guessed == test.attributes["shape"].labels).mean() > 0.8


def test_operators_stand_beside_digits_as_often():
    data = sources.load_data("hwf")
    assert (len(data.train), len(data.test)) == MIXED["hwf"]
    assert data.classes == (*"123456789", "+", "-", "*", "/")
    assert set(np.bincount(data.train.labels)) == {400}
    assert set(np.bincount(data.test.labels)) == {100}
    digits = sources.load_data("mnist5k")
    three = digits.train.pixels[torch.from_numpy(digits.train.labels == 3)].flatten(1)
    here = data.train.pixels[torch.from_numpy(data.train.labels == 2)].flatten(1)
    assert len(torch.unique(torch.cat([three, here]), dim=0)) == len(three)
    # Strokes are as bright as MNIST's, on the same black.
    ink = [data.train.pixels[torch.from_numpy(data.train.labels == k)].float() for k in (0, 9)]
    assert all(part.amax((1, 2, 3)).median() > 240 and part.median() == 0 for part in ink)


def test_one_digit_is_common():
    data = sources.load_data("mnist5k-imbalanced")
    assert (len(data.train), len(data.test)) == MIXED["mnist5k-imbalanced"]
    for part in (data.train, data.test):
        shares = np.bincount(part.labels) / len(part)
        assert shares[0] == pytest.approx(0.395, abs=0.002)
        assert np.ptp(shares[1:]) < 0.01


def test_some_images_are_foreign(monkeypatch):
    digits = sources.load_data("mnist5k")
    monkeypatch.setitem(
        sources.CARDS, "fashion-mnist", sources.CARDS["symbols"]  # as many images, always there
    )  # fmt: skip
    sources._load_named.cache_clear()
    try:
        data = sources.load_data("mnist5k-foreign")
    finally:
        sources._load_named.cache_clear()
    foreign = data.train.attributes["foreign"]
    assert foreign.classes == TRUE_OR_FALSE
    assert (len(data.train), int((foreign.labels == 0).sum())) == (4211, 211)
    assert (data.test.attributes["foreign"].labels == 1).all()
    assert torch.equal(data.test.pixels, digits.test.pixels)
    called = data.train.labels[foreign.labels == 0]
    assert set(called) == set(range(10))
