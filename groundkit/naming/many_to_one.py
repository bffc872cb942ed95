"""Names that are not one-to-one: more clusters than symbols, and symbols that no cluster means.

`name_clusters` names the clusters of an over-clustering, several of which may mean one symbol; it
goes by how much likelier the answers are than by chance (:mod:`groundkit.naming.chance`), for the
likeliest names may be one name for all.
`find_splits` looks for a cluster that holds two symbols while another symbol is never predicted:
a collapse that no permutation undoes. Giving the unused symbol half of the crowded one's mass makes
the queries that need it possible again, and training then pulls the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from groundkit.errors import NetworkError
from groundkit.identifiability.answer_odds import FloatArray
from groundkit.identifiability.relations import IntArray
from groundkit.naming.assignment import NamedLike, NameSearch, ReasonerLike, ask_all
from groundkit.naming.relabelling import HELD_OUT, paired
from groundkit.naming.scorers import Asked, Layout, Queries
from groundkit.naming.search import IMPROVEMENT

UNUSED = 0.2
"""A symbol is unused when it is the likeliest less often than this share of an even share."""
CROWDED = 0.8
"""A symbol may be split when it is the likeliest at least this share of an even share."""


@dataclass(frozen=True)
class ClusterNames:
    """What every cluster means.

    Attributes:
        names: Network -> (C,) index of the symbol that each cluster means.
        gains: (B,) by how much likelier than by chance every answer is under these names, in nats.
        held_out: Places of the queries that the search did not see.
        runner_up: Network -> the second best names.
        ambiguous: Whether the two tie on the held-out queries.
        method: How the names were searched.
    """

    names: Mapping[str, tuple[int, ...]]
    gains: FloatArray
    held_out: IntArray
    runner_up: Mapping[str, tuple[int, ...]] | None
    ambiguous: bool
    method: str

    @property
    def held_out_gain(self) -> float:
        """Mean gain over chance on the queries that the search did not see, in nats."""
        return float(self.gains[self.held_out].mean()) if len(self.held_out) else 0.0

    def better_than(self, other: ClusterNames, level: float = 0.95) -> bool:
        """Whether answers are likelier than under other names, by the held-out queries.

        Args:
            other: Names found of other clusters, with the same queries held out.
            level: Level of the confidence interval of the difference, all of it above 0.
        """
        return paired(self.gains - other.gains, self.held_out, level)[1][0] > 0


def name_clusters(
    goals: Sequence[ReasonerLike],
    named: Sequence[NamedLike],
    *,
    symbols: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
    domains: Mapping[str, Sequence[str]] | None = None,
    level: float = 0.95,
    budget: int | None = None,
) -> ClusterNames:
    """Finds the meaning of every cluster that lifts the answers furthest above chance.

    Every symbol is the meaning of some cluster.

    Args:
        goals: The compiled goals.
        named: For every goal, network -> (B, S, C) log-probabilities of clusters, ``C`` at least
            the number of symbols, or (B, S, K) of symbols for networks not to name; and (B,)
            answers.
        symbols: Network -> its symbols, of the networks whose clusters are to be named.
        rng: Splits the queries and draws the starts.
        domains: Network -> its symbols, of all networks of the goal; ``symbols`` if left out.
        level: Level of the confidence interval that decides a tie.
        budget: Namings scored by climbs from several starts.

    Raises:
        NetworkError: A network has fewer clusters than symbols.
        DataError: There are no queries, or shapes do not fit.
    """
    layout = Layout(
        {network: _width(named, network) for network in symbols},
        {network: len(domain) for network, domain in symbols.items()},
    )
    for network, size in layout.clusters.items():
        if size < layout.symbols[network]:
            raise NetworkError(
                f"{size} clusters for the {layout.symbols[network]} symbols of network '{network}'",
                expected="at least one cluster per symbol",
            )
    search = NameSearch(goals, layout, domains or symbols, above_chance=True)
    asked = ask_all(named, layout)
    seen, held_out = _split(len(asked), rng)
    found, method, _ = search.search(asked.select(seen), rng, budget)
    logs = [search.ask(asked, naming) for naming in found]
    order = sorted(range(len(found)), key=lambda place: -float(logs[place][seen].mean()))
    best, second = order[0], order[1] if len(order) > 1 else None
    return ClusterNames(
        names=_by_network(layout, found[best]),
        gains=logs[best],
        held_out=held_out,
        runner_up=None if second is None else _by_network(layout, found[second]),
        ambiguous=second is not None
        and paired(logs[best] - logs[second], held_out, level)[1][0] <= IMPROVEMENT,
        method=method,
    )


@dataclass(frozen=True)
class Split:
    """A symbol that is never predicted and the one whose cluster seems to hold it.

    Attributes:
        network: The network.
        unused: The symbol that is never predicted; it should start from a copy of ``source``.
        source: The symbol whose cluster holds both.
        gain: Mean gain in log P(answer) on held-out queries when they share the mass, in nats.
        interval: Its confidence interval; all of it is above 0.
    """

    network: str
    unused: int
    source: int
    gain: float
    interval: tuple[float, float]


def find_splits(
    goals: Sequence[ReasonerLike],
    named: Sequence[NamedLike],
    *,
    searchable: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
    level: float = 0.95,
) -> list[Split]:
    """Finds, for every unused symbol, the crowded symbol whose mass it should share.

    Dead symbols are taken one after the other, the choices made so far kept.

    Args:
        goals: The compiled goals.
        named: For every goal, network -> (B, S, K) frozen log-probabilities, and (B,) answers.
        searchable: Network -> its symbols, of the networks that may be changed.
        rng: Splits the queries.
        level: Level of the confidence interval; a split has to gain on held-out queries.

    Raises:
        DataError: There are no queries, or shapes do not fit.
    """
    sizes = {network: len(domain) for network, domain in searchable.items()}
    asked = ask_all(named, Layout(sizes, sizes))
    seen, held_out = _split(len(asked), rng)
    logs: FloatArray | None = None
    found: list[Split] = []
    for network, size in sizes.items():
        shares = _shares(asked, network)
        crowded = np.flatnonzero(shares >= CROWDED / size).tolist()
        for unused in np.flatnonzero(shares < UNUSED / size).tolist():
            trials = {source: _shared(asked, network, unused, source) for source in crowded}
            scores = {source: _ask(goals, trial) for source, trial in trials.items()}
            if not scores:
                break
            logs = _ask(goals, asked) if logs is None else logs
            source = max(scores, key=lambda place: float(scores[place][seen].mean()))
            gain, interval = paired(scores[source] - logs, held_out, level)
            if interval[0] > IMPROVEMENT:
                found.append(Split(network, unused, source, gain, interval))
                asked, logs = trials[source], scores[source]
    return found


def _split(count: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    order = rng.permutation(count)
    held_out = round(count * HELD_OUT)
    return order[held_out:], order[:held_out]


def _by_network(layout: Layout, naming: IntArray) -> dict[str, tuple[int, ...]]:
    places = layout.slices().items()
    return {network: tuple(naming[place].tolist()) for network, place in places}


def _width(named: Sequence[NamedLike], network: str) -> int:
    """Returns the number of clusters of a network."""
    return next(int(one.log_probs[network].shape[-1]) for one in named if network in one.log_probs)


def _ask(goals: Sequence[ReasonerLike], asked: Asked) -> FloatArray:
    found = []
    for number, queries in asked.parts:
        with torch.no_grad():
            logs = goals[number].log_likelihood(queries.log_probs, queries.answers)
        found.append(logs.double().cpu().numpy())
    return np.concatenate(found)


def _shares(asked: Asked, network: str) -> FloatArray:
    """Returns (K,) how often each symbol is the likeliest."""
    read = [q.log_probs[network] for _, q in asked.parts if network in q.log_probs]
    size = read[0].shape[-1]
    winners = np.concatenate([one.argmax(dim=-1).flatten().cpu().numpy() for one in read])
    return np.bincount(winners, minlength=size) / max(winners.size, 1)


def _shared(asked: Asked, network: str, unused: int, source: int) -> Asked:
    """Lets two symbols share the mass of both evenly."""
    return Asked(tuple((n, _share(q, network, unused, source)) for n, q in asked.parts))


def _share(queries: Queries, network: str, unused: int, source: int) -> Queries:
    if network not in queries.log_probs:
        return queries
    values = queries.log_probs[network].clone()
    both = torch.logaddexp(values[..., unused], values[..., source]) - np.log(2.0)
    values[..., unused] = both
    values[..., source] = both
    return Queries({**queries.log_probs, network: values}, queries.answers)
