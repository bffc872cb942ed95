"""Starts of one's own: a program, a spec and a note that run at once.

Three are templates with a remark at every line; the others are the programs that the package ships.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from groundkit.errors import RunError, SpecError, choose_from
from groundkit.files import make_folder, read_text, write_atomically

LIKE = {
    "addition": "three digits, the first two add up to the third; nothing is observed",
    "sum": "two digits whose sum is observed",
    "own": "your own images, named in a table",
}
"""The templates, with what each shows."""

_PACKAGE = Path(__file__).parent.parent

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_IMAGES = 120
_ROWS = 300


@dataclass(frozen=True)
class _Start:
    """The three texts of a start; ``NAME`` stands for the program's name."""

    program: str
    spec: str
    note: str


_STARTS = {
    "addition": _Start(
        """% Three handwritten digits: the first two add up to the third.
% No digit and no sum is observed; all that is known is that every example is an addition.

nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

addition(X, Y, Z) :- digit(X, A), digit(Y, B), digit(Z, C), C is A+B.
""",
        """[query]
goal = "addition(X, Y, Z)"         # its variables are bound once per example

[examples]
data = "mnist5k"                   # see: groundkit datasets
images = ["X", "Y", "Z"]           # these variables are images
count = 1000

[networks.net]                     # the name inside nn(net, ...)
backbone = "convnet"
""",
        """# NAME

Grounds ten handwritten digits from triplets of which only one thing is known: the first two
digits add up to the third. `groundkit identify NAME.pl` says why that is enough.

    groundkit check NAME.pl
    groundkit run NAME.pl
""",
    ),
    "sum": _Start(
        """% Two handwritten digits of which the sum is observed.

nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

sum(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
""",
        """[query]
goal = "sum(X, Y, Z)"              # its variables are bound once per example

[examples]
data = "mnist5k"                   # see: groundkit datasets
images = ["X", "Y"]                # these variables are images, Z is an observed symbol
count = 1000

[networks.net]                     # the name inside nn(net, ...)
backbone = "convnet"
""",
        """# NAME

Grounds ten handwritten digits from pairs of images and their sums.

    groundkit check NAME.pl
    groundkit run NAME.pl
""",
    ),
    "own": _Start(
        """% Pairs of images, and what is known of each pair: here, their sum.
% Write your own symbols into the list and your own relation below it.

nn(net, [X], Y, [0,1,2,3,4]) :: symbol(X, Y).

pair(X, Y, Z) :- symbol(X, A), symbol(Y, B), Z is A+B.
""",
        """[query]
goal = "pair(X, Y, Z)"             # a column of the table for every variable

[examples]
data = "NAME-images"               # the folder of images: gives their size and colours
file = "NAME.csv"                  # X and Y hold image files, Z what is observed
images = ["X", "Y"]

[networks.net]                     # the name inside nn(net, ...)
backbone = "convnet"
""",
        """# NAME

`NAME.csv` has a row for every example: the columns `X` and `Y` hold image files, `Z` a symbol.
The images in `NAME-images` are handwritten digits to start with; put yours in their place, any
size, grey or colour, and write the table anew. Columns `X.truth` and `Y.truth`, when you add
them, score the result and are never trained on.

    groundkit check NAME.pl
    groundkit run NAME.pl
""",
    ),
}


def starts() -> dict[str, str]:
    """Lists every start with what it shows: the templates first, then the shipped programs."""
    shipped = {note.stem: _headline(note) for note in sorted(_shipped().glob("*.md"))}
    return {**LIKE, **{name: words for name, words in shipped.items() if name not in LIKE}}


def _shipped() -> Path:
    """The folder of programs: inside of an installed package, beside the package in a checkout."""
    installed = _PACKAGE / "programs"
    return installed if installed.is_dir() else _PACKAGE.parent / "programs"


def _headline(note: Path) -> str:
    """What a program shows: the title of its note, without its name."""
    title = read_text(note, error=RunError).partition("\n")[0].removeprefix("# ")
    return title.rpartition(f"{note.stem}: ")[2]


def _read_start(like: str) -> _Start:
    """The texts of a start; a shipped program's note calls the copy by its own name and place."""
    if like in _STARTS:
        return _STARTS[like]
    stem = _shipped() / like
    program, spec, note = (
        read_text(stem.with_suffix(ending), error=RunError) for ending in (".pl", ".toml", ".md")
    )
    return _Start(program, spec, note.replace(f"programs/{like}.", "NAME."))


def write_starter(name: str, like: str, folder: Path | str = ".") -> list[Path]:
    """Writes a program, its spec and a note; for ``own`` also images and their table.

    Args:
        name: Name of the program, for its files.
        like: A start, one of :func:`starts`.
        folder: Where to write; made when absent.

    Returns:
        The files, the program first.

    Raises:
        SpecError: Name or start are unknown, or a file of the name is there already.
        RunError: The folder cannot be written.

    Example:
        >>> import groundkit
        >>> files = groundkit.write_starter("mine", "own", ".")
        >>> files[0].name
        'mine.pl'
    """
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"'{name}' is not a name for a program",
            expected="letters, digits, - and _, a letter first",
        )
    if like not in starts():
        raise SpecError(f"there is no start '{like}'", remedy=choose_from(like, starts()))
    start, folder = _read_start(like), Path(folder)
    texts = {"pl": start.program, "toml": start.spec, "md": start.note}
    files = [folder / f"{name}.{ending}" for ending in texts]
    own = [folder / f"{name}.csv", folder / f"{name}-images"] if like == "own" else []
    for file in [*files, *own]:
        if file.exists():
            raise SpecError(f"'{file}' is there already", remedy="choose another name")
    make_folder(folder)
    for file, text in zip(files, texts.values(), strict=True):
        write_atomically(file, text.replace("NAME", name).encode())
    if own:
        _write_pairs(*own)
    return [*files, *own]


def _write_pairs(table: Path, images: Path) -> None:
    """Writes small digits as image files, and a table of pairs with their sums."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    data = load_digits(n_class=5)
    chosen = rng.choice(len(data.target), _IMAGES, replace=False)
    make_folder(images)
    for number, index in enumerate(chosen):
        pixels = np.round(data.images[index] * (255 / 16)).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((28, 28), Image.Resampling.BICUBIC)
        png = io.BytesIO()
        picture.save(png, "PNG")
        write_atomically(images / f"{number:03}.png", png.getvalue())
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["X", "Y", "Z", "X.truth", "Y.truth"])
    for first, second in rng.integers(_IMAGES, size=(_ROWS, 2)):
        digits = data.target[chosen[first]], data.target[chosen[second]]
        names = [f"{images.name}/{number:03}.png" for number in (first, second)]
        rows.writerow([*names, sum(digits), *digits])
    write_atomically(table, text.getvalue().encode())
