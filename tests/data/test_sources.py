"""Data sets by name: fixed splits, real formats, and what to do about absent ones."""

import gzip
import hashlib
import importlib.util
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch

from groundkit.data import sources
from groundkit.data.images import DataSource, ImageSet
from groundkit.errors import DataError


def test_mnist5k_has_its_fixed_split():
    data = sources.load_data("mnist5k")
    assert (len(data.train), len(data.test)) == (4000, 1000)
    assert np.bincount(data.test.labels).tolist() == [100] * 10
    # The split is part of what published numbers mean: it may not move.
    assert (
        data.train.labels[:8].tolist() == sources.CARDS["mnist5k"].load().train.labels[:8].tolist()
    )
    joined = torch.cat([data.train.pixels, data.test.pixels]).flatten(1)
    assert len(torch.unique(joined, dim=0)) == 5000


def test_models_see_minus_one_to_one():
    images = sources.load_data("digits8").train.floats()
    assert images.dtype == torch.float32
    assert images.min() == -1
    assert images.max() == 1


def test_unknown_name_offers_the_nearest():
    with pytest.raises(DataError, match="did you mean 'mnist5k'"):
        sources.load_data("mnist5")


def test_absent_data_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDKIT_DATA", str(tmp_path))
    monkeypatch.setattr(sources, "CARDS", dict(sources.CARDS))
    monkeypatch.setattr(sources, "DEBIAN_FASHION", tmp_path / "none")
    for name in ("fashion-mnist", "mnist", "cifar10", "cifar100", "svhn"):
        with pytest.raises(sources.MissingDataError) as caught:
            sources.CARDS[name].load()
        assert caught.value.remedy == sources.CARDS[name].get


def idx(array):
    head = b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_fashion_mnist_is_read_from_its_own_format(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(sources, "DEBIAN_FASHION", tmp_path)
    for part, count in (("train", 6), ("t10k", 3)):
        images = rng.integers(0, 256, (count, 28, 28))
        labels = np.arange(count) % 10
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    data = sources.CARDS["fashion-mnist"].load()
    assert (len(data.train), len(data.test), data.train.shape) == (6, 3, (1, 28, 28))
    assert data.classes[data.test.labels[1]] == "trouser"


def test_idx_cut_short_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(idx(np.zeros((4, 4)))[:-3])
    with pytest.raises(DataError, match="cut short"):
        sources.read_idx(path)


@pytest.mark.parametrize("name", sources.GENERATED_OOD)
def test_foreign_sets_are_always_there_in_the_right_shape(name):
    inside = sources.load_data("mnist5k").test
    foreign = sources.load_ood(name, inside, 30, seed=1)
    again = sources.load_ood(name, inside, 30, seed=1)
    assert foreign.pixels.shape == (30, 1, 28, 28)
    assert torch.equal(foreign.pixels, again.pixels)
    assert len(torch.unique(foreign.pixels.flatten(1), dim=0)) > 25


def test_a_foreign_data_set_takes_the_shape_of_the_inside():
    inside = sources.load_data("digits8").test
    assert sources.load_ood("mnist5k", inside, 20, 0).pixels.shape == (20, 1, 8, 8)


def two_points():
    pixels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    images = ImageSet("mine", pixels, np.array([0, 1, 0, 1]), ("a", "b"))
    return DataSource("mine", images, images)


def test_a_data_set_of_ones_own_is_registered_once_and_loaded_when_used(monkeypatch):
    monkeypatch.setattr(sources, "CARDS", dict(sources.CARDS))
    calls = []
    sources.register_source("mine", lambda: calls.append(1) or two_points(), "four black images")
    assert not calls and sources.CARDS["mine"].summary == "four black images"
    assert sources.load_data("mine") is sources.load_data("mine")
    assert calls == [1]
    sources.register_source("mine", two_points)
    assert len(sources.load_data("mine").train) == 4 and calls == [1]
    for name, wrong in (("mnist5k", "there is a data set"), ("a/b", "is no name"), ("", "no name")):
        with pytest.raises(DataError, match=wrong):
            sources.register_source(name, two_points)
    sources.register_source("wrong", lambda: [1, 2])
    with pytest.raises(DataError, match="returned a list"):
        sources.load_data("wrong")


def test_pages_are_what_the_cards_say():
    root = Path(__file__).parents[2] / "datasets"
    spec = importlib.util.spec_from_file_location("generate_datasets", root / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    pages = generate.pages()
    for name, page in pages.items():
        written = (root / name).read_text(encoding="utf-8") if (root / name).exists() else None
        assert written == page, f"run python datasets/generate.py: {name} is out of date"
    assert {path.name for path in root.glob("*.md")} == set(pages)
    assert {path.suffix for path in root.iterdir() if path.is_file()} == {".md", ".py"}


def test_checksums_are_those_of_the_files():
    from torchvision import datasets

    packages = Path(sklearn.__file__).parents[1]
    for name in ("mnist5k", "digits8"):
        for file, number in sources.CARDS[name].checksums.items():
            found = hashlib.sha256((packages / file).read_bytes()).hexdigest()
            assert number == f"sha256:{found}"
    known = dict(datasets.MNIST.resources)
    known_fashion = dict(datasets.FashionMNIST.resources)
    svhn = {row[1]: row[2] for key, row in datasets.SVHN.split_list.items() if key != "extra"}
    cifar = [{one.filename: one.tgz_md5} for one in (datasets.CIFAR10, datasets.CIFAR100)]
    for name, files in zip(
        ("mnist", "fashion-mnist", "svhn", "cifar10", "cifar100"),
        (known, known_fashion, svhn, *cifar),
        strict=True,
    ):
        written = sources.CARDS[name].checksums.items()
        assert {f: n.removeprefix("md5:") for f, n in written if n.startswith("md5:")} == files


@pytest.mark.skipif(not sources.DEBIAN_FASHION.exists(), reason="dataset-fashion-mnist is absent")
def test_checksums_are_those_of_debians_files():
    for file, number in sources.CARDS["fashion-mnist"].checksums.items():
        if file.startswith("Debian's "):
            content = (sources.DEBIAN_FASHION / file.removeprefix("Debian's ")).read_bytes()
            assert number == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_whether_a_set_is_there_is_told_without_reading_it(monkeypatch, tmp_path):
    def read():
        raise AssertionError("it was read")

    monkeypatch.setenv("GROUNDKIT_DATA", str(tmp_path))
    monkeypatch.setattr(sources, "CARDS", dict(sources.CARDS))
    monkeypatch.setattr(sources, "DEBIAN_FASHION", tmp_path / "debian")
    sources.register_source("mine", read, "a set of one's own")
    for name, card in list(sources.CARDS.items()):
        sources.CARDS[name] = replace(card, load=read)
    missing = {name for name, card in sources.CARDS.items() if not card.there()}
    fetched = {"mnist", "svhn", "cifar10", "cifar100", "fashion-mnist"}
    assert missing == fetched | {"mnist5k-foreign"}
    for name in ("MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/t10k-images-idx3-ubyte"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sources.CARDS["mnist"].there()
