"""Random ground programs, and an oracle that enumerates their worlds without any of our code.

A program is stratified: rules of one layer may use each other (recursion) and, negated, only
what lies below. The oracle computes the least model of every total choice, layer by layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

Literal = tuple[str, bool]


def rest_of(probabilities: Sequence[float]) -> float:
    """Returns what probabilities leave to none of them; what rounding left of 1 is nothing."""
    rest = 1.0 - sum(probabilities)
    return rest if rest > 1e-12 else 0.0


@dataclass(frozen=True)
class Disjunction:
    """``p1::h1; p2::h2 :- body`` or, with ``network``, a neural predicate on an image."""

    heads: tuple[str, ...]
    probabilities: tuple[float, ...]
    body: tuple[Literal, ...] = ()
    image: str | None = None


@dataclass(frozen=True)
class RandomProgram:
    """Layers of disjunctions and rules, with evidence on atoms."""

    layers: tuple[tuple[tuple[Disjunction, ...], tuple[tuple[str, tuple[Literal, ...]], ...]], ...]
    queries: tuple[str, ...]
    evidence: tuple[Literal, ...]

    @property
    def disjunctions(self) -> list[Disjunction]:
        return [d for disjunctions, _ in self.layers for d in disjunctions]

    @property
    def images(self) -> list[Disjunction]:
        return [d for d in self.disjunctions if d.image]

    def text(self, neural: bool) -> str:
        """Writes the program, with networks as ``nn`` or as numbers."""
        images = [d.image for d in self.images]
        variables = ",".join(f"I{i}" for i in range(len(images))) if neural else ""
        args = f"({variables})" if variables else ""
        lines = []
        if neural and images:
            lines.append("nn(net,[X],Y,[0,1,2])::sym(X,Y).")
        for disjunctions, rules in self.layers:
            for d in disjunctions:
                if d.image and neural:
                    image = f"I{images.index(d.image)}"
                    lines += [
                        f"{head}{args} :- sym({image},{j})." for j, head in enumerate(d.heads)
                    ]
                    continue
                heads = [f"{p}::{h}{args}" for p, h in zip(d.probabilities, d.heads, strict=True)]
                lines.append("; ".join(heads) + _body(d.body, args) + ".")
            lines += [f"{head}{args}{_body(body, args)}." for head, body in rules]
        separator = "," if variables else ""
        lines += [f"ask({variables}{separator}{q}) :- {q}{args}." for q in self.queries]
        lines += [
            f"evidence({atom}{args},{'true' if value else 'false'})."
            for atom, value in (() if neural and images else self.evidence)
        ]
        return "\n".join(lines)

    def probabilities(self) -> dict[str, float] | None:
        """Enumerates all worlds; ``None`` when the evidence is impossible."""
        total = dict.fromkeys(self.queries, 0.0)
        holds = 0.0
        options = [
            [(p, h) for p, h in zip(d.probabilities, d.heads, strict=True)]
            + [(rest_of(d.probabilities), None)]
            for d in self.disjunctions
        ]
        for world in itertools.product(*options):
            weight = 1.0
            for p, _ in world:
                weight *= max(p, 0.0)
            if weight == 0.0:
                continue
            model = self._model([head for _, head in world])
            if all((atom in model) == value for atom, value in self.evidence):
                holds += weight
                for query in self.queries:
                    total[query] += weight * (query in model)
        return {q: p / holds for q, p in total.items()} if holds > 0.0 else None

    def _model(self, chosen: list[str | None]) -> set[str]:
        """Computes the least model of one total choice, layer by layer."""
        model: set[str] = set()
        position = 0
        for disjunctions, rules in self.layers:
            clauses = list(rules)
            for d in disjunctions:
                head = chosen[position]
                if head is not None:
                    clauses.append((head, d.body))
                position += 1
            below = frozenset(model)
            grown = True
            while grown:
                grown = False
                for head, body in clauses:
                    if head not in model and all(
                        (a in model) if v else (a not in below) for a, v in body
                    ):
                        model.add(head)
                        grown = True
        return model


def _body(body: tuple[Literal, ...], args: str) -> str:
    parts = [f"{'' if value else chr(92) + '+'}{atom}{args}" for atom, value in body]
    return " :- " + ", ".join(parts) if parts else ""


PROBABILITY = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 1e-7]), st.floats(0.01, 0.99))


@st.composite
def programs(draw: st.DrawFn, neural: bool = False, layers: int = 3) -> RandomProgram:
    """Draws a program with at most some thousand worlds."""
    known: list[str] = []
    built = []
    images = 0
    for layer in range(layers):
        disjunctions = []
        for i in range(draw(st.integers(0 if layer else 1, 2))):
            if neural and draw(st.booleans()):
                heads = tuple(f"n{layer}_{i}_{j}" for j in range(3))
                weights = draw(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
                parts = tuple(w / sum(weights) for w in weights)
                disjunctions.append(Disjunction(heads, parts, (), f"img{images}"))
                images += 1
                continue
            size = draw(st.integers(1, 3))
            heads = tuple(f"d{layer}_{i}_{j}" for j in range(size))
            weights = draw(st.lists(PROBABILITY, min_size=size, max_size=size))
            scale = sum(weights) / 0.9 if sum(weights) > 1.0 else 1.0
            parts = tuple(w / scale for w in weights)
            disjunctions.append(Disjunction(heads, parts, _draw_body(draw, known, [], 0, 2)))
        facts = [head for d in disjunctions for head in d.heads]
        names = [f"p{layer}_{i}" for i in range(draw(st.integers(1, 3)))]
        rules = []
        for _ in range(draw(st.integers(1, 5))):
            head = draw(st.sampled_from(names))
            rules.append((head, _draw_body(draw, known, [*facts, *names], 1, 3)))
        heads_with_rules = {head for head, _ in rules}
        rules += [(name, (("nothing", True),)) for name in names if name not in heads_with_rules]
        built.append((tuple(disjunctions), tuple(rules)))
        known += facts + names
    built[0] = (built[0][0], (*built[0][1], ("nothing", (("nothing", True),))))
    rules_of = [head for _, rules in built for head, _ in rules if head != "nothing"]
    queries = tuple(
        dict.fromkeys(draw(st.lists(st.sampled_from(rules_of), min_size=1, max_size=4)))
    )
    told = draw(st.lists(st.tuples(st.sampled_from(known), st.booleans()), max_size=2))
    return RandomProgram(tuple(built), queries, () if neural else tuple(dict(told).items()))


def _draw_body(
    draw: st.DrawFn, below: list[str], same: list[str], least: int, most: int
) -> tuple[Literal, ...]:
    """Draws a body: negation only of what lies below."""
    options = [(name, value) for name in below for value in (True, False)]
    options += [(name, True) for name in same]
    if not options:
        return ()
    return tuple(draw(st.lists(st.sampled_from(options), min_size=least, max_size=most)))
