"""What a run came to, in two sentences: what happened, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from groundkit.report.causes import (
    GOOD,
    OF_CLUSTERS,
    Signs,
    Status,
    Verdict,
    cause_of,
    contradicted,
    crossed,
    labels_advice,
)
from groundkit.report.words import listing, percent

__all__ = ["GOOD", "MARGIN", "Verdict", "judge", "missing_symbols"]

MARGIN = 0.05
"""So much more accuracy after the best renaming means that names, not clusters, are wrong."""
CHANCE = 0.05
"""Probability up to which symbols are not missing by chance among a few images."""

_SEVERITY: tuple[Status, ...] = (
    "collapsed", "contradicted", "shortcut", "renamed", "ambiguous", "imbalanced", "colour",
    "too few examples", "hard clusters", "not grounded", "unknown", "grounded",
)  # fmt: skip


def judge(
    networks: Mapping[str, Mapping[str, Any]],
    identify: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    reasoning: Mapping[str, Any] | None = None,
    *,
    signs: Mapping[str, Any] | None = None,
) -> Verdict:
    """Judges a run by the network that came out worst.

    Args:
        networks: Network -> its grounding scores, keys as in ``metrics.json``: ``accuracy``,
            ``accuracy_matched``, ``collapse``, ``per_symbol``, ``predicted_share``,
            ``learnt_map``; unknown ones ``None`` or absent.
        identify: ``count`` of groundings that the program admits and how many of them are
            ``permutations``; under ``learnt``, if known, whether the learnt map is ``admitted``.
            ``None`` without a program.
        query: ``accuracy`` and ``nll`` of held-out queries; ``None`` without a program.
        reasoning: ``mode`` and ``gap``, said where reasoning was not exact.
        signs: What else ``metrics.json`` says: ``ambiguity``, ``contradictions``, ``examples``.
    """
    run = signs or {}
    if not networks:
        return Verdict(
            "unknown",
            "Nothing to judge: no network of this program reads images.",
            "Name the image variables in the spec, [examples] images.",
            "",
        )
    verdicts = [_judge_one(name, own, identify, query, run) for name, own in networks.items()]
    verdict = min(verdicts, key=lambda v: _SEVERITY.index(v.status))
    if reasoning is None or reasoning["mode"] == "exact":
        return verdict
    return replace(verdict, found=f"{verdict.found} {_inexact(reasoning)}")


def _inexact(reasoning: Mapping[str, Any]) -> str:
    """Words how far from exact the program's probabilities were."""
    if reasoning["mode"] == "bounds":
        return (
            "Its program was trained through lower bounds, up to "
            f"{reasoning['gap']:.2g} below the upper ones while nothing was learnt."
        )
    return (
        "Its program was trained through estimates, of standard error up to "
        f"{reasoning['gap']:.2g} while nothing was learnt."
    )


def missing_symbols(scores: Mapping[str, Any]) -> list[str]:
    """Symbols that are never predicted, leaving out those that have no image to be given to.

    Where nobody knows which have one, none is missing among images that are too few to show all.
    """
    shares: Mapping[str, float] = scores.get("predicted_share") or {}
    recall: Mapping[str, float | None] = scores.get("per_symbol") or {}
    unused = [name for name, share in shares.items() if share == 0]
    if scores.get("accuracy") is not None:
        return [name for name in unused if recall.get(name) is not None]
    return unused if _by_chance(len(shares), len(unused), scores.get("n") or 0) < CHANCE else []


def _by_chance(symbols: int, unused: int, images: int) -> float:
    """Bounds the probability that images of even symbols show none of so many of them."""
    used = symbols - unused
    if not images or used <= 0:
        return 1.0
    choices = math.lgamma(symbols + 1) - math.lgamma(used + 1) - math.lgamma(unused + 1)
    return math.exp(min(0.0, choices + images * math.log(used / symbols)))


def _judge_one(
    name: str,
    scores: Mapping[str, Any],
    identify: Mapping[str, Any] | None,
    query: Mapping[str, Any] | None,
    run: Mapping[str, Any],
) -> Verdict:
    accuracy, matched = scores.get("accuracy"), scores.get("accuracy_matched")
    if missing := missing_symbols(scores):
        asked = identify is not None or query is not None
        return _collapsed(name, missing, len(scores["predicted_share"]), asked=asked)
    matched = accuracy if matched is None else matched
    if identify is None and query is None and matched is not None:
        signs = Signs(name, scores, matched, matched, {}, {}, run)
        found = None if matched >= GOOD else cause_of(signs, OF_CLUSTERS)
        return found or _clustered(name, matched)
    if accuracy is None or matched is None:
        return _without_truth(name, scores, identify, query)
    learnt = scores.get("learnt_map") or {}
    moved = [f"{true} as {given}" for true, given in learnt.items() if true != given]
    if accuracy >= GOOD and not (moved and _admitted(identify)):
        return _grounded(name, accuracy, identify or {}, run)
    signs = Signs(name, scores, accuracy, matched, identify or {}, query or {}, run)
    return _wrong(signs, moved)


