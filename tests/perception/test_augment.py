from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.perception.augment import AUGMENTATIONS, Augmentation, Draws, change_thickness


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stroke(count: int = 8, side: int = 28) -> torch.Tensor:
    x = torch.full((count, 1, side, side), -1.0)
    x[:, :, side // 4 : -side // 4, side // 2 - 1 : side // 2 + 1] = 1
    return x


NOTHING = AUGMENTATIONS["none"]


@given(st.sampled_from(sorted(AUGMENTATIONS)), st.integers(1, 3), st.integers(5, 33))
@settings(max_examples=25, deadline=None)
def test_shape_dtype_and_range_are_kept(name, channels, side):
    x = 2 * torch.rand(3, channels, side, side + 2, generator=rng()) - 1
    y = AUGMENTATIONS[name](x, rng(1))
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.min() >= -1
    assert y.max() <= 1


def test_no_augmentation_changes_nothing():
    x = 2 * torch.rand(3, 1, 28, 28, generator=rng()) - 1
    assert torch.allclose(NOTHING(x, rng()), x, atol=1e-5)


@pytest.mark.parametrize("name", ["digits", "small-digits", "objects", "garments"])
def test_every_image_of_a_batch_gets_a_draw_of_its_own(name):
    y = AUGMENTATIONS[name](stroke(), rng())
    assert len({tuple(image.flatten().tolist()) for image in y}) == len(y)


def test_the_generator_alone_decides():
    x = stroke()
    torch.manual_seed(0)
    first = Augmentation()(x, rng(3))
    torch.manual_seed(1)
    assert torch.equal(first, Augmentation()(x, rng(3)))
    assert not torch.equal(first, Augmentation()(x, rng(4)))


def test_the_input_is_left_alone():
    x = stroke()
    before = x.clone()
    Augmentation()(x, rng())
    assert torch.equal(x, before)


def test_translation_stays_within_its_bound():
    only = Augmentation(rotation=0, scale=0, shear=0, translate=0.1, elastic=0, thickness=0)
    x = stroke(200)
    columns = torch.arange(28.0)
    centre = lambda im: ((im + 1).sum(2) * columns).sum(-1) / (im + 1).sum((2, 3))  # noqa: E731
    moved = (centre(only(x, rng())) - centre(x)).abs()
    assert moved.max() <= 2.8 + 1e-3
    assert moved.max() > 2


def test_flip_mirrors_the_asked_share():
    only = Augmentation(
        rotation=0, scale=0, shear=0, translate=0, elastic=0, thickness=0, flip=0.25
    )
    x = torch.full((400, 1, 8, 8), -1.0)
    x[..., :4] = 1
    mirrored = (only(x, rng())[:, 0, 0, 0] < 0).float().mean()
    assert 0.18 < mirrored < 0.32


def test_thickness_grows_and_shrinks_bright_strokes():
    x = stroke(3)
    amount = torch.tensor([1.0, 0.0, -1.0]).reshape(3, 1, 1, 1)
    thick, same, thin = change_thickness(x, amount).sum((1, 2, 3))
    assert thick > same == x[1].sum()
    assert thin < same


def test_gradients_pass_through_to_the_image():
    x = stroke().requires_grad_()
    Augmentation()(x, rng()).sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def bar(height: int, width: int) -> torch.Tensor:
    """A bar along the longer side, ``(64, 1, H, W)``."""
    x = torch.full((64, 1, height, width), -1.0)
    middle = min(height, width) // 2
    if width > height:
        x[:, :, middle - 1 : middle + 1, width // 3 : -(width // 3)] = 1
    else:
        x[:, :, height // 3 : -(height // 3), middle - 1 : middle + 1] = 1
    return x


@given(st.sampled_from([(16, 64), (64, 16), (20, 40), (24, 24)]), st.integers(5, 40))
@settings(max_examples=12, deadline=None)
def test_angles_are_those_of_pixels_whatever_the_proportions(shape, degrees):
    x = bar(*shape)
    y = replace(NOTHING, rotation=float(degrees))(x, rng()).double().add(1).squeeze(1)
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in shape), indexing="ij")
    mass = y.sum((1, 2))
    down = rows - (y * rows).sum((1, 2))[:, None, None] / mass[:, None, None]
    along = columns - (y * columns).sum((1, 2))[:, None, None] / mass[:, None, None]
    mixed = 2 * (y * down * along).sum((1, 2))
    angle = 0.5 * torch.atan2(mixed, (y * (along**2 - down**2)).sum((1, 2)))
    if shape[0] >= shape[1]:
        angle = torch.where(angle > 0, angle, angle + torch.pi) - torch.pi / 2
    largest = float(torch.rad2deg(angle.abs()).max())
    assert largest <= degrees + 3
    assert largest >= 0.6 * degrees or degrees > 25 or shape == (24, 24)


def test_channels_change_by_themselves_and_dark_and_bright_change_places():
    x = torch.full((40, 3, 4, 4), 0.2)
    y = replace(NOTHING, gain=0.5, shift=0.3)(x, rng())
    assert (y.amax((2, 3)) - y.amin((2, 3))).max() < 1e-5
    assert (y.mean((2, 3)).std(1) > 0.01).all()
    swapped = replace(NOTHING, inversion=0.5)(x, rng()).mean((1, 2, 3))
    assert set(swapped.sign().tolist()) == {-1.0, 1.0}


def test_a_rotation_alone_keeps_distances_from_the_middle():
    turn = Augmentation(rotation=60, scale=0, shear=0, translate=0, elastic=0, thickness=0)
    x = torch.zeros(20, 1, 9, 9)
    generator = torch.Generator().manual_seed(0)
    turned = turn._grid(x, Draws(x, generator, None))
    still = torch.nn.functional.affine_grid(torch.eye(2, 3).repeat(20, 1, 1), [20, 1, 9, 9], False)
    assert torch.allclose(turned.norm(dim=-1), still.norm(dim=-1), atol=1e-5)
    assert not torch.allclose(turned, still, atol=0.1)
