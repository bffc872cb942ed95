"""Data sets in torchvision's formats, read from the data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from groundkit.data.cards import MissingDataError
from groundkit.data.images import DataSource, ImageSet

_DIGITS = tuple("0123456789")
# What torchvision's sets unpack to, below the data folder.
_UNPACKED = {
    "mnist": ("MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/t10k-images-idx3-ubyte"),
    "svhn": ("SVHN/train_32x32.mat", "SVHN/test_32x32.mat"),
    "cifar10": ("cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/test_batch"),
    "cifar100": ("cifar-100-python/train", "cifar-100-python/test"),
}


def is_unpacked(name: str, root: Path) -> bool:
    """Tells whether the files of one of torchvision's data sets are in the data folder."""
    return all((root / file).is_file() for file in _UNPACKED[name])


def load_torchvision(name: str, root: Path, get: str) -> DataSource:
    """Reads one of torchvision's data sets from the data folder; nothing is downloaded here.

    Args:
        name: ``mnist``, ``svhn``, ``cifar10`` or ``cifar100``.
        root: The data folder.
        get: How to get it, for the message.

    Raises:
        MissingDataError: It is not there.
    """
    from torchvision import datasets

    by_split: dict[str, Callable[[bool], object]] = {
        "mnist": lambda train: datasets.MNIST(root, train),
        "svhn": lambda train: datasets.SVHN(root / "SVHN", "train" if train else "test"),
        "cifar10": lambda train: datasets.CIFAR10(root, train),
        "cifar100": lambda train: datasets.CIFAR100(root, train),
    }
    try:
        train, test = by_split[name](True), by_split[name](False)
    except RuntimeError:  # it is absent, or damaged
        raise MissingDataError(f"{name} is not in '{root}', or not whole", remedy=get) from None
    return DataSource(name, _from_torchvision(name, train), _from_torchvision(name, test))


def _from_torchvision(name: str, data: object) -> ImageSet:
    """Takes the arrays out of a torchvision data set."""
    raw = getattr(data, "data")  # noqa: B009 - torchvision's data sets share no typed base
    pixels = raw if isinstance(raw, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(raw))
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[-1] == 3:
        pixels = pixels.permute(0, 3, 1, 2).contiguous()
    labels = getattr(data, "targets", None)
    if labels is None:
        labels = getattr(data, "labels")  # noqa: B009
    classes = tuple(str(c).split(" - ")[0] for c in getattr(data, "classes", _DIGITS))
    return ImageSet(name, pixels, np.asarray(labels, dtype=np.int64), classes)
