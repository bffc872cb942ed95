"""A set of images, or of other inputs, with optional labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.data.levels import Levels
from groundkit.data.stored import fitting
from groundkit.errors import DataError, choose_from
from groundkit.perception.inputs import kind_of
from groundkit.perception.pixels import to_model
from groundkit.report.words import counted
from groundkit.symbols import plain

Labels: TypeAlias = NDArray[np.int64]

TRUE_OR_FALSE = ("true", "false")
"""Classes of a concept that holds or not, in the order of the domain of an nn/2 network."""


@dataclass(frozen=True)
class Attribute:
    """One labelling of some images: their shape, their colour, whether a light is red.

    Attributes:
        labels: ``(N,)`` indices into ``classes``.
        classes: Names of the labels; those of a concept that holds or not are ``TRUE_OR_FALSE``.
    """

    labels: Labels
    classes: tuple[str, ...]

    def subset(self, where: NDArray[np.int64]) -> Attribute:
        """Returns the labels at ``where``."""
        return Attribute(self.labels[where], self.classes)

    def holds(self, symbols: Sequence[str]) -> bool:
        """Tells whether every symbol is the name of a class."""
        return {plain(symbol) for symbol in symbols} <= set(self.classes)

    def counts(self, symbols: Sequence[str]) -> bool:
        """Tells whether every symbol is the number of a class, and none is a class's name."""
        known = [plain(symbol) for symbol in symbols]
        return not set(known) & set(self.classes) and all(
            symbol.isdigit() and int(symbol) < len(self.classes) for symbol in known
        )


