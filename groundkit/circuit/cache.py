"""Grounded and compiled query shapes on disk.

An entry is one file: a magic word, the SHA-256 of the rest, and compressed JSON. Processes that
share the folder see all of it or nothing. An entry that is damaged, or of
another format, is rebuilt. No pickle: an entry cannot run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zlib
from functools import lru_cache
from pathlib import Path

from groundkit.circuit import d4
from groundkit.circuit.codec import decode, encode
from groundkit.circuit.compile import Compiled
from groundkit.errors import RunError
from groundkit.files import make_folder, read_bytes, write_atomically
from groundkit.program.engine import Shape
from groundkit.program.ground import GroundProgram

_MAGIC = b"groundkit-shape-1\n"
_LARGEST = 1 << 30
"""Bytes that an entry may unfold to."""


def cache_folder() -> Path:
    """Returns the folder of compiled shapes: ``GROUNDKIT_CACHE``, or one in the user's cache."""
    return Path(os.environ.get("GROUNDKIT_CACHE", "~/.cache/groundkit/circuits")).expanduser()


def key_of(shape: Shape) -> str:
    """Names a shape by everything that its circuit depends on."""
    from importlib.metadata import version

    parts = {
        "program": shape.program.text,
        "goal": shape.goal.text,
        "facts": shape.facts,
        "images": list(shape.images),
        "values": {name: list(values) for name, values in sorted(shape.observed_values.items())},
        "versions": [version(name) for name in ("problog", "PySDD")],
        "compilers": d4.available(),
        "code": _code(),
        "format": _MAGIC.decode(),
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@lru_cache(maxsize=1)
def _code() -> str:
    """Fingerprints the modules that ground and compile, so that a corrected one is used."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *(here.parent / "program").glob("*.py")])
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def load(folder: Path, shape: Shape) -> tuple[GroundProgram, Compiled] | None:
    """Reads a shape's entry; ``None`` when there is none or it cannot be used."""
    path = folder / f"{key_of(shape)}.shape"
    try:
        content = read_bytes(path, _LARGEST, error=RunError)
    except FileNotFoundError:
        return None
    except RunError as error:
        warnings.warn(f"the cache entry is left out: {error.found}", stacklevel=2)
        return None
    try:
        return unpack(content)
    except ValueError as error:
        warnings.warn(f"the cache entry {path} is made anew: {error}", stacklevel=2)
        return None


def unpack(content: bytes) -> tuple[GroundProgram, Compiled]:
    """Reads the content of an entry.

    Raises:
        ValueError: It is damaged, of another format, or not an entry.
    """
    head = len(_MAGIC) + 32
    body = content[head:]
    if not content.startswith(_MAGIC):
        first = content.partition(b"\n")[0][:40].decode(errors="replace")
        raise ValueError(f"its format is '{first}', this is {_MAGIC.decode().strip()}")
    if hashlib.sha256(body).digest() != content[len(_MAGIC) : head]:
        raise ValueError("it is damaged, its checksum differs")
    unfold = zlib.decompressobj()
    try:
        text = unfold.decompress(body, _LARGEST)
        if unfold.unconsumed_tail:
            raise ValueError(f"it unfolds to more than {_LARGEST:,} bytes")
        data = json.loads(text)
    except (zlib.error, RecursionError) as error:
        raise ValueError(f"it is damaged: {error}") from None
    return decode(data)


def store(folder: Path, shape: Shape, program: GroundProgram, compiled: Compiled) -> None:
    """Writes a shape's entry; a folder that cannot be written is left alone with a warning."""
    body = zlib.compress(json.dumps(encode(program, compiled)).encode(), 1)
    try:
        make_folder(folder)
        content = _MAGIC + hashlib.sha256(body).digest() + body
        write_atomically(folder / f"{key_of(shape)}.shape", content)
    except RunError as error:
        warnings.warn(f"the compiled program is not kept: {error.found}", stacklevel=2)
