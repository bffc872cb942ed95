"""Changes of rows and sequences: what they touch, and that each input has a draw of its own."""

import pytest
import torch

from groundkit.errors import SpecError
from groundkit.perception.augment import Rows
from groundkit.perception.augment_choice import choose
from groundkit.perception.augment_rows import (
    ROW_AUGMENTATIONS,
    SEQUENCE_AUGMENTATIONS,
    RowAugmentation,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(9,), (6, 9)])
def test_nothing_is_changed_by_none(shape):
    x = torch.randn(4, *shape)
    assert torch.equal(RowAugmentation()(x, rng()), x)


def test_noise_has_the_deviation_that_is_set():
    x = torch.zeros(2000, 5)
    assert float(RowAugmentation(noise=0.2)(x, rng()).std()) == pytest.approx(0.2, rel=0.05)


def test_columns_are_masked_as_often_as_set_and_in_all_steps_alike():
    x = torch.ones(3000, 4, 5)
    masked = RowAugmentation(masking=0.3)(x, rng()) == 0
    assert float(masked.double().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(masked[:, :1].expand_as(masked), masked)


def test_one_piece_of_a_sequence_is_blanked_of_at_most_its_share():
    x = torch.ones(500, 20, 2)
    gone = (RowAugmentation(time_masking=0.5)(x, rng()) == 0).all(2)
    lengths = gone.sum(1)
    assert int(lengths.max()) <= 10 and int(lengths.max()) > 5
    starts = (gone[:, 1:] & ~gone[:, :-1]).sum(1) + gone[:, 0]
    assert bool((starts[lengths > 0] == 1).all())


def test_a_shift_moves_whole_steps_and_repeats_the_ends():
    x = torch.arange(10.0)[None, :, None].expand(200, -1, -1)
    moved = RowAugmentation(shift=0.3)(x, rng())[:, :, 0]
    steps = moved.diff(dim=1)
    assert bool(((steps == 0) | (steps == 1)).all())
    assert int(moved[:, 5].min()) == 2 and int(moved[:, 5].max()) == 8


@pytest.mark.parametrize("kinds", [ROW_AUGMENTATIONS, SEQUENCE_AUGMENTATIONS])
def test_processes_that_share_a_batch_draw_as_one_would(kinds):
    shape = (7, 3) if kinds is SEQUENCE_AUGMENTATIONS else (3,)
    x = torch.randn(6, *shape)
    for augmentation in kinds.values():
        whole = augmentation(x, rng())
        own = torch.tensor([4, 1])
        assert torch.equal(augmentation(x[own], rng(), Rows(6, own)), whole[own])


@pytest.mark.parametrize(
    ("shape", "name"), [((2,), "points"), ((13,), "features"), ((5, 2), "sequences")]
)
def test_the_augmentation_of_rows_is_chosen_by_their_shape(shape, name):
    found = choose("auto", torch.zeros(8, *shape))
    kinds = ROW_AUGMENTATIONS if len(shape) == 1 else SEQUENCE_AUGMENTATIONS
    assert found.augmentation == kinds[name] and found.words.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("wanted", "shape", "invariant", "said"),
    [
        (
            "digits",
            (13,),
            None,
            "no augmentation 'digits' of rows\n  expected: auto or none, points, f",
        ),
        ("points", (5, 2), None, "no augmentation 'points' of sequences"),
        ("features", (1, 8, 8), None, "no augmentation 'features' of images"),
        ("auto", (13,), ["flip"], r"invariant = \['flip'\], and the inputs are rows"),
    ],
)
def test_settings_of_another_kind_are_refused(wanted, shape, invariant, said):
    with pytest.raises(SpecError, match=said):
        choose(wanted, torch.zeros(8, *shape), invariant)
