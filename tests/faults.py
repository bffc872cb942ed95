"""A disk that fails: one write of a run goes wrong, at a chosen place and in a chosen way."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from matplotlib.figure import Figure
from PIL import Image

from groundkit.files import read_rows
from groundkit.report import pictures
from groundkit.training.weights import read_manifest

WHOLE = ("open", "write", "short", "fsync", "rename")
"""What can fail when a file is written whole; ``short`` writes half and then fails."""
_NUMBERS = {
    "open": errno.EACCES, "mkdir": errno.EROFS, "write": errno.ENOSPC, "short": errno.ENOSPC,
    "fsync": errno.EIO, "rename": errno.EIO,
}  # fmt: skip


class Disk:
    """Counts the writes below a folder, and lets one of them fail.

    Args:
        folder: Where writes count.
        fail: Number of the write and what fails of it; ``None`` lets all succeed.
    """

    def __init__(self, folder: Path, fail: tuple[int, str] | None = None) -> None:
        self.folder = folder
        self.fail = fail
        self.writes: list[tuple[str, tuple[str, ...]]] = []
        self._fsync: int | None = None
        self._rename: str | None = None

    @contextmanager
    def used(self) -> Iterator[Disk]:
        """Puts this disk under Python's own functions."""
        real_open, real_mkdir, real_fsync, real_replace = Path.open, os.mkdir, os.fsync, os.replace

        def open_(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if not set(mode) & set("wxa") or not self._counts(path):
                return real_open(path, mode, *rest, **named)
            appends = "a" in mode
            kind = self._next(path, ("open",) if appends else WHOLE)
            if kind == "open":
                raise _error(kind)
            stream = real_open(path, mode, *rest, **named)
            if kind == "fsync":
                self._fsync = stream.fileno()
            elif kind == "rename":
                self._rename = str(path)
            if appends or kind in ("write", "short"):
                return _Stream(stream, self, path, kind)
            return stream

        def mkdir(path: Any, *rest: Any, **named: Any) -> None:
            if self._counts(Path(path)) and self._next(Path(path), ("mkdir",)):
                raise _error("mkdir")
            real_mkdir(path, *rest, **named)

        def fsync(descriptor: int) -> None:
            if descriptor == self._fsync:
                self._fsync = None
                raise _error("fsync")
            real_fsync(descriptor)

        def replace(source: Any, target: Any) -> None:
            if str(source) == self._rename:
                raise _error("rename")
            real_replace(source, target)

        with (
            patch.object(Path, "open", open_),
            patch.object(os, "mkdir", mkdir),
            patch.object(os, "fsync", fsync),
            patch.object(os, "replace", replace),
        ):
            yield self

    def row(self, path: Path) -> str | None:
        """Counts a row that is appended; returns what fails."""
        return self._next(path, ("write", "short"))

    def _counts(self, path: Path) -> bool:
        return path.is_relative_to(self.folder)

    def _next(self, path: Path, kinds: tuple[str, ...]) -> str | None:
        number = len(self.writes)
        self.writes.append((str(path.relative_to(self.folder)), kinds))
        wanted = self.fail is not None and self.fail[0] == number and self.fail[1] in kinds
        return self.fail[1] if wanted and self.fail is not None else None


class _Stream:
    """A stream whose writes fail: the first one, or rows that are appended as they are counted."""

    def __init__(self, stream: Any, disk: Disk, path: Path, kind: str | None) -> None:
        self._stream, self._disk, self._path, self._kind = stream, disk, path, kind

    def write(self, content: Any) -> int:
        kind = self._kind or self._disk.row(self._path)
        if kind == "short":
            self._stream.write(bytes(content)[: len(content) // 2])
            self._stream.flush()
        if kind:
            raise _error(kind)
        return int(self._stream.write(content))

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _error(kind: str) -> OSError:
    return OSError(_NUMBERS[kind], os.strerror(_NUMBERS[kind]))


@contextmanager
def blank_pictures() -> Iterator[None]:
    """Leaves out the drawing of plots, more than half of a small run's time, but not their writing.

    Plots of both themes are not even laid out; others are, and not rendered.
    """
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    blank = stream.getvalue()

    def savefig(_figure: Figure, buffer: io.BytesIO, **_options: Any) -> None:
        buffer.write(blank)

    def in_both(name: str, alt: str, _draw: Any) -> pictures.Picture:
        return pictures.Picture(name, blank, blank, alt)

    with patch.object(Figure, "savefig", savefig), patch.object(pictures, "in_both", in_both):
        yield


def check_whole(folder: Path) -> int:
    """Reads every file of a run's folder, which must be whole; returns how many there are."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        assert not path.name.endswith(".tmp"), f"{path} was left behind"
        content = path.read_bytes()
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".toml":
            tomllib.loads(content.decode())
        elif path.suffix == ".jsonl":
            read_rows(path)
        elif path.suffix == ".png":
            Image.open(io.BytesIO(content)).load()
        elif path.suffix == ".html":
            assert content.rstrip().endswith(b"</html>")
    for manifest in folder.rglob("manifest.json"):
        for file, digest in read_manifest(manifest.parent)["files"].items():
            content = (manifest.parent / file).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest, f"{file} is damaged"
    return len(files)
