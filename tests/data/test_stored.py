"""Sets that stay on disk hold the very images that sets in memory do."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.data import files, stored
from groundkit.data.archives import load_npz
from groundkit.data.images import ImageSet, split
from groundkit.data.kept import KeptImages
from groundkit.data.stored import StoredImages, as_stored, fitting
from groundkit.errors import DataError, RunError
from tests.small import left_behind


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pair(tmp_path):
    """Fifty images in a file behind other bytes, and the same in memory."""
    array = np.random.default_rng(0).integers(0, 256, (50, 3, 5, 4), dtype=np.uint8)
    (tmp_path / "pixels").write_bytes(b"head" + array.tobytes())
    return as_stored(tmp_path / "pixels", 4, array.shape), torch.from_numpy(array)


PLACES = torch.tensor([4, 4, 5, 6, 0, 49])
CHOICES = {
    "places": lambda x: x[PLACES],
    "places in NumPy": lambda x: x[PLACES.numpy()],
    "marks": lambda x: x[torch.arange(50) % 3 == 0],
    "some": lambda x: x[10:40:3],
    "none": lambda x: x[PLACES[:0]],
    "chosen twice": lambda x: x[PLACES][2:5],
    "a part of a split": lambda x: torch.split(x, 7)[-1],
    "a part by method": lambda x: x.split(16)[1],
}
COMPUTED = {
    "one": lambda x: x[-3],
    "rows": lambda x: x[..., 0, :],
    "places in two axes": lambda x: x[PLACES.reshape(2, 3)],
    "floats": lambda x: x.float(),
    "another type": lambda x: x.to(torch.float64),
    "turned": lambda x: torch.rot90(x, 1, (-2, -1)),
    "inverted": lambda x: 255 - x,
    "joined": lambda x: torch.cat([x, x[:2]]),
    "of NumPy": lambda x: torch.from_numpy(x.numpy()),
}


@pytest.mark.parametrize("choose", CHOICES.values(), ids=CHOICES)
def test_choosing_reads_nothing_and_means_the_same(pair, choose, monkeypatch):
    on_disk, in_memory = pair
    with monkeypatch.context() as patch:
        patch.setattr(StoredImages, "read", lambda self: pytest.fail("it was read"))
        chosen = choose(on_disk)
        assert chosen.shape == choose(in_memory).shape
        assert (len(chosen), chosen.dtype) == (len(choose(in_memory)), torch.uint8)
    assert torch.equal(chosen.float(), choose(in_memory).float())


@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED)
def test_whatever_is_computed_is_what_memory_gives(pair, compute):
    on_disk, in_memory = pair
    assert type(compute(on_disk)) is torch.Tensor
    assert torch.equal(compute(on_disk), compute(in_memory))


def test_parts_are_read_to_the_device_that_the_set_was_moved_to(pair):
    moved = pair[0].to(torch.device("meta"))
    assert isinstance(moved, StoredImages)
    assert moved[PLACES].float().device.type == "meta"


def test_memory_is_spent_on_as_many_as_fit(pair, monkeypatch):
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 12 * 60 + 1)
    assert torch.equal(fitting(pair[0]), pair[1][:12])
    assert fitting(pair[1]) is pair[1]


def test_of_a_large_set_as_many_are_held_out_as_fit(pair, monkeypatch):
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 4 * 60)
    labels = np.arange(50) % 5
    small, large = (split(ImageSet("a", x, labels, tuple("abcde")), 0) for x in pair[::-1])
    assert (len(small.test), len(large.test)) == (10, 4)
    assert type(large.test.pixels) is torch.Tensor
    assert torch.equal(large.test.pixels, small.test.pixels[:4])
    assert (large.test.labels == small.test.labels[:4]).all()
    assert torch.equal(large.train.pixels.float(), small.train.pixels.float())


def test_a_file_that_is_cut_short_later_is_named(pair):
    path = pair[0]._file.path
    os.truncate(path, path.stat().st_size - 1)
    assert torch.equal(pair[0][:49].float(), pair[1][:49].float())
    with pytest.raises(DataError, match="cannot be read: it is shorter than when it was opened"):
        pair[0][:].float()


def draw_folder(folder, wide=False):
    """Sixty images in two classes; of 16 bits some, if wanted."""
    rng = np.random.default_rng(1)
    for number in range(60):
        shelf = folder / ("even", "odd")[number % 2]
        shelf.mkdir(parents=True, exist_ok=True)
        if wide and number % 3 == 0:
            pixels = rng.integers(0, 60_000, (28, 30)).astype(np.uint16)
        else:
            pixels = rng.integers(0, 256, (28, 30 - number % 2), dtype=np.uint8)
        Image.fromarray(pixels).save(shelf / f"{number}.png")
    return folder


def enlarge(monkeypatch, images=20):
    """Makes sets of more images than so many, of 28x30 fitted into 30x30, large ones."""
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", images * 30 * 30)


def same(one, other):
    """Whether two sources hold the same, bit for bit."""
    for mine, theirs in ((one.train, other.train), (one.test, other.test)):
        assert torch.equal(mine.pixels[:].float(), theirs.pixels[:].float())
        assert (mine.labels == theirs.labels).all()
        assert (mine.classes, mine.assumed) == (theirs.classes, theirs.assumed)
    return True


@pytest.mark.parametrize("wide", [False, True])
def test_a_large_folder_is_what_a_small_one_is_and_is_decoded_once(tmp_path, monkeypatch, wide):
    folder = draw_folder(tmp_path / "images", wide)
    small = files.load_folder(folder)
    assert not isinstance(small.train.pixels, StoredImages)
    enlarge(monkeypatch)
    large = files.load_folder(folder)
    assert isinstance(large.train.pixels, StoredImages)
    assert same(large, small)
    monkeypatch.setattr(files, "_decode", lambda *_, **__: pytest.fail("it was decoded again"))
    monkeypatch.setattr(files, "read_image_size", lambda _: pytest.fail("it was opened again"))
    assert same(files.load_folder(folder), small)


def test_dark_images_of_few_values_are_scaled_as_in_memory(tmp_path, monkeypatch):
    for number in range(60):
        Image.fromarray(np.full((28, 28), number % 2, np.uint8)).save(tmp_path / f"{number}.png")
    small = files.load_folder(tmp_path)
    assert small.train.pixels.max() == 255
    enlarge(monkeypatch)
    large = files.load_folder(tmp_path)
    assert torch.equal(large.train.pixels.float(), small.train.pixels.float())


def test_a_file_that_changes_and_a_damaged_cache_are_decoded_anew(tmp_path, monkeypatch):
    folder = draw_folder(tmp_path / "images")
    enlarge(monkeypatch)
    files.load_folder(folder)
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "even" / "0.png")
    changed = files.load_folder(folder)
    assert (changed.train.pixels.float().amax((1, 2, 3)) == 0).sum() + (
        changed.test.pixels.amax((1, 2, 3)) == 0
    ).sum() == 1
    for kept in (tmp_path / "cache" / "images").glob("*.images"):
        content = kept.read_bytes()
        kept.unlink()  # the set that is compared with still has it open
        kept.write_bytes(content[:-1])
    assert same(files.load_folder(folder), changed)


def test_a_file_that_is_no_image_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    folder = draw_folder(tmp_path / "images")
    (folder / "odd" / "1.png").write_bytes((folder / "odd" / "1.png").read_bytes()[:60])
    enlarge(monkeypatch)
    with pytest.raises(DataError, match=r"odd/1\.png' cannot be read as an image"):
        files.load_folder(folder)
    left = [path.suffix for path in (tmp_path / "cache" / "images").iterdir()]
    assert left == [".lock"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    folder = draw_folder(tmp_path / "images")
    enlarge(monkeypatch)
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(RunError, match="cannot be written"):
        files.load_folder(folder)


def test_of_several_that_want_the_same_images_one_decodes(tmp_path):
    folder = draw_folder(tmp_path / "images")
    named = [(path, None) for path in sorted(folder.rglob("*.png"))]
    decoded = []

    def decode(one):
        decoded.append(one[0])
        return files._decode(one[0], (1, 28, 28))

    def want():
        KeptImages(named, "a test").make((1, 28, 28), decode)

    several = [threading.Thread(target=want) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert sorted(decoded) == [path for path, _ in named]


@pytest.mark.parametrize("shape", [(60, 9, 8), (60, 3, 9, 8), (60, 9, 8, 3)])
def test_an_archive_is_read_where_it_stands(tmp_path, monkeypatch, shape):
    images = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", labels=np.arange(60) % 4, images=images)
    small = load_npz(tmp_path / "a.npz")
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", images.nbytes // 3)
    large = load_npz(tmp_path / "a.npz")
    assert isinstance(large.train.pixels, StoredImages)
    assert same(large, small)


def test_other_archives_are_read_into_memory_and_levels_of_large_ones_told(tmp_path, monkeypatch):
    images = np.random.default_rng(3).integers(0, 2, (60, 9, 8), dtype=np.uint8)
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", images.nbytes // 3)
    np.savez_compressed(tmp_path / "packed.npz", images=images)
    np.savez(tmp_path / "floats.npz", images=images.astype(np.float32))
    for name in ("packed", "floats"):
        pixels = load_npz(tmp_path / f"{name}.npz").train.pixels
        assert not isinstance(pixels, StoredImages) and pixels.max() == 255
    np.savez(tmp_path / "dim.npz", images=images)
    with pytest.raises(DataError, match="of bytes whose largest value is 1") as error:
        load_npz(tmp_path / "dim.npz")
    assert error.value.remedy == "multiply them by 255 before they are saved"


def test_a_run_from_disk_ends_as_one_from_memory(tmp_path, monkeypatch):
    from groundkit.runs.run import run

    draw_folder(tmp_path / "images")
    (tmp_path / "seen.pl").write_text("nn(net, [X], Y, [even,odd]) :: seen(X, Y).\n")
    (tmp_path / "seen.toml").write_text(
        '[networks.net]\nbackbone = "mlp"\n[examples]\ndata = "images"\n[train]\n'
        "cluster_steps = 6\ncluster_batch = 8\npool_batch = 8\nmin_steps = 6\nepochs = 1\n"
        "[evaluate]\nood = []\nsamples = 0\n"
    )
    run(tmp_path / "seen.pl", out=tmp_path / "memory")
    enlarge(monkeypatch)
    run(tmp_path / "seen.pl", out=tmp_path / "disk")
    assert list((tmp_path / "cache" / "images").glob("*.images"))
    assert left_behind(Path(tmp_path / "disk")) == left_behind(Path(tmp_path / "memory"))
