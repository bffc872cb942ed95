"""One self-contained ``report.html`` for a person, from plain results.

No script, no request to anywhere: styles are inline, pictures are data URIs. Whatever comes from
a program, a spec or a data set is escaped by the template engine. A section whose data is missing
says so and why.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

from groundkit.errors import RunError
from groundkit.files import make_folder, read_bytes, write_atomically
from groundkit.report import pictures, plots
from groundkit.report.pictures import Picture
from groundkit.report.verdict import judge, missing_symbols
from groundkit.report.words import listing, number, percent, seconds

Array = NDArray[Any]


PARTS = {
    "compile": "ground",
    "reason": "train",
    "perceive": "train",
    "sample": "train",
    "reground": "train",
    "first_names": "train",
}
"""Timings that are part of another one, so that they do not count twice in the sum."""


class NetworkData(TypedDict, total=False):
    """What one network did; only ``name``, ``symbols`` and ``grounding`` are needed."""

    name: str
    """Its name in the program."""
    symbols: Sequence[str]
    """Its K symbols, in the order of its outputs."""
    grounding: Mapping[str, Any]
    """Its scores, keys as in ``metrics.json`` (``GroundingScores.to_dict()``)."""
    reliability: Mapping[str, Any] | None
    """Reliability bins (``Reliability.to_dict()``)."""
    draw: Callable[[Array], ArrayLike]
    """Draws the held-out images at positions ``(M,)``: ``(M, C, H, W)`` in [0, 1].

    Only the few that are shown are drawn: there may be hundreds of thousands.
    """
    probs: Array | None
    """Symbol probabilities ``(N, K)`` of the held-out images."""
    truth: Array | None
    """Their true symbols ``(N,)``, negative where unknown."""
    kind: str
    """``image``, ``row`` or ``sequence``: what was drawn as images."""
    plane: Array | None
    """Embeddings ``(M, 2)`` of the first of them on a plane."""
    energies: Array | None
    """Their energies ``(N,)``."""
    ood_energies: Mapping[str, Array]
    """Foreign set -> energies ``(M,)``."""
    ood: Mapping[str, Mapping[str, Any]]
    """Foreign set -> scores (``OodReport.to_dict()``)."""
    samples: Array | None
    """Generated images ``(S, C, H, W)`` in [0, 1]."""
    asked: Array | None
    """Symbol ``(S,)`` each was generated for."""
    nearest: Array | None
    """Training image ``(S, C, H, W)`` in [0, 1] nearest to each of them."""
    generation: Mapping[str, Any]
    """Scores of the samples (``GenerationScores.to_dict()``)."""


class Event(TypedDict):
    """Something that happened during training."""

    step: float
    kind: str
    """``reground``, ``rollback`` or the like."""
    text: str


class HealthNote(TypedDict):
    """One health verdict of the perception."""

    name: str
    status: str
    """``good``, ``warning`` or ``bad``."""
    text: str


class _Needed(TypedDict):
    title: str
    """The program's name."""
    command: str
    """The command line that repeats the run."""
    networks: Sequence[NetworkData]
    """The networks that read images."""


