"""Every reader of a user's file or text, with inputs to start from, for the fuzzers.

A reader is handed bytes and must either accept them or raise one of groundkit's own errors; the
short fuzzer in this folder and the long one in ``benchmarks/fuzz.py`` hold it to that.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as save_tensors
from torch import nn

from groundkit.circuit import cache as shapes
from groundkit.circuit.prepare import prepare
from groundkit.data.archives import load_npz
from groundkit.data.files import SUFFIXES, read_image
from groundkit.data.photos import prepare_image
from groundkit.data.sources import read_idx
from groundkit.errors import GroundkitError
from groundkit.files import read_rows
from groundkit.program.engine import Shape
from groundkit.program.goal import check_goal, parse_goal
from groundkit.program.query import pose
from groundkit.program.source import load_program, parse_program
from groundkit.report.compare import compare, load_runs
from groundkit.runs.folder import RunFolder
from groundkit.task.spec import load_spec, parse_spec
from groundkit.training.states import States
from groundkit.training.weights import load_weights, read_manifest, read_tensors
from tests.written import read_written

ROOT = Path(__file__).parents[2]
PROGRAM = """nn(net, [X], Y, [0,1]) :: digit(X, Y).
sum(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
"""


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        name: What it reads.
        seeds: Inputs to start from.
        read: Reads an input, in a folder of its own.
        tokens: Pieces that inputs are made of.
    """

    name: str
    seeds: tuple[bytes, ...] = field(repr=False)
    read: Callable[[Path, bytes], Any]
    tokens: tuple[bytes, ...] = field(default=(), repr=False)


def _file(name: str, load: Callable[[Path], Any]) -> Callable[[Path, bytes], Any]:
    """Makes a reader of bytes from a reader of files."""

    def read(folder: Path, content: bytes) -> Any:
        path = folder / name
        path.write_bytes(content)
        return load(path)

    return read


def _text(take: Callable[[str], Any]) -> Callable[[Path, bytes], Any]:
    """Makes a reader of bytes from a reader of texts, such as arguments of a command."""
    return lambda _folder, content: take(content.decode("utf-8", "surrogateescape"))


def _goal(text: str) -> None:
    goal = parse_goal(text)
    goal.with_values(dict.fromkeys(goal.variables, "1"))
    check_goal(_program(), goal)


def _question(text: str) -> None:
    posed = pose(text, SUFFIXES)
    posed.with_values(dict.fromkeys(posed.goal.variables, "1"))


@cache
def _program() -> Any:
    return parse_program(PROGRAM)


def _examples(path: Path) -> None:
    image = path.parent / "a.png"
    if not image.exists():
        image.write_bytes(_picture("PNG"))
    read_written(path)


def _image(path: Path) -> None:
    read_image(path, (3, 8, 8))
    prepare_image(path, (1, 8, 8), 1.0)


def _state(folder: Path, content: bytes) -> None:
    """Reads a state whose manifest is the input; one that cannot be read is left out."""
    path = folder / "00000001"
    path.mkdir(exist_ok=True)
    if not (path / "training.safetensors").exists():
        (path / "training.safetensors").write_bytes(_saved())
    (path / "manifest.json").write_bytes(content)
    States(folder).latest()


def _weights(folder: Path, content: bytes) -> None:
    """Reads weights whose manifest vouches for them, as a stranger's would."""
    files = {"net.safetensors": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": files, "facts": {}}))
    (folder / "net.safetensors").write_bytes(content)
    load_weights(folder, {"net": nn.Linear(2, 2)})


def _manifest(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    (folder / "net.safetensors").write_bytes(_saved())
    read_manifest(folder)
    read_tensors(folder, "net")


def _metrics(folder: Path, content: bytes) -> None:
    (folder / "metrics.json").write_bytes(content)
    (folder / "spec.toml").write_text("[train]\nepochs = 3\n")
    found = compare(load_runs([folder, folder]))
    found.to_markdown()
    json.dumps(found.to_dict())


def _entry(folder: Path, content: bytes) -> None:
    """Reads a cache entry as it lies on the disk."""
    (folder / f"{shapes.key_of(_shape())}.shape").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes.load(folder, _shape())


def _entry_body(folder: Path, content: bytes) -> None:
    """Reads a cache entry whose checksum was made to fit."""
    body = zlib.compress(content, 1)
    _entry(folder, shapes._MAGIC + hashlib.sha256(body).digest() + body)


@cache
def _shape() -> Shape:
    text = (
        PROGRAM
        + "t(0.2) :: odd. 0.5 :: a; 0.2 :: b. evidence(\\+b).\nq(X, Z) :- digit(X, Z), a, \\+odd.\n"
    )
    return Shape(parse_program(text), parse_goal("q(X, Z)"), ("X",))


@cache
def _saved() -> bytes:
    torch.manual_seed(0)
    return save_tensors({"weight": torch.zeros(2, 2), "bias": torch.zeros(2)})


def _picture(kind: str, mode: str = "L") -> bytes:
    shape = (9, 7) if mode == "L" else (9, 7, len(mode))
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def _archive(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _shipped(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((ROOT / "programs").glob(pattern)))


def _cached(folder: Path) -> bytes:
    prepare(_shape(), folder, None)
    (entry,) = folder.glob("*.shape")
    return entry.read_bytes()


def readers(folder: Path) -> dict[str, Reader]:
    """Lists all readers by name; ``folder`` is one to make the first cache entry in."""
    entry = _cached(folder)
    body = zlib.decompress(entry[len(shapes._MAGIC) + 32 :])
    manifest = {
        "format": 1,
        "files": {"net.safetensors": hashlib.sha256(_saved()).hexdigest()},
        "facts": {"program": "a.pl", "seed": 0, "networks": {"net": {"shape": [1, 8, 8]}}},
    }
    state = {
        "format": 1,
        "files": {"training.safetensors": hashlib.sha256(_saved()).hexdigest()},
        "facts": {
            "score": 0.5,
            "plain": {"items": [["a", {"tensor": "bias"}], [1, {"tuple": []}]]},
        },
    }
    origin = b'{"seed": 0, "engine": "circuit", "command": "groundkit run a.pl"}'
    images = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    pictures = [_picture(kind) for kind in ("PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
    pictures += [_picture("JPEG", "RGB"), _picture("PNG", "RGBA")]
    rows = b'{"phase": "joint", "step": 1, "terms": {"prior": 0.5}}\n{"step": 2, "words": "x"}\n'
    metrics = {
        "grounding": {"accuracy": 0.5, "nmi": None}, "ood": {"noise": {"auroc": 0.9}}, "seed": 1,
        "program": "programs/addition.pl",
    }  # fmt: skip
    idx = b"\x00\x00\x08\x03" + np.array([2, 3, 3], ">u4").tobytes() + bytes(18)
    found = [
        Reader("goal", GOALS, _text(_goal), PROLOG),
        Reader("question", GOALS, _text(_question), (*PROLOG, b"'a.png'", b"'../b.PNG'")),
        Reader("spec", _shipped("*.toml"), _file("a.toml", load_spec), TOML),
        Reader("settings", SETTINGS, _text(lambda text: parse_spec("", None, [text])), TOML),
        Reader("examples", TABLES, _file("a.csv", _examples), (b",", b'"', b"a.png", b"X.truth")),
        Reader("image", tuple(pictures), _file("a.png", _image), (b"IHDR", b"IDAT", b"\xff\xd8")),
        Reader(
            "npz",
            (_archive(images=images), _archive(images=images / 255.0, labels=np.arange(4))),
            _file("a.npz", load_npz),
            (b"PK\x03\x04", b"'descr': '|O'", b"(4, 8, 8)", b"(-1,)", b"(99999999999,)"),
        ),
        Reader("idx", (idx,), _file("a-idx", read_idx), (b"\xff\xff\xff\xff",)),
        Reader("manifest", (json.dumps(manifest).encode(),), _manifest, JSON),
        Reader("weights", (_saved(),), _weights, (*JSON, b"data_offsets", b"F32", b"F64")),
        Reader("state", (json.dumps(state).encode(),), _state, (*JSON, b'"tensor"', b'"items"')),
        Reader(
            "run.json",
            (origin,),
            _file("run.json", lambda path: RunFolder.reopen(path.parent)),
            JSON,
        ),
        Reader("cache", (entry,), _entry),
        Reader("cache body", (body,), _entry_body, JSON),
        Reader("history", (rows,), _file("h.jsonl", read_rows), JSON),
        Reader("metrics", (json.dumps(metrics).encode(),), _metrics, JSON),
        Reader("program", _shipped("*.pl"), _file("a.pl", load_program), PROLOG),
    ]
    return {reader.name: reader for reader in found}


PROLOG = (
    b":-", b"::", b"\\+", b"[", b"]", b"(", b")", b"|", b"nn(n,[X],Y,[0,1])::", b"t(_)::", b"0.5::",
    b"; ", b", ", b".\n", b"'", b'"', b"0'", b"%", b"/*", b"*/", b"=..", b" is ", b"X", b"_", b"-1",
    b"1e999", b"0x", b"{", b"}", b"query(", b"evidence(", b"use_module(library(lists))", b"!",
    b"a(", b"->", b"<-", b"\\", b"@", b"9" * 400, b"1/0::", b"t(1/0)::", b"~", b"=@=", b"\xc3\xa9",
)  # fmt: skip
GOALS = (
    b"addition(X, Y, Z)", b"sum('a.png', \"b.png\", Z)", b"f([X1,X2|T], g(_), -1.5e3), \\+ h(X)",
    b"digit(X, 1) ; not(digit(Y, 2))", b"X is Y + 1", b"a.",
)  # fmt: skip
TOML = (
    b"[", b"]", b"[[", b"]]", b"=", b'"', b"'", b'"""', b".", b"true", b"-1", b"nan", b"inf", b"{}",
    b"9" * 5000, b"1979-05-27T07:32:00Z", b"[networks.net]\n", b"perception.", b"\\u0000", b"#",
    b"[query]\n", b"image_shape = [1, 2, 3]\n", b"prior_probabilities = [0.5]\n", b"0x", b"{a=1}",
)  # fmt: skip
SETTINGS = (
    b"train.epochs=3", b'evaluate.ood=["noise"]', b"networks.net.backbone=mlp",
    b"networks.net.perception.prior=nan", b"examples.file=a.csv",
)  # fmt: skip
TABLES = (
    b"X,Z\na.png,1\n", b'X,Z,X.truth\n"a.png", 0,1\na.png,1,\n',
    b"\xef\xbb\xbfX,Z\r\n../a.png,1\r\n",
    b"Z,X\n1,/etc/passwd\n",
)  # fmt: skip
JSON = (
    b"[", b"]", b"{", b"}", b":", b",", b'""', b"null", b"true", b"-1", b"1e999", b"NaN",
    b"\\u0000", b"9" * 5000, b'"\\ud800"', b"0.5", b"\n",
)  # fmt: skip


@contextmanager
def only_own_errors() -> Iterator[None]:
    """Lets groundkit's own errors pass; each must have words."""
    try:
        yield
    except GroundkitError as error:
        assert str(error).strip()


def edit(content: bytes, changes: list[tuple[int, int, bytes, int]]) -> bytes:
    """Replaces spans of an input.

    Args:
        content: The input.
        changes: Where (modulo the length), how many bytes go, what comes, and how many times.
    """
    for place, length, piece, times in changes:
        start = place % (len(content) + 1)
        content = content[:start] + piece * times + content[start + length :]
    return content
