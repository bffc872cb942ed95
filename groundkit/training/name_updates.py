"""The names of clusters in training: found by the program and by labels, put right as it goes on.

Three things are wrong with names now and then: a permutation of them explains the queries better, a
symbol is never predicted because its images lie in another one's cluster, or a cluster between two
symbols was given to one of them whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from groundkit.naming.many_to_one import ClusterNames, find_splits, name_clusters
from groundkit.naming.relabelling import FEW, Regrounder, Relabelling
from groundkit.perception.cluster import Clusters
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.history import Row
from groundkit.perception.learner import Learner
from groundkit.training.history import RenameRow, SplitRow
from groundkit.training.symbolic import Named, SymbolicTerm


class Namer:
    """Names the clusters of a task's networks.

    Args:
        learners: The networks by name.
        domains: Network -> its symbols, of all networks of the program.
        term: The program's part of training; its examples must hold a query that holds.
        rivals: Maps of symbols that the program admits beside the identity, to be tried as names.
        groups: Networks that read the same images, in groups.
        rng: Source of the searches' randomness.
        processes: The processes that train together.
        on_row: Called with every history row.

    Attributes:
        relabellings: Joint step -> what the search found there, in order.
        score: Mean log P(query) when names were last searched, ``None`` before.
    """

    def __init__(
        self,
        learners: Mapping[str, Learner],
        domains: Mapping[str, Sequence[str]],
        term: SymbolicTerm,
        *,
        rivals: Sequence[Mapping[str, Sequence[int]]],
        groups: Sequence[Sequence[str]],
        rng: np.random.Generator,
        processes: ProcessGroup,
        on_row: Callable[[Row], None],
    ) -> None:
        self.relabellings: list[tuple[int, Relabelling]] = []
        self.score: float | None = None
        self._learners = learners
        self._term = term
        self._rng = rng
        self._processes = processes
        self._on_row = on_row
        self._searchable = {name: domains[name] for name in term.networks}
        self._domains = {name: domains[name] for name in term.called}
        self._goals = [part.reasoner for part in term.seeing]
        self._search = Regrounder(
            self._goals, self._searchable, self._domains, rivals, self._alike(groups)
        )

    def _alike(self, groups: Sequence[Sequence[str]]) -> list[list[str]]:
        """Finds networks that could do each other's work.

        They are always asked about the same images, have as many symbols, and are built alike.
        """

        def kind(name: str) -> tuple[object, ...]:
            built = self._learners[name].model.state_dict()
            calls = tuple(goal.slots.get(name, ()) for goal in self._goals)
            return (calls, tuple((key, tuple(value.shape)) for key, value in built.items()))

        found: dict[tuple[object, ...], list[str]] = {}
        for group in groups:
            for name in group:
                if name in self._searchable:
                    found.setdefault((tuple(group), *kind(name)), []).append(name)
        return [names for names in found.values() if len(names) > 1]

    def start_from_several(self, numbers: Sequence[int], *, where_better: bool) -> None:
        """Clusters finer than symbols, and starts symbols from the clusters that the program says.

        A symbol whose images look different (sandals and boots, a seven with a bar or without), or
        that most images show, may be several clusters, and a cluster between two symbols need not
        be given to one whole.

        Args:
            numbers: Clusters for each symbol, to be tried; the best are taken.
            where_better: Do so only where held-out queries are likelier above chance than with a
                cluster for each symbol, by a clear margin; few queries cannot tell.
        """
        if where_better and sum(len(part.holds) for part in self._term.seeing) < FEW:
            return
        seed = int(self._rng.integers(2**32))  # the same queries are held out of every search
        trials = []
        for number in numbers:
            fine = self._over_cluster(number)
            read = self._term.gather({name: clusters.log_probs for name, clusters in fine.items()})
            trials.append((fine, self._named(read, seed)))
        fine, found = max(trials, key=lambda trial: trial[1].held_out_gain)
        if where_better and not found.better_than(
            self._named(self._term.read(self._learners), seed)
        ):
            return
        for name, chosen in found.names.items():
            # Names under which symbols merge may be the best, where the program admits that.
            if name not in found.unnamed:
                self._learners[name].start_named(fine[name], chosen)

    def _over_cluster(self, per_symbol: int) -> dict[str, Clusters]:
        """Clusters the images of all networks, at most to a cluster an image."""
        return {
            name: self._learners[name].over_cluster(
                min(per_symbol * len(symbols), len(self._learners[name].pool))
            )
            for name, symbols in self._searchable.items()
        }

    def _named(self, read: Sequence[Named], seed: int) -> ClusterNames:
        """Names clusters, of which there may be more than symbols."""
        found = name_clusters(
            self._goals,
            read,
            symbols=self._searchable,
            rng=np.random.default_rng(seed),
            domains=self._domains,
        )
        return self._processes.agree(found)

    def search(self, step: int, level: float) -> bool:
        """Searches for better names and moves the prototypes' rows.

        Args:
            step: Joint steps so far.
            level: Level of the interval that a gain has to clear.

        Returns:
            Whether any were moved.
        """
        read = self._term.read(self._learners)
        found = self._search(read, rng=self._rng, level=level)
        found = self._processes.agree(self._by_labels(found))
        self._exchange(found.exchange)
        for name, permutation in found.permutations.items():
            self._learners[name].permute_symbols(permutation)
        self.relabellings.append((step, found))
        self.score = found.after
        words = found.describe(self._searchable)
        self._on_row(RenameRow(step=step, found=found.to_dict(), words=words))
        return self._split(step, [_renamed(one, found) for one in read]) or found.accepted

    def _exchange(self, exchange: Mapping[str, str]) -> None:
        """Lets networks take over each other's clusters."""
        states = {name: self._learners[other].handed_over() for name, other in exchange.items()}
        for name, state in states.items():
            self._learners[name].take_over(state)

    def _by_labels(self, found: Relabelling) -> Relabelling:
        """Lets labelled images choose between names that the queries cannot tell apart.

        The present names are kept if labels speak more against the new ones than queries for.
        """
        read = {name: learner.label_evidence() for name, learner in self._learners.items()}
        evidence = {name: known for name, known in read.items() if known is not None}
        if evidence and found.exchange:
            evidence = {n: e for n, e in evidence.items() if n not in found.exchange}
        gain = _label_gain(evidence, found.permutations)
        if found.accepted and found.ambiguous and found.runner_up is not None:
            other = _label_gain(evidence, found.runner_up)
            if other > gain:
                found, gain = found.swapped(), other
        gain += found.queries * (found.after - found.before)
        return found if gain > 0 or not found.accepted else found.rejected()

    def _split(self, step: int, read: Sequence[Named]) -> bool:
        """Gives symbols that are never predicted half of a crowded cluster, where queries gain.

        No permutation undoes such a collapse; training then pulls the halves apart.

        Args:
            step: Joint steps so far.
            read: The examples' log-probabilities under present names, by shape.

        Returns:
            Whether there was such a symbol.
        """
        splits = self._processes.agree(
            find_splits(
                self._goals,
                read,
                searchable=self._searchable,
                rng=self._rng,
            )
        )
        for split in splits:
            self._learners[split.network].split_symbol(split.unused, split.source)
            symbols = self._searchable[split.network]
            words = (
                f"{symbols[split.unused]} was never predicted, it takes half of "
                f"{symbols[split.source]}: log-likelihood +{split.gain:.2f}"
            )
            self._on_row(
                SplitRow(
                    step=step,
                    network=split.network,
                    symbol=split.unused,
                    of=split.source,
                    words=words,
                )
            )
        return bool(splits)


def _renamed(read: Named, found: Relabelling) -> Named:
    """Reads predictions under the names that were found."""
    moved = {}
    for name, own in read.log_probs.items():
        rows = read.log_probs[found.exchange.get(name, name)]
        permutation = found.permutations.get(name)
        moved[name] = own if permutation is None else rows[..., list(permutation)]
    return replace(read, log_probs=moved)


def name_by_labels(learners: Mapping[str, Learner], processes: ProcessGroup) -> None:
    """Gives clusters the names of the labelled images in them, where there are any."""
    for learner in learners.values():
        evidence = learner.label_evidence()
        if evidence is not None:
            _, permutation = linear_sum_assignment(evidence.cpu().numpy(), maximize=True)
            learner.permute_symbols(processes.agree(permutation.tolist()))


def _label_gain(evidence: Mapping[str, Tensor], permutations: Mapping[str, Sequence[int]]) -> float:
    """Log-likelihood in nats that labelled images gain by new names, from ``label_evidence``."""
    gain = 0.0
    for name, permutation in permutations.items():
        if name in evidence:
            known = evidence[name]
            moved = known[torch.arange(len(permutation)), torch.tensor(permutation)].sum()
            gain += float(moved - known.trace())
    return gain
