"""What the grounding process gives up before it reads a program.

It may not outlive its parent, and with a program that is not trusted, it may not do anything but
compute. This is a wall behind the guard of :mod:`groundkit.program.trust`, for what its authors did
not think of. What the operating system enforces depends on the system; see ``SECURITY.md``.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import select
import stat
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import landlockpy
except ImportError:
    landlockpy = None  # type: ignore[assignment] # an extra, and of no use outside of Linux

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIGKILL = 9
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED = frozenset(
    {
        *("os.chmod", "os.chown", "os.exec", "os.fork", "os.forkpty", "os.kill", "os.link"),
        *("os.mkdir", "os.posix_spawn", "os.putenv", "os.remove", "os.removexattr", "os.rename"),
        *("os.rmdir", "os.setxattr", "os.spawn", "os.symlink", "os.system", "os.truncate"),
        *("os.unsetenv", "os.utime", "pickle.find_class", "pty.spawn", "subprocess.Popen"),
        *("signal.pthread_kill", "webbrowser.open"),
    }
)
_REFUSED_KINDS = frozenset(
    {
        *("ctypes", "fcntl", "ftplib", "http", "imaplib", "nntplib", "poplib", "shutil"),
        *("smtplib", "socket", "sqlite3", "telnetlib", "tempfile", "urllib"),
    }
)
"""Audit events, by name and by their part before the dot."""
_PACKAGES = ("groundkit", "numpy", "problog", "py_d4", "pyparsing", "pysdd")
"""A process that was forked may have loaded others, which are none of a program's business."""


def die_with_parent(parent: int, pipe: int) -> None:
    """Ends this process when its parent ends, however that happens.

    Args:
        parent: The parent's process id, as the parent knows it.
        pipe: A pipe that the parent holds open, with nothing left in it.
    """
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        # The parent may be in another namespace, or the signal refused: a pipe closes everywhere.
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    ended = bool(select.select([pipe], [], [], 0)[0])
    if ended or os.getppid() != parent:
        os._exit(1)


def limit(seconds: float | None, memory: int | None, grace: float) -> None:
    """Sets the operating system's limits of this process; they cannot be raised again.

    Args:
        seconds: Wall-clock limit; computing is cut off ``grace`` seconds later.
        memory: Address space in bytes.
        grace: Seconds beyond the limit to say what took so long.
    """
    if memory is not None:
        _lower(resource.RLIMIT_AS, memory)
    if seconds is not None:
        # One second apart: at the first the signal says what for, at the second there is no appeal.
        _lower(resource.RLIMIT_CPU, int(seconds + grace) + 5, spare=1)
    _lower(resource.RLIMIT_CORE, 0)


def confine() -> None:
    """Leaves this process nothing but computing, and reading Python's own files."""
    sys.dont_write_bytecode = True
    if hasattr(resource, "RLIMIT_NPROC"):
        _lower(resource.RLIMIT_NPROC, 0)
    if not any(stat.S_ISREG(os.fstat(out).st_mode) for out in (1, 2)):
        _lower(resource.RLIMIT_FSIZE, 0)
    if _LINUX:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    readable = _readable()
    if _LINUX and landlockpy is not None:
        access = landlockpy.AccessFS.READ_FILE | landlockpy.AccessFS.READ_DIR
        with suppress(landlockpy.LandlockError, OSError), landlockpy.Ruleset() as rules:
            for folder in readable:
                rules.allow_path(folder, access)
            rules.restrict()
    sys.addaudithook(_hook(tuple(f"{folder}{os.sep}" for folder in readable)))


def _hook(readable: tuple[str, ...]) -> Any:
    """Makes the audit hook that refuses files, processes and connections.

    A hook cannot be taken away again, and Python asks it about each of these, whoever wants them.
    """

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _mode, flags = arguments
            if isinstance(path, bytes):
                path = os.fsdecode(path)
            inside = isinstance(path, str) and os.path.realpath(path).startswith(readable)
            if inside and not int(flags or 0) & _WRITING:
                return
        elif event not in _REFUSED and event.partition(".")[0] not in _REFUSED_KINDS:
            return
        raise PermissionError(f"grounding may not do this: {event} {arguments[:1]}")

    return refuse


def _readable() -> list[str]:
    """Lists the folders of Python's library and of the packages that a worker loads."""
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    for name in _PACKAGES:
        folders.update(str(folder) for folder in getattr(sys.modules.get(name), "__path__", ()))
    return sorted({str(Path(folder).resolve()) for folder in folders if Path(folder).is_dir()})


def _prctl(option: int, value: int) -> None:
    """Calls Linux's prctl, for which Python has no function of its own."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _lower(kind: int, value: int, spare: int = 0) -> None:
    """Lowers a limit of this process, for good; one that is lower already stays.

    Args:
        kind: Of what.
        value: The limit that a process is warned at, if a warning is what the kind has.
        spare: How much above it the end is.
    """
    _soft, hard = resource.getrlimit(kind)
    end = value + spare
    if hard != resource.RLIM_INFINITY:
        end = min(end, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (min(value, end), end))
