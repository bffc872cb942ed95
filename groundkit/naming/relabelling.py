"""Re-grounding: give the clusters that a network has found the names the program implies.

Gradient descent finds the clusters and sits in a local optimum of their *names*, in which a
partial permutation of the symbols explains most queries. With p(y|x) frozen, the names are a
discrete search: maximise mean log P(answer) over relabellings of the symbol axis. The program
itself is the score.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np
from scipy import stats

from groundkit.identifiability.answer_odds import FloatArray
from groundkit.identifiability.map_words import describe_moves
from groundkit.identifiability.relations import IntArray
from groundkit.naming.assignment import NamedLike, NameSearch, ReasonerLike, ask_all
from groundkit.naming.scorers import Asked, Layout
from groundkit.naming.search import IMPROVEMENT

FEW, FOLDS = 300, 5
"""With fewer queries than this, names are searched on all of them, and the gain is that of the
same search made without each fold in turn: a third of thirty queries is too much to give up and
too little to decide on."""
HELD_OUT = 1 / 3
"""Otherwise, the share of the queries that the search never sees and that decide."""
MOST_ALIKE = 3
"""Networks of one group whose exchanges are tried."""
RIVALS = 4
"""Indistinguishable renamings of the best naming that are compared with it."""


@dataclass(frozen=True)
class Relabelling:
    """What the search for better names found, and whether they were taken.

    Attributes:
        permutations: Network -> ``perm`` to apply now: the new symbol k takes the old
            ``perm[k]``, so that new log-probabilities are ``log_probs[..., perm]``. The identity
            where the names are kept.
        accepted: Whether ``permutations`` changes anything.
        before: Mean log P(answer) per query with the old names, floored probabilities, in nats.
        after: The same with ``permutations`` applied.
        best: Network -> the best permutation found, taken or not; ``best_log_likelihood`` is its
            mean over all queries.
        runner_up: Network -> the second best, with its ``runner_up_log_likelihood``; ``None`` if
            there is no other.
        gain: Mean gain over the old names on queries that the search did not see: of ``best``, or
            with few queries of the names found without each fifth of them.
        gain_interval: Its two-sided confidence interval of level ``level``.
        ambiguous: Whether ``best`` and ``runner_up`` tie: the interval of their difference on the
            held-out queries contains 0.
        level: Level of the confidence intervals.
        queries: Number of queries; ``held_out`` of them decided.
        method: How the names were searched.
        scored: Number of namings scored.
        seconds: Time taken.
        exchange: Network -> the network whose clusters it takes over, before ``permutations``;
            empty where every network keeps its own.
    """

    permutations: Mapping[str, tuple[int, ...]]
    accepted: bool
    before: float
    after: float
    best: Mapping[str, tuple[int, ...]]
    best_log_likelihood: float
    runner_up: Mapping[str, tuple[int, ...]] | None
    runner_up_log_likelihood: float | None
    gain: float
    gain_interval: tuple[float, float]
    ambiguous: bool
    level: float
    queries: int
    held_out: int
    method: str
    scored: int
    seconds: float
    exchange: Mapping[str, str] = field(default_factory=dict)

    def rejected(self) -> Relabelling:
        """The same search with the names kept."""
        kept = {name: tuple(range(len(moves))) for name, moves in self.permutations.items()}
        return replace(self, permutations=kept, accepted=False, after=self.before, exchange={})

    def swapped(self) -> Relabelling:
        """The same search with the runner-up taken in place of the best."""
        if self.runner_up is None or self.runner_up_log_likelihood is None:
            return self
        moved = any(list(perm) != sorted(perm) for perm in self.runner_up.values())
        return replace(
            self,
            permutations=self.runner_up,
            accepted=moved,
            after=self.runner_up_log_likelihood,
            best=self.runner_up,
            best_log_likelihood=self.runner_up_log_likelihood,
            runner_up=self.best,
            runner_up_log_likelihood=self.best_log_likelihood,
        )

    def describe(self, domains: Mapping[str, Sequence[str]]) -> str:
        """Says what moved: ``moved 3->5, 5->3: log-likelihood -0.67 to -0.21``."""
        if self.accepted:
            swapped = "".join(f"{n} takes over {o}, " for n, o in self.exchange.items())
            words = (
                f"{swapped}moved {_moves(self.permutations, domains)}: "
                f"log-likelihood {self.before:.2f} to {self.after:.2f}"
            )
        else:
            words = f"kept the names: log-likelihood {self.before:.2f}"
        if self.ambiguous and self.runner_up is not None:
            one, two = _moves(self.best, domains), _moves(self.runner_up, domains)
            words += (
                f"; ambiguous: moving {one} gives {self.best_log_likelihood:.2f}, "
                f"moving {two} gives {self.runner_up_log_likelihood:.2f}"
            )
        return words

    def to_dict(self) -> dict[str, object]:
        """Returns the relabelling as JSON-able values."""
        runner_up = None if self.runner_up is None else _lists(self.runner_up)
        return {
            "accepted": self.accepted,
            "exchange": dict(self.exchange),
            "permutations": _lists(self.permutations),
            "before": self.before,
            "after": self.after,
            "best": _lists(self.best),
            "best_log_likelihood": self.best_log_likelihood,
            "runner_up": runner_up,
            "runner_up_log_likelihood": self.runner_up_log_likelihood,
            "gain": self.gain,
            "gain_interval": [end if np.isfinite(end) else None for end in self.gain_interval],
            "ambiguous": self.ambiguous,
            "level": self.level,
            "queries": self.queries,
            "held_out": self.held_out,
            "method": self.method,
            "scored": self.scored,
            "seconds": round(self.seconds, 4),
        }


@dataclass(frozen=True)
class _Candidate:
    """A naming, under an exchange of networks.

    Attributes:
        exchange: Network -> the network whose clusters it takes over.
        naming: The joined naming.
    """

    exchange: Mapping[str, str]
    naming: IntArray

    def same(self, other: _Candidate) -> bool:
        """Whether both do the same."""
        return self.exchange == other.exchange and np.array_equal(self.naming, other.naming)


class Regrounder:
    """Searches for better names again and again during training; keeps what is the same each time.

    Args:
        goals: The compiled goals.
        searchable: Network -> its symbols, of the networks to rename.
        domains: Network -> its symbols, of all networks of the goals; ``searchable`` if left out.
        rivals: Maps that the goals cannot tell from the identity, as `identify` lists them: the
            permutations among the first few are compared with the best names, so that a tie is
            noticed however many swaps it is away.
        alike: Groups of networks that read the same images and could do each other's work: the
            search also tries to exchange them.
    """

    def __init__(
        self,
        goals: Sequence[ReasonerLike],
        searchable: Mapping[str, Sequence[str]],
        domains: Mapping[str, Sequence[str]] | None = None,
        rivals: Sequence[Mapping[str, Sequence[int]]] = (),
        alike: Sequence[Sequence[str]] = (),
    ) -> None:
        sizes = {network: len(symbols) for network, symbols in searchable.items()}
        self._layout = Layout(sizes, sizes)
        self._names = NameSearch(goals, self._layout, domains or searchable)
        self._rivals = [
            rival
            for rival in rivals
            if all(
                sorted(rival.get(network, range(size))) == list(range(size))
                for network, size in sizes.items()
            )
        ][:RIVALS]
        self._exchanges = exchanges_of(alike)

    def __call__(
        self,
        named: Sequence[NamedLike],
        *,
        rng: np.random.Generator,
        level: float = 0.95,
        budget: int | None = None,
    ) -> Relabelling:
        """Searches, then takes the new names if held-out queries are significantly likelier.

        Args:
            named: For every goal, frozen log-probabilities ``(B, S, K)`` by network, and answers.
            rng: Splits the queries and draws the starts.
            level: Level of the confidence intervals.
            budget: Namings scored by climbs from several starts; chosen by the domains if left out.

        Raises:
            DataError: There are no queries, or shapes do not fit.
        """
        start = time.monotonic()
        asked = ask_all(named, self._layout)
        everything = np.arange(len(asked))
        current = _Candidate({}, self._layout.current())
        before = self._ask(asked, current)
        gains = np.full(len(asked), np.nan)
        for fold in _folds(rng.permutation(len(asked))):
            seen = np.setdiff1d(everything, fold)
            found = self._search(asked.select(seen), rng, budget)
            gains[fold] = self._ask(asked.select(fold), found[0][0]) - before[fold]
        if len(asked) < FEW:
            seen = everything
            found = self._search(asked, rng, budget)
        finalists = self._with_rivals(found[0])
        logs = [self._ask(asked, one) for one in finalists]
        ranked = sorted(range(len(finalists)), key=lambda n: -float(logs[n][seen].mean()))
        return self._judge(
            current,
            [finalists[place] for place in ranked],
            [before, *(logs[place] for place in ranked)],
            gains,
            level=level,
            method=found[1],
            scored=found[2],
            seconds=time.monotonic() - start,
        )

    def _ask(self, asked: Asked, candidate: _Candidate) -> FloatArray:
        """Returns (B,) log P(answer) under a candidate."""
        return self._names.ask(asked.exchanged(candidate.exchange), candidate.naming)

    def _search(
        self, asked: Asked, rng: np.random.Generator, budget: int | None
    ) -> tuple[list[_Candidate], str, int]:
        """Searches names under every exchange of networks; returns the best of all, best first."""
        found: list[_Candidate] = []
        method, scored = "", 0
        for exchange in self._exchanges:
            moved = asked.exchanged(exchange)
            namings, method, number = self._names.search(moved, rng, budget)
            found += [_Candidate(exchange, naming) for naming in namings]
            scored += number
        if len(self._exchanges) > 1:
            found.sort(key=lambda one: -float(self._ask(asked, one).mean()))
        return found, method, scored

    def _with_rivals(self, finalists: Sequence[_Candidate]) -> list[_Candidate]:
        """Adds what the best naming becomes under the rival maps, without repeats."""
        renamed = []
        for rival in self._rivals:
            naming = finalists[0].naming.copy()
            for network, place in self._layout.slices().items():
                if network in rival:
                    naming[place] = np.asarray(rival[network])[naming[place]]
            renamed.append(_Candidate(finalists[0].exchange, naming))
        distinct: list[_Candidate] = []
        for one in (*finalists, *renamed):
            if not any(one.same(other) for other in distinct):
                distinct.append(one)
        return distinct

    def _judge(
        self,
        current: _Candidate,
        finalists: Sequence[_Candidate],
        logs: Sequence[FloatArray],
        gains: FloatArray,
        *,
        level: float,
        method: str,
        scored: int,
        seconds: float,
    ) -> Relabelling:
        """Compares the old names, the best and the runner-up on the held-out queries."""
        best = finalists[0]
        held_out = np.flatnonzero(~np.isnan(gains))
        gain, interval = paired(gains, held_out, level)
        moved = not best.same(current)
        accepted = moved and interval[0] > IMPROVEMENT and bool(logs[1].mean() > logs[0].mean())
        rivals = [
            (one, log)
            for one, log in zip((*finalists[1:], current), (*logs[2:], logs[0]), strict=True)
            if not one.same(best) and one.exchange == best.exchange
        ]
        second = max(rivals, key=lambda rival: float(rival[1].mean()), default=None)
        # Namings that say the same differ by rounding, which may be of one sign throughout.
        tie = (
            second is not None and paired(logs[1] - second[1], held_out, level)[1][0] <= IMPROVEMENT
        )
        return Relabelling(
            permutations=self._permutations(best.naming if accepted else current.naming),
            accepted=accepted,
            before=float(logs[0].mean()),
            after=float(logs[1 if accepted else 0].mean()),
            best=self._permutations(best.naming),
            best_log_likelihood=float(logs[1].mean()),
            runner_up=None if second is None else self._permutations(second[0].naming),
            runner_up_log_likelihood=None if second is None else float(second[1].mean()),
            gain=gain,
            gain_interval=interval,
            ambiguous=tie,
            level=level,
            queries=len(logs[0]),
            held_out=len(held_out),
            method=method,
            scored=scored,
            seconds=seconds,
            exchange=best.exchange if accepted else {},
        )

    def _permutations(self, naming: IntArray) -> dict[str, tuple[int, ...]]:
        return {
            network: tuple(np.argsort(naming[place]).tolist())
            for network, place in self._layout.slices().items()
        }


def exchanges_of(alike: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Lists the exchanges of networks within groups, none of them first.

    Returns:
        Each as network -> the network whose clusters it takes over, without those that keep theirs.
    """
    found: list[dict[str, str]] = [{}]
    for group in alike:
        if not 1 < len(group) <= MOST_ALIKE:
            continue
        orders = [dict(zip(group, order, strict=True)) for order in permutations(group)]
        found = [
            before | {name: other for name, other in order.items() if name != other}
            for before in found
            for order in orders
        ]
    return found


