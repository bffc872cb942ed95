"""Images, tables, archives, specs, checkpoints and cache entries that are not what they say."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image
from torch import nn

from groundkit.circuit import cache
from groundkit.data.archives import load_npz
from groundkit.data.files import load_folder, read_image
from groundkit.data.sources import read_idx
from groundkit.errors import CheckpointError, DataError, NetworkError, SpecError
from groundkit.files import read_rows
from groundkit.perception.own_modules import build_own
from groundkit.report.compare import load_runs
from groundkit.task.spec import load_spec
from groundkit.training.weights import load_weights, read_manifest
from tests.hostile.harness import MARK, Case
from tests.written import read_written


class Trap:
    """Unpickled, it would leave a mark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._folder / MARK),)


def _picture(size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(size[0] * size[1], dtype=np.uint8).reshape(size)).save(stream, kind)
    return stream.getvalue()


def _giant_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def _written(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _image(name: str, content: bytes, words: str) -> Case:
    return Case(
        name, lambda folder: read_image(folder / "a.png", (1, 8, 8)), DataError, words,
        prepare=_written("a.png", content),
    )  # fmt: skip


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(mark) (w) file closefile\n%%EOF\n"
IMAGES = [
    _image("image: a giant header", _giant_png(60_000, 60_000), "too large"),
    _image("image: just above the limit", _giant_png(8_000, 5_001), "too large"),
    _image("image: cut JPEG", _picture((64, 64), "JPEG")[:300], "cannot be read as an image"),
    _image("image: cut PNG", _picture()[:40], "cannot be read as an image"),
    _image("image: a text", b"not an image", "cannot be read as an image"),
    _image("image: empty", b"", "cannot be read as an image"),
    _image("image: a program for Ghostscript", EPS, "cannot be read as an image"),
    _image("image: SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read as an"),
    _image("image: a pickle", pickle.dumps([1, 2]), "cannot be read as an image"),
    Case("image: a folder", lambda folder: read_image(folder / "a.png", (1, 8, 8)), DataError,
         "is no file", prepare=lambda folder: (folder / "a.png").mkdir()),
    Case("image: a pipe that never ends", lambda folder: read_image(folder / "a.png", (1, 8, 8)),
         DataError, "is no file", prepare=lambda folder: os.mkfifo(folder / "a.png")),
]  # fmt: skip


def _table(name: str, content: bytes | str, words: str, line: int | None) -> Case:
    """A table of examples, beside an image a.png and below a file that is none of its business."""

    def prepare(folder: Path) -> None:
        (folder / "data").mkdir()
        (folder / "secret.png").write_bytes(_picture())
        (folder / "data" / "a.png").write_bytes(_picture())
        (folder / "data" / "link.png").symlink_to(folder / "secret.png")
        (folder / "data" / "loop.png").symlink_to("loop.png")
        raw = content.replace("FOLDER", str(folder)) if isinstance(content, str) else content
        raw = raw.encode() if isinstance(raw, str) else raw
        (folder / "data" / "a.csv").write_bytes(raw)

    def attempt(folder: Path) -> object:
        return read_written(folder / "data" / "a.csv")

    return Case(f"table: {name}", attempt, DataError, words, line, prepare)


TABLES = [
    _table("climbs out of its folder", "X,Z\na.png,0\n../secret.png,1\n", "leaves the folder", 3),
    _table("an absolute path", "X,Z\nFOLDER/secret.png,1\n", "leaves the folder", 2),
    _table("a system file", "X,Z\n/etc/passwd,1\n", "leaves the folder", 2),
    _table("a link that leaves its folder", "X,Z\nlink.png,1\n", "leaves the folder", 2),
    _table("a link to itself", "X,Z\nloop.png,1\n", "is no path|no image|cannot be read", 2),
    _table("a path with NUL", b"X,Z\na\0.png,1\n", "is no path|CSV", 2),
    _table("a path without end", "X,Z\n" + "a" * 5_000 + ".png,1\n", "cannot be read|no image", 2),
    _table("a missing image", "X,Z\na.png,1\nb.png,1\n", "there is no image", 3),
    _table("a missing column", "X,Y\na.png,1\n", "no column 'Z'", 1),
    _table("an unknown column", "X,Z,Q\na.png,1,2\n", "unknown column 'Q'", 1),
    _table("a column twice", "X,Z,Z\na.png,1,2\n", "column 'Z' stands twice", 1),
    _table("a ragged row", "X,Z\na.png,1\na.png,1,2\n", "the row has 3 values", 3),
    _table("a field without end", 'X,Z\n"' + "a" * 200_000 + '",1\n', "as CSV", 2),
    _table("a quote without end", 'X,Z\na.png,"1\n', "as CSV", 2),
    _table("not UTF-8", b"X,Z\n\xff\xfe,1\n", "as CSV", None),
    _table("empty", "", "the file is empty", 1),
    _table("a header alone", "X,Z\n", "no example in the file", 1),
]


def _archive(name: str, words: str, make: Callable[[Path], dict[str, Any]]) -> Case:
    return Case(
        f"npz: {name}", lambda folder: load_npz(folder / "a.npz"), DataError, words,
        prepare=lambda folder: np.savez(folder / "a.npz", **make(folder)),
    )  # fmt: skip


def _bomb(folder: Path) -> None:
    """300 MB of zeros in 300 kB."""
    with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (300, 1000, 1000)}
        )
        archive.writestr("images.npy", header.getvalue() + bytes(300_000_000))


