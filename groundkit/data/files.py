"""Images and tables from the user's own files, refused by name when they are not what they say."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from groundkit.data import stored
from groundkit.data.images import DataSource, ImageSet, split
from groundkit.data.kept import ByKind, Decoded, Extents, KeptImages, Named, assumed_of
from groundkit.data.levels import extent
from groundkit.data.parquet import is_parquet, read_texts
from groundkit.errors import DataError, Location
from groundkit.files import DATA_LIMIT, read_bytes, read_text, shown
from groundkit.report.words import counted, listing

TableRow = tuple[Location, dict[str, str]]
"""Where a row of a table stands, and its values by column."""

# More pixels than this in one file is a decompression bomb or a mistake, not a symbol.
MAX_PIXELS, MAX_SIDE = 40_000_000, 16_384
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".pbm", ".pgm", ".ppm", ".pnm"}
    | {".tif", ".tiff"}
)
# What Pillow may take a file for. Its other formats run programs (EPS) or are no pictures.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
_PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
FOLDER_SIZE, MOST_FOLDER_SIZE = 28, 64
_ORIENTATION, _ON_ITS_SIDE = 274, (5, 6, 7, 8)  # as a camera notes how it was held
_PNG_END = b"IEND\xaeB`\x82"
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

Shape = tuple[int, ...]
"""``(C, H, W)`` of an image."""


def read_images(
    named: Sequence[Named],
    shape: Shape | Callable[[], Shape],
    within: Path | None = None,
    known: ByKind | None = None,
) -> tuple[Tensor, ByKind]:
    """Reads image files of one set, whose levels of black and white are decided together.

    Those of a large set are decoded once, into the user's cache, and stay on disk.

    Args:
        named: The files, and where each was named.
        shape: The wanted ``(C, H, W)``, or what finds it for files that are not in the cache yet.
        within: A folder that the files must lie in.
        known: Which values are black and white in the set that they are to be held against.

    Returns:
        Bytes ``(N, C, H, W)``, and which values of the files were black and white.

    Raises:
        DataError: A file is missing, is no image, or is too large to be one symbol.
        RunError: The cache cannot be written.
    """
    kept = None
    if callable(shape):
        kept = KeptImages(named, "their common shape")
        found = kept.find()
        if found is not None:
            return found
        shape = shape()
    frame = shape
    if len(named) * math.prod(frame) <= stored.MOST_IN_MEMORY:
        return _levelled([_decode(path, frame, at, within=within) for path, at in named], known)
    kept = kept or KeptImages(named, f"{frame} {sorted((known or {}).items(), key=str)}")

    def decode(one: Named) -> Decoded:
        return _decode(one[0], frame, one[1], within=within)

    return kept.find() or kept.make(frame, decode, known)


def read_image(
    path: Path,
    shape: tuple[int, ...],
    at: Location | None = None,
    content: bytes | None = None,
) -> Tensor:
    """Reads an image file into bytes ``(C, H, W)`` of the wanted shape.

    The image is fitted into the frame without distortion and padded with its border's colour.

    Args:
        path: A PNG, JPEG or other image file.
        shape: The wanted ``(C, H, W)``.
        at: Where the path was named, for the message.
        content: The file's content when it is not on disk; ``path`` then only names it.

    Raises:
        DataError: The file is missing, is no image, or is too large to be one symbol.
    """
    return read_one(path, shape, at, content)[0]


def read_one(
    path: Path,
    shape: tuple[int, ...],
    at: Location | None = None,
    content: bytes | None = None,
    known: ByKind | None = None,
) -> tuple[Tensor, tuple[str, ...]]:
    """Reads an image file as :func:`read_image` does, and says what it took for granted.

    Args:
        path: As there; so are the next three.
        shape: The wanted ``(C, H, W)``.
        at: Where the path was named.
        content: The file's content.
        known: Which values are black and white in the set that it is to be held against.
    """
    pixels, levels = _levelled([_decode(path, shape, at, content)], known)
    return pixels[0], assumed_of(levels)


def _levelled(decoded: Sequence[Decoded], known: ByKind | None = None) -> tuple[Tensor, ByKind]:
    """Scales pictures to bytes; files of one type share their levels."""
    extents = Extents()
    for one in decoded:
        extents.add(one)
    levels = extents.levels(known)
    pixels = [torch.from_numpy(levels[str(one.kind)].to_bytes(one.values)) for one in decoded]
    return torch.stack(pixels), levels


def _decode(
    path: Path,
    shape: tuple[int, ...],
    at: Location | None = None,
    content: bytes | None = None,
    within: Path | None = None,
) -> Decoded:
    """Reads a file and fits its picture into the wanted frame."""
    channels, height, width = shape
    if channels not in _MODES:
        raise DataError(
            f"images of {channels} channels are wanted, the file '{shown(path)}' has 1 to 4",
            remedy="give one file for each image that the network reads at once",
            at=at,
        )
    content = _content(path, content, at, within)
    try:
        with _quiet(), Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            _refuse_odd(opened, content)
            picture = _wide(opened) or _flat(opened, channels)
            values = np.asarray(picture)
            if not values.size:
                raise ValueError("it has no pixels")
            kind = np.dtype(np.uint16) if opened.mode.startswith("I") else values.dtype
            low, high = extent(values, f"'{shown(path)}'", at)
            fitted = _fit(picture, channels, height, width)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"the image '{shown(path)}' is too large: {error}",
            expected=f"at most {MAX_PIXELS} pixels, and {MAX_SIDE} a side",
            at=at,
        ) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, MemoryError) as error:
        raise _unreadable(path, content, error, at) from None
    return Decoded(fitted, kind, low, high, path, at)


def _unreadable(
    path: Path, content: bytes, error: BaseException, at: Location | None = None
) -> DataError:
    """Words why a file is no image."""
    reason = str(error)
    if isinstance(error, UnidentifiedImageError):
        reason = "it is none" if content else "it is empty"
    return DataError(
        f"'{shown(path)}' cannot be read as an image: {reason}",
        expected=f"one of the formats {', '.join(FORMATS)}, whole",
        at=at,
    )


def _content(path: Path, content: bytes | None, at: Location | None, within: Path | None) -> bytes:
    """An image file's bytes, from the disk unless they are given."""
    if content is not None:
        return content
    try:
        return read_bytes(path, DATA_LIMIT, error=DataError, at=at, within=within)
    except FileNotFoundError:
        raise DataError(
            f"there is no image '{shown(path)}'",
            remedy=f"paths are relative to {'the current folder' if at is None else at.file}",
            at=at,
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Makes an error of Pillow's warning of a bomb; its others tell of tags that nobody reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _refuse_odd(opened: Image.Image, content: bytes) -> None:
    """Refuses a giant by its header, and a PNG without its end; Pillow tells of other cuts."""
    if opened.width * opened.height > MAX_PIXELS or max(opened.size) > MAX_SIDE:
        raise Image.DecompressionBombError(f"{opened.width}x{opened.height} pixels")
    if opened.format == "PNG" and _PNG_END not in content:
        raise ValueError("the file is cut short")


def _wide(opened: Image.Image) -> Image.Image | None:
    """An upright picture of more than 8 bits as floats of its values; ``None`` for others."""
    if not opened.mode.startswith(("I", "F")):
        return None
    upright = ImageOps.exif_transpose(opened)
    return Image.fromarray(np.asarray(upright, dtype=np.float32))


def _flat(opened: Image.Image, channels: int) -> Image.Image:
    """Turns a picture upright as its camera says, and to the wanted channels.

    Transparent ones are laid on white paper unless opacity is wanted.
    """
    upright = ImageOps.exif_transpose(opened)
    if channels in (1, 3) and upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return upright.convert(_MODES[channels])


def _fit(picture: Image.Image, channels: int, height: int, width: int) -> NDArray[Any]:
    """Scales a picture into the frame ``(C, H, W)``, keeping its proportions."""
    if picture.mode == "F" and channels in (2, 4):
        raise ValueError("grey of more than 8 bits has no opacity, which the network reads")
    factor = min(height / picture.height, width / picture.width)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    scaled = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    border = np.concatenate([scaled[0], scaled[-1], scaled[:, 0], scaled[:, -1]])
    frame = np.empty((height, width, *scaled.shape[2:]), dtype=scaled.dtype)
    frame[:] = np.median(border, axis=0).astype(scaled.dtype)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = scaled
    if frame.ndim == 2:
        return np.ascontiguousarray(np.broadcast_to(frame, (channels, height, width)))
    return np.ascontiguousarray(np.moveaxis(frame, -1, 0))


def load_folder(folder: Path, seed: int = 0) -> DataSource:
    """Reads a folder of images; sub-folders, if any, are the classes.

    A class may be a link to a folder elsewhere; an image may not be a link out of its folder.
    Folders whose name starts with a dot or with two underscores, and empty ones, are no classes.
    A fifth of the images, drawn with a fixed seed, is the test split.

    Raises:
        DataError: The folder holds no image, mixes images with class folders, or has a link that
            leaves it.
    """
    shelves, assumed = _shelves(folder)
    loose = _images_in(folder, deep=False)
    if loose and shelves:
        raise DataError(
            f"the folder '{folder}' has images both beside and inside sub-folders",
            expected="either images only, or one sub-folder per class",
        )
    held = shelves or {"": loose}
    files = [(file, name) for name in sorted(held) for file in held[name]]
    if len(files) < 2:
        others = Counter(path.suffix.lower() for path in folder.rglob("*") if path.is_file())
        for suffix in SUFFIXES:
            others.pop(suffix, None)
        seen = [f"{count:,} {suffix or 'without an ending'}" for suffix, count in others.items()]
        raise DataError(
            f"the folder '{folder}' holds {counted(len(files), 'image')}"
            f"{f'; other files: {listing(seen)}' if seen else ''}",
            expected="at least two image files, in sub-folders named by class if labels are known",
            remedy=f"save them with one of the endings {', '.join(sorted(SUFFIXES))}",
        )
    classes = tuple(sorted(shelves))
    labels = np.array([classes.index(name) for _, name in files], np.int64) if classes else None
    roots = {name: (folder.resolve(), (folder / name).resolve()) for name in held}
    for file, name in files:
        real = file.resolve()
        if not any(real.is_relative_to(root) for root in roots[name]):
            raise DataError(
                f"the link '{file}' leaves the folder '{folder}'",
                expected="images that lie in the folder",
                remedy="put a copy of the image in the link's place",
            )
    pixels, levels = read_images(
        [(file, None) for file, _ in files],
        lambda: _common_shape([read_image_size(file) for file, _ in files]),
    )
    taken = (*assumed, *assumed_of(levels))
    found = ImageSet(str(folder), pixels, labels, classes, assumed=taken, levels=levels)
    return split(found, seed)


def _shelves(folder: Path) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
    """Finds the class folders and their images, and says which folders are none."""
    found, odd = {}, []
    for path in sorted(folder.iterdir()):
        if not path.is_dir():
            continue
        if path.is_symlink() and folder.resolve().is_relative_to(path.resolve()):
            raise DataError(
                f"the link '{path}' leads back to the folder that holds it",
                remedy="remove the link, or let it lead to the folder of one class",
            )
        images = [] if path.name.startswith((".", "__")) else _images_in(path, deep=True)
        if images:
            found[path.name] = images
        else:
            odd.append(path.name)
    words = []
    if odd:
        words.append(f"not taken for classes, hidden or without images: {listing(odd)}")
    if found and set(map(str.casefold, found)) <= _PARTS:
        words.append(f"the folders {listing(list(found))} are classes, not parts of the data set")
    return found, tuple(words)


def _images_in(folder: Path, *, deep: bool) -> list[Path]:
    """Lists the image files of a folder, or of all below it, without following links to others."""
    found = []
    for base, below, names in os.walk(folder):
        below[:] = [name for name in below if deep and not name.startswith((".", "__"))]
        visible = [name for name in names if not name.startswith(".")]
        found += [Path(base, n) for n in visible if Path(n).suffix.lower() in SUFFIXES]
    return sorted(found, key=str)


def _common_shape(shapes: Sequence[Shape]) -> Shape:
    """Takes the middle size for all, within those of a symbol, and colour if most have it."""
    channels, height, width = np.median(shapes, axis=0)
    side = int(np.clip(max(height, width), FOLDER_SIZE, MOST_FOLDER_SIZE))
    return (3 if channels > 2 else 1, side, side)


def read_image_size(path: Path, content: bytes | None = None) -> tuple[int, int, int]:
    """Returns ``(C, H, W)`` of an image file without decoding its pixels."""
    content = _content(path, content, None, None)
    try:
        with _quiet(), Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            grey = opened.mode in {"1", "L", "LA"} or opened.mode.startswith(("I", "F"))
            noted = "exif" in opened.info or opened.format == "TIFF"  # others would be decoded
            turned = noted and opened.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
            size = (opened.width, opened.height) if turned else (opened.height, opened.width)
            return (1 if grey else 3, *size)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise _unreadable(path, content, error) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"the image '{shown(path)}' is too large: {error}") from None