class ReportData(_Needed, total=False):
    """Everything a report shows, as plain data; what is absent is reported as missing."""

    subtitle: str
    """For instance date, seed and device."""
    reasoning: Mapping[str, Any] | None
    """``mode`` and ``gap``: whether the program's probabilities were exact."""
    query: Mapping[str, Any] | None
    """``accuracy`` and ``nll`` of held-out queries, ``goal``; ``None`` without a program."""
    identify: Mapping[str, Any] | None
    """``count``, ``permutations``, ``collapses``, or ``None`` with a ``reason``; and for people
    ``convention``: str, ``witnesses``: [{``kind``, ``words``}],
    ``removals``: [{``by``, ``removed``, ``left``, ``why``}],
    ``suggestions``: [{``kind``, ``items``: [str], ``left``, ``reason``}],
    ``learnt``: {``words``, ``admitted``: bool}.
    ``Identification.to_dict()`` fits, with ``LearntMap.to_dict()`` under ``learnt``."""
    ambiguity: Mapping[str, Any] | None
    """What the symbols may mean: ``maps``, ``concept_ece``, ``suggested``, as in
    ``metrics.json``; the suggested images lie in the run's folder."""
    contradictions: Mapping[str, Any] | None
    """Examples that the networks contradict: ``count`` of ``n``, ``rows``."""
    examples: int | None
    """Number of training examples."""
    history: Sequence[Mapping[str, Any]]
    """Rows of ``history.jsonl``; the horizontal axis is ``step``."""
    curves: Mapping[str, str]
    """Key of the history -> title of its panel; every numeric key when absent."""
    events: Sequence[Event]
    """Re-groundings, roll-backs: marked in the curves and listed under the same numbers."""
    health: Sequence[HealthNote]
    """Health verdicts."""
    timing: Mapping[str, float]
    """Stage -> seconds, as ``timing`` in ``metrics.json``; see :data:`PARTS` for nested ones."""
    memory: Mapping[str, float]
    """As ``memory`` in ``metrics.json``."""
    environment: Mapping[str, Any]
    """Versions and device."""
    program: str
    """Text of the ``.pl`` program."""
    spec: str
    """Text of the complete spec."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A symbol in the list of symbols: numbers, and its most certain images."""

    symbol: str
    recall: str
    share: str
    learnt: str | None
    strip: Picture | None


@dataclass(frozen=True, slots=True)
class _Samples:
    """Images generated for a symbol, beneath them perhaps their nearest training images."""

    symbol: str
    strips: list[Picture]
    agreement: float | None


def write_report(data: ReportData, folder: Path) -> Path:
    """Writes ``report.html`` and ``plots/*.png`` (the light ones) into a run's folder.

    Args:
        data: The results.
        folder: An existing folder.

    Returns:
        The path of ``report.html``.

    Raises:
        RunError: A file cannot be written.
    """
    views = [_view(net, several=len(data["networks"]) > 1) for net in data["networks"]]
    curves = _curves(data)
    plots_folder = folder / "plots"
    make_folder(plots_folder)
    for picture in [*(p for v in views for p in v["plots"].values()), curves]:
        if picture is not None:
            write_atomically(plots_folder / f"{picture.name}.png", picture.light)
    verdict = judge(
        {net["name"]: net["grounding"] for net in data["networks"]},
        data.get("identify"),
        data.get("query"),
        data.get("reasoning"),
        signs=cast(Mapping[str, Any], data),
    )
    text = template("report.html.j2").render(
        title=data["title"],
        subtitle=data.get("subtitle", ""),
        verdict=verdict,
        views=views,
        query=data.get("query"),
        identify=data.get("identify"),
        ambiguity=data.get("ambiguity"),
        suggested=_suggested(data.get("ambiguity"), folder),
        contradictions=data.get("contradictions"),
        curves=curves,
        events=data.get("events", []),
        health=data.get("health", []),
        timing=_timing(data.get("timing", {})),
        memory=data.get("memory", {}),
        environment=_environment(data.get("environment", {})),
        program=data.get("program"),
        spec=data.get("spec"),
        command=data["command"],
    )
    path = folder / "report.html"
    write_atomically(path, text.encode())
    return path


def _suggested(ambiguity: Mapping[str, Any] | None, folder: Path) -> list[dict[str, str]]:
    """The images to label, as the template shows them."""
    found = []
    for one in (ambiguity or {}).get("suggested") or []:
        try:
            content = read_bytes(folder / one["image"], error=RunError, within=folder)
        except FileNotFoundError:
            continue
        uri = "data:image/png;base64," + base64.b64encode(content).decode()
        found.append({**one, "uri": uri})
    return found


