"""Pictures of models of points in the plane, such as moons and circles."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import ArrayLike

from groundkit.report.plots import LIGHT, WIDTH, Theme, sheet

_MARKS = "os^Dv*"


def density(
    points: ArrayLike,
    clusters: ArrayLike,
    extent: tuple[float, float, float, float],
    energies: ArrayLike,
    theme: Theme = LIGHT,
) -> bytes:
    """The learnt density as shades, and the points over it by cluster.

    The density is ``exp(-E)`` up to a constant, normalised on the grid.

    Args:
        points: ``(N, 2)``.
        clusters: Their clusters ``(N,)``.
        extent: Left, right, bottom and top of the grid.
        energies: Energies on the grid ``(H, W)``, first row at the bottom.
        theme: Colours.
    """
    e = np.asarray(energies, dtype=np.float64)
    mass = np.exp(-(e - e.min()))
    xy, given = np.asarray(points), np.asarray(clusters)
    shades = LinearSegmentedColormap.from_list("shades", [theme.paper, theme.muted])
    left, right, bottom, top = extent
    with sheet(theme, 0.9 + 0.9 * WIDTH * (top - bottom) / (right - left)) as page:
        axes = page.figure.add_subplot()
        axes.grid(False)
        axes.imshow(mass, extent=extent, origin="lower", cmap=shades, aspect="equal")
        for n, cluster in enumerate(np.unique(given)):
            chosen = xy[given == cluster]
            axes.scatter(
                chosen[:, 0], chosen[:, 1], s=12, marker=_MARKS[n % len(_MARKS)],
                color=theme.series[n % len(theme.series)], label=f" {cluster}", linewidths=0,
            )  # fmt: skip
        page.figure.legend(loc="outside upper left", ncols=4, title="cluster", markerscale=1.8)
    return page.png
