"""The few labelled images that a user may have: drawn from a data set, or read from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from groundkit.data.examples import inside
from groundkit.data.features import prepare_row, split_reference
from groundkit.data.files import read_images, read_probability, read_table
from groundkit.data.images import ImageSet
from groundkit.data.kept import ByKind
from groundkit.errors import DataError, Location, choose_from, located
from groundkit.perception.inputs import kind_of
from groundkit.symbols import Values

_COLUMNS = "the columns image and symbol, or image and one for each symbol"


@dataclass(frozen=True)
class Labelled:
    """Images whose symbol is known, for certain or with some probability.

    Attributes:
        pixels: ``(n, C, H, W)`` bytes.
        targets: Probability of every symbol ``(n, K)``.
    """

    pixels: Tensor
    targets: Tensor

    def symbols(self) -> list[int]:
        """Positions of the symbols that some image has for certain."""
        certain, places = self.targets.max(1)
        return sorted({int(k) for k, p in zip(places, certain, strict=True) if p == 1})


def draw_labelled(
    images: ImageSet, domain: Sequence[str], symbols: Sequence[str], per_symbol: int, seed: int
) -> Labelled:
    """Draws labelled images of some symbols.

    Args:
        images: Labelled images, labels being positions in the domain.
        domain: All symbols.
        symbols: Those to draw; all if empty.
        per_symbol: Images of each.
        seed: Seed of the draw.

    Raises:
        DataError: A symbol is unknown, or has too few images.
    """
    assert images.labels is not None  # only labelled sets are restricted to a domain
    rng = np.random.default_rng([seed, 2])
    picked: list[int] = []
    for symbol in symbols or domain:
        if symbol not in domain:
            raise DataError(
                f"labels of the symbol {symbol}, which is not in the domain",
                remedy=choose_from(symbol, domain),
            )
        places = np.flatnonzero(images.labels == domain.index(symbol))
        if len(places) < per_symbol:
            raise DataError(
                f"'{images.name}' has {len(places)} images of the symbol {symbol}",
                expected=f"at least {per_symbol} to label",
                remedy=f"per_symbol = {len(places)}"
                if len(places)
                else "name the other symbols in symbols = [...] beside per_symbol",
            )
        picked += rng.choice(places, per_symbol, replace=False).tolist()
    rows = np.array(picked, dtype=np.int64)
    targets = torch.eye(len(domain))[torch.from_numpy(images.labels[rows])]
    return Labelled(images.pixels[torch.from_numpy(rows)], targets)


def read_labelled(
    file: Path, domain: Sequence[str], shape: tuple[int, ...], levels: ByKind | None = None
) -> Labelled:
    """Reads labelled images, or rows, from a CSV file.

    Its column ``image`` names the files, or rows such as ``wine.csv#3``; either a column ``symbol``
    has each one's symbol, or a column for each symbol has its probability, an empty field being 0.

    Args:
        file: The table.
        domain: The network's symbols.
        shape: Shape of its inputs.
        levels: Which values of image files are black and white among its other images.

    Raises:
        DataError: The columns are others, or a value is no image, symbol or probability.
    """
    header, rows = read_table(file, "a table with the columns image and symbol")
    symbols = Values(domain)
    soft = "symbol" not in header
    if not soft and any(symbols.find(name) is not None for name in {*header} - {"symbol"}):
        raise DataError(
            "there are a column 'symbol' and columns of probabilities",
            expected=_COLUMNS,
            remedy="leave out either",
            at=Location(file, 1),
        )
    columns = {name: symbols.find(name) if soft else None for name in header if name != "image"}
    for name, place in columns.items():
        if place is None and (soft or name != "symbol"):
            raise DataError(
                f"unknown column '{name}'",
                expected=_COLUMNS,
                remedy=choose_from(name, ["image", "symbol", *domain]),
                at=Location(file, 1),
            )
    if "image" not in header or not columns or not rows:
        absent = "column 'image'" if "image" not in header else "column 'symbol'"
        missing = absent if "image" not in header or not columns else "row below the header"
        raise DataError(f"there is no {missing}", expected=_COLUMNS, at=Location(file, 1))
    named, targets = [], []
    known: dict[str, tuple[list[float], Location]] = {}
    for at, row in rows:
        target = _soft(row, columns, len(domain), at) if soft else _hard(row["symbol"], symbols, at)
        earlier, first = known.setdefault(row["image"], (target, at))
        if target != earlier:
            raise DataError(
                f"'{row['image']}' has another label on line {first.line}",
                expected="one label for each image",
                remedy="leave out one of the two lines, or give a probability for each symbol",
                at=at,
            )
        targets.append(target)
        named.append((row["image"], at))
    return Labelled(_inputs(file.parent, named, shape, levels), torch.tensor(targets))


def _inputs(
    folder: Path,
    named: Sequence[tuple[str, Location]],
    shape: tuple[int, ...],
    levels: ByKind | None,
) -> Tensor:
    """Reads images, or rows, of one shape."""
    if kind_of(shape) == "image":
        files = [(inside(folder, name, at), at) for name, at in named]
        return read_images(files, shape, known=levels)[0]
    return torch.stack([_row(folder, name, at, shape) for name, at in named])


def _row(folder: Path, name: str, at: Location, shape: tuple[int, ...]) -> Tensor:
    """Reads a row, or a sequence, that a table names."""
    file, number = split_reference(name)
    place = "" if number is None else f"#{number}"
    with located(lambda: at):
        return prepare_row(f"{inside(folder, file, at)}{place}", shape).pixels


def _hard(symbol: str, symbols: Values, at: Location) -> list[float]:
    place = symbols.position(symbol, "symbol of the network", at=at)
    return [float(k == place) for k in range(len(symbols.rows))]


def _soft(
    row: dict[str, str], columns: Mapping[str, int | None], size: int, at: Location
) -> list[float]:
    shares = [0.0] * size
    for name, place in columns.items():
        text = row.get(name) or "0"
        share = read_probability(text)
        if share is None or place is None:
            raise DataError(f"{name} has '{text}'", expected="a probability, 0 to 1", at=at)
        shares[place] = share
    if abs(sum(shares) - 1) > 1e-3:
        raise DataError(
            f"the probabilities sum to {sum(shares):g}", expected="1 over all symbols", at=at
        )
    return [share / sum(shares) for share in shares]