def read_probability(text: str) -> float | None:
    """Reads a number from 0 to 1; ``None`` when the text is something else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def read_table(path: Path, wanted: str = "a table") -> tuple[list[str], list[TableRow]]:
    """Reads a CSV with a header line, or a Parquet table.

    Args:
        path: The file.
        wanted: What it is to be, for messages.

    Returns:
        The column names, and for each row its place and its values by column. The place is the line
        on which the row begins, or in a Parquet table its number.

    Raises:
        DataError: The file is missing, empty, or has a row of another length.
    """
    try:
        if is_parquet(path):
            header, found = read_texts(path)
            return header, [(Location(path, n), row) for n, row in enumerate(found, start=1)]
        text = read_text(
            path,
            error=DataError,
            what="it cannot be read as CSV: it",
            limit=DATA_LIMIT,
            newlines=False,
        )
    except FileNotFoundError:
        raise DataError(
            f"there is no file '{shown(path)}'",
            expected=wanted,
            remedy="paths are relative to the spec's folder",
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return _parse_table(path, reader)
    except csv.Error as error:
        at = Location(path, reader.line_num)
        raise DataError(f"it cannot be read as CSV: {error}", at=at) from None


def _parse_table(path: Path, reader: Any) -> tuple[list[str], list[TableRow]]:
    """Reads the header and the rows, each of as many values."""
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise DataError("the file is empty", expected="a header line", at=Location(path, 1))
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"the column '{twice}' stands twice", at=Location(path, 1))
    if len(header) == 1 and (sign := re.search(r"[;\t]", header[0])):
        raise DataError(
            f"the columns are separated by {'semicolons' if sign[0] == ';' else 'tabs'}",
            expected="commas",
            remedy="save the table as comma-separated values",
            at=Location(path, 1),
        )
    rows = []
    begins = reader.line_num + 1  # a quoted value may go on over several lines
    for row in reader:
        at, begins = Location(path, begins), reader.line_num + 1
        if not row:
            continue
        if len(row) != len(header):
            raise DataError(
                f"the row has {counted(len(row), 'value')}, the header has {len(header)}",
                remedy="give one for each column, in double quotes where it has a comma in it",
                at=at,
            )
        rows.append((at, dict(zip(header, (value.strip() for value in row), strict=True))))
    return header, rows
