"""How many groundings a program admits: known before any training, exactly.

A grounding is a map from true symbols to predicted symbols. A program with its observations
pins the symbols down when the identity is the only map under which every observed combination
still has a proof of its observed answer. Others are reasoning shortcuts (Marconato et al., "Not
All Neuro-Symbolic Concepts Are Created Equal", NeurIPS 2023): training can end in any of them
at full likelihood.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from groundkit.errors import LimitError
from groundkit.identifiability.admitted import AdmittedMaps, Knowledge
from groundkit.identifiability.answer_odds import (
    LogLikelihood,
    by_probabilities,
    like_combinations,
    row_probabilities,
)
from groundkit.identifiability.identification import Identification, Removal, Witness
from groundkit.identifiability.images import joint, over_images
from groundkit.identifiability.map_words import describe_maps, simplicity
from groundkit.identifiability.relations import IntArray, Relation, SupportLike
from groundkit.identifiability.suggest import Suggestion, suggest_labels, suggest_observations

WITNESSES_TRIED = 200


@dataclass(frozen=True)
class Observable:
    """One goal as identification sees it.

    Attributes:
        support: All combinations with a proof: a reasoner's support, or a relation.
        examples: The combinations that the examples hold, in the same form.
        slots: Network -> the input variables of every call.
        answers: Answer index -> printed values, for words.
        log_likelihood: The reasoner's, for a program with probabilities of its own: a map is then
            admitted when every observed combination keeps the probability of each answer (learnt
            probabilities as they are now).
    """

    support: SupportLike | Relation
    examples: SupportLike | Relation | None = None
    slots: Mapping[str, Sequence[Sequence[str]]] | None = None
    answers: Sequence[Sequence[str]] = ()
    log_likelihood: LogLikelihood | None = None


def identify(
    goals: Sequence[Observable],
    domains: Mapping[str, Sequence[str]] | None = None,
    *,
    groups: Sequence[Sequence[str]] = (),
    basis: str = "drawn examples",
    kept: Collection[str] = (),
    prior: Mapping[str, Sequence[float]] | None = None,
    labelled: Mapping[str, Sequence[int]] | None = None,
    seconds: float = 20.0,
    list_limit: int = 1000,
) -> Identification:
    """Counts the groundings that some goals admit together.

    Args:
        goals: The goals.
        domains: Network -> its symbols; needed unless supports are relations.
        groups: Networks that read the same images: maps are of such an image's joint symbols.
        basis: Where the examples' combinations come from, in words.
        kept: Networks whose symbols are observed.
        prior: Network -> frequency of every symbol, where it is not uniform.
        labelled: Network -> symbols of which labelled images are given.
        seconds: Time limit of one count, and of one search for suggestions.
        list_limit: With at most this many maps, all are listed and numbered.

    Raises:
        DataError: An example's combination has no proof.
        NetworkError: A symbol outside its network's domain.
        LimitError: Images have too many joint symbols.
    """
    pairs = [_relations(goal, domains or {}, groups) for goal in goals]
    targets = tuple(target for target, _ in pairs)
    maps = AdmittedMaps(targets, kept=kept, seconds=seconds)
    question = _Question(maps, prior or {}, labelled or {}, list_limit, seconds)
    whole = question.ask(targets, None)
    if any(observed is None for _, observed in pairs):
        return whole
    seen = tuple(observed for _, observed in pairs if observed is not None)
    return replace(whole, examples=replace(question.ask(seen, whole), basis=basis))


def admitted_with(
    goals: Sequence[Observable],
    domains: Mapping[str, Sequence[str]],
    *,
    groups: Sequence[Sequence[str]] = (),
    kept: Collection[str] = (),
    seconds: float = 20.0,
) -> int:
    """Counts the groundings that are left where every combination of some goals is observed.

    Args:
        goals: The goals.
        domains: Network -> its symbols.
        groups: Networks that read the same images.
        kept: Networks whose symbols are observed.
        seconds: Time limit of the count.

    Raises:
        LimitError: The count takes longer, or images have too many joint symbols.
    """
    alone = [replace(goal, examples=None) for goal in goals]
    targets = tuple(_relations(goal, domains, groups)[0] for goal in alone)
    return AdmittedMaps(targets, kept=kept, seconds=seconds).count(Knowledge(targets))


def _relations(
    goal: Observable, domains: Mapping[str, Sequence[str]], groups: Sequence[Sequence[str]]
) -> tuple[Relation, Relation | None]:
    """Returns the relation of a goal, and that of its examples, over joint symbols of images."""

    def as_relation(given: SupportLike | Relation) -> Relation:
        if isinstance(given, Relation):
            return given
        return Relation.from_support(given, domains, slots=goal.slots, answer_names=goal.answers)

    target = as_relation(goal.support)
    observed = None if goal.examples is None else as_relation(goal.examples)
    if observed is not None:
        target.require_subset(observed)
    if goal.log_likelihood is not None:
        target = by_probabilities(target, row_probabilities(target, goal.log_likelihood))
        observed = None if observed is None else like_combinations(target, observed)
    if any(len(group) > 1 for group in groups):
        target = over_images(target, groups, domains)
        observed = None if observed is None else over_images(observed, groups, domains)
    return target, observed


@dataclass(frozen=True)
class _Question:
    """What is asked of every set of observations."""

    maps: AdmittedMaps
    prior: Mapping[str, Sequence[float]]
    labelled: Mapping[str, Sequence[int]]
    list_limit: int
    seconds: float

    def ask(self, observed: tuple[Relation, ...], whole: Identification | None) -> Identification:
        start = time.monotonic()
        known = Knowledge(observed)
        count, reason = _try(lambda: self.maps.count(known))
        permutations, why = _try(lambda: self.maps.count(known, bijective=True))
        listed = self._list(known, count)
        domains = {network: self.maps.domains[network] for network in self.maps.free}
        removals = self._removals(known, count)
        result = Identification(
            domains=domains,
            combinations=sum(map(len, observed)),
            count=count,
            permutations=permutations,
            unseen=_unseen(observed, domains),
            witnesses=self._witnesses(known, listed),
            removals=removals,
            suggestions=self._suggestions(known, count, removals[0].left, whole),
            listed=tuple(self.maps.split(row) for row in listed),
            reason=reason or why,
            maps=self.maps,
            observed=observed,
        )
        return replace(result, seconds=time.monotonic() - start)

    def _frequencies(self) -> dict[str, Sequence[float]]:
        """The shares of symbols, of networks that are alone with their images."""
        sizes = {name: len(self.maps.domains[name]) for name in self.maps.free if not joint(name)}
        return {name: self.prior.get(name, [1.0] * size) for name, size in sizes.items()}

    def _list(self, known: Knowledge, count: int | None) -> IntArray:
        if count is None or count > self.list_limit:
            return np.zeros((0, self.maps.variables.count), dtype=np.int64)
        return self.maps.listing(known, limit=count)

    def _witnesses(self, known: Knowledge, listed: IntArray) -> tuple[Witness, ...]:
        found = listed if len(listed) else self._some_maps(known)
        numbers = range(1, len(found) + 1) if len(listed) else [None] * len(found)
        bijective = self.maps.are_bijective(found)
        moved = (found != self.maps.identity()).any(axis=1)
        kinds = np.where(~moved, "identity", np.where(bijective, "permutation", "collapse"))
        simplest: dict[str, Witness] = {}
        for kind, image, number in zip(kinds.tolist(), found, numbers, strict=True):
            split = self.maps.split(image)
            witness = Witness(kind, describe_maps(self.maps.domains, split), split, number)
            rival = simplest.get(kind)
            if rival is None or simplicity(witness.words) < simplicity(rival.words):
                simplest[kind] = witness
        kinds_in_order = ("identity", "permutation", "collapse")
        return tuple(simplest[kind] for kind in kinds_in_order if kind in simplest)

    def _some_maps(self, known: Knowledge) -> IntArray:
        """Returns the identity, common maps that are admitted, and a few found by search."""
        common = np.unique(np.array(list(_common_maps(self.maps))), axis=0)
        admitted = common[self.maps.keeping(common, known.observed).all(axis=1)]
        searched: list[tuple[int, ...]] = []
        for bijective in (False, True):
            with suppress(LimitError):
                found = self.maps.solutions(known, bijective=bijective)
                searched.extend(islice(found, WITNESSES_TRIED))
        extra = np.array(searched, dtype=np.int64).reshape(-1, self.maps.variables.count)
        return np.concatenate([self.maps.identity()[None], admitted, extra])

    def _removals(self, known: Knowledge, count: int | None) -> tuple[Removal, ...]:
        prior = self._frequencies()
        shape = "given prior" if self.prior else "uniform prior"
        cases = [
            (
                shape,
                replace(known, prior=prior),
                "maps that change how often each symbol occurs, if the images follow the prior",
            ),
            (
                "invariance",
                known,
                "none: every map gives an image and its augmentation the same symbol",
            ),
        ]
        if self.labelled:
            total = sum(len(set(symbols)) for symbols in self.labelled.values())
            alone = {name: s for name, s in self.labelled.items() if name in self.maps.free}
            labelled = replace(known, labelled=alone)
            cases += [
                ("labels", labelled, f"maps that move one of the {total} labelled symbols"),
                (f"{shape} and labels", replace(labelled, prior=prior), "both together"),
            ]
        removals: list[Removal] = []
        for by, case, why in cases:
            left = count if case is known else self._count(case)
            removed = None if count is None or left is None else count - left
            removals.append(Removal(by, removed, left, why))
        return tuple(removals)

    def _count(self, known: Knowledge) -> int | None:
        return _try(lambda: self.maps.count(known))[0]

    def _suggestions(
        self,
        known: Knowledge,
        count: int | None,
        with_prior: int | None,
        whole: Identification | None,
    ) -> tuple[Suggestion, ...]:
        """Returns ways to one map: combinations where they can do it, and labels."""
        if count == 1:
            return ()
        found: list[Suggestion] = []
        if whole is not None:
            extra = suggest_observations(self.maps, known, count, whole.count, seconds=self.seconds)
            found.append(extra)
            if extra.left != 1 and with_prior != 1 and whole.removals[0].left == 1:
                found.append(
                    suggest_observations(
                        self.maps,
                        replace(known, prior=self._frequencies()),
                        with_prior,
                        whole.removals[0].left,
                        seconds=self.seconds,
                    )
                )
        found.append(suggest_labels(self.maps, known, count, seconds=self.seconds))
        return tuple(found)


def _try(count: Callable[[], int]) -> tuple[int | None, str | None]:
    try:
        return count(), None
    except LimitError as error:
        return None, error.found


def _unseen(
    observed: Sequence[Relation], domains: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    unseen: dict[str, tuple[str, ...]] = {}
    for network, domain in domains.items():
        seen = {
            symbol
            for one in observed
            for column, name in enumerate(one.columns)
            if name == network
            for symbol in np.unique(one.rows[:, column]).tolist()
        }
        missing = tuple(symbol for place, symbol in enumerate(domain) if place not in seen)
        if missing:
            unseen[network] = missing
    return unseen


def _common_maps(maps: AdmittedMaps) -> Iterable[IntArray]:
    """Yields maps that are easy to word: one network moved, and every network to a constant."""
    identity = maps.identity()
    for network, part in maps.variables.slices():
        if network not in maps.free:
            continue
        size = part.stop - part.start
        for image in _common_images(size):
            moved = identity.copy()
            moved[part] = image
            yield moved
    constant = identity.copy()
    for network, part in maps.variables.slices():
        if network in maps.free:
            constant[part] = 0
    yield constant


def _common_images(size: int) -> Iterable[IntArray]:
    symbols = np.arange(size)
    for factor in range(size):
        for shift in range(size):
            yield (factor * symbols + shift) % size
    yield size - 1 - symbols
    for left, right in combinations(range(size), 2):
        swapped = symbols.copy()
        swapped[[left, right]] = right, left
        yield swapped
