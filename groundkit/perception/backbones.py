"""Backbones: networks from inputs to features ``(B, F)``.

Inputs are images ``(B, C, H, W)``, rows of features ``(B, D)`` or sequences ``(B, T, D)``.

None uses batch normalisation: it ties the energies of a batch together, and with it the sampler's
gradient of one image depends on the others. Smooth activations keep that gradient useful.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from groundkit.errors import NetworkError, choose_from
from groundkit.perception.inputs import Kind, Shape, kind_of
from groundkit.perception.recurrent import Gru, Transformer

MAX_PARAMETERS = 500_000_000
"""Two gigabytes of weights, and as much again three times for training them."""


class Backbone(nn.Module):
    """Base of the built-in backbones: a body and the number of features it ends in.

    A user's own backbone may be any ``nn.Module``;
    :func:`~groundkit.perception.own_modules.build_own` wraps it in this class and measures
    ``features``.
    """

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body = body
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(B, F)`` of inputs ``(B, ...)``."""
        result: Tensor = self.body(x)
        return result


def identity(image_shape: Shape) -> Backbone:
    """The input itself, flattened, for features that tell symbols apart as they are.

    Args:
        image_shape: Shape of an input of any kind.
    """
    return Backbone(nn.Flatten(), math.prod(image_shape))


def mlp(image_shape: Shape, *, width: int = 256, features: int = 128, depth: int = 2) -> Backbone:
    """Fully connected layers with SiLU, for rows of features and very small images.

    Args:
        image_shape: Shape of an input of any kind.
        width: Units of a hidden layer.
        features: Number of features F.
        depth: Number of hidden layers, at least 1.
    """
    sizes = [math.prod(image_shape)] + [width] * depth
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.SiLU()]
    layers.append(nn.Linear(width, features))
    return Backbone(nn.Sequential(*layers), features)


def convnet(image_shape: tuple[int, int, int], *, width: int = 32, features: int = 128) -> Backbone:
    """A small convolutional network: strides, SiLU, a linear read-out of the last map.

    Channels go ``width, 2 width, 2 width, 4 width`` and the map halves three times.

    Args:
        image_shape: ``(C, H, W)``.
        width: Channels of the first layer.
        features: Number of features F.
    """
    channels, height, breadth = image_shape
    layers: list[nn.Module] = []
    for after, stride in ((width, 2), (2 * width, 1), (2 * width, 2), (4 * width, 2)):
        layers += [nn.Conv2d(channels, after, 3, stride, 1), nn.SiLU()]
        channels = after
        height, breadth = -(-height // stride), -(-breadth // stride)
    layers += [nn.Flatten(), nn.Linear(channels * height * breadth, features)]
    return Backbone(nn.Sequential(*layers), features)


class _ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a short cut, without normalisation."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        act = nn.LeakyReLU(0.2)
        self.residual = nn.Sequential(
            act, nn.Conv2d(before, after, 3, stride, 1), act, nn.Conv2d(after, after, 3, 1, 1)
        )
        short: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True)] if stride == 2 else []
        if before != after:
            short.append(nn.Conv2d(before, after, 1))
        self.short = nn.Sequential(*short)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.short(x) + self.residual(x)
        return result


def _resnet(
    image_shape: tuple[int, int, int], features: int, widths: list[int], strides: list[int]
) -> Backbone:
    stem = nn.Conv2d(image_shape[0], widths[0], 3, 1, 1)
    blocks = [
        _ResidualBlock(before, after, stride)
        for before, after, stride in zip([widths[0], *widths], widths, strides, strict=False)
    ]
    head = [nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    read_out = nn.Linear(widths[-1], features)
    return Backbone(nn.Sequential(stem, *blocks, *head, read_out), features)


def resnet8(
    image_shape: tuple[int, int, int], *, width: int = 128, features: int = 128
) -> Backbone:
    """The authors' residual network: 8 convolutions in 4 blocks, LeakyReLU, no batch norm.

    Args:
        image_shape: ``(C, H, W)``.
        width: Channels of every block; 128 in the paper, 256 there for CIFAR-100.
        features: Number of features F.
    """
    return _resnet(image_shape, features, [width] * 4, [2, 2, 1, 1])


def resnet18(
    image_shape: tuple[int, int, int], *, width: int = 64, features: int = 512
) -> Backbone:
    """ResNet-18's plan (8 blocks, widths 1, 2, 4, 8 times ``width``) for small images, no norm.

    Args:
        image_shape: ``(C, H, W)``.
        width: Channels of the first stage.
        features: Number of features F.
    """
    widths = [width * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8)]
    return _resnet(image_shape, features, widths, [1, 1, 2, 1, 2, 1, 2, 1])