def _folds(order: IntArray) -> list[IntArray]:
    """Returns the queries that each search does without."""
    if len(order) >= FEW:
        return [order[: round(len(order) * HELD_OUT)]]
    return np.array_split(order, min(FOLDS, len(order))) if len(order) > 1 else []


def paired(
    differences: FloatArray, rows: IntArray, level: float
) -> tuple[float, tuple[float, float]]:
    """Returns mean and Student confidence interval of the paired differences at ``rows``."""
    chosen = differences[rows]
    if len(chosen) < 2:
        return float(chosen.sum()), (-np.inf, np.inf)
    mean = float(chosen.mean())
    error = chosen.std(ddof=1) / np.sqrt(len(chosen))
    reach = float(stats.t.ppf(0.5 + level / 2, len(chosen) - 1) * error)
    return mean, (mean - reach, mean + reach)


def _moves(permutations: Mapping[str, Sequence[int]], domains: Mapping[str, Sequence[str]]) -> str:
    parts: Iterable[tuple[str, str]] = (
        (network, describe_moves(domains[network], np.argsort(perm).tolist()))
        for network, perm in permutations.items()
    )
    moved = [(network, words) for network, words in parts if words != "nothing"]
    if not moved:
        return "nothing"
    if len(permutations) == 1:
        return moved[0][1]
    return "; ".join(f"{network}: {words}" for network, words in moved)


def _lists(permutations: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    return {network: list(perm) for network, perm in permutations.items()}
