"""Examples follow the worlds they are drawn from."""

import numpy as np
import pytest
import torch

from groundkit.data.examples import Roles, domain_classes, draw_images, restrict
from groundkit.data.images import Attribute, ImageSet
from groundkit.errors import DataError

DIGITS = ("0", "1", "2")
ROLES = Roles({"X": ("net",), "Y": ("net",)}, ("Z",), {"net": DIGITS}, {})


def bank(labels, classes=("0", "1", "2", "3")):
    labels = np.asarray(labels)
    pixels = torch.from_numpy(labels.astype(np.uint8))[:, None, None, None].expand(-1, 1, 4, 4)
    return ImageSet("bank", pixels.contiguous(), labels, classes)


def test_images_have_the_symbols_of_their_world():
    images = restrict({"net": DIGITS}, bank(np.arange(40) % 4))
    assert len(images["net"]) == 30
    worlds = {("net", "X"): np.array([0, 1, 2, 2]), ("net", "Y"): np.array([2, 2, 0, 1])}
    drawn, truth = draw_images(ROLES, images, worlds, 4, np.random.default_rng(0))
    for (network, variable), values in worlds.items():
        shown = images[network].pixels[torch.from_numpy(drawn[variable])][:, 0, 0, 0]
        assert shown.tolist() == values.tolist() == truth[network, variable].tolist()


def test_images_of_one_example_differ_where_there_are_enough():
    images = restrict({"net": DIGITS}, bank([0, 0, 1, 2]))
    worlds = {("net", name): np.zeros(200, dtype=int) for name in "XY"}
    drawn, _ = draw_images(ROLES, images, worlds, 200, np.random.default_rng(0))
    assert (drawn["X"] != drawn["Y"]).all()
    alone = {("net", name): np.ones(5, dtype=int) for name in "XY"}
    drawn, _ = draw_images(ROLES, images, alone, 5, np.random.default_rng(0))
    assert (drawn["X"] == drawn["Y"]).all()


def test_an_image_of_several_networks_shows_all_of_their_symbols():
    shape, colour = np.arange(60) % 3, np.arange(60) // 3 % 2
    pixels = torch.zeros(60, 3, 4, 4, dtype=torch.uint8)
    attributes = {
        "shape": Attribute(shape, ("circle", "square", "star")),
        "colour": Attribute(colour, ("red", "blue")),
    }
    domains = {"shape_net": ("circle", "square", "star"), "colour_net": ("blue", "red")}
    roles = Roles({"X": ("shape_net", "colour_net")}, (), domains, {})
    images = restrict(domains, ImageSet("scenes", pixels, attributes=attributes))
    worlds = {("shape_net", "X"): np.array([2, 0]), ("colour_net", "X"): np.array([0, 1])}
    drawn, truth = draw_images(roles, images, worlds, 2, np.random.default_rng(0))
    assert shape[drawn["X"]].tolist() == [2, 0]
    assert colour[drawn["X"]].tolist() == [1, 0]
    assert truth["colour_net", "X"].tolist() == [0, 1]


def test_a_symbol_without_images_is_named():
    images = restrict({"net": DIGITS}, bank([0, 0, 1]))
    worlds = {("net", "X"): np.array([2]), ("net", "Y"): np.array([0])}
    with pytest.raises(DataError, match="no image of the symbol 2"):
        draw_images(ROLES, images, worlds, 1, np.random.default_rng(0))


def test_symbols_are_classes_by_name_or_number():
    named = ("cat", "dog")
    assert domain_classes("net", ("dog", "cat"), named, "bank").tolist() == [1, 0]
    assert domain_classes("net", ("0", "1"), named, "bank").tolist() == [0, 1]
    with pytest.raises(DataError, match="did you mean 'dog'"):
        domain_classes("net", ("dogs",), named, "bank")


def test_what_symbols_were_taken_for_is_said_and_what_was_left_out():
    named = bank([0, 1, 2, 1], ("0", "1", "9"))
    assert restrict({"net": ["0", "1", "9"]}, named)["net"].assumed == ()
    assert restrict({"net": ["0", "1.0"]}, named)["net"].assumed == (
        "1 image of classes that are no symbols of net is left out: 9",
    )
    letters = bank([0, 1, 2, 2], ("a", "b", "c"))
    assert restrict({"net": ["0", "1"]}, letters)["net"].assumed == (
        "the symbols of net, 0, 1, are the classes a, b by their numbers",
        "2 images of classes that are no symbols of net are left out: c",
    )
