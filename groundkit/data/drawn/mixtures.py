"""Digits as they are not in a benchmark: one of them common, some of them no digits at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from groundkit.data.images import TRUE_OR_FALSE, Attribute, DataSource, ImageSet, match_shape

COMMON_SHARE = 0.395
FOREIGN_SHARE = 0.05


def imbalanced(digits: DataSource, name: str) -> DataSource:
    """Keeps all images of the first class, and of the others so many that it has 39.5 %.

    Training and test images have the same shares.
    """
    return DataSource(name, _fewer(digits.train, name, 1), _fewer(digits.test, name, 2))


def _fewer(images: ImageSet, name: str, seed: int) -> ImageSet:
    assert images.labels is not None  # these are digits with their labels
    rng = np.random.default_rng(seed)
    common = np.flatnonzero(images.labels == 0)
    others = len(images.classes) - 1
    wanted = round(len(common) * (1 - COMMON_SHARE) / COMMON_SHARE)
    kept = [common]
    for number in range(others):
        group = np.flatnonzero(images.labels == number + 1)
        share = (wanted * (number + 1)) // others - (wanted * number) // others
        kept.append(rng.permutation(group)[:share])
    return replace(images, name=name).subset(rng.permutation(np.concatenate(kept)))


def with_foreign(digits: DataSource, foreign: DataSource, name: str) -> DataSource:
    """Mixes foreign images into the training images: 5 % of them, each called a random digit.

    The attribute ``foreign`` tells them apart. The test images are the digits alone.
    """
    train, test = digits.train, digits.test
    assert train.labels is not None
    rng = np.random.default_rng(1)
    count = round(len(train) * FOREIGN_SHARE / (1 - FOREIGN_SHARE))
    others = foreign.train.subset(rng.permutation(len(foreign.train))[:count])
    pixels = torch.cat([train.pixels, match_shape(others, train.shape).pixels])
    called = rng.integers(len(train.classes), size=count)
    labels = np.concatenate([train.labels, called])
    mixed = ImageSet(
        name, pixels, labels, train.classes, _foreign(np.arange(len(labels)) >= len(train))
    )
    clean = replace(test, name=name, attributes=_foreign(np.zeros(len(test), dtype=bool)))
    return DataSource(name, mixed.subset(rng.permutation(len(mixed))), clean)


def _foreign(which: np.ndarray) -> dict[str, Attribute]:
    return {"foreign": Attribute(np.where(which, 0, 1).astype(np.int64), TRUE_OR_FALSE)}
