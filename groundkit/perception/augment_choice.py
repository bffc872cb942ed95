"""The augmentation that suits a set of images, chosen from the images themselves.

Nothing here looks at labels. What a symbol keeps its meaning under is not to be seen in images: a
mirrored letter is another letter, a mirrored cup a cup, and a colour may be the symbol. So what
could change the meaning is chosen only where images show that it varies freely among them, and is
otherwise for the user to say (:data:`Invariant`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from groundkit.errors import SpecError
from groundkit.perception.augment import AUGMENTATIONS, Augmentation
from groundkit.perception.augment_rows import (
    ROW_AUGMENTATIONS,
    SEQUENCE_AUGMENTATIONS,
    RowAugmentation,
)
from groundkit.perception.ink import ink_and_paper
from groundkit.perception.inputs import kind_of
from groundkit.perception.pixels import to_model

Invariant = Literal["colour", "flip", "inversion", "rotation", "thickness"]
"""What may change without changing a symbol: each channel's brightness, left and right, dark and
bright, how an image is turned (by any angle), and the width of strokes."""

SAMPLE = 500
FEWEST = 50
SMALL_SIDE = 12
# Strength of the change of every channel by itself, where colours vary freely.
COLOUR = 0.6
# Colours are free when, after the nearest of this many shades is taken away, so much is left (as a
# standard deviation a channel, of images in [-1, 1]). Twelve shades of a few named colours leave
# about 0.07, of colours at random 0.25.
SHADES, FREE = 12, 0.15
# Below this difference between an image's channels it is grey.
_GREY = 0.04
# Share of ink that a stroke loses when a pixel goes from either side, at least.
_THIN = 0.5
# Images of two colours each, whatever they are: so much of them one ink explains.
_DRAWN = 0.8
_ANY_ANGLE = 180.0
# Columns of a row that are points of a plane or of space.
_PLANE = 3
_NAMES = {"row": "features", "sequence": "sequences"}


@dataclass(frozen=True, slots=True)
class Choice:
    """An augmentation and why.

    Attributes:
        augmentation: The augmentation.
        words: What was chosen and why, one sentence.
        drawing: Whether the network is to see where ink is and not its colour.
    """

    augmentation: Augmentation | RowAugmentation
    words: str
    drawing: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What a set of images looks like.

    Attributes:
        shape: ``(C, H, W)``.
        colourful: Whether the channels of an image differ.
        free_colour: Whether ink or paper has any colour, or any brightness, rather than one of a
            few.
        thinned: Share of the ink that is lost when a pixel goes from either side of it.
        two_colours: Share of what differs from paper that one ink explains.
        equal: Whether all images are the same.
    """

    shape: tuple[int, int, int]
    colourful: bool
    free_colour: bool
    thinned: float
    two_colours: float
    equal: bool


def choose(
    wanted: str,
    pool: Tensor,
    invariant: Collection[Invariant] | None = None,
    symbols: Sequence[str] = (),
) -> Choice:
    """Finds the augmentation that settings ask for.

    Args:
        wanted: A name in ``AUGMENTATIONS``, or ``auto`` to choose from the images.
        pool: Unlabelled images ``(N, C, H, W)``, bytes or in [-1, 1]; or rows, or sequences.
        invariant: What may change without changing a symbol, besides small moves; ``None`` to
            decide it from the images.
        symbols: The symbols' names: where they are names of colours, colour is left alone.

    Raises:
        SpecError: The settings do not fit the kind of the inputs.
    """
    if kind_of(pool.shape[1:]) != "image":
        return _of_rows(wanted, pool.shape[1:], invariant)
    if wanted not in ("auto", *AUGMENTATIONS):
        raise SpecError(
            f"there is no augmentation '{wanted}' of images",
            expected=f"auto or {', '.join(AUGMENTATIONS)}",
        )
    if wanted != "auto":
        chosen, words = AUGMENTATIONS[wanted], f"{wanted}, as set"
        if invariant is None:
            return Choice(chosen, words)
        said: dict[Invariant, str] = dict.fromkeys(invariant, "as set")
        return _with_invariance(Choice(chosen, words), said, look_at(pool))
    _, height, width = pool.shape[1:]
    if min(height, width) < 2 or height * width < 16:
        return Choice(AUGMENTATIONS["points"], "points: too few values for a picture")
    look = look_at(pool)
    if look.equal:
        return Choice(
            AUGMENTATIONS["none"], "none: all images are equal, there is nothing to learn"
        )
    found = _by_form(look)
    if invariant is None:
        found = _with_colour(found, look, symbols)
    else:
        found = _with_invariance(found, dict.fromkeys(invariant, "as set"), look)
    return replace(found, augmentation=fitted(_of_images(found), height, width))


