"""Devices, pipes, sockets, links, giants: refused by every reader, soon, with little memory."""

import json
import os
import resource
import shutil
import socket
import struct
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundkit.circuit import cache
from groundkit.data.archives import load_npz
from groundkit.data.files import load_folder, read_image, read_image_size, read_table
from groundkit.data.labels import read_labelled
from groundkit.data.photos import prepare_image
from groundkit.data.sources import load_data, read_idx
from groundkit.errors import CheckpointError, DataError, GroundkitError, ProgramError, SpecError
from groundkit.files import read_rows
from groundkit.program.source import load_program
from groundkit.report.compare import load_runs
from groundkit.runs.folder import RunFolder
from groundkit.runs.session import open_run
from groundkit.task.spec import load_spec
from groundkit.training.weights import read_manifest, read_tensors
from tests.circuit.test_entry import SHAPE
from tests.written import read_written

SECONDS, MEGABYTES = 2.0, 300


@contextmanager
def quickly():
    """Checks time and memory of what is done inside."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    yield
    assert time.monotonic() - started < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown / 1024 < MEGABYTES


def _manifest(path):
    manifest = {"format": 1, "files": {"net.safetensors": "0"}, "facts": {}}
    (path.parent / "manifest.json").write_text(json.dumps(manifest))
    return read_tensors(path.parent, "net")


def _listed(path):
    (path.parent / "t.csv").write_text(f"X,Z\n{path.name},1\n")
    return read_written(path.parent / "t.csv")


READERS = {
    "image": ("a.png", lambda path: read_image(path, (1, 8, 8))),
    "image size": ("a.png", read_image_size),
    "photo": ("a.png", lambda path: prepare_image(path, (1, 8, 8), 1.0)),
    "image of a table": ("a.png", _listed),
    "npz": ("a.npz", load_npz),
    "data set": ("a.npz", lambda path: load_data("a.npz", path.parent)),
    "idx": ("a-idx", read_idx),
    "table": ("a.csv", read_table),
    "examples": ("a.csv", read_written),
    "labels": ("a.csv", lambda path: read_labelled(path, ["0", "1"], (1, 8, 8))),
    "program": ("a.pl", load_program),
    "spec": ("a.toml", load_spec),
    "manifest": ("manifest.json", lambda path: read_manifest(path.parent)),
    "weights": ("net.safetensors", _manifest),
    "run.json": ("run.json", lambda path: RunFolder.reopen(path.parent)),
    "history": ("history.jsonl", read_rows),
    "metrics": ("metrics.json", lambda path: load_runs([path.parent])),
}


def _socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # an address is shorter than a path
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def _link_to_pipe(path):
    os.mkfifo(path.parent / "pipe")
    path.symlink_to("pipe")


ODD = {
    "a pipe": (os.mkfifo, "pipe"),
    "a link to a pipe": (_link_to_pipe, "pipe"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "device|leaves the folder"),
    "a socket": (_socket, "socket"),
    "a folder": (lambda path: path.mkdir(), "folder"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "cannot be read|is no path|loop"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_regular_file_is_refused_by_every_reader(tmp_path, reader, odd):
    if odd == "a folder" and reader == "data set":
        pytest.skip("a folder is a data set, if it holds images")
    (name, read), (make, word) = READERS[reader], ODD[odd]
    make(tmp_path / name)
    with quickly(), pytest.raises(GroundkitError, match=word):
        read(tmp_path / name)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin", "/dev/urandom", "/dev/tty"])
@pytest.mark.parametrize("read", [load_program, load_spec, load_npz, read_table, read_idx])
def test_devices_are_refused_by_name(device, read):
    if not os.path.lexists(device):
        pytest.skip("no such device here")
    with quickly(), pytest.raises(GroundkitError, match=r"is no file but a|cannot be read|is no"):
        read(Path(device))


@pytest.mark.parametrize("reader", READERS)
def test_a_giant_is_refused_before_it_is_read(tmp_path, reader):
    name, read = READERS[reader]
    with (tmp_path / name).open("wb") as stream:
        stream.truncate(1 << 40)  # a hole, which takes no room on the disk
    with quickly(), pytest.raises(GroundkitError, match=r"1,099,511,627,776 bytes\n  expected: at"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["program.pl", "spec.toml", "checkpoint/manifest.json",
                                  "checkpoint/net.safetensors"])  # fmt: skip
def test_no_link_leads_out_of_the_folder_of_a_run(tmp_path, name):
    shutil.copytree("tests/fixtures/run-1", tmp_path / "run")
    outside = (tmp_path / "run" / name).rename(tmp_path / "outside")
    (tmp_path / "run" / name).symlink_to(outside)
    with quickly(), pytest.raises(GroundkitError, match="leaves the folder") as info:
        open_run(tmp_path / "run").model("net")
    assert str(outside) not in str(info.value)


def _png(width, height):
    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes((width + 1) * height), 1)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("size", [(39_000_000, 1), (1, 39_000_000), (20_000, 20), (7_000, 7_000)])
def test_pictures_of_many_pixels_or_a_long_side_are_refused(tmp_path, size):
    (tmp_path / "a.png").write_bytes(_png(*size))
    with quickly(), pytest.raises(DataError, match=r"too large: .* pixels\n  expected: at most 40"):
        read_image(tmp_path / "a.png", (1, 28, 28))


def test_long_sides_within_the_limit_are_read(tmp_path):
    (tmp_path / "a.png").write_bytes(_png(16_000, 2_000))
    assert read_image(tmp_path / "a.png", (1, 28, 28)).shape == (1, 28, 28)


def test_names_that_can_be_no_path_are_refused(tmp_path):
    for name, word in (("a\0b", "cannot be read"), ("a" * 5000, "cannot be read: File name too")):
        for read, error in ((load_program, ProgramError), (load_spec, SpecError)):
            with pytest.raises(error, match=word) as info:
                read(Path(name))
            assert len(str(info.value)) < 600
        with pytest.raises(DataError, match="unknown data set"):
            load_data(name, tmp_path)


def test_archives_of_flat_images_are_read_and_bombs_are_not(tmp_path):
    np.savez_compressed(tmp_path / "flat.npz", images=np.zeros((150_000, 28, 28), np.uint8))
    assert len(load_npz(tmp_path / "flat.npz").train) == 120_000
    with (tmp_path / "bomb.npz").open("wb") as stream:
        np.savez_compressed(stream, images=np.zeros((400_000, 28, 28), np.uint8))
    with pytest.raises(DataError, match=r"unfolds to .*\n  expected: .*\n  remedy: .*numpy.savez"):
        load_npz(tmp_path / "bomb.npz")
    np.savez(tmp_path / "remedy.npz", images=np.zeros((400_000, 28, 28), np.uint8))
    assert len(load_npz(tmp_path / "remedy.npz").train) == 320_000


def test_an_entry_of_the_cache_that_is_a_pipe_is_left_out(tmp_path):
    os.mkfifo(tmp_path / f"{cache.key_of(SHAPE)}.shape")
    with quickly(), pytest.warns(UserWarning, match="is no file but a pipe"):
        assert cache.load(tmp_path, SHAPE) is None


def test_a_folder_with_a_pipe_for_an_image_is_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    with quickly(), pytest.raises(DataError, match="is no file but a pipe"):
        load_folder(tmp_path)


@pytest.mark.parametrize("value", ["1", 2, None, [1], True, 1.5])
def test_a_format_that_is_not_ours_is_shown_as_it_is_written(tmp_path, value):
    manifest = {"format": value, "files": {}, "facts": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError) as info:
        read_manifest(tmp_path)
    assert f"has checkpoint format {value}" in str(info.value)
    assert ("which is no whole number" in str(info.value)) == (value != 2)
    assert "expected: format 1" in str(info.value)


FACTS = [
    ("networks", None, "networks is null"), ("networks", 3, "networks is 3"),
    ("networks", {"net": None}, "says nothing of network 'net'"),
    ("networks", {"net": 7}, "says nothing of network 'net'"),
    ("networks", {"net": {}}, "facts of its images are damaged"),
    ("networks", {}, "facts of its images are damaged"),
    ("seed", "x", "seed is \"x\""), ("program", None, "program is null"),
    ("networks", {"net": {"shape": [0, 8, 8], "energy_limit": 1, "dark_border": 1}}, "no shape"),
    ("networks", {"net": {"shape": None, "energy_limit": 1, "dark_border": 1}}, "damaged"),
    ("networks", {"net": {"shape": [1, 8, 8], "energy_limit": None, "dark_border": 1}}, "a number"),
    ("networks", {"net": {"shape": [1, 8, 8], "energy_limit": "1", "dark_border": 1}}, "a number"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "words"), FACTS)
def test_facts_of_a_manifest_that_are_null_or_of_another_kind(tmp_path, key, value, words):
    shutil.copytree("tests/fixtures/run-1", tmp_path / "run")
    path = tmp_path / "run" / "checkpoint" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["facts"][key] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=words):
        _ = open_run(tmp_path / "run").in_distribution