def _lying(folder: Path) -> None:
    """A header that promises a hundred billion bytes."""
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (100_000, 1000, 1000)}
        )
        archive.writestr("images.npy", header.getvalue() + bytes(10))


NAN = np.full((4, 8, 8), np.nan)
ARCHIVES = [
    _archive("pickled objects", "images are pickled Python objects",
             lambda folder: {"images": np.array([Trap(folder), None], dtype=object)}),
    _archive("pixels that are no numbers", "256 pixels are not finite", lambda _: {"images": NAN}),
    _archive("endless pixels", "not finite", lambda _: {"images": NAN * 0 + np.inf}),
    _archive("pixels of a million", "pixels run from",
             lambda _: {"images": np.full(NAN.shape, 1e6)}),
    _archive("texts for pixels", "of type", lambda _: {"images": np.full(NAN.shape, "a")}),
    _archive("labels that do not fit", "labels have shape",
             lambda _: {"images": np.zeros(NAN.shape), "labels": np.zeros(3)}),
    _archive("no images", "expected: one of the arrays images", lambda _: {"pixels": NAN}),
    Case("npz: a bomb", lambda folder: load_npz(folder / "a.npz"), DataError, "unfolds to",
         prepare=_bomb),
    Case("npz: a lying header", lambda folder: load_npz(folder / "a.npz"), DataError,
         "cannot be read|damaged", prepare=_lying),
    Case("npz: a pickle", lambda folder: load_npz(folder / "a.npz"), DataError,
         "cannot be read|damaged",
         prepare=lambda folder: (folder / "a.npz").write_bytes(pickle.dumps(Trap(folder)))),
    Case("IDX: cut short", lambda folder: read_idx(folder / "a"), DataError, "cut short",
         prepare=_written("a", b"\0\0\x08\x03" + b"\xff" * 12 + b"\0")),
    Case("folder: a link that leaves it", lambda folder: load_folder(folder / "data"), DataError,
         "leaves the folder", prepare=lambda folder: _linked(folder)),  # noqa: PLW0108 - defined below
]  # fmt: skip


def _linked(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "a.png").write_bytes(_picture())
    (folder / "secret.png").write_bytes(_picture())
    (folder / "data" / "b.png").symlink_to(folder / "secret.png")


def _spec(name: str, text: str, words: str, line: int | None) -> Case:
    return Case(
        f"spec: {name}", lambda folder: load_spec(folder / "a.toml"), SpecError, words, line,
        prepare=_written("a.toml", text.encode()),
    )  # fmt: skip


SPECS = [
    _spec("nesting without end", "a = " + "[" * 20_000 + "]" * 20_000, "cannot be read", None),
    _spec("tables without end", "[" + "a." * 20_000 + "b]\n", "unknown key|cannot be read", None),
    _spec("a number without end", "[train]\nepochs = " + "9" * 6_000, "cannot be read", None),
    _spec("a hexadecimal without end", "[examples]\ncount = 0x" + "f" * 6_000, "examples.count", 2),
    _spec("an unknown key", "[train]\nbatch = 3\nepoch = 3\n", "unknown key 'train.epoch'", 3),
    _spec("an unknown table", "[train]\n[trains]\n", "unknown key 'trains'", 2),
    _spec("a text for a number", '[train]\nepochs = "many"\n', "train.epochs = 'many'", 2),
    _spec("a negative number", "[train]\nbatch = -1\n", "train.batch = -1", 2),
    _spec("a weight of nan", "[networks.n.perception]\nprior = nan\n", "perception.prior", 2),
    _spec("an endless weight", "[networks.n.perception]\nprior = inf\n", "perception.prior", 2),
    _spec("billions of examples", "[examples]\ncount = 1000000000000\n", "examples.count", 2),
    _spec("shares that are none", "[networks.n.perception]\nprior_probabilities = [2.0, -1.0]\n",
          "prior_probabilities", 2),
    _spec("the same table twice", "[train]\n[train]\n", "not valid TOML", 2),
    Case("spec: not UTF-8", lambda folder: load_spec(folder / "a.toml"), SpecError,
         "cannot be read", prepare=_written("a.toml", b"\xff\xfe")),
    Case("backbone: Python without trust",
         lambda folder: build_own("module:evil:Net", (1, 8, 8), {}, beside=folder), NetworkError,
         "--trust",
         prepare=lambda folder: (folder / "evil.py").write_text("open('mark', 'w')")),
]  # fmt: skip


