"""Every file that a user can name is opened here, and every file that groundkit writes is written.

What is read is a regular file of a bounded size, never a device, a pipe or a link to one. What is
written is written whole or not at all, and failures say which file. Rows of a history are the one
exception to "whole": they are appended as they come, and a reader leaves out a last line that was
cut short.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from groundkit.errors import CheckpointError, GroundkitError, Location, RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

TEXT_LIMIT = 1 << 24
"""Bytes of a program, a spec or a manifest; people write far less."""
DATA_LIMIT = 1 << 28
"""Bytes of a table, of one image, or of the rows of a history."""
WEIGHTS_LIMIT = 1 << 32
"""Bytes of one file of weights or of one compressed set of images."""

_KINDS = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_SHOWN = 200


def open_file(
    path: Path,
    limit: int,
    *,
    error: type[GroundkitError],
    at: Location | None = None,
    within: Path | None = None,
) -> io.BufferedReader:
    """Opens a file that a user named, for reading: a regular file of at most ``limit`` bytes.

    Nothing is waited for: what is no regular file is refused by its status, before it is opened
    and once more after.

    Args:
        path: The file.
        limit: Most bytes that it may have.
        error: What to raise when it is refused.
        at: Where it was named, for the message.
        within: A folder that the file must lie in, also when links are followed.

    Returns:
        The open file, at its start.

    Raises:
        FileNotFoundError: There is no such file, for callers to say what to do about it.
        GroundkitError: Of the kind ``error``: it is no regular file, too large, leaves the folder,
            or cannot be read.
    """
    try:
        real = path.resolve() if within is None else _inside(path, within, error, at)
        _check_kind(path, real.stat(), limit, error, at)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(
            real, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        )
        stream = open(descriptor, "rb")  # noqa: PTH123, SIM115 - the caller closes it
    except FileNotFoundError:
        raise
    except NotADirectoryError:
        raise FileNotFoundError(errno.ENOENT, "a part of its path is a file", str(path)) from None
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as problem:  # too long a name, a NUL, a loop of links
        raise _unreadable(path, problem, error, at) from None
    try:
        _check_kind(path, os.fstat(stream.fileno()), limit, error, at)
    except BaseException:
        stream.close()
        raise
    return stream


def read_bytes(
    path: Path,
    limit: int = DATA_LIMIT,
    *,
    error: type[GroundkitError],
    at: Location | None = None,
    within: Path | None = None,
) -> bytes:
    """Reads a file that a user named; see :func:`open_file`."""
    with open_file(path, limit, error=error, at=at, within=within) as stream:
        try:
            content = stream.read(limit + 1)
        except OSError as problem:  # a file that the system makes while it is read
            raise _unreadable(path, problem, error, at) from None
    if len(content) > limit:  # it has grown, or the system did not know its size
        raise _too_large(path, None, limit, error, at)
    return content


def read_text(
    path: Path,
    *,
    error: type[GroundkitError],
    what: str = "it",
    limit: int = TEXT_LIMIT,
    within: Path | None = None,
    newlines: bool = True,
) -> str:
    """Reads a text file that a user named, in UTF-8 with or without a byte-order mark.

    Args:
        path: The file.
        error: What to raise when it is refused.
        what: What the file is, as the subject of a message.
        limit: Most bytes that it may have.
        within: A folder that the file must lie in.
        newlines: Whether every end of a line becomes a line feed.

    Raises:
        FileNotFoundError: There is no such file.
        GroundkitError: Of the kind ``error``: see :func:`open_file`; or it is no UTF-8 text.
    """
    place = Location(path)
    content = read_bytes(path, limit, error=error, within=within)
    content = content.removeprefix(codecs.BOM_UTF8)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise error(f"{what} is not UTF-8 text but UTF-16", remedy="save it as UTF-8", at=place)
    try:
        text = content.decode()
    except UnicodeDecodeError as problem:
        before = content[: problem.start].decode()
        raise error(
            f"{what} is not UTF-8 text: the byte 0x{content[problem.start]:02x} stands where a "
            "character is expected",
            remedy="save it as UTF-8",
            at=_place(path, before),
        ) from None
    if "\0" in text:
        raise error(
            f"{what} holds a NUL byte, which no text has",
            expected="a text file in UTF-8",
            remedy="check that the right file is named, or save it as UTF-8",
            at=_place(path, text[: text.index("\0")]),
        )
    return re.sub(r"\r\n?", "\n", text) if newlines else text


def is_there(path: Path) -> bool:
    """Whether something has this path, a link that leads nowhere too; a text may be no path."""
    try:
        return path.is_symlink() or path.exists()
    except (OSError, ValueError):
        return False


def shown(path: Path | str) -> str:
    """Prints a path for a message: shortened in its middle, and without control characters."""
    text = str(path)
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 4 :]}"


def _place(path: Path, before: str) -> Location:
    """The line and column that a text ends at."""
    lines = re.split(r"\r\n?|\n", before)
    return Location(path, len(lines), len(lines[-1]) + 1)


def _inside(path: Path, folder: Path, error: type[GroundkitError], at: Location | None) -> Path:
    """Follows links; refuses those that leave a folder."""
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise error(
            f"the link '{shown(path)}' leaves the folder '{shown(folder)}'",
            expected="files that lie in the folder",
            remedy="put a copy of the file in the link's place, if you trust where it leads",
            at=at,
        )
    return real


def _check_kind(
    path: Path, status: os.stat_result, limit: int, error: type[GroundkitError], at: Location | None
) -> None:
    """Refuses what is no regular file, or a large one."""
    if not stat.S_ISREG(status.st_mode):
        kind = next((word for test, word in _KINDS if test(status.st_mode)), "something else")
        raise error(f"'{shown(path)}' is no file but a {kind}", expected="a regular file", at=at)
    if status.st_size > limit:
        raise _too_large(path, status.st_size, limit, error, at)


def _too_large(
    path: Path, size: int | None, limit: int, error: type[GroundkitError], at: Location | None
) -> GroundkitError:
    has = f"has {size:,} bytes" if size is not None else "goes on without end"
    return error(f"'{shown(path)}' {has}", expected=f"at most {limit:,} bytes", at=at)


def _unreadable(
    path: Path, problem: Exception, error: type[GroundkitError], at: Location | None
) -> GroundkitError:
    reason = getattr(problem, "strerror", None) or str(problem)
    return error(f"'{shown(path)}' cannot be read: {reason}", at=at)


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
    with writing(path) as stream:
        stream.write(content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Writes a file piece by piece; it gets its name when all of it is on the disk.

    Raises:
        RunError: As :func:`write_atomically`. The old file is untouched, as it is where the block
            ends in another error.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    with _telling(path):
        try:
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    _sync(path.parent)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until no other process is in such a block with this file, on systems that can.

    A process that dies in the block lets the next one in.

    Raises:
        RunError: The file cannot be made.
    """
    with _telling(path):
        stream = path.open("ab")
    with stream:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


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
        content = read_bytes(path, error=CheckpointError, within=path.parent)
    except FileNotFoundError:
        raise CheckpointError(
            f"'{path}' cannot be read: there is no such file",
            remedy="copy the run folder again from where it was made",
        ) from None
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
