"""Images and tables from the user's own files, refused by name when they are not what they say."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from groundkit.data.images import DataSource, ImageSet, Labels
from groundkit.errors import DataError, Location

# More pixels than this in one file is a decompression bomb or a mistake, not a symbol.
MAX_PIXELS = 40_000_000
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif"})
# What Pillow may take a file for. Its other formats run programs (EPS) or are no pictures.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
# A real set of images unfolds to less than so many times its size on the disk.
MAX_UNFOLDING = 100
FOLDER_SIZE, MOST_FOLDER_SIZE = 28, 64


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
    channels, height, width = shape
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise DataError(f"'{path}' is no file", expected="an image file", at=at)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(_source(path, content), formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{opened.width}x{opened.height} pixels")
                picture = _flat(_eight_bits(opened)).convert("RGB" if channels == 3 else "L")
    except FileNotFoundError:
        raise DataError(
            f"there is no image '{path}'",
            remedy=f"paths are relative to {'the current folder' if at is None else at.file}",
            at=at,
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"the image '{path}' is too large: {error}",
            expected=f"at most {MAX_PIXELS} pixels",
            at=at,
        ) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, MemoryError) as error:
        raise DataError(
            f"'{path}' cannot be read as an image: {error}",
            expected=f"one of the formats {', '.join(FORMATS)}",
            at=at,
        ) from None
    return _fit(np.asarray(picture), channels, height, width)


def _source(path: Path, content: bytes | None) -> Path | io.BytesIO:
    """What Pillow opens: the file, or its content."""
    return path if content is None else io.BytesIO(content)


def _eight_bits(opened: Image.Image) -> Image.Image:
    """Scales grey of 16 bits, or of floats in [0, 1], to bytes; Pillow would clip it instead."""
    if not opened.mode.startswith(("I", "F")):
        return opened
    values = np.asarray(opened, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("some pixels are not finite")
    if opened.mode.startswith("I"):
        values = values / 257
    elif values.max() <= 1:
        values = values * 255
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _flat(opened: Image.Image) -> Image.Image:
    """Turns a picture upright as its camera says, and lays transparent ones on white paper."""
    upright = ImageOps.exif_transpose(opened)
    if not upright.has_transparency_data:
        return upright
    layer = upright.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _fit(array: np.ndarray, channels: int, height: int, width: int) -> Tensor:
    """Scales an ``(h, w[, 3])`` array into the frame, keeping its proportions."""
    picture = Image.fromarray(array)
    factor = min(height / picture.height, width / picture.width)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    scaled = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    border = np.concatenate([scaled[0], scaled[-1], scaled[:, 0], scaled[:, -1]])
    frame = np.empty((height, width, *scaled.shape[2:]), dtype=np.uint8)
    frame[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = scaled
    tensor = torch.from_numpy(frame)
    return tensor[None] if channels == 1 else tensor.permute(2, 0, 1).contiguous()


def load_folder(folder: Path, seed: int = 0) -> DataSource:
    """Reads a folder of images; sub-folders, if any, are the classes.

    A fifth of the images, drawn with a fixed seed, is the test split.

    Raises:
        DataError: The folder holds no image, mixes images with class folders, or has a link that
            leaves it.
    """
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir())
    files = sorted(
        (p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES), key=str
    )
    if len(files) < 2:
        raise DataError(
            f"the folder '{folder}' holds {len(files)} images",
            expected="at least two image files, in sub-folders named by class if labels are known",
        )
    for file in files:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"the link '{file}' leaves the folder '{folder}'",
                expected="images that lie in the folder",
            )
    parents = {file.parent for file in files}
    labels = None
    if classes and folder not in parents:
        names = {name: index for index, name in enumerate(classes)}
        labels = np.array([names[f.relative_to(folder).parts[0]] for f in files], dtype=np.int64)
    elif classes:
        raise DataError(
            f"the folder '{folder}' has images both beside and inside sub-folders",
            expected="either images only, or one sub-folder per class",
        )
    shape = _common_shape([read_image_size(file) for file in files])
    pixels = torch.stack([read_image(file, shape) for file in files])
    whole = ImageSet(str(folder), pixels, labels, tuple(classes))
    return split(whole, seed)


def _common_shape(shapes: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Takes the middle size for all, within those of a symbol, and colour if most have it."""
    channels, height, width = np.median(shapes, axis=0)
    side = int(np.clip(max(height, width), FOLDER_SIZE, MOST_FOLDER_SIZE))
    return (3 if channels > 2 else 1, side, side)


def read_image_size(path: Path, content: bytes | None = None) -> tuple[int, int, int]:
    """Returns ``(C, H, W)`` of an image file without decoding its pixels."""
    try:
        with Image.open(_source(path, content), formats=FORMATS) as opened:
            grey = opened.mode in {"1", "L", "LA"} or opened.mode.startswith(("I", "F"))
            return (1 if grey else 3, opened.height, opened.width)
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"'{path}' cannot be read as an image: {error}") from None