def _admitted(identify: Mapping[str, Any] | None) -> bool:
    """Whether a learnt map other than the identity may be one that the program admits.

    Where nobody checked the map itself it may be if there is another permutation: training with
    a prior does not end in a map that merges symbols unless symbols go missing.
    """
    found = identify or {}
    admitted = (found.get("learnt") or {}).get("admitted")
    if admitted is not None:
        return bool(admitted)
    permutations = found.get("permutations")
    return ((found.get("count") if permutations is None else permutations) or 1) > 1


def _wrong(signs: Signs, moved: Sequence[str]) -> Verdict:
    """Too few symbols are right: says which cause it has."""
    name, accuracy, matched, identify = signs.name, signs.accuracy, signs.matched, signs.identify
    if (found := crossed(signs)) is not None:
        return found
    if moved and _admitted(identify) and matched >= GOOD:
        return Verdict(
            "ambiguous",
            f"Ambiguous: the program admits {identify.get('count') or 2:,} groundings and {name} "
            f"learnt a different one from yours: it reads {listing(moved)} "
            f"({percent(accuracy)} right).",
            labels_advice(signs.run),
            name,
        )
    if matched - accuracy >= MARGIN and matched >= GOOD:
        return Verdict(
            "renamed",
            f"Clusters right, names wrong: {percent(accuracy)} of the images get their symbol "
            f"from {name}, {percent(matched)} would after renaming.",
            "Let the relabelling search run ([train] reground = true), more often "
            "(reground_every) or on more examples, and try another --seed.",
            name,
        )
    if (found := cause_of(signs)) is not None:
        return found
    return Verdict(
        "not grounded",
        f"Not grounded yet: {percent(accuracy)} of the images get their symbol from {name}, "
        f"{percent(matched)} after the best renaming.",
        f"Train longer ([train] epochs, cluster_steps), with more examples, or raise "
        f"[networks.{name}.perception] contrastive and invariance.",
        name,
    )


def _collapsed(name: str, missing: Sequence[str], total: int, *, asked: bool) -> Verdict:
    verb = "is" if len(missing) == 1 else "are"
    longer = "with [train] reground = true" if asked else "([train] cluster_steps)"
    return Verdict(
        "collapsed",
        f"Collapsed: {len(missing)} of {total} symbols of {name} {verb} never predicted "
        f"({listing(missing)}).",
        f"Raise [networks.{name}.perception] prior, which asks for every symbol to be used, or "
        f"train longer {longer}.",
        name,
    )


def _grounded(
    name: str, accuracy: float, identify: Mapping[str, Any], run: Mapping[str, Any]
) -> Verdict:
    rows = contradicted(Signs(name, {}, accuracy, accuracy, identify, {}, run))
    if rows is not None:
        return rows
    count, permutations = identify.get("count"), identify.get("permutations")
    if count is None:
        advice = "Whether another grounding satisfies the program too is not known."
    elif count == 1:
        advice = "No other grounding satisfies the program: use it with `groundkit query`."
    elif permutations == 1:
        advice = (
            "Every other grounding that satisfies the program merges symbols, which the prior "
            "rules out: use it with `groundkit query`."
        )
    else:
        advice = (
            f"The program admits {count:,} groundings, so another seed may find another one. "
            f"{labels_advice(run)}"
        )
    found = f"Grounded: {percent(accuracy)} of the held-out images get their symbol from {name}."
    return Verdict("grounded", found, advice, name)


def _clustered(name: str, matched: float) -> Verdict:
    good = matched >= GOOD
    return Verdict(
        "grounded" if good else "not grounded",
        f"Clustered without a program: {percent(matched)} of the held-out images are right once "
        f"the clusters of {name} are named in the best way.",
        "The clusters have no names of their own: a program would give them theirs."
        if good
        else "Train longer ([train] cluster_steps), or give it a program to learn from.",
        name,
    )


def _without_truth(
    name: str,
    scores: Mapping[str, Any],
    identify: Mapping[str, Any] | None,
    query: Mapping[str, Any] | None,
) -> Verdict:
    reason = str(scores.get("reason") or "the images have no true symbols").rstrip(".")
    count, nll = (identify or {}).get("count"), (query or {}).get("nll")
    clues = []
    if nll is not None and math.isfinite(nll):
        clues.append(f"held-out queries are given probability {percent(math.exp(-nll))} on average")
    if count is not None:
        clues.append(
            "the program admits one grounding only"
            if count == 1
            else f"the program admits {count:,} groundings"
        )
    known = f"; {' and '.join(clues)}" if clues else ""
    return Verdict(
        "unknown",
        f"Not scored: {reason}, so nobody can say how many symbols of {name} are right{known}.",
        "Look at the images of each symbol below, or label a few of them to have them scored.",
        name,
    )
