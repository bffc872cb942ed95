"""What identification found out: as numbers, as JSON and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from groundkit.identifiability.admitted import AdmittedMaps, Maps
from groundkit.identifiability.relations import Relation
from groundkit.identifiability.suggest import Suggestion
from groundkit.report.words import counted

CONVENTION = (
    "a grounding maps every true symbol to one predicted symbol, one map per network, shared by "
    "all images of that network; where several networks read the same images, one map of the "
    "images' joint symbols over these networks; it is admitted when every observed combination of "
    "symbols can still give its observed answer (with the same probability, where the program "
    "itself has probabilities); the identity counts; observed symbols keep their meaning; a symbol "
    "in no observed combination may go anywhere, and every choice counts"
)


@dataclass(frozen=True)
class Witness:
    """One admitted map, with its number where all of them are listed (the identity is 1)."""

    kind: str
    words: str
    maps: Maps
    number: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Returns the witness as JSON-able values."""
        maps = {network: list(image) for network, image in self.maps.items()}
        return {"kind": self.kind, "words": self.words, "maps": maps, "number": self.number}


@dataclass(frozen=True)
class Removal:
    """How many admitted maps a term of training, or labels, rule out."""

    by: str
    removed: int | None
    left: int | None
    why: str

    def to_dict(self) -> dict[str, object]:
        """Returns the removal as JSON-able values."""
        return {"by": self.by, "removed": self.removed, "left": self.left, "why": self.why}


@dataclass(frozen=True)
class Identification:
    """What a program and its observations leave open.

    Attributes:
        domains: Network -> its symbols.
        combinations: Number of observed combinations.
        count: Number of admitted maps; ``None`` with a ``reason`` if it could not be counted.
        permutations: Those that are a permutation for every network.
        collapses: Those that merge symbols of some network.
        unseen: Network -> symbols that are in no observed combination.
        witnesses: The identity and, where there are any, a permutation and a collapse.
        removals: What the prior, the invariance term and labels rule out.
        suggestions: Extra observations, or labels, that leave one map.
        listed: All maps in canonical order if they are few, else empty.
        examples: The same for the combinations of the examples.
        basis: Where the combinations come from, in words.
        left_out: Shapes of goals with too many combinations to list: the counts are then upper
            bounds.
        goals: Which shapes of the examples the counted relations are of, by their positions.
        seconds: Time taken.
    """

    domains: Mapping[str, tuple[str, ...]]
    combinations: int
    count: int | None
    permutations: int | None
    unseen: Mapping[str, tuple[str, ...]]
    witnesses: tuple[Witness, ...]
    removals: tuple[Removal, ...]
    suggestions: tuple[Suggestion, ...]
    listed: tuple[Maps, ...]
    reason: str | None = None
    examples: Identification | None = None
    basis: str = "all combinations"
    left_out: tuple[str, ...] = ()
    goals: tuple[int, ...] = ()
    seconds: float = 0.0
    maps: AdmittedMaps | None = field(default=None, repr=False, compare=False)
    observed: tuple[Relation, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def collapses(self) -> int | None:
        """Number of maps that merge symbols, ``None`` if it could not be counted."""
        if self.count is None or self.permutations is None:
            return None
        return self.count - self.permutations

    def admits(self, maps: Mapping[str, Sequence[int]]) -> bool:
        """Returns whether a map satisfies every observation."""
        if self.maps is None or self.observed is None:
            return self.admitted_index(maps) is not None
        joined = self.maps.join(maps)[None]
        return bool(self.maps.keeping(joined, self.observed).all())

    def admitted_index(self, maps: Mapping[str, Sequence[int]]) -> int | None:
        """Returns the number of a map, the identity being 1; ``None`` if it is not listed."""
        wanted = {network: tuple(maps[network]) for network in self.domains}
        for number, listed in enumerate(self.listed, start=1):
            if listed == wanted:
                return number
        return None

    def to_dict(self) -> dict[str, object]:
        """Returns everything as JSON-able values; ``examples`` is nested, or null."""
        return {
            "convention": CONVENTION,
            "networks": {network: list(domain) for network, domain in self.domains.items()},
            "combinations": self.combinations,
            "count": self.count,
            "permutations": self.permutations,
            "collapses": self.collapses,
            "reason": self.reason,
            "unseen": {network: list(symbols) for network, symbols in self.unseen.items()},
            "witnesses": [witness.to_dict() for witness in self.witnesses],
            "removals": [removal.to_dict() for removal in self.removals],
            "suggestions": [suggestion.to_dict() for suggestion in self.suggestions],
            "examples": None if self.examples is None else self.examples.to_dict(),
            "basis": self.basis,
            "left_out": list(self.left_out),
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        lines = _paragraph(self)
        if self.examples is not None:
            lines += ["", *_paragraph(self.examples)]
        return "\n".join([*lines, "", f"Convention: {CONVENTION}."])

    def _repr_html_(self) -> str:
        parts = [_items(self)]
        if self.examples is not None:
            parts.append(_items(self.examples))
        return "".join(parts) + f"<p><small>Convention: {escape(CONVENTION)}.</small></p>"


def _items(found: Identification) -> str:
    head, *rest = _paragraph(found)
    items = "".join(f"<li>{escape(line.strip())}</li>" for line in rest)
    return f"<p><b>{escape(head)}</b></p><ul>{items}</ul>"


def _paragraph(found: Identification) -> list[str]:
    admitted = (
        "an unknown number of groundings is"
        if found.count is None
        else f"{counted(found.count, 'grounding')} {'is' if found.count == 1 else 'are'}"
    )
    title = (
        found.basis
        if found.basis == "all combinations"
        else f"the combinations of the {found.basis}"
    )
    lines = [f"With {title} ({found.combinations}), {admitted} admitted"]
    if found.collapses is not None:
        permutations = counted(found.permutations or 0, "permutation")
        lines[0] += f": {permutations}, {counted(found.collapses, 'collapse')}"
    lines[0] += "."
    if found.left_out:
        lines.append(
            f"  at most so many, for there are too many combinations to list in "
            f"{counted(len(found.left_out), 'shape')}"
        )
    if found.reason is not None:
        lines.append(f"  not counted: {found.reason}")
    for witness in found.witnesses:
        label = f" (number {witness.number})" if witness.number is not None else ""
        lines.append(f"  {witness.kind}{label}: {witness.words}")
    for network, symbols in found.unseen.items():
        lines.append(f"  in no combination, network {network}: {', '.join(symbols)}")
    for removal in found.removals:
        left = "unknown" if removal.left is None else f"{removal.left}"
        lines.append(f"  with {removal.by}: {left} left ({removal.why})")
    lines += [f"  {_suggestion_words(suggestion)}" for suggestion in found.suggestions]
    return lines


def _suggestion_words(suggestion: Suggestion) -> str:
    if suggestion.reason is not None and not suggestion.items:
        return f"no set of extra {suggestion.kind}: {suggestion.reason}"
    verb = "label" if suggestion.kind == "labels" else "observe"
    too = " as well" if suggestion.kind == "goals" else ""
    prior = ", with the prior" if suggestion.kind.endswith("prior") else ""
    left = suggestion.reason or f"leaves {suggestion.left}{prior}, by recount"
    return f"{verb} {'; '.join(suggestion.items)}{too} ({left})"
