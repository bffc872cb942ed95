"""A picture of an explanation: the best proofs with their images, and the circuit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groundkit.report import plots
from groundkit.report.words import chance

_ROW = 0.9
_INCHES = 9.0


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """A node of a circuit.

    Attributes:
        label: Its words.
        kind: ``and``, ``or``, ``leaf`` or a constant.
        children: Nodes below it.
        best: Whether the most probable proof uses it.
    """

    label: str
    kind: str
    children: tuple[int, ...]
    best: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    """A circuit to draw; ``left_out`` counts the nodes that are not shown."""

    nodes: Mapping[int, DiagramNode]
    root: int
    left_out: int = 0


def draw_explanation(
    title: str,
    proofs: Sequence[tuple[float, Mapping[str, str], Sequence[str]]],
    images: Mapping[str, NDArray[Any]],
    diagram: Diagram,
    theme: plots.Theme = plots.LIGHT,
) -> bytes:
    """Draws proofs above the circuit they stand in.

    Args:
        title: The answer and its probability.
        proofs: Probability, image -> symbol, and facts of each.
        images: Image -> ``(C, H, W)`` bytes.
        diagram: The circuit, or its part that the proofs use.
        theme: Colours.

    Returns:
        A PNG.
    """
    layers = layers_of(diagram)
    deep = 1.1 * (max(layers.values(), default=0) + 1) + 0.6
    rows = max(len(proofs), 1) * _ROW
    with plots.sheet(theme, rows + deep + 0.8, _INCHES) as sheet:
        halves: Any = sheet.figure.subfigures(2, 1, height_ratios=[rows + 0.5, deep])
        top, bottom = halves
        top.suptitle(title, x=0.01, ha="left", color=theme.ink)
        _proof_rows(
            top.subplots(max(len(proofs), 1), 1, squeeze=False)[:, 0], proofs, images, theme
        )
        _circuit(bottom.subplots(), diagram, layers, theme)
    return sheet.png


def layers_of(diagram: Diagram) -> dict[int, int]:
    """Returns the longest distance of every node to the root."""
    graph = as_graph(diagram)
    depth = dict.fromkeys(graph, 0)
    for node in nx.topological_sort(graph):
        for child in graph.successors(node):
            depth[child] = max(depth[child], depth[node] + 1)
    return depth


def as_graph(diagram: Diagram) -> Any:
    """Returns the diagram as a directed graph of networkx, edges pointing down."""
    graph = nx.DiGraph()
    graph.add_nodes_from(diagram.nodes)
    graph.add_edges_from((n, c) for n, node in diagram.nodes.items() for c in node.children)
    return graph


def _proof_rows(
    rows: Sequence[Axes],
    proofs: Sequence[tuple[float, Mapping[str, str], Sequence[str]]],
    images: Mapping[str, NDArray[Any]],
    theme: plots.Theme,
) -> None:
    """Draws a row a proof: its probability, every image with its symbol, its facts."""
    widest = max((len(symbols) + bool(facts) for _, symbols, facts in proofs), default=1)
    step = max(2.6, 16.0 / (widest + 1))
    for axes in rows:
        axes.set_axis_off()
        axes.set(xlim=(0, 2 + step * max(widest, 3)), ylim=(0, 1))
    for axes, (probability, symbols, facts) in zip(rows, proofs, strict=False):
        axes.text(0, 0.5, chance(probability), va="center", color=theme.ink)
        place = 1.8
        for name, symbol in symbols.items():
            if name in images:
                picture = plots.as_pixels(images[name][None] / 255.0)[0]
                inset = axes.inset_axes((place, 0.05, 0.9, 0.9), transform=axes.transData)
                inset.imshow(picture, interpolation="nearest")
                inset.set(xticks=[], yticks=[])
                inset.grid(visible=False)
                axes.text(place + 1.0, 0.5, f"= {symbol}", va="center", color=theme.ink)
            else:
                axes.text(place, 0.5, f"{name} = {symbol}", va="center", color=theme.ink)
            place += step
        if facts:
            axes.text(place, 0.5, ", ".join(facts), va="center", color=theme.muted, fontsize=9)


def _circuit(axes: Axes, diagram: Diagram, layers: Mapping[int, int], theme: plots.Theme) -> None:
    """Draws the circuit, the root on top and the best proof in colour."""
    graph = as_graph(diagram)
    for node, depth in layers.items():
        graph.nodes[node]["layer"] = -depth
    places = nx.multipartite_layout(graph, subset_key="layer", align="horizontal")
    spread = {n: np.array([x, -layers[n]]) for n, (x, _) in places.items()}
    best = {n for n, node in diagram.nodes.items() if node.best}
    colours = [theme.series[0] if {a, b} <= best else theme.grid for a, b in graph.edges]
    nx.draw_networkx_edges(
        graph, spread, ax=axes, arrows=False, edge_color=colours,
        width=[2.0 if {a, b} <= best else 1.0 for a, b in graph.edges],
    )  # fmt: skip
    for number, one in diagram.nodes.items():
        axes.text(
            spread[number][0], spread[number][1],
            textwrap.shorten(one.label, 30, placeholder="...") if "\n" not in one.label
            else one.label,
            ha="center", va="center", fontsize=8, color=theme.ink,
            bbox={
                "boxstyle": "round,pad=0.3",
                "facecolor": theme.paper,
                "edgecolor": theme.series[0] if one.best else theme.muted,
                "linewidth": 1.8 if one.best else 0.8,
            },
        )  # fmt: skip
    axes.set_axis_off()
    axes.margins(0.12)
    note = "circuit; the most probable proof in colour"
    if diagram.left_out:
        note += f"; {diagram.left_out} nodes that no shown proof uses are left out"
    axes.set_title(note, color=theme.muted)
