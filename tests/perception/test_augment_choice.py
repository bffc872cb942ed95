import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.data.synthetic import glyphs
from groundkit.perception.augment import AUGMENTATIONS
from groundkit.perception.augment_choice import choose, fitted, look_at
from groundkit.perception.ink import as_drawing, ink_and_paper

INVARIANT = ["colour", "flip", "inversion", "rotation", "thickness"]


def strokes(count: int = 120, side: int = 20) -> torch.Tensor:
    """Glyphs, white on black, in [0, 1]."""
    return glyphs(tuple("0123"), count, (1, side, side), 0).pixels.float() / 255


def coloured(inks: torch.Tensor, papers: torch.Tensor) -> torch.Tensor:
    share = strokes(len(inks))
    mixed = share * inks[:, :, None, None] + (1 - share) * papers[:, :, None, None]
    return mixed.round().to(torch.uint8)


def any_colours(count: int = 120, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    drawn = torch.from_numpy(rng.uniform(0, 255, (count, 2, 3)).astype(np.float32))
    return drawn[:, 0], drawn[:, 1]


def squares(count: int = 120, side: int = 20) -> torch.Tensor:
    x = torch.zeros(count, 1, side, side, dtype=torch.uint8)
    for k in range(count):
        x[k, :, 3 : 15 + k % 3, 4:16] = 200
    return x


def test_strokes_and_filled_shapes_get_different_augmentations():
    assert choose("auto", (strokes() * 255).to(torch.uint8)).words.startswith("digits")
    assert choose("auto", squares()).words.startswith("garments")


def test_few_pixels_and_points_are_told_from_pictures():
    small = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert choose("auto", small).words.startswith("small-digits")
    assert choose("auto", small[:, :, :1, :2]).augmentation == AUGMENTATIONS["points"]


def test_colours_of_every_kind_are_left_out():
    found = choose("auto", coloured(*any_colours()))
    assert found.drawing and "every colour occurs" in found.words


def test_a_few_colours_are_kept_for_they_may_be_the_symbol():
    palette = torch.tensor([[200.0, 30, 30], [30, 160, 40], [30, 40, 190]])
    inks = palette[torch.arange(120) % 3] + torch.randn(120, 3, generator=torch.Generator()) * 8
    found = choose("auto", coloured(inks.clamp(0, 255), torch.full((120, 3), 240.0)))
    assert not found.drawing and found.augmentation.gain == 0
    assert "colour is kept" in found.words


def test_colour_is_kept_where_symbols_are_named_by_it():
    found = choose("auto", coloured(*any_colours()), symbols=("red", "'green'", "blue"))
    assert not found.drawing and found.augmentation.gain == 0 and "named" in found.words


@given(st.lists(st.sampled_from(INVARIANT), unique=True))
@settings(max_examples=20, deadline=None)
def test_what_the_user_lists_is_switched_on_and_nothing_else(listed):
    found = choose("auto", coloured(*any_colours(60)), listed)
    how = found.augmentation
    assert (found.drawing or how.gain > 0) == ("colour" in listed)
    assert (how.flip > 0) == ("flip" in listed)
    assert (how.inversion > 0) == ("inversion" in listed and not found.drawing)
    assert (how.rotation >= 90) == ("rotation" in listed)
    assert (how.thickness > 0) == ("thickness" in listed)


def test_a_named_augmentation_is_taken_as_it_is():
    pool = coloured(*any_colours(60))
    assert choose("digits", pool).augmentation is AUGMENTATIONS["digits"]
    assert choose("objects", pool, []).augmentation.flip == 0


def test_equal_images_are_said_to_teach_nothing():
    assert "all images are equal" in choose("auto", torch.full((9, 1, 20, 20), 7).byte()).words


@given(st.integers(1, 3), st.integers(2, 40), st.integers(2, 40), st.integers(1, 70))
@settings(max_examples=25, deadline=None)
def test_any_images_get_an_augmentation_that_keeps_their_shape(channels, height, width, count):
    x = torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8)
    found = choose("auto", x)
    images = x[:3].float() / 127.5 - 1
    assert found.augmentation(images, torch.Generator().manual_seed(0)).shape == images.shape
    assert 0 <= look_at(x).thinned <= 1


@given(st.integers(8, 64), st.integers(8, 64))
@settings(max_examples=25, deadline=None)
def test_the_ends_of_a_long_image_stay_as_near_as_those_of_a_square(height, width):
    how = fitted(AUGMENTATIONS["digits"], height, width)
    moved = math.tan(math.radians(how.rotation)) * max(height, width) / min(height, width)
    assert moved == pytest.approx(math.tan(math.radians(15)))
    assert how.shear * height <= AUGMENTATIONS["digits"].shear * width + 1e-9


def test_a_drawing_does_not_show_its_colours():
    inks, papers = any_colours()
    clear = (inks - papers).abs().mean(1) > 40
    found = as_drawing(coloured(inks, papers).float()[clear] / 127.5 - 1)
    plain = as_drawing((strokes() * 2 - 1).expand(-1, 3, -1, -1))[clear]
    assert (found - plain).abs().mean() < 0.02


def test_a_drawing_of_a_drawing_is_itself_and_blank_paper_has_no_ink():
    x = as_drawing(strokes() * 2 - 1)
    assert (as_drawing(x) - x).abs().mean() < 0.05
    ink, paper, share = ink_and_paper(torch.full((2, 3, 8, 8), 0.3))
    assert torch.equal(ink, paper) and not share.any()


def test_the_drawing_has_a_finite_gradient():
    x = (
        2 * torch.rand(3, 3, 9, 9, generator=torch.Generator().manual_seed(0)) - 1
    ).requires_grad_()
    (slope,) = torch.autograd.grad(as_drawing(x).sum(), x)
    assert torch.isfinite(slope).all()
