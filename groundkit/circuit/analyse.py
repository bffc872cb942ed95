"""Proves that parts of a ground program are circuits already.

A conjunction multiplies when its children speak of different choices. A disjunction adds when its
children exclude each other; the proof splits them by a choice whose permitted outcomes fall into
separate components, then looks into each component again. Choices here include "pseudo choices":
nodes that occur both as they are and negated, and families, which are nodes of which one holds at
most, such as the values of a part of a formula. What is not proved is handed to the next stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groundkit.program.ground import GroundProgram

Restriction = dict[int, int]
"""Choice to the bit mask of outcomes that are possible. A node that occurs both ways is ``~node``;
families are counted on from the last choice, and their outcomes are which member holds. That some
member holds is not kept: it tells nothing apart."""

_PAIRWISE_LIMIT = 400
_BOTH = 3
"""Mask of a node that occurs both ways: as it is, and negated."""


class Analysis:
    """Supports, implied restrictions and structural proofs of a ground program's nodes.

    Attributes:
        support: For every node, the bit mask of the choices it speaks of.
    """

    def __init__(self, program: GroundProgram) -> None:
        self.program = program
        self.support: list[int] = []
        for node in program.nodes:
            mask = 1 << node.choice if node.kind == "leaf" else 0
            for child in node.children:
                mask |= self.support[_index(child)]
            self.support.append(mask)
        positive = {r for node in program.nodes for r in node.children if r >= 0}
        self._both_ways = {
            ~r for node in program.nodes for r in node.children if r < 0 and ~r in positive
        }
        self._implied: dict[int, Restriction] = {}
        self._member: dict[int, Restriction] = {}
        self._full = [choice.full for choice in program.choices]

    def find_families(self) -> None:
        """Looks for families until there are no more: one may be proved by others."""
        waiting = [family for members in self._siblings() for family in self._layers(members)]
        found = True
        while waiting and found:
            found, left = False, []
            self._implied.clear()
            for family in waiting:
                if self.exclusive([way for ways in family.values() for way in ways]):
                    for place, one in enumerate(family):
                        self._member.setdefault(one, {})[len(self._full)] = 1 << place
                    self._full.append((1 << len(family)) - 1)
                    found = True
                else:
                    left.append(family)
            waiting = left
        self._implied.clear()

    def _siblings(self) -> list[list[int]]:
        """Groups nodes that stand for each other in a disjunction and speak of the same choices."""
        first: dict[int, int] = {}

        def find(one: int) -> int:
            while (above := first.setdefault(one, one)) != one:
                first[one] = first[above]
                one = first[one]
            return one

        for node in self.program.nodes:
            if node.kind != "or":
                continue
            by_support: dict[int, int] = {}
            parts = {part for part in node.children if part >= 0}
            stack = list(parts)
            while stack:
                part = stack.pop()
                whole = self.program.nodes[part]
                if whole.children:
                    first[find(part)] = find(by_support.setdefault(self.support[part], part))
                if whole.kind == "and":
                    fresh = {child for child in whole.children if child >= 0} - parts
                    parts |= fresh
                    stack += fresh
        groups: dict[int, list[int]] = {}
        for one in sorted(first):
            groups.setdefault(find(one), []).append(one)
        return sorted((group for group in groups.values() if len(group) > 1), key=max)

    def _layers(self, members: Sequence[int]) -> list[dict[int, list[int]]]:
        """Takes apart members of which some are ways to others; returns each one's ways.

        A value with one way to it is that way, so that two families may share members: those that
        no other member is a way to, and those that are no way to another.
        """
        ways = {one: self._alternatives(one) for one in members}
        wrapping = {one for one, own in ways.items() if any(w != one and w in ways for w in own)}
        lower = {one: own for one, own in ways.items() if one not in wrapping}
        if not wrapping:
            return [lower]
        wrapped = {way for one in wrapping for way in ways[one]}
        upper = {
            one: own if one in wrapping else [one]
            for one, own in ways.items()
            if one not in wrapped
        }
        return [lower, upper]

    def _alternatives(self, reference: int) -> list[int]:
        """Returns the ways in which a reference may hold."""
        if self.is_conjunction(reference):
            return [reference]
        return self.literal_children(reference)

    def support_of(self, reference: int) -> int:
        """Returns the choices that a reference speaks of, as a bit mask."""
        return self.support[_index(reference)]

    def implied(self, reference: int) -> Restriction:
        """Returns what the truth of ``reference`` says about single choices."""
        found = self._implied.get(reference)
        if found is None:
            self._fill(reference)
            found = self._implied[reference]
        return found

    def _fill(self, reference: int) -> None:
        """Computes :meth:`implied` for a reference and everything below, without recursion."""
        stack = [reference]
        while stack:
            current = stack[-1]
            below = [r for r in self.literal_children(current) if r not in self._implied]
            if below and current not in self._implied:
                stack.extend(below)
            else:
                stack.pop()
                if current not in self._implied:
                    self._implied[current] = self._combine(current)

    def literal_children(self, reference: int) -> list[int]:
        """Returns the children of a reference, negated when the reference is."""
        children = self.program.nodes[_index(reference)].children
        return list(children) if reference >= 0 else [self.negate(child) for child in children]

    def negate(self, reference: int) -> int:
        """Negates a reference; leaves keep their negative reference here."""
        return ~reference

    def is_conjunction(self, reference: int) -> bool:
        """Tells whether a reference is a conjunction once its negation is pushed inwards."""
        kind = self.program.nodes[_index(reference)].kind
        return (kind == "and") == (reference >= 0)

    def _combine(self, reference: int) -> Restriction:
        node = self.program.nodes[_index(reference)]
        if node.kind == "true":
            return {}
        if node.kind == "leaf":
            full = self.program.choices[node.choice].full
            return {node.choice: node.mask if reference >= 0 else full & ~node.mask}
        children = self.literal_children(reference)
        result: Restriction = {}
        if self.is_conjunction(reference):
            for child in children:
                for choice, mask in self._with_own_name(child).items():
                    result[choice] = result.get(choice, -1) & mask
            return result
        parts = [self._with_own_name(child) for child in children]
        for choice in set(parts[0]).intersection(*parts[1:]):
            mask = 0
            for part in parts:
                mask |= part[choice]
            if mask != (self._full[choice] if choice >= 0 else _BOTH):
                result[choice] = mask
        return result

    def _with_own_name(self, reference: int) -> Restriction:
        """Adds to a node's restrictions that it is itself, one way or the other, or of a family."""
        implied = self._implied[reference]
        if reference in self._member:
            implied = implied | self._member[reference]
        if _index(reference) not in self._both_ways:
            return implied
        return {**implied, ~_index(reference): 1 if reference >= 0 else 2}

    def contradicts(self, reference: int) -> bool:
        """Tells whether a reference is proved never to hold."""
        return any(mask == 0 for mask in self.implied(reference).values())

    def decomposable(self, references: Iterable[int], given: int = 0) -> bool:
        """Tells whether references speak of different choices, but for those that are given."""
        return not self.shared(references) & ~given

    def shared(self, references: Iterable[int]) -> int:
        """Returns the choices that several references speak of, as a bit mask."""
        seen = found = 0
        for reference in references:
            support = self.support_of(reference)
            found |= seen & support
            seen |= support
        return found

    def exclusive(self, references: Sequence[int]) -> bool:
        """Tells whether references are proved to exclude each other."""
        for reference in references:
            self.implied(reference)
        return _exclusive([self._with_own_name(reference) for reference in references])