def gru(
    image_shape: tuple[int, int], *, width: int = 128, features: int = 128, depth: int = 1
) -> Backbone:
    """A gated recurrent network over a sequence in both directions, averaged over time.

    Args:
        image_shape: ``(T, D)``.
        width: Units of either direction.
        features: Number of features F.
        depth: Number of layers, at least 1.
    """
    return Backbone(Gru(image_shape[1], width, features, depth=depth), features)


def transformer(
    image_shape: tuple[int, int],
    *,
    width: int = 64,
    features: int = 128,
    depth: int = 2,
    heads: int = 4,
) -> Backbone:
    """A transformer over the steps of a sequence, averaged over time.

    Args:
        image_shape: ``(T, D)``.
        width: Width of a step's vector, a multiple of ``heads``.
        features: Number of features F.
        depth: Number of layers, at least 1.
        heads: Attention heads of a layer.

    Raises:
        NetworkError: The heads do not divide the width.
    """
    if width % heads:
        raise NetworkError(
            f"a transformer of width {width} with {heads} heads",
            expected="a width that is a multiple of the heads",
        )
    body = Transformer(image_shape, width, features, depth=depth, heads=heads)
    return Backbone(body, features)


BACKBONES: dict[str, Callable[..., Backbone]] = {
    "identity": identity,
    "mlp": mlp,
    "convnet": convnet,
    "resnet8": resnet8,
    "resnet18": resnet18,
    "gru": gru,
    "transformer": transformer,
}
READS: dict[str, Kind] = {
    "convnet": "image",
    "resnet8": "image",
    "resnet18": "image",
    "gru": "sequence",
    "transformer": "sequence",
}
"""The kind of input that a backbone reads; one that is not listed reads all."""


class OptionError(NetworkError):
    """An option of a backbone is wrong.

    Args:
        option: Its name.
        found: What is wrong.
        expected: What would have been right.
        remedy: What can be done.
    """

    def __init__(
        self, option: str, found: str, *, expected: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(found, expected=expected, remedy=remedy)
        self.option = option


def build_backbone(name: str, image_shape: Shape, **options: int) -> Backbone:
    """Builds a built-in backbone by name.

    Args:
        name: A key of ``BACKBONES``.
        image_shape: Shape of an input: ``(C, H, W)``, ``(D,)`` or ``(T, D)``.
        **options: The backbone's own, such as ``width``.

    Returns:
        A module with ``.features``.

    Raises:
        NetworkError: Unknown name or option, or a kind of input that it does not read.
    """
    if name not in BACKBONES:
        valid = [*BACKBONES, "module:NAME:Class"]
        raise NetworkError(f"unknown backbone '{name}'", remedy=choose_from(name, valid))
    build, kind = BACKBONES[name], kind_of(image_shape)
    if READS.get(name, kind) != kind:
        fitting = [one for one in BACKBONES if READS.get(one, kind) == kind]
        raise NetworkError(
            f"backbone '{name}' reads {READS[name]}s, the inputs are {kind}s of shape "
            f"{'x'.join(map(str, image_shape))}",
            expected=f"one of {', '.join(fitting)}",
        )
    known = [key for key in inspect.signature(build).parameters if key != "image_shape"]
    for option, value in options.items():
        if option not in known:
            raise OptionError(
                option,
                f"backbone '{name}' has no option '{option}'",
                remedy=choose_from(option, known),
            )
        if value < 1:
            raise OptionError(
                option, f"{option} = {value}", expected="a whole number of at least 1"
            )
    _refuse_giant(name, build, image_shape, options)
    return build(image_shape, **options)


def _refuse_giant(
    name: str,
    build: Callable[..., Backbone],
    image_shape: Shape,
    options: dict[str, int],
) -> None:
    """Refuses a backbone whose parameters fit no memory; counting them takes none."""
    try:
        with torch.device("meta"):
            count = sum(p.numel() for p in build(image_shape, **options).parameters())
    except (RuntimeError, OverflowError, TypeError, MemoryError):  # more than torch can count
        count = None
    if count is None or count > MAX_PARAMETERS:
        given = ", ".join(f"{key} = {value}" for key, value in options.items()) or "its defaults"
        raise NetworkError(
            f"backbone '{name}' with {given} has "
            f"{'more parameters than can be counted' if count is None else f'{count:,} parameters'}"
            f" for {kind_of(image_shape)}s of {'x'.join(map(str, image_shape))}",
            expected=f"at most {MAX_PARAMETERS:,} parameters",
            remedy="take smaller options, such as a smaller width",
        )