def _of_rows(wanted: str, shape: Sequence[int], invariant: Collection[Invariant] | None) -> Choice:
    """Finds the augmentation of rows ``(D,)`` or sequences ``(T, D)``."""
    kind = kind_of(shape)
    known = ROW_AUGMENTATIONS if kind == "row" else SEQUENCE_AUGMENTATIONS
    if invariant:
        raise SpecError(
            f"invariant = {sorted(invariant)}, and the inputs are {kind}s",
            expected="images, whose colour, sides and strokes may change",
            remedy="leave the key invariant out",
        )
    if wanted == "auto":
        few = kind == "row" and shape[0] <= _PLANE
        name, why = ("points", f"{shape[0]} columns are few") if few else (_NAMES[kind], f"{kind}s")
        return Choice(known[name], f"{name}: {why}")
    if wanted not in known:
        raise SpecError(
            f"there is no augmentation '{wanted}' of {kind}s",
            expected=f"auto or {', '.join(known)}",
        )
    return Choice(known[wanted], f"{wanted}, as set")


def look_at(pool: Tensor) -> Look:
    """Measures some of the images ``(N, C, H, W)``."""
    channels, height, width = pool.shape[1:]
    order = torch.randperm(len(pool), generator=Generator().manual_seed(0))[:SAMPLE]
    images = to_model(pool[order.to(pool.device)]).cpu().float()
    ink, paper, share = ink_and_paper(images)
    inked = share > 0.5
    core = ~functional.max_pool2d((~inked).float(), 3, 1, 1).bool()
    drawn = inked.flatten(1).any(1)
    away = (images - paper[:, :, None, None]).square().sum()
    step = (ink - paper)[:, :, None, None]
    rest = (images - paper[:, :, None, None] - share * step).square().sum()
    return Look(
        shape=(channels, height, width),
        colourful=channels > 1 and float((images.amax(1) - images.amin(1)).mean()) > _GREY,
        free_colour=len(images) >= FEWEST and max(_unlike(paper), _unlike(ink[drawn])) > FREE,
        thinned=1 - float((core.sum() / inked.sum().clamp_min(1)).item()),
        two_colours=1 - float((rest / away.clamp_min(1e-6)).item()),
        equal=len(images) > 1 and bool((images == images[:1]).all()),
    )


def _of_images(chosen: Choice) -> Augmentation:
    assert isinstance(chosen.augmentation, Augmentation)  # chosen by looking at images
    return chosen.augmentation


def fitted(augmentation: Augmentation, height: int, width: int) -> Augmentation:
    """Lessens what would move the ends of a long image out of its frame.

    A rotation moves them by as large a part of the shorter side as it does in a square, and so
    does a slant.
    """
    long = max(height, width) / min(height, width)
    turned = math.degrees(math.atan(math.tan(math.radians(augmentation.rotation)) / long))
    free = augmentation.rotation >= 90 or long == 1
    return replace(
        augmentation,
        rotation=augmentation.rotation if free else turned,
        shear=augmentation.shear * min(1.0, width / height),
    )