@cache
def template(name: str) -> Template:
    """A page's template: everything put into it is escaped, and a missing value is an error."""
    environment = Environment(
        loader=PackageLoader("groundkit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "seconds": seconds}
    environment.filters["marked"] = _marked
    return environment.get_template(name)


def _marked(text: str) -> Markup:
    """Escapes a text and sets what stands between backticks as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _view(net: NetworkData, *, several: bool) -> dict[str, Any]:
    """A network as the template shows it."""
    scores = net["grounding"]
    prefix = f"{_file_name(net['name'])}-" if several else ""
    return {
        "name": net["name"],
        "id": f"-{_file_name(net['name'])}" if several else "",
        "scores": scores,
        "kind": net.get("kind", "image"),
        "missing": missing_symbols(scores),
        "rows": _rows(net),
        "moved": {t: g for t, g in (scores.get("learnt_map") or {}).items() if t != g},
        "plots": _network_plots(net, prefix),
        "samples": _sample_rows(net),
        "ood": net.get("ood", {}),
        "generation": net.get("generation", {}),
        "table": _confusion_table(scores, net["symbols"]),
    }


def _network_plots(net: NetworkData, prefix: str) -> dict[str, Picture | None]:
    """The network's plots; ``None`` where the data for one is missing."""
    symbols, scores = net["symbols"], net["grounding"]
    found: dict[str, Picture | None] = dict.fromkeys(
        ("confusion", "symbols", "map", "reliability", "energy", "samples")
    )
    if scores.get("accuracy_matched") is not None and scores.get("confusion") is not None:
        counts = scores["confusion"]
        found["confusion"] = pictures.in_both(
            f"{prefix}confusion",
            pictures.confusion_words(counts, symbols),
            lambda theme: plots.confusion(counts, symbols, theme),
        )
    draw, probs, truth = net.get("draw"), net.get("probs"), net.get("truth")
    if draw is not None and probs is not None and len(probs):
        png = plots.symbols_grid(draw, probs, symbols, truth=truth)
        found["symbols"] = Picture(f"{prefix}symbols", png, None, "Most certain images by symbol")
    plane = net.get("plane")
    if plane is not None and probs is not None and len(plane):
        found["map"] = pictures.in_both(
            f"{prefix}map",
            pictures.map_words(plane, probs, symbols),
            lambda theme: plots.embedding_map(plane, probs, symbols, theme),
        )
    if bins := net.get("reliability"):
        found["reliability"] = pictures.in_both(
            f"{prefix}reliability",
            pictures.reliability_words(bins),
            lambda theme: plots.reliability(bins, theme),
        )
    energies, outside = net.get("energies"), net.get("ood_energies", {})
    if energies is not None and np.isfinite(energies).any():
        found["energy"] = pictures.in_both(
            f"{prefix}energy",
            pictures.energy_words(energies, outside),
            lambda theme: plots.energy_histogram(energies, outside, theme),
        )
    samples, asked = net.get("samples"), net.get("asked")
    if samples is not None and asked is not None and len(samples):
        png = plots.samples_grid(samples, asked, symbols)
        found["samples"] = Picture(f"{prefix}samples", png, None, "Generated images by symbol")
    return found


def _rows(net: NetworkData) -> list[_Row]:
    """A row for every symbol."""
    scores = net["grounding"]
    recall, share = scores.get("per_symbol") or {}, scores.get("predicted_share") or {}
    learnt = scores.get("learnt_map") or {}
    return [
        _Row(s, percent(recall.get(s)), percent(share.get(s)), learnt.get(s), _certain(net, k))
        for k, s in enumerate(net["symbols"])
    ]


def _certain(net: NetworkData, k: int, count: int = 8) -> Picture | None:
    """The images that are given symbol ``k`` most certainly, wrong ones framed."""
    draw, probs = net.get("draw"), net.get("probs")
    if draw is None or probs is None:
        return None
    chosen = plots.most_certain(probs, k, count)
    if not len(chosen):
        return None
    symbols, truth = net["symbols"], net.get("truth")
    wrong = np.zeros(len(chosen), dtype=bool)
    alt = f"The {len(chosen)} images given {symbols[k]} most certainly"
    if truth is not None and (np.asarray(truth)[chosen] >= 0).any():
        true = np.asarray(truth)[chosen]
        wrong = (true >= 0) & (true != k)
        really = listing([str(symbols[t]) for t in true[wrong]], most=8)
        alt += f"; {int(wrong.sum())} of them are really {really}" if wrong.any() else ", all right"
    return Picture("", pictures.strip(draw(chosen), wrong, columns=count), None, alt + ".")


def _sample_rows(net: NetworkData, count: int = 10) -> list[_Samples]:
    """The generated images, symbol by symbol."""
    samples, asked, nearest = net.get("samples"), net.get("asked"), net.get("nearest")
    if samples is None or asked is None or not len(samples):
        return []
    agreement = net.get("generation", {}).get("agreement_per_symbol") or {}

    def row(images: Array, chosen: Array, words: str) -> Picture:
        png = pictures.strip(np.asarray(images)[chosen], columns=count)
        return Picture("", png, None, words)

    rows = []
    for k, symbol in enumerate(net["symbols"]):
        chosen = np.flatnonzero(np.asarray(asked) == k)[:count]
        if not len(chosen):
            rows.append(_Samples(symbol, [], None))
            continue
        shown = [row(samples, chosen, f"{len(chosen)} images generated for {symbol}.")]
        if nearest is not None:
            shown.append(row(nearest, chosen, "The training image nearest to each of them."))
        rows.append(_Samples(symbol, shown, agreement.get(symbol)))
    return rows


def _curves(data: ReportData) -> Picture | None:
    """The training curves, re-groundings marked."""
    history = data.get("history", [])
    labels = data.get("curves") or {
        key: key.replace("_", " ")
        for row in history
        for key, value in row.items()
        if key not in {"step", "epoch"} and isinstance(value, int | float)
    }
    if not history or not labels:
        return None
    moments = [event["step"] for event in data.get("events", [])]
    return pictures.in_both(
        "curves",
        pictures.curves_words(history, labels),
        lambda theme: plots.curves(history, labels, moments, theme),
    )


@dataclass(frozen=True, slots=True)
class _Timing:
    """Durations: those that add up, each followed by its parts."""

    rows: list[tuple[str, float, bool]]
    """Stage, seconds, and whether it is a part of the stage above it."""
    total: float


def _timing(timing: Mapping[str, float]) -> _Timing | None:
    """Puts parts under their stages; ``None`` when nothing was timed."""
    known = {k.removesuffix("_s"): v for k, v in timing.items() if v is not None}
    parts = {part: stage for part, stage in PARTS.items() if part in known and stage in known}
    stages = [stage for stage in known if stage not in parts]
    rows: list[tuple[str, float, bool]] = []
    for stage in stages:
        rows.append((stage, known[stage], False))
        rows += [(part, known[part], True) for part, of in parts.items() if of == stage]
    return _Timing(rows, sum(known[stage] for stage in stages)) if rows else None


def _environment(environment: Mapping[str, Any]) -> list[str]:
    """The environment as words; nested tables such as versions are opened."""
    words = []
    for key, value in environment.items():
        inner = value.items() if isinstance(value, Mapping) else [(key, value)]
        words += [f"{name} {text}" for name, text in inner if text is not None]
    return words


def _confusion_table(scores: Mapping[str, Any], symbols: Sequence[str]) -> list[list[Any]]:
    """The confusion matrix as rows of a table, when it is small enough to read."""
    counts = scores.get("confusion")
    if scores.get("accuracy") is None or counts is None or len(symbols) > 20:
        return []
    return [[symbol, *row] for symbol, row in zip(symbols, counts, strict=True)]


def _file_name(name: str) -> str:
    """A name as part of a file name or of an element's id."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
