"""Plots of a run as PNG bytes, from plain arrays and dicts.

Every function takes a theme, so that a page can show the light or the dark picture. Colours are
Okabe and Ito's, which colour-blind readers can tell apart; where colour carries meaning, a line
style, a frame or a word carries it too. Figures are made without pyplot, so there is no global
figure to leak and no display to need. Names of symbols are never read as mathematics.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from groundkit.report.axes import energy_axes

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a picture: paper, ink, muted ink, grid, the series, and the mark of an error."""

    paper: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]
    error: str


LIGHT = Theme(
    "#ffffff", "#1b2430", "#586474", "#dfe4ea",
    ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B07A00", "#56B4E9"), "#D55E00",
)  # fmt: skip
DARK = Theme(
    "#171c23", "#e8edf2", "#a3afbd", "#333c47",
    ("#56B4E9", "#F28E4B", "#2FC79B", "#E79BC4", "#F0C341", "#8FA8FF"), "#FF8A5B",
)  # fmt: skip

WIDTH = 5.0
"""Inches. Narrow, so that ten-point text is still legible on a phone 390 pixels wide."""
DPI = 170
_STYLES = ("-", "--", "-.", ":")


class Sheet:
    """A figure being drawn, and its PNG once the drawing is over."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.png = b""


@contextmanager
def sheet(theme: Theme, height: float, width: float = WIDTH) -> Iterator[Sheet]:
    """Opens a figure in a theme; on leaving, its PNG is in ``.png``."""
    style: Any = {
        "font.size": 10.0,
        "text.parse_math": False,
        "text.color": theme.ink,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.grid,
        "axes.labelcolor": theme.muted,
        "axes.titlesize": 10.0,
        "axes.titlelocation": "left",
        "axes.titlecolor": theme.ink,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": theme.grid,
        "grid.linewidth": 0.7,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelsize": 9.0,
        "ytick.labelsize": 9.0,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "figure.facecolor": theme.paper,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        page = Sheet(figure)
        yield page
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        page.png = buffer.getvalue()


def _shades(theme: Theme) -> LinearSegmentedColormap:
    """From paper to the first series colour."""
    return LinearSegmentedColormap.from_list("shades", [theme.paper, theme.series[0]])


def as_pixels(images: ArrayLike) -> Array:
    """Images ``(N, C, H, W)`` or ``(N, H, W)`` in [0, 1] -> ``(N, H, W, 3)`` bytes.

    Values outside [0, 1] are clipped and those that are no numbers become black; of two channels
    or more than three the first is shown.
    """
    x = np.nan_to_num(np.asarray(images, dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    if x.ndim == 3:
        x = x[:, None]
    if x.shape[1] != 3:
        x = np.repeat(x[:, :1], 3, axis=1)
    return (np.clip(x, 0.0, 1.0) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)


def most_certain(probs: ArrayLike, symbol: int, count: int) -> Array:
    """Indices of the images that are given ``symbol`` with the highest probability.

    Args:
        probs: ``(N, K)``.
        symbol: Index of the symbol.
        count: At most so many.
    """
    p = np.asarray(probs)
    given = np.flatnonzero(p.argmax(axis=1) == symbol)
    return given[np.argsort(-p[given, symbol], kind="stable")[:count]]


def confusion(counts: ArrayLike, symbols: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """Confusion matrix in shares of each true symbol, with numbers up to 12 symbols.

    Args:
        counts: ``(K, K)``, true symbol by predicted symbol.
        symbols: K names.
        theme: Colours.
    """
    table = np.asarray(counts, dtype=np.float64)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    k = len(symbols)
    with sheet(theme, 4.7) as page:
        axes = page.figure.add_subplot()
        axes.grid(False)
        axes.imshow(share, cmap=_shades(theme), vmin=0.0, vmax=1.0)
        step = max(1, -(-k // 20))
        names = [_short(symbols[i], 8) for i in range(0, k, step)]
        turned = 60 if max(map(len, names)) > 3 else 0
        axes.set_xticks(range(0, k, step), names, rotation=turned)
        axes.set_yticks(range(0, k, step), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("given symbol")
        axes.set_ylabel("true symbol")
        if k <= 12:
            _write_shares(axes, share, theme)
    return page.png


def _write_shares(axes: Axes, share: Array, theme: Theme) -> None:
    """Writes percentages of at least one half into the cells of a matrix."""
    for (i, j), value in np.ndenumerate(share):
        if value >= 0.005:
            colour = theme.paper if value > 0.55 else theme.ink
            axes.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=colour, size=8.5)


def symbols_grid(
    draw: Callable[[Array], ArrayLike],
    probs: ArrayLike,
    symbols: Sequence[str],
    *,
    truth: ArrayLike | None = None,
    theme: Theme = LIGHT,
    per_symbol: int = 10,
) -> bytes:
    """A row for each symbol with the images that are given it most certainly.

    Images whose true symbol is another one are framed.

    Args:
        draw: Draws the images at positions ``(M,)``: ``(M, C, H, W)`` in [0, 1].
        probs: ``(N, K)``.
        symbols: K names.
        truth: True symbols ``(N,)``, negative where unknown.
        theme: Colours.
        per_symbol: Images in a row.
    """
    chosen = [most_certain(probs, k, per_symbol) for k in range(len(symbols))]
    known = None if truth is None else np.asarray(truth)
    wrong = [
        np.zeros(len(c), dtype=bool) if known is None else (known[c] >= 0) & (known[c] != k)
        for k, c in enumerate(chosen)
    ]
    shown = [as_pixels(draw(c)) if len(c) else c for c in chosen]
    return _rows(shown, symbols, wrong, theme, "never given")


def embedding_map(
    plane: ArrayLike, probs: ArrayLike, symbols: Sequence[str], theme: Theme = LIGHT
) -> bytes:
    """Embeddings on a plane, in the colour of the symbol that each is given.

    The symbol's name stands at the median of its points; colours repeat where there are many.

    Args:
        plane: ``(M, 2)``.
        probs: ``(N, K)``, N at least M.
        symbols: K names.
        theme: Colours.
    """
    points = np.asarray(plane, dtype=np.float64)
    given = np.asarray(probs)[: len(points)].argmax(axis=1)
    with sheet(theme, 3.6) as page:
        axes = page.figure.add_subplot()
        for k in np.unique(given):
            own, colour = points[given == k], theme.series[k % len(theme.series)]
            axes.scatter(own[:, 0], own[:, 1], s=9, color=colour, alpha=0.6, linewidths=0)
            box = {"boxstyle": "round,pad=0.2", "fc": theme.paper, "ec": colour, "alpha": 0.85}
            across, up = np.median(own, axis=0)
            axes.text(
                across, up, _short(symbols[k], 12),
                ha="center", va="center", size=9, bbox=box,
            )  # fmt: skip
        axes.set_xlabel("first principal component of the embedding")
        axes.set_ylabel("second")
    return page.png


def samples_grid(
    samples: ArrayLike,
    asked: ArrayLike,
    symbols: Sequence[str],
    theme: Theme = LIGHT,
    per_symbol: int = 10,
) -> bytes:
    """A row for each symbol with images generated for it.

    Args:
        samples: ``(N, C, H, W)`` in [0, 1].
        asked: Symbol ``(N,)`` each was generated for.
        symbols: K names.
        theme: Colours.
        per_symbol: Images in a row.
    """
    pixels, wanted = as_pixels(samples), np.asarray(asked)
    rows = [pixels[wanted == k][:per_symbol] for k in range(len(symbols))]
    return _rows(rows, symbols, [np.zeros(len(r), dtype=bool) for r in rows], theme, "none")


def _rows(
    rows: Sequence[Array],
    symbols: Sequence[str],
    framed: Sequence[Array],
    theme: Theme,
    nothing: str,
) -> bytes:
    """Draws labelled rows of images on one canvas of square cells."""
    columns = max([len(r) for r in rows] + [1])
    with sheet(theme, max(0.44 * len(rows), 0.6)) as page:
        axes = page.figure.add_subplot()
        axes.set_axis_off()
        axes.set_xlim(-1.6, columns)
        axes.set_ylim(len(rows), 0)
        for i, row in enumerate(rows):
            axes.text(-0.25, i + 0.5, _short(symbols[i], 10), ha="right", va="center", size=12)
            if not len(row):
                axes.text(0.1, i + 0.5, nothing, va="center", color=theme.error, style="italic")
            for j, image in enumerate(row):
                cell = (j + 0.05, j + 0.95, i + 0.95, i + 0.05)
                axes.imshow(image, extent=cell, interpolation="nearest", aspect="auto")
                if framed[i][j]:
                    axes.add_patch(
                        Rectangle(
                            (j + 0.05, i + 0.05), 0.9, 0.9, fill=False, ec=theme.error, lw=2.4
                        )
                    )
    return page.png


def curves(
    history: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    moments: Sequence[float] = (),
    theme: Theme = LIGHT,
    x: str = "step",
) -> bytes:
    """Small multiples: a panel for each quantity of the history, with moments marked.

    Args:
        history: Rows; a row may lack any quantity, values that are not finite leave a gap.
        labels: Key of a quantity -> its title, in order.
        moments: Values of ``x`` at which something happened; drawn as dashed lines, numbered.
        theme: Colours.
        x: Key of the horizontal axis.
    """
    keys = list(labels)
    columns = 2 if len(keys) > 1 else 1
    lines = max(1, -(-len(keys) // columns))
    with sheet(theme, 0.45 + 1.45 * lines) as page:
        grid = page.figure.subplots(lines, columns, sharex=True, squeeze=False)
        for n, axes in enumerate(grid.flat):
            if n >= len(keys):
                axes.set_axis_off()
                continue
            points = [(r[x], r[keys[n]]) for r in history if _is_number(r.get(keys[n])) and x in r]
            style = {"marker": "o", "markersize": 2.5} if len(points) < 25 else {}
            axes.plot(*np.array(points).T.reshape(2, -1), color=theme.series[0], **style)
            axes.set_title(labels[keys[n]])
            axes.locator_params(nbins=4)
            for number, moment in enumerate(moments, start=1):
                axes.axvline(moment, color=theme.series[1], lw=1.1, ls="--")
                if n < columns and len(moments) <= 8:
                    axes.annotate(
                        str(number), (moment, 1.0), xycoords=("data", "axes fraction"),
                        xytext=(2, -8), textcoords="offset points",
                        color=theme.series[1], size=8,
                    )  # fmt: skip
            if n >= len(keys) - columns:
                axes.set_xlabel(x)
                axes.tick_params(labelbottom=True)
    return page.png


def energy_histogram(
    inside: ArrayLike, outside: Mapping[str, ArrayLike], theme: Theme = LIGHT
) -> bytes:
    """Energies of held-out images against those of every out-of-distribution set.

    Args:
        inside: Energies of held-out images ``(N,)``.
        outside: Foreign set -> energies ``(M,)``.
        theme: Colours.
    """
    groups = {"held-out images": inside} | dict(outside)
    finite = {name: _finite(values) for name, values in groups.items()}
    edges, top = energy_axes(list(finite.values()))
    beyond = any(((v < edges[0]) | (v > edges[-1])).any() for v in finite.values())
    with sheet(theme, 2.1 + 0.22 * len(groups)) as page:
        axes = page.figure.add_subplot()
        for n, (name, values) in enumerate(finite.items()):
            colour = theme.series[n % len(theme.series)]
            weights = np.full(len(values), 1.0 / max(len(values), 1))
            clipped = np.clip(values, edges[0], edges[-1])
            peak = np.histogram(clipped, edges, weights=weights)[0].max()
            label = f" {name}, up to {peak:.2f}" if peak > top else f" {name}"
            kind: Literal["stepfilled", "step"] = "stepfilled" if n == 0 else "step"
            axes.hist(
                clipped, edges.tolist(),
                weights=weights, histtype=kind,
                color=(colour, 0.3) if n == 0 else colour, edgecolor=colour,
                linewidth=1.6, linestyle=_STYLES[n % len(_STYLES)], label=label,
            )  # fmt: skip
        axes.set_ylim(0, top)
        words = "energy (higher: less like the training images)"
        axes.set_xlabel(f"{words}\nwhat lies further out is in the outer bins" if beyond else words)
        axes.set_ylabel("share of images")
        page.figure.legend(loc="outside upper left", ncols=2)
    return page.png


def reliability(bins: Mapping[str, Any], theme: Theme = LIGHT) -> bytes:
    """Accuracy against confidence, with the number of images in each bin below.

    Args:
        bins: ``edges`` (M + 1), ``count`` (M), ``confidence`` and ``accuracy`` (M, ``None`` where
            a bin is empty).
        theme: Colours.
    """
    count = np.asarray(bins["count"], dtype=float)
    filled = count > 0
    confidence = np.array([c for c in bins["confidence"] if c is not None], dtype=float)
    accuracy = np.array([a for a in bins["accuracy"] if a is not None], dtype=float)
    edges = np.asarray(bins["edges"], dtype=float)
    with sheet(theme, 4.2) as page:
        top, below = page.figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        top.plot([0, 1], [0, 1], color=theme.muted, ls="--", lw=1.2)
        top.text(1.0, 0.06, "dashed: calibrated", color=theme.muted, size=9, ha="right")
        top.vlines(confidence, confidence, accuracy, color=theme.series[1], lw=4, alpha=0.55)
        top.plot(confidence, accuracy, "o-", color=theme.series[0], ms=5)
        top.set(xlim=(0, 1.02), ylim=(0, 1.04), ylabel="share that is right")
        below.bar(edges[:-1][filled], count[filled], np.diff(edges)[filled], align="edge",
                  color=(theme.series[0], 0.5), edgecolor=theme.series[0])  # fmt: skip
        below.set(xlabel="probability given to the symbol", ylabel="images", yscale="log")
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        below.set_ylim(bottom=0.7)
    return page.png


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
    )


def _finite(values: ArrayLike) -> Array:
    v = np.asarray(values, dtype=np.float64).ravel()
    return v[np.isfinite(v)]


def _short(name: str, length: int) -> str:
    """A name cut to ``length`` characters, on one line, so that it fits an axis."""
    flat = " ".join(str(name).split()) or "(empty)"
    return flat if len(flat) <= length else flat[: length - 1] + "…"
