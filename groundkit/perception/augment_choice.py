"""The augmentation that suits a set of images, chosen from the images themselves.

Nothing here looks at labels. What a symbol keeps its meaning under is not to be seen in images: a
mirrored letter is another letter, a mirrored cup a cup, and a colour may be the symbol. So what
could change the meaning is chosen only where images show that it varies freely among them, and is
otherwise for the user to say (:data:`Invariant`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from groundkit.perception.augment import AUGMENTATIONS, Augmentation
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
_ANY_ANGLE = 180.0


@dataclass(frozen=True, slots=True)
class Choice:
    """An augmentation and why.

    Attributes:
        augmentation: The augmentation.
        words: What was chosen and why, one sentence.
    """

    augmentation: Augmentation
    words: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a set of images looks like.

    Attributes:
        shape: ``(C, H, W)``.
        colourful: Whether the channels of an image differ.
        free_colour: Whether ink or paper has any colour, or any brightness, rather than one of a
            few.
        dark_ink: Share of the images whose ink is darker than their paper.
        thinned: Share of the ink that is lost when a pixel goes from either side of it.
    """

    shape: tuple[int, int, int]
    colourful: bool
    free_colour: bool
    dark_ink: float
    thinned: float


def choose(
    pool: Tensor, invariant: Collection[Invariant] | None = None, symbols: Sequence[str] = ()
) -> Choice:
    """Chooses an augmentation for images.

    Args:
        pool: Unlabelled images ``(N, C, H, W)``, bytes or in [-1, 1].
        invariant: What may change without changing a symbol, besides small moves; ``None`` to
            decide it from the images.
        symbols: The symbols' names: where they are names of colours, colour is left alone.
    """
    channels, height, width = pool.shape[1:]
    if min(height, width) < 2 or height * width < 16:
        return Choice(AUGMENTATIONS["points"], "points: too few values for a picture")
    look = look_at(pool)
    chosen, words = _by_form(look)
    allowed = _seen(look, symbols) if invariant is None else dict.fromkeys(invariant, "as said")
    chosen, more = _with_invariance(chosen, allowed, look, said=invariant is not None)
    chosen = fitted(chosen, height, width)
    return Choice(chosen, "; ".join([words, *more]))


def look_at(pool: Tensor) -> Look:
    """Measures some of the images ``(N, C, H, W)``."""
    channels, height, width = pool.shape[1:]
    order = torch.randperm(len(pool), generator=Generator().manual_seed(0))[:SAMPLE]
    images = to_model(pool[order.to(pool.device)]).cpu().float()
    paper = _border(images)
    away = (images - paper[:, :, None, None]).abs().mean(1)
    furthest = away.flatten(1).max(1).values[:, None, None]
    inked = (away > 0.5 * furthest) & (furthest > 0)
    count = inked.sum((1, 2)).clamp_min(1)
    ink = (images * inked[:, None]).sum((2, 3)) / count[:, None]
    core = ~functional.max_pool2d((~inked)[:, None].float(), 3, 1, 1).bool()[:, 0]
    drawn = inked.any(2).any(1)
    return Look(
        shape=(channels, height, width),
        colourful=channels > 1 and float((images.amax(1) - images.amin(1)).mean()) > _GREY,
        free_colour=len(images) >= FEWEST and max(_unlike(paper), _unlike(ink[drawn])) > FREE,
        dark_ink=float((ink.mean(1) < paper.mean(1))[drawn].double().mean()) if drawn.any() else 0,
        thinned=1 - float((core.sum() / inked.sum().clamp_min(1)).item()),
    )


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


def _by_form(look: Look) -> tuple[Augmentation, str]:
    """Chooses by size and by whether images are strokes or filled shapes."""
    _, height, width = look.shape
    if min(height, width) <= SMALL_SIDE:
        return AUGMENTATIONS["small-digits"], f"small-digits: {height}x{width} pixels are few"
    if look.thinned >= _THIN:
        return AUGMENTATIONS["digits"], "digits: the images are strokes"
    name = "objects" if look.colourful else "garments"
    kind = "colour" if look.colourful else "grey"
    plain = replace(AUGMENTATIONS[name], flip=0.0)
    return plain, f"{name} without mirror images: the images are filled shapes in {kind}"


def _seen(look: Look, symbols: Sequence[str]) -> dict[str, str]:
    """What varies so freely among the images that it is no symbol, with the reason."""
    found: dict[str, str] = {}
    if look.free_colour and not _name_colours(symbols):
        kind = "colour" if look.colourful else "brightness"
        found["colour"] = f"every {kind} occurs"
        if 0.1 < look.dark_ink < 0.9:
            found["inversion"] = f"ink is darker than paper in {look.dark_ink:.0%}"
    if look.thinned >= _THIN:
        found["thickness"] = "strokes"
    return found


def _with_invariance(
    chosen: Augmentation, allowed: dict[str, str], look: Look, *, said: bool
) -> tuple[Augmentation, list[str]]:
    """Switches parts on that may change, and off those that the user leaves out."""
    words = []
    if "colour" in allowed:
        chosen = replace(chosen, gain=COLOUR, shift=COLOUR)
        words.append(f"colour changes ({allowed['colour']})")
    elif look.colourful:
        chosen = replace(chosen, contrast=min(chosen.contrast, 0.2))
        words.append("colour is kept, it may be the symbol")
    if "inversion" in allowed:
        chosen = replace(chosen, inversion=0.5)
        words.append(f"dark and bright change places ({allowed['inversion']})")
    if "flip" in allowed:
        chosen = replace(chosen, flip=0.5)
        words.append("mirror images (as said)")
    if "rotation" in allowed:
        chosen = replace(chosen, rotation=_ANY_ANGLE)
        words.append("turned by any angle (as said)")
    if said and "thickness" not in allowed:
        chosen = replace(chosen, thickness=0.0)
    elif said and chosen.thickness == 0:
        chosen = replace(chosen, thickness=AUGMENTATIONS["digits"].thickness)
    return chosen, words


def _border(images: Tensor) -> Tensor:
    """The median colour ``(N, C)`` of the outermost pixels of images ``(N, C, H, W)``."""
    edges = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
    return torch.cat(edges, dim=2).median(dim=2).values


def _unlike(colours: Tensor) -> float:
    """What is left of colours ``(N, C)`` after the nearest of a few shades, a channel."""
    if len(colours) < FEWEST:
        return 0.0
    # Loading scikit-learn takes a second, which commands that do not train can save.
    from sklearn.cluster import KMeans

    shades = SHADES if colours.shape[1] > 1 else 2
    found = KMeans(shades, n_init=3, random_state=0).fit(colours.numpy())
    return math.sqrt(found.inertia_ / colours.numel())


def _name_colours(symbols: Sequence[str]) -> bool:
    """Whether at least half of the symbols are names of colours."""
    from PIL import ImageColor

    known = ImageColor.colormap
    return 2 * sum(symbol.strip("'\"").lower() in known for symbol in symbols) >= max(
        len(symbols), 1
    )