def _checkpoint(
    name: str, content: bytes | Callable[[Path], bytes], words: str, **changes: Any
) -> Case:
    """A checkpoint whose manifest vouches for its one file."""

    def prepare(folder: Path) -> None:
        raw = content if isinstance(content, bytes) else content(folder)
        (folder / "net.safetensors").write_bytes(raw)
        files = {"net.safetensors": hashlib.sha256(raw).hexdigest()}
        manifest = {"format": 1, "files": files, "facts": {}} | changes
        (folder / "manifest.json").write_text(json.dumps(manifest))

    def attempt(folder: Path) -> None:
        load_weights(folder, {"net": nn.Linear(2, 2)})

    return Case(f"checkpoint: {name}", attempt, CheckpointError, words, prepare=prepare)


def _tensors(header: dict[str, Any], body: bytes = b"", size: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + body


def _one(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


CHECKPOINTS = [
    _checkpoint("a header without end", _tensors({}, size=1 << 60), "cannot be read"),
    _checkpoint("offsets beyond the file", _tensors(_one([2, 2], [0, 1 << 50]), bytes(16)),
                "cannot be read"),
    _checkpoint("a shape that lies", _tensors(_one([1 << 40, 1 << 40], [0, 16]), bytes(16)),
                "cannot be read"),
    _checkpoint("tensors of another network", _tensors(_one([3], [0, 12]), bytes(12)),
                "does not fit network 'net'"),
    _checkpoint("a pickle", lambda folder: pickle.dumps(Trap(folder)), "cannot be read"),
    _checkpoint("empty", b"", "cannot be read"),
    _checkpoint("another file than was saved", b"", "its hash differs", files={
        "net.safetensors": "0" * 64}),
    _checkpoint("files elsewhere", b"", "its hash differs",
                files={"../secret.safetensors": "0" * 64}),
    _checkpoint("a newer format", b"", "checkpoint format 2", format=2),
    _checkpoint("no format", b"", "checkpoint format None", format=None),
    _checkpoint("files that are a list", b"", "is damaged", files=[]),
    Case("checkpoint: nesting without end", read_manifest, CheckpointError, "cannot be read",
         prepare=_written("manifest.json", b"[" * 100_000)),
    Case("checkpoint: a manifest that is none", read_manifest, CheckpointError, "not a checkpoint",
         prepare=_written("manifest.json", b"3")),
    Case("run: metrics nested without end", lambda folder: load_runs([folder]), CheckpointError,
         "cannot be read", prepare=_written("metrics.json", b'{"a":' * 100_000)),
    Case("history: damaged in the middle", lambda folder: read_rows(folder / "h"), CheckpointError,
         "not a JSON object", 2, _written("h", b'{"step": 1}\n{"st\n{"step": 3}\n')),
]  # fmt: skip


def _entry(name: str, content: bytes, words: str, largest: int = 1 << 30) -> Case:
    """A cache entry; what reads it warns and makes it anew, so its reader is asked directly."""

    def attempt(_folder: Path) -> None:
        try:
            with patch.object(cache, "_LARGEST", largest):
                cache.unpack(content)
        except ValueError as error:
            raise DataError(str(error)) from None

    return Case(f"cache: {name}", attempt, DataError, words)


def _sealed(body: bytes) -> bytes:
    """An entry whose checksum fits."""
    raw = zlib.compress(body, 9)
    return b"groundkit-shape-1\n" + hashlib.sha256(raw).digest() + raw


ENTRIES = [
    _entry("another format", b"groundkit-shape-9\nabc", "its format is 'groundkit-shape-9'"),
    _entry("a pickle", pickle.dumps([1]), "its format is"),
    _entry("damaged", _sealed(b"{}")[:-1] + b"x", "checksum differs"),
    _entry("a bomb", _sealed(bytes(1 << 20)), "more than", largest=1 << 10),
    _entry("nesting without end", _sealed(b"[" * 200_000), "it is damaged"),
    _entry("something else", _sealed(b'{"choices": 3}'), "not a ground program"),
]
FILES = IMAGES + TABLES + ARCHIVES + SPECS + CHECKPOINTS + ENTRIES
