"""Sets of images with several labels each: which labels a network's symbols speak of."""

import numpy as np
import pytest
import torch

from groundkit.data.examples import restrict
from groundkit.data.images import TRUE_OR_FALSE, Attribute, ImageSet, labelling, match_shape
from groundkit.errors import DataError


def bank(**attributes):
    pixels = torch.arange(12, dtype=torch.uint8).reshape(12, 1, 1, 1).expand(-1, 3, 4, 4)
    return ImageSet("things", pixels.contiguous(), np.arange(12) % 3, ("x", "y", "z"), attributes)


def attribute(classes, step=1):
    return Attribute(np.arange(12) // step % len(classes), tuple(classes))


THINGS = bank(
    colour=attribute(("red", "blue")),
    red=attribute(TRUE_OR_FALSE, 2),
    far=attribute(TRUE_OR_FALSE, 3),
    size=attribute(("0", "1"), 6),
)


@pytest.mark.parametrize(
    ("domain", "wanted", "found"),
    [
        (("z", "x"), None, None),
        (("blue", "red"), None, "colour"),
        (("'red'",), None, "colour"),
        (TRUE_OR_FALSE, "far", "far"),
        (("0", "1"), None, "size"),
        (("0", "1", "2"), None, None),
        (("1", "0"), "colour", "colour"),
    ],
)
def test_the_labels_are_those_that_hold_the_symbols(domain, wanted, found):
    expected = (THINGS.labels, THINGS.classes)
    if found is not None:
        expected = (THINGS.attributes[found].labels, THINGS.attributes[found].classes)
    got = labelling(THINGS, domain, wanted)
    assert got.labels is expected[0] and got.classes == expected[1]


@pytest.mark.parametrize(
    ("images", "domain", "wanted", "message", "help_"),
    [
        (THINGS, TRUE_OR_FALSE, None, "red, far of 'things' all have", 'attribute = "red"'),
        (THINGS, ("red",), "color", "no attribute 'color'", "did you mean 'colour'"),
        (THINGS, ("green",), "colour", "lacks some of the symbols green", "colour (red, blue)"),
        (THINGS, ("red", "x"), None, "no labels of 'things' have", "its classes x, y, z; colour"),
        (bank(), ("x",), "colour", "have no attributes", "leave the key"),
        (ImageSet("bare", THINGS.pixels), ("x",), None, "has no labels", "labelled data set"),
    ],
)
def test_what_fits_no_labels_or_several_is_refused(images, domain, wanted, message, help_):
    with pytest.raises(DataError, match=message) as caught:
        labelling(images, domain, wanted)
    assert help_ in str(caught.value)


def test_the_remedy_for_several_works():
    with pytest.raises(DataError) as caught:
        labelling(THINGS, TRUE_OR_FALSE)
    named = caught.value.remedy.split('"')[1]
    assert labelling(THINGS, TRUE_OR_FALSE, named) is THINGS.attributes[named]


def test_all_labels_go_with_their_images():
    some = THINGS.subset([7, 2, 9])
    assert some.attributes["colour"].labels.tolist() == [1, 0, 1]
    assert some.subset([0]).attributes["far"].labels.tolist() == [0]
    small = match_shape(THINGS, (1, 2, 2))
    assert small.shape == (1, 2, 2) and small.attributes is THINGS.attributes


def test_restricted_to_a_domain_the_other_labels_stay():
    blue = restrict({"net": ("blue",)}, THINGS)["net"]
    assert blue.classes == ("blue",) and blue.labels.tolist() == [0] * 6
    assert blue.pixels[:, 0, 0, 0].tolist() == [1, 3, 5, 7, 9, 11]
    assert blue.attributes["size"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    far = restrict({"net": TRUE_OR_FALSE}, THINGS, {"net": "far"})["net"]
    assert far.labels.tolist() == [0, 0, 0, 1, 1, 1] * 2
