"""Why too few symbols are right: each cause with its sign in the numbers, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from groundkit.report.words import counted, listing, percent

Status = Literal[
    "grounded",
    "ambiguous",
    "shortcut",
    "collapsed",
    "renamed",
    "contradicted",
    "imbalanced",
    "colour",
    "too few examples",
    "hard clusters",
    "not grounded",
    "unknown",
]

GOOD = 0.9
"""Symbols count as grounded from this share of right ones."""
UNEVEN = 3.0
"""The most frequent symbol has so many times the images of the rarest one."""
NEAR = 0.1
"""Share of the images that would have to change their symbol for learnt shares to be the true ones,
below which they are taken for true."""
CONTRADICTED = 0.02
"""Share of contradicted rows that is worth telling."""
PER_SYMBOL = 20
"""Examples a symbol below which there are few."""
_COLOURED = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a run.

    Attributes:
        status: One word or two.
        found: What happened, one sentence.
        advice: What to do next, one sentence.
        network: The network it is about.
    """

    status: Status
    found: str
    advice: str
    network: str

    def __str__(self) -> str:
        return f"{self.found} {self.advice}"


@dataclass(frozen=True)
class Signs:
    """What is known of a network whose symbols are wrong.

    Attributes:
        name: The network.
        scores: Its grounding scores.
        accuracy: Share of images that get their symbol.
        matched: The same after the best renaming.
        identify: What the program admits.
        query: Scores of held-out queries.
        run: The rest of ``metrics.json``: ``ambiguity``, ``contradictions``, ``examples``.
    """

    name: str
    scores: Mapping[str, Any]
    accuracy: float
    matched: float
    identify: Mapping[str, Any]
    query: Mapping[str, Any]
    run: Mapping[str, Any]


def labels_advice(run: Mapping[str, Any]) -> str:
    """Words which labels would settle the names."""
    asked = (run.get("ambiguity") or {}).get("suggested") or []
    if not asked:
        return (
            "Observe more or add a rule that tells these symbols apart; `groundkit identify` "
            "lists the observations that would leave one grounding."
        )
    return (
        f"Labelling {counted(len(asked), 'image')} would leave one reading: `groundkit suggest` "
        "shows which, and `groundkit label` takes labels up without training; or observe more "
        "(`groundkit identify`)."
    )


def crossed(signs: Signs) -> Verdict | None:
    """Networks that read the same images have traded parts of their work."""
    learnt = signs.identify.get("learnt") or {}
    for group, image in (learnt.get("maps") or {}).items():
        if " + " in group and list(image) != list(range(len(image))) and learnt.get("admitted"):
            return Verdict(
                "shortcut",
                f"A shortcut across networks: {group.replace(' + ', ' and ')} satisfy the program "
                f"with symbols that mean something else ({learnt.get('words') or 'another map'}; "
                f"{percent(signs.accuracy)} of {signs.name} right).",
                f"Ask a query that depends on {signs.name} alone. {labels_advice(signs.run)}",
                signs.name,
            )
    return None


def contradicted(signs: Signs) -> Verdict | None:
    """Many examples contradict what all others say."""
    rows = signs.run.get("contradictions") or {}
    count, total = rows.get("count") or 0, rows.get("n") or 0
    if not total or count < CONTRADICTED * total or (rows.get("typical") or 0) < 0.5:
        return None
    first = [row["place"] for row in rows.get("rows") or [] if row.get("place")][:3]
    where = f" ({listing(first)} first)" if first else ""
    return Verdict(
        "contradicted",
        f"Contradictory examples: {count:,} of {total:,} are next to impossible given "
        f"the others, and {percent(signs.accuracy)} of the images get their symbol from "
        f"{signs.name}.",
        f"Look at the rows that the report lists{where}: correct or remove those that are wrong, "
        "and run again.",
        signs.name,
    )


