"""Downloads data sets through torchvision, only when the user asks for it."""

from __future__ import annotations

from groundkit.data.sources import CARDS, data_root
from groundkit.errors import DataError, RunError, choose_from


def download(name: str) -> None:
    """Downloads a data set into the data folder.

    Raises:
        DataError: It is unknown or comes with a package.
        RunError: The download failed.
    """
    from torchvision import datasets

    root = data_root()
    steps = {
        "mnist": lambda: [datasets.MNIST(root, t, download=True) for t in (True, False)],
        "fashion-mnist": lambda: [
            datasets.FashionMNIST(root, t, download=True) for t in (True, False)
        ],
        "svhn": lambda: [datasets.SVHN(root / "SVHN", s, download=True) for s in ("train", "test")],
        "cifar10": lambda: [datasets.CIFAR10(root, t, download=True) for t in (True, False)],
        "cifar100": lambda: [datasets.CIFAR100(root, t, download=True) for t in (True, False)],
    }
    if name not in steps:
        known = f"{name} comes with a package: {CARDS[name].get}" if name in CARDS else None
        raise DataError(known or f"unknown data set '{name}'", remedy=choose_from(name, steps))
    try:
        steps[name]()
    except (OSError, RuntimeError) as error:
        raise RunError(f"{name} could not be downloaded: {error}") from None
