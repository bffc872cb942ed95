"""Extent and thickness of strokes are measured from images of lines whose both are known."""

import pytest
import torch
from torchvision.transforms import functional as tvf

from groundkit.data.pen import Pen, measure_pen


def lines(thick, long):
    """White vertical lines on black, blurred a little as scanned ink is."""
    image = torch.zeros(1, 40, 40, dtype=torch.uint8)
    top, left = (40 - long) // 2, (40 - thick) // 2
    image[:, top : top + long, left : left + thick] = 255
    return tvf.gaussian_blur(image, 3, 0.6)[None].repeat(10, 1, 1, 1)


@pytest.mark.parametrize("dark_border", [True, False])
def test_a_line_has_its_thickness_and_length(dark_border):
    images = lines(3, 24)
    found = measure_pen(images if dark_border else 255 - images, dark_border)
    assert found.smallest == found.largest == pytest.approx(24 / 40)
    assert found.stroke == pytest.approx(3 / 40, rel=0.15)


def test_sizes_that_differ_are_a_range_and_empty_images_do_not_count():
    empty = torch.zeros(30, 1, 40, 40, dtype=torch.uint8)
    found = measure_pen(torch.cat([lines(3, 10), lines(3, 30), empty]), True)
    assert found.smallest == pytest.approx(10 / 40) and found.largest == pytest.approx(30 / 40)
    assert measure_pen(empty, True) == Pen()
