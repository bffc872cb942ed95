"""Random programs over lists, strings, quoted atoms and images, with an oracle of their worlds.

A program has disjunctions of facts, networks that read images (one of them through two predicates),
layers of rules, ``findall``, constraints and evidence, and is asked several goals. The oracle knows
nothing of ProbLog: it enumerates all choices, computes every predicate as a set of printed values,
drops the worlds that evidence and constraints forbid, and adds up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from .random_programs import rest_of

POOL = (
    *("1", "'1'", '"1"', "yes", "'yes'", '"yes"', "'A'", "'New York'", "-3", "2.5", "[]"),
    *("[1, '1']", '[a, "b"]', "f(1)", "f('1')", "'it\\'s'"),
)
IMAGES = ("I0", "I1")

World = dict[str, set[str]]
"""Predicate -> values that it holds of."""


@dataclass(frozen=True)
class Facts:
    """``p1::h(v1); p2::h(v2)``: at most one of the values."""

    name: str
    values: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Reader:
    """A neural predicate: what it calls the outputs of a network."""

    name: str
    network: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """One clause of a derived predicate, as text and as a function of a world."""

    name: str
    text: str
    compute: Callable[[World], set[str]]


@dataclass(frozen=True)
class Constraint:
    """One ``:- body.``, as text and as a test for worlds that violate it."""

    text: str
    violated: Callable[[World], bool]


@dataclass(frozen=True)
class TermProgram:
    """A random program."""

    facts: tuple[Facts, ...]
    readers: tuple[Reader, ...]
    rows: dict[tuple[str, str], tuple[float, ...]]
    rules: tuple[Rule, ...]
    constraints: tuple[Constraint, ...]
    evidence: tuple[tuple[str, str, bool], ...]

    @property
    def goals(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rule.name for rule in self.rules))

    @property
    def text(self) -> str:
        lines = [
            f"nn({r.network},[X],Y,[{','.join(r.values)}])::{r.name}(X,Y)." for r in self.readers
        ]
        for facts in self.facts:
            pairs = zip(facts.probabilities, facts.values, strict=True)
            lines.append("; ".join(f"{p}::{facts.name}({v})" for p, v in pairs) + ".")
        lines += [rule.text for rule in self.rules]
        # Every goal reads all images with all networks, so that constraints range over them.
        reads = [f"{r.name}({image},_)" for r in self.readers for image in IMAGES]
        images = ",".join(IMAGES)
        for goal in self.goals:
            lines.append(f"ask_{goal}({images},V) :- {', '.join([*reads, f'{goal}({images},V)'])}.")
        lines += [c.text for c in self.constraints]
        lines += [f"evidence({h}({v}),{str(told).lower()})." for h, v, told in self.evidence]
        return "\n".join(lines)

    def probabilities(self) -> dict[str, dict[str, float]] | None:
        """Returns goal -> value -> probability; ``None`` when nothing satisfies the evidence."""
        slots = list(self.rows)
        choices = [
            [*zip(f.probabilities, f.values, strict=True), (rest_of(f.probabilities), None)]
            for f in self.facts
        ]
        reads = [list(enumerate(self.rows[slot])) for slot in slots]
        found: dict[str, dict[str, float]] = {goal: {} for goal in self.goals}
        total = 0.0
        for chosen in itertools.product(*choices):
            for seen in itertools.product(*reads):
                weight = 1.0
                for p in [*(p for p, _ in chosen), *(p for _, p in seen)]:
                    weight *= max(p, 0.0)
                world: World = {f.name: set() for f in self.facts}
                for facts, (_, value) in zip(self.facts, chosen, strict=True):
                    if value is not None:
                        world[facts.name].add(value)
                for (network, image), (k, _) in zip(slots, seen, strict=True):
                    for reader in self.readers:
                        if reader.network == network:
                            world[f"{reader.name} {image}"] = {reader.values[k]}
                if any((v in world[h]) != told for h, v, told in self.evidence):
                    continue
                if any(c.violated(world) for c in self.constraints):
                    continue
                total += weight
                for rule in self.rules:
                    world[rule.name] = world.get(rule.name, set()) | rule.compute(world)
                for goal in self.goals:
                    for value in world[goal]:
                        found[goal][value] = found[goal].get(value, 0.0) + weight
        if total == 0.0:
            return None
        return {g: {v: p / total for v, p in values.items()} for g, values in found.items()}


@st.composite
def term_programs(draw: st.DrawFn) -> TermProgram:
    """Draws a program with at most some thousand worlds."""
    value = st.sampled_from(POOL)
    facts = []
    for i in range(draw(st.integers(1, 3))):
        values = tuple(draw(st.lists(value, min_size=1, max_size=3, unique=True)))
        weights = draw(st.lists(st.floats(0.05, 1.0), min_size=len(values), max_size=len(values)))
        scale = sum(weights) * draw(st.sampled_from([1.0, 1.25]))
        facts.append(Facts(f"h{i}", values, tuple(w / max(scale, 1.0) for w in weights)))
    readers, rows = [], {}
    for i in range(draw(st.integers(0, 2))):
        size = draw(st.integers(2, 3 - i))
        for j in range(2 - i):  # the first network is read through two predicates
            values = tuple(draw(st.lists(value, min_size=size, max_size=size, unique=True)))
            readers.append(Reader(f"s{i}{j}", f"net{i}", values))
        for image in IMAGES:
            weights = draw(st.lists(st.floats(0.05, 1.0), min_size=size, max_size=size))
            rows[f"net{i}", image] = tuple(w / sum(weights) for w in weights)
    below = [f.name for f in facts]
    rules: list[Rule] = []
    for i in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 2))
        rules += [_draw_rule(draw, f"r{i}", below, readers, facts) for _ in range(count)]
        below.append(f"r{i}")
    constraints = [_draw_constraint(draw, facts, readers) for _ in range(draw(st.integers(0, 2)))]
    told = [
        (chosen.name, draw(st.sampled_from(chosen.values)), draw(st.booleans()))
        for chosen in draw(st.lists(st.sampled_from(facts), max_size=1))
    ]
    return TermProgram(
        tuple(facts), tuple(readers), rows, tuple(rules), tuple(constraints), tuple(told)
    )


def _call(name: str, argument: str) -> str:
    """Writes a call; derived predicates take the images along."""
    return f"{name}({argument})" if name.startswith("h") else f"{name}(I0,I1,{argument})"


def _draw_rule(
    draw: st.DrawFn, name: str, below: list[str], readers: list[Reader], facts: list[Facts]
) -> Rule:
    head = f"{name}(I0,I1,"
    a, b = draw(st.sampled_from(below)), draw(st.sampled_from(below))
    kinds = ["copy", "join", "without", "pair", "constant", "count"] + ["read"] * bool(readers)
    kind = draw(st.sampled_from(kinds))
    if kind == "copy":
        return Rule(name, f"{head}X) :- {_call(a, 'X')}.", lambda w: set(w[a]))
    if kind == "join":
        text = f"{head}X) :- {_call(a, 'X')}, {_call(b, 'X')}."
        return Rule(name, text, lambda w: w[a] & w[b])
    if kind == "without":
        text = f"{head}X) :- {_call(a, 'X')}, \\+ {_call(b, 'X')}."
        return Rule(name, text, lambda w: w[a] - w[b])
    if kind == "pair":
        text = f"{head}[X, Y]) :- {_call(a, 'X')}, {_call(b, 'Y')}."
        return Rule(name, text, lambda w: {f"[{x}, {y}]" for x in w[a] for y in w[b]})
    if kind == "constant":
        made, asked = draw(st.sampled_from(POOL)), draw(st.sampled_from(facts))
        value = draw(st.sampled_from(asked.values))
        text = f"{head}{made}) :- {asked.name}({value})."
        return Rule(name, text, lambda w: {made} if value in w[asked.name] else set())
    if kind == "count":
        asked = draw(st.sampled_from(facts))
        text = f"{head}N) :- findall(X, {asked.name}(X), L), length(L, M), N = M."
        return Rule(name, text, lambda w: {str(len(w[asked.name]))})
    reader, image = draw(st.sampled_from(readers)), draw(st.sampled_from(IMAGES))
    text = f"{head}X) :- {reader.name}({image},X)."
    return Rule(name, text, lambda w: set(w[f"{reader.name} {image}"]))


def _draw_constraint(draw: st.DrawFn, facts: list[Facts], readers: list[Reader]) -> Constraint:
    first, second = draw(st.sampled_from(facts)), draw(st.sampled_from(facts))
    value = draw(st.sampled_from(first.values))
    kinds = ["fact", "both", "only"] + ["image", "alike"] * bool(readers)
    kind = draw(st.sampled_from(kinds))
    if kind == "fact":
        return Constraint(f":- {first.name}({value}).", lambda w: value in w[first.name])
    if kind == "both":
        text = f":- {first.name}(X), {second.name}(X)."
        return Constraint(text, lambda w: bool(w[first.name] & w[second.name]))
    if kind == "only":
        text = f":- {first.name}(X), \\+ {second.name}(X)."
        return Constraint(text, lambda w: bool(w[first.name] - w[second.name]))
    reader, other = draw(st.sampled_from(readers)), draw(st.sampled_from(readers))
    if kind == "image":
        symbol = draw(st.sampled_from(reader.values))
        text = f":- {reader.name}(X,{symbol}), \\+ {first.name}({value})."
        return Constraint(
            text,
            lambda w: (
                value not in w[first.name]
                and any(symbol in w[f"{reader.name} {image}"] for image in IMAGES)
            ),
        )
    text = f":- {reader.name}(X,A), {other.name}(Y,A), X \\= Y."
    return Constraint(
        text,
        lambda w: any(
            w[f"{reader.name} {x}"] & w[f"{other.name} {y}"]
            for x, y in itertools.permutations(IMAGES, 2)
        ),
    )
