"""Tiny files in the real formats of CIFAR and SVHN: read, trained on and evaluated to the end."""

import pickle

import numpy as np
import pytest
from scipy.io import savemat

from groundkit.data import sources
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.evaluate.clustering import score_clusters
from groundkit.evaluate.ood import model_scores, score_ood
from groundkit.perception.history import StepRow
from groundkit.perception.settings import SamplerSpec

TRAIN, TEST = 60, 20


def write_cifar(root, name, rng):
    """The python version of CIFAR: pickled batches of rows, red then green then blue."""
    fine = name == "cifar100"
    folder = root / ("cifar-100-python" if fine else "cifar-10-batches-py")
    folder.mkdir(parents=True)
    count = 100 if fine else 10
    key, names = ("fine_labels", "fine_label_names") if fine else ("labels", "label_names")
    parts = {"train": TRAIN} if fine else {f"data_batch_{i}": TRAIN // 5 for i in range(1, 6)}
    written = []
    for part, size in (*parts.items(), ("test" if fine else "test_batch", TEST)):
        data = rng.integers(0, 256, (size, 3072), dtype=np.uint8)
        labels = [int(i) % count for i in rng.permutation(size)]
        (folder / part).write_bytes(pickle.dumps({"data": data, key: labels}))
        written.append((data, labels))
    meta = {names: [f"class {i}" for i in range(count)]}
    (folder / ("meta" if fine else "batches.meta")).write_bytes(pickle.dumps(meta))
    return written[0], written[-1]


def write_svhn(root, rng):
    """SVHN's cropped digits: matrices (32, 32, 3, N), the digit 0 with label 10."""
    (root / "SVHN").mkdir()
    written = []
    for part, size in (("train", TRAIN), ("test", TEST)):
        data = rng.integers(0, 256, (32, 32, 3, size), dtype=np.uint8)
        labels = np.arange(size)[:, None] % 10 + 1
        savemat(root / "SVHN" / f"{part}_32x32.mat", {"X": data, "y": labels})
        rows = data.transpose(3, 2, 0, 1).reshape(size, -1)
        written.append((rows, (labels[:, 0] % 10).tolist()))
    return written[0], written[-1]


@pytest.fixture(params=["cifar10", "cifar100", "svhn"])
def written(request, tmp_path, monkeypatch):
    """Writes a data set; returns its name, its first training rows and its test rows."""
    from torchvision.datasets import cifar, svhn

    # Whole data sets have known checksums, these have not.
    for module in (cifar, svhn):
        monkeypatch.setattr(module, "check_integrity", lambda path, md5=None: True)
    monkeypatch.setenv("GROUNDKIT_DATA", str(tmp_path))
    sources._load_named.cache_clear()
    rng = np.random.default_rng(0)
    name = request.param
    yield (
        name,
        *(write_svhn(tmp_path, rng) if name == "svhn" else write_cifar(tmp_path, name, rng)),
    )
    sources._load_named.cache_clear()


def test_pixels_and_labels_are_those_of_the_files(written):
    name, train, test = written
    data = sources.load_data(name)
    assert data.train.pixels.shape == (TRAIN, 3, 32, 32)
    assert data.test.pixels.shape == (TEST, 3, 32, 32)
    for images, (rows, labels) in ((data.train, train), (data.test, test)):
        assert np.array_equal(images.pixels[: len(rows)].flatten(1).numpy(), rows)
        assert images.labels[: len(rows)].tolist() == labels
    assert len(data.classes) == (100 if name == "cifar100" else 10)


def test_the_preset_trains_clusters_scores_and_generates(written):
    name, *_ = written
    data = sources.load_data(name)
    small = SymbolPerception.from_preset(
        name,
        n_symbols=3,
        options={"width": 4, "features": 8},
        cluster_steps=2,
        min_steps=22,
        pool_batch=16,
        cluster_batch=16,
        sampler=SamplerSpec(batch=8, buffer=16, every=1, until=1),
    )
    small.fit(data.train.pixels)
    assert any("generative" in row.terms for row in small.history_ if isinstance(row, StepRow))
    scores = score_clusters(data.test.labels, small.predict(data.test.pixels))
    assert scores.n == TEST and 0 <= scores.nmi <= 1
    noise = sources.load_ood("noise", data.test, TEST, 0)
    inside, outside = (model_scores(small.model_, x.floats()) for x in (data.test, noise))
    assert 0 <= score_ood(inside["energy"], outside["energy"]).auroc <= 1
    made = small.sample(4, steps=2)
    assert made.shape == (4, 3, 32, 32) and np.isfinite(made).all()