@dataclass(frozen=True)
class ImageSet:
    """Images, or other inputs, with optional labels.

    Attributes:
        name: The name of the data set, for messages.
        pixels: ``(N, C, H, W)`` bytes; floats ``(N, D)`` of rows and ``(N, T, D)`` of sequences, in
            units of their own.
        labels: ``(N,)`` indices into ``classes``, or ``None`` where nothing is known.
        classes: Names of the labels.
        attributes: Further labellings of the same images, by name.
        assumed: What was taken for granted when the images were read, in words.
        levels: Which values of image files were black and white, by the type of these.
    """

    name: str
    pixels: Tensor
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    levels: Mapping[str, Levels] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, ``(C, H, W)``, row ``(D,)`` or sequence ``(T, D)``."""
        return tuple(self.pixels.shape[1:])

    def floats(self, indices: Tensor | NDArray[np.int64] | slice | None = None) -> Tensor:
        """Returns images in the models' range, ``(n, C, H, W)`` float32 in [-1, 1].

        Rows and sequences are returned as they are: their scale belongs to the network.
        """
        chosen = self.pixels if indices is None else self.pixels[indices]
        return to_model(chosen)

    def subset(self, indices: NDArray[np.int64] | Sequence[int]) -> ImageSet:
        """Returns the images at ``indices``, with all their labels."""
        where = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            pixels=self.pixels[torch.from_numpy(where)],
            labels=None if self.labels is None else self.labels[where],
            attributes={name: one.subset(where) for name, one in self.attributes.items()},
        )


@dataclass(frozen=True)
class DataSource:
    """A data set with its fixed split."""

    name: str
    train: ImageSet
    test: ImageSet

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.train.classes

    def brought_to(self, shape: Sequence[int]) -> DataSource:
        """Returns the same images in another shape ``(C, H, W)``; see :func:`match_shape`."""
        return DataSource(self.name, match_shape(self.train, shape), match_shape(self.test, shape))


def split(whole: ImageSet, seed: int, test_share: float = 0.2) -> DataSource:
    """Splits a set into training and test images, every class by the same share.

    Test images are held in memory: of a large set those that fit, drawn at random.
    """
    rng = np.random.default_rng(seed)
    groups = (
        [np.arange(len(whole))]
        if whole.labels is None
        else [np.flatnonzero(whole.labels == k) for k in np.unique(whole.labels)]
    )
    train, test = [], []
    for group in groups:
        shuffled = rng.permutation(group)
        cut = max(1, round(len(shuffled) * test_share)) if len(shuffled) > 1 else 0
        test.append(shuffled[:cut])
        train.append(shuffled[cut:])
    trained = whole.subset(rng.permutation(np.concatenate(train)))
    held_out = whole.subset(rng.permutation(np.concatenate(test)))
    scored = fitting(held_out.pixels)
    if len(scored) < len(held_out):
        held_out = held_out.subset(np.arange(len(scored)))
    return DataSource(whole.name, trained, replace(held_out, pixels=scored))


# How bright red, green and blue are to the eye (ITU-R 601), as Pillow turns files to grey.
_LUMA = (0.299, 0.587, 0.114)
_MATCHED_AT_ONCE = 1000


def match_shape(images: ImageSet, shape: Sequence[int]) -> ImageSet:
    """Resizes images and converts their colours to another shape.

    Args:
        images: Bytes ``(N, C, H, W)``.
        shape: The wanted ``(C, H, W)``; or that of other inputs, which have it.

    Raises:
        DataError: There is no way from one number of channels to the other, or the inputs are no
            images.
    """
    if images.shape == tuple(shape):
        return images
    kind, wanted = kind_of(images.shape), kind_of(shape)
    if kind != "image" or wanted != "image":
        raise DataError(
            f"'{images.name}' has {kind}s of the shape {'x'.join(map(str, images.shape))}",
            expected=f"{wanted}s of the shape {'x'.join(map(str, shape))}",
            remedy="name a data set of such inputs, and leave out image_shape if it is set",
        )
    channels, height, width = shape
    found = []
    for part in torch.split(images.pixels, _MATCHED_AT_ONCE):
        pixels = _match_channels(part.float(), channels, images.name)
        if pixels.shape[2:] != (height, width):
            pixels = torch.nn.functional.interpolate(
                pixels, (height, width), mode="bilinear", antialias=True
            )
        found.append(pixels.round().clamp(0, 255).to(torch.uint8))
    return replace(images, pixels=torch.cat(found))


def _match_channels(pixels: Tensor, channels: int, name: str) -> Tensor:
    """Converts between grey, colour, and either with opacity, laid on white where it goes."""
    before = pixels.shape[1]
    if before == channels:
        return pixels
    if before > 4 or channels > 4:
        raise DataError(
            f"images of '{name}' have {counted(before, 'channel')}, wanted are {channels}",
            expected="1 to 4 channels: grey, grey and opacity, colour, colour and opacity",
        )
    opacity = torch.full_like(pixels[:, :1], 255.0)
    if before in (2, 4):
        opacity, pixels = pixels[:, -1:], pixels[:, :-1]
        if channels in (1, 3):
            pixels = 255.0 + (pixels - 255.0) * opacity / 255.0
    wanted = 1 if channels < 3 else 3
    if wanted == 1 and pixels.shape[1] == 3:
        weights = torch.tensor(_LUMA, device=pixels.device)[:, None, None]
        pixels = (pixels * weights).sum(dim=1, keepdim=True)
    pixels = pixels.expand(-1, wanted, -1, -1)
    return torch.cat([pixels, opacity], dim=1) if channels in (2, 4) else pixels


def labelling(images: ImageSet, domain: Sequence[str], wanted: str | None = None) -> Attribute:
    """Finds which labelling of some images the symbols of a network speak of.

    That is the attribute ``wanted``; else the images' primary labels if all symbols are names of
    their classes; else the only attribute that has all symbols; else the primary labels if the
    symbols are whole numbers, the numbers of their classes.

    Args:
        images: The images.
        domain: Printed symbols of the network.
        wanted: Name of an attribute.

    Raises:
        DataError: There is no such attribute, none has the symbols, or several have them.
    """
    if wanted is not None:
        return _attribute(images, domain, wanted)
    primary = None if images.labels is None else Attribute(images.labels, images.classes)
    if primary is not None and primary.holds(domain):
        return primary
    fitting = [name for name, one in images.attributes.items() if one.holds(domain)]
    if len(fitting) == 1:
        return images.attributes[fitting[0]]
    if len(fitting) > 1:
        raise DataError(
            f"the attributes {', '.join(fitting)} of '{images.name}' all have the symbols "
            f"{', '.join(domain)}",
            remedy=f'say which one is meant: attribute = "{fitting[0]}" in the network\'s table',
        )
    if primary is not None and primary.counts(domain):
        return primary
    if primary is None and not images.attributes:
        raise DataError(
            f"'{images.name}' has no labels to draw examples from",
            remedy="name a labelled data set, or give examples in [examples] file = ...",
        )
    raise DataError(
        f"no labels of '{images.name}' have the symbols {', '.join(domain)}",
        expected=_described(images),
    )


def _attribute(images: ImageSet, domain: Sequence[str], wanted: str) -> Attribute:
    """Returns an attribute by its name, if it has the symbols of the domain."""
    if not images.attributes:
        raise DataError(
            f"the images of '{images.name}' have no attributes, and so no '{wanted}'",
            remedy="leave the key attribute out, or name a data set that has attributes",
        )
    if wanted not in images.attributes:
        raise DataError(
            f"the images of '{images.name}' have no attribute '{wanted}'",
            remedy=choose_from(wanted, images.attributes),
        )
    found = images.attributes[wanted]
    if not (found.holds(domain) or found.counts(domain)):
        raise DataError(
            f"the attribute '{wanted}' of '{images.name}' lacks some of the symbols "
            f"{', '.join(domain)}",
            expected=_described(images),
        )
    return found


def _described(images: ImageSet) -> str:
    """Lists a set's labellings with their classes."""
    found = [] if images.labels is None else [f"its classes {_some(images.classes)}"]
    found += [f"{name} ({_some(one.classes)})" for name, one in images.attributes.items()]
    return "symbols of one of: " + "; ".join(found)


def _some(names: Sequence[str], most: int = 12) -> str:
    """Lists names, of many only the first."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