def imbalanced(signs: Signs) -> Verdict | None:
    """Some symbols are far more frequent than others, and training did not know."""
    counts = signs.scores.get("confusion")
    if not counts or signs.scores.get("prior"):
        return None
    symbols = list(signs.scores.get("per_symbol") or {})
    learnt: list[float] | None = signs.scores.get("prior_learnt")
    totals = [sum(row) for row in counts]
    if signs.scores.get("accuracy") is None:  # clusters, which are told by what they show
        shown: Mapping[str, str] = signs.scores["matching"]
        order = sorted(range(len(symbols)), key=lambda k: symbols.index(shown[symbols[k]]))
        totals = [totals[k] for k in order]
        learnt = learnt and [learnt[k] for k in order]
    seen = [total for total in totals if total]
    if len(seen) < 2 or max(seen) < UNEVEN * min(seen):
        return None
    shares = [total / sum(totals) for total in totals]
    if learnt and sum(abs(a - b) for a, b in zip(learnt, shares, strict=True)) / 2 < NEAR:
        return None
    line = ", ".join(f"{share:.3g}" for share in shares)
    often, rare = totals.index(max(totals)), totals.index(min(seen))
    if learnt:
        thought = (
            f"training learnt other shares, {percent(learnt[often])} and {percent(learnt[rare])}"
        )
    else:
        thought = "training took all symbols for equally frequent"
    return Verdict(
        "imbalanced",
        f"Imbalanced: {symbols[often]} is {max(seen) / min(seen):.0f} times as frequent as "
        f"{symbols[rare]}, and {thought} "
        f"({percent(signs.accuracy)} of {signs.name} right).",
        f"Say so in [networks.{signs.name}.perception]: prior_probabilities = [{line}]",
        signs.name,
    )


def coloured(signs: Signs) -> Verdict | None:
    """Clusters are those of colour."""
    agreement = signs.scores.get("colour_nmi")
    if agreement is None or agreement < max(_COLOURED, signs.scores.get("nmi") or 0.0):
        return None
    return Verdict(
        "colour",
        f"Clusters of colour: {signs.name} sorts images by their colour (agreement "
        f"{agreement:.2f}) rather than by what they show ({percent(signs.accuracy)} right).",
        "If colour has no meaning here, leave it out: "
        f'[networks.{signs.name}.perception] invariant = ["colour"].',
        signs.name,
    )


def satisfied(signs: Signs) -> Verdict | None:
    """Queries are right and symbols are not."""
    right = signs.query.get("accuracy")
    if right is None or right < GOOD or signs.matched >= GOOD:
        return None
    return Verdict(
        "shortcut",
        f"Queries right, symbols not: {percent(right)} of the held-out queries are answered "
        f"correctly while {percent(signs.accuracy)} of the images get their symbol from "
        f"{signs.name} ({percent(signs.matched)} after the best renaming).",
        "The goal can be satisfied without the symbols: ask for more of them, such as a second "
        f"[[query]] that depends on each. {labels_advice(signs.run)}",
        signs.name,
    )


def sparse(signs: Signs) -> Verdict | None:
    """There are few examples."""
    count = signs.run.get("examples")
    wanted = PER_SYMBOL * len(signs.scores.get("predicted_share") or signs.scores["per_symbol"])
    if count is None or count >= wanted:
        return None
    return Verdict(
        "too few examples",
        f"Too few examples: {count:,} for {wanted // PER_SYMBOL} symbols of {signs.name} "
        f"({percent(signs.accuracy)} right).",
        f"Give {wanted:,} or more ([examples] count, or more rows), or label a few images: "
        f"[networks.{signs.name}.labels] per_symbol = 5.",
        signs.name,
    )


def hard(signs: Signs) -> Verdict | None:
    """The embedding cannot tell the symbols apart, labels or not."""
    best = signs.scores.get("embedding_accuracy")
    if best is None or best >= GOOD or signs.matched < best - 0.25:
        return None
    return Verdict(
        "hard clusters",
        f"Hard clusters: even with labels, neighbours in the embedding of {signs.name} tell "
        f"{percent(best)} of the symbols; {percent(signs.accuracy)} are right.",
        f"More of the same training will not help: choose another [networks.{signs.name}] "
        "backbone or perception.augmentation, or label some images: labels.per_symbol = 10.",
        signs.name,
    )


CAUSES = (sparse, coloured, contradicted, imbalanced, satisfied, hard)
"""Looked for in this order, the surest sign first: with few examples the others show by themselves,
as held-out rows that are misread look like wrong ones."""
OF_CLUSTERS = (coloured, imbalanced, hard)
"""Those of them that need no program."""


def cause_of(signs: Signs, causes: Sequence[Any] = CAUSES) -> Verdict | None:
    """Returns the first cause whose sign is there."""
    for cause in causes:
        found: Verdict | None = cause(signs)
        if found is not None:
            return found
    return None
