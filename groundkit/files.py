"""Every file that groundkit writes, it writes here: whole or not at all, and failures say which.

Rows of a history are the one exception to "whole": they are appended as they come, and a reader
leaves out a last line that was cut short.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from groundkit.errors import CheckpointError, Location, RunError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part.

    The content is on the disk before it gets its name, and survives a loss of power. Devices such
    as ``/dev/null`` are written to, not replaced.

    Raises:
        RunError: The disk is full or the folder cannot be written; the old file is untouched.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with _telling(path), path.open("wb") as device:
            device.write(content)
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with _telling(path):
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    _sync(path.parent)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it; one that is there already is fine.

    Raises:
        RunError: It cannot be made.
    """
    with _telling(path):
        path.mkdir(parents=True, exist_ok=True)


class RowWriter:
    """Writes rows to a file of one JSON object a line, each as it comes.

    Args:
        path: The file; what it holds is replaced.
        rows: Rows that it starts with.

    Raises:
        RunError: The file cannot be written.
    """

    def __init__(self, path: Path, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._path = path
        write_atomically(path, b"".join(_line(row) for row in rows))
        with _telling(path):
            self._stream = path.open("ab", buffering=0)

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a row.

        Raises:
            RunError: The disk is full; the rows before this one are readable.
        """
        rest = memoryview(_line(row))
        with _telling(self._path):
            while rest:
                rest = rest[self._stream.write(rest) :]

    def close(self) -> None:
        """Closes the file."""
        with _telling(self._path):
            self._stream.close()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads what :class:`RowWriter` wrote; a last line that was cut short is left out.

    Raises:
        CheckpointError: There is no such file, or it is damaged before its end.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"'{path}' cannot be read: {error.strerror}") from None
    rows = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise CheckpointError(
                "the line is not a JSON object",
                expected="what `groundkit run` wrote",
                remedy="copy the run folder again from where it was made",
                at=Location(path, number),
            )
        rows.append(row)
    return rows


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _sync(folder: Path) -> None:
    """Makes a rename durable, on file systems that can; elsewhere the file is whole anyway."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turns the system's complaint into one that names the user's file and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            remedy = "free some space on its disk, or name a folder on another one"
        elif error.errno in _FORBIDDEN:
            remedy = "name a folder that you may write to"
        else:
            remedy = "check the path and its disk, or name another folder"
        reason = error.strerror or str(error)
        raise RunError(f"'{path}' cannot be written: {reason}", remedy=remedy) from error