def _by_form(look: Look) -> Choice:
    """Chooses by size and by whether images are strokes or filled shapes."""
    _, height, width = look.shape
    if min(height, width) <= SMALL_SIDE:
        words = f"small-digits: {height}x{width} pixels are few"
        return Choice(AUGMENTATIONS["small-digits"], words)
    if look.thinned >= _THIN:
        return Choice(AUGMENTATIONS["digits"], "digits: the images are strokes")
    name, kind = ("objects", "colour") if look.colourful else ("garments", "grey")
    plain = replace(AUGMENTATIONS[name], flip=0.0)
    return Choice(plain, f"{name} without mirror images: the images are filled shapes in {kind}")


def _with_colour(chosen: Choice, look: Look, symbols: Sequence[str]) -> Choice:
    """Leaves colour out where it varies so freely among the images that it is no symbol."""
    kind = "colour" if look.colourful else "brightness"
    if _name_colours(symbols):
        plain = replace(_of_images(chosen), contrast=0.0)
        return _also(chosen, plain, "colour is kept: the symbols are named by it")
    if look.free_colour:
        return _switched_on(chosen, {"colour": f"every {kind} occurs"}, look)
    if look.colourful:
        return _also(chosen, _of_images(chosen), "colour is kept: few are in use")
    return chosen


def _with_invariance(chosen: Choice, said: Mapping[Invariant, str], look: Look) -> Choice:
    """Switches on what a user lists, and off what the list leaves out."""
    now = _of_images(chosen)
    plain = replace(now, contrast=0.0, flip=0.0, inversion=0.0, gain=0.0, shift=0.0)
    if "thickness" not in said:
        plain = replace(plain, thickness=0.0)
    elif plain.thickness == 0:
        plain = replace(plain, thickness=AUGMENTATIONS["digits"].thickness)
    return _switched_on(replace(chosen, augmentation=plain), said, look)


def _switched_on(chosen: Choice, parts: Mapping[Invariant, str], look: Look) -> Choice:
    """Switches parts on, and words each with its reason."""
    now = _of_images(chosen)
    if "colour" in parts and look.two_colours >= _DRAWN:
        words = f"the network sees where ink is, not its colour ({parts['colour']})"
        chosen = replace(_also(chosen, now, words), drawing=True)
    elif "colour" in parts:
        now = replace(now, gain=COLOUR, shift=COLOUR)
        chosen = _also(chosen, now, f"colour and brightness change ({parts['colour']})")
    if "inversion" in parts and not chosen.drawing:
        now = replace(now, inversion=0.5)
        chosen = _also(chosen, now, f"dark and bright change places ({parts['inversion']})")
    if "flip" in parts:
        now = replace(now, flip=0.5)
        chosen = _also(chosen, now, f"left and right change places ({parts['flip']})")
    if "rotation" in parts:
        now = replace(now, rotation=_ANY_ANGLE)
        chosen = _also(chosen, now, f"turned by any angle ({parts['rotation']})")
    return chosen


def _also(chosen: Choice, augmentation: Augmentation, words: str) -> Choice:
    """Changes a choice and says so."""
    return replace(chosen, augmentation=augmentation, words=f"{chosen.words}; {words}")


def _unlike(colours: Tensor) -> float:
    """What is left of colours ``(N, C)`` after the nearest of a few shades, a channel."""
    if len(colours) < FEWEST:
        return 0.0
    # Loading scikit-learn takes a second, which commands that do not train can save.
    from sklearn.cluster import KMeans

    shades = SHADES if colours.shape[1] > 1 else 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        found = KMeans(shades, n_init=3, random_state=0).fit(colours.numpy())
    return math.sqrt(found.inertia_ / colours.numel())


def _name_colours(symbols: Sequence[str]) -> bool:
    """Whether at least half of the symbols are names of colours."""
    from PIL import ImageColor

    known = ImageColor.colormap
    return 2 * sum(symbol.strip("'\"").lower() in known for symbol in symbols) >= max(
        len(symbols), 1
    )