def load_npz(path: Path, seed: int = 0) -> DataSource:
    """Reads an ``.npz`` with ``images`` and optionally ``labels``; pickled arrays are refused.

    ``images`` is ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``, bytes or floats in [0, 1].

    Raises:
        DataError: The file is missing, damaged, no set of images, or unfolds beyond measure.
    """
    try:
        _refuse_bomb(path)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{path}' cannot be read as .npz: {error}") from None
    except Exception as error:  # zipfile and struct have many ways to say "cut short"
        raise DataError(f"'{path}' is damaged: {error}") from None
    if "images" not in arrays:
        raise DataError(
            f"'{path}' holds {', '.join(sorted(arrays)) or 'nothing'}",
            expected="an array 'images', and 'labels' if they are known",
        )
    pixels = _as_bytes(arrays["images"], path)
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    if "labels" in arrays:
        raw = arrays["labels"]
        if raw.shape != (len(pixels),):
            raise DataError(f"'{path}': labels have shape {raw.shape}, images {pixels.shape}")
        names, labels = np.unique(raw, return_inverse=True)
        labels, classes = labels.astype(np.int64), tuple(str(name) for name in names)
    return split(ImageSet(str(path), pixels, labels, classes), seed)


def _refuse_bomb(path: Path) -> None:
    """Raises a DataError for an archive that unfolds to far more than it holds."""
    with zipfile.ZipFile(path) as archive:
        unfolded = sum(member.file_size for member in archive.infolist())
    if unfolded > MAX_UNFOLDING * max(path.stat().st_size, 1 << 20):
        raise DataError(
            f"'{path}' unfolds to {unfolded:,} bytes from {path.stat().st_size:,}",
            expected=f"at most {MAX_UNFOLDING} times its size",
        )


def _as_bytes(array: np.ndarray, path: Path) -> Tensor:
    """Brings an image array to bytes ``(N, C, H, W)``."""
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] in (1, 3) and array.shape[1] not in (1, 3):
        array = np.moveaxis(array, -1, 1)
    if array.ndim != 4 or len(array) < 2:
        raise DataError(
            f"'{path}': images have shape {array.shape}",
            expected="(N, H, W), (N, H, W, C) or (N, C, H, W) with at least two images",
        )
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array))
    if array.dtype.kind not in "fiub":
        raise DataError(f"'{path}': images are of type {array.dtype}", expected="bytes or floats")
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"'{path}': {int((~np.isfinite(values)).sum())} pixels are not finite")
    if values.min() < 0 or values.max() > (1.0 if array.dtype.kind == "f" else 255.0):
        raise DataError(
            f"'{path}': pixels run from {values.min():g} to {values.max():g}",
            expected="bytes 0..255, or floats in [0, 1]",
        )
    scale = 255.0 if array.dtype.kind == "f" else 1.0
    return torch.from_numpy(np.round(values * scale).astype(np.uint8))


def split(whole: ImageSet, seed: int, test_share: float = 0.2) -> DataSource:
    """Splits a set into training and test images, every class by the same share."""
    rng = np.random.default_rng(seed)
    groups = (
        [np.arange(len(whole))]
        if whole.labels is None
        else [np.flatnonzero(whole.labels == k) for k in np.unique(whole.labels)]
    )
    train, test = [], []
    for group in groups:
        shuffled = rng.permutation(group)
        cut = max(1, round(len(shuffled) * test_share)) if len(shuffled) > 1 else 0
        test.append(shuffled[:cut])
        train.append(shuffled[cut:])
    return DataSource(
        whole.name,
        whole.subset(rng.permutation(np.concatenate(train))),
        whole.subset(rng.permutation(np.concatenate(test))),
    )


def read_probability(text: str) -> float | None:
    """Reads a number from 0 to 1; ``None`` when the text is something else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Reads a CSV with a header line.

    Returns:
        The column names and a dictionary per row.

    Raises:
        DataError: The file is missing, empty, or has a row of another length.
    """
    reader = csv.reader(())
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
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
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise DataError(
                        f"{len(row)} values in a row, the header has {len(header)}",
                        at=Location(path, reader.line_num),
                    )
                rows.append(dict(zip(header, (value.strip() for value in row), strict=True)))
    except FileNotFoundError:
        raise DataError(
            f"there is no file '{path}'",
            expected="a table with a column for every variable of the goal",
            remedy="[examples] file is relative to the spec's folder",
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        line = reader.line_num if isinstance(error, csv.Error) else None
        raise DataError(f"it cannot be read as CSV: {error}", at=Location(path, line)) from None
    return header, rows