def _index(reference: int) -> int:
    return reference if reference >= 0 else ~reference


def _exclusive(parts: list[Restriction]) -> bool:
    """Splits restrictions into components by one choice after the other."""
    work = [parts]
    while work:
        group = work.pop()
        if len(group) < 2:
            continue
        components = _split(group)
        if components is not None:
            work.extend(components)
        elif len(group) > _PAIRWISE_LIMIT or not _pairwise(group):
            return False
    return True


def _split(group: list[Restriction]) -> list[list[Restriction]] | None:
    """Separates a group by the choice that gives most components, if one gives several."""
    best: list[list[Restriction]] | None = None
    for choice in set(group[0]).intersection(*group[1:]):
        components = _components(group, choice)
        if len(components) == len(group):
            return components
        if len(components) > (1 if best is None else len(best)):
            best = components
    return best


def _components(group: list[Restriction], choice: int) -> list[list[Restriction]]:
    """Joins members whose masks on one choice overlap, directly or through others."""
    equal: dict[int, list[Restriction]] = {}
    for part in group:
        equal.setdefault(part[choice], []).append(part)
    found: list[tuple[int, list[Restriction]]] = []
    for mask, members in equal.items():
        apart, joint = [], mask
        for other_mask, other in found:
            if other_mask & joint:
                joint |= other_mask
                members.extend(other)
            else:
                apart.append((other_mask, other))
        found = [*apart, (joint, members)]
    return [members for _, members in found]


def _pairwise(group: list[Restriction]) -> bool:
    """Tells whether every two members disagree on some choice."""
    for i, first in enumerate(group):
        for second in group[i + 1 :]:
            small, large = (first, second) if len(first) < len(second) else (second, first)
            if not any(
                choice in large and not mask & large[choice] for choice, mask in small.items()
            ):
                return False
    return True
