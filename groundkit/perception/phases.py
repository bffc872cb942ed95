"""The second phase of training: all terms of the bound together.

The bound alone finds clusters that follow slant and stroke width, and a symbolic term from random
weights can settle on wrong names that explain a small set of examples. So each network's embedding
is first trained by the contrastive term alone, and its clusters start the symbols
(:meth:`~groundkit.perception.learner.Learner.start_symbols`). Then all terms are maximised
together, those of a program among them where there is one.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from groundkit.perception.ascent import Ascent, PhaseSettings
from groundkit.perception.augment import Rows
from groundkit.perception.history import RollbackRow, Row
from groundkit.perception.learner import Learner, Reading
from groundkit.perception.ledger import Ledger
from groundkit.perception.readback import Readback
from groundkit.perception.safeguard import Safeguard
from groundkit.perception.terms import Contrast, Term, add_up

# Largest norm of a step's gradient.
CLIP_NORM = 5.0
# The energy's gradient is limited by itself: at tens of times the norm of the others it would
# drown them in the common clipping, and names would be learnt in the steps between only.
ENERGY_CLIP_NORM = 4.0
# Joint steps before the first chains move, at most half of all: energies of an untrained net say
# nothing.
_WARM_STEPS = 20
# Share of the joint steps over which self-labelling fades away. It holds on to clusters while they
# settle; later it would keep the wrong ones, and AUROC by energy is lower under it. Where clusters
# are known to be right and the other terms would leave them, it need not fade.
_HOLD = 0.5
REPORT_EVERY = 20


@dataclass
class Clock:
    """Seconds by activity."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Adds the time spent inside the block to an activity."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Queried:
    """Images of a step that a program asks about.

    Attributes:
        places: Their places ``(q,)`` in the pool, this process's.
        rows: Which rows they are among those of all processes.
        counts: How many images each process has.
    """

    places: Tensor
    rows: Rows
    counts: tuple[int, ...]


Views = tuple[Tensor, Tensor]
"""Logits of a network's queried images in both views, ``(q, K)`` each."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a network sees in a step, drawn before anything is computed.

    Attributes:
        places: Places ``(b,)`` in the pool of this process's images, queried ones first.
        both: Two views of them, ``(2b, C, H, W)``.
        queried: How many images the program asks about.
        counts: How many images each process has; ``None`` if all have as many.
        labelled: Views and targets of labelled images, where there are any.
        contrasted: Places ``(m,)`` of the images that samples are held against, if it is a step
            of the generative term.
    """

    places: Tensor
    both: Tensor
    queried: int
    counts: tuple[int, ...] | None
    labelled: tuple[Tensor, Tensor] | None
    contrasted: Tensor | None


class JointPhase:
    """Maximises all terms of several networks, and those of a program that reads them.

    Args:
        learners: The networks by name.
        settings: Size and rate.
        batch: Images a step that each network sees beside the queried ones.
        generator: Source of batches and views, the same in all processes.
        others: Parameters to train beside the networks'.
        on_row: Called with every row of the history.
        clock: Books the time.
    """

    def __init__(
        self,
        learners: Mapping[str, Learner],
        settings: PhaseSettings,
        batch: int,
        generator: Generator,
        *,
        others: Iterable[nn.Parameter] = (),
        on_row: Callable[[Row], None] = lambda row: None,
        clock: Clock | None = None,
    ) -> None:
        self.learners = learners
        self.steps = settings.steps
        self.done = 0
        self._on_row = on_row
        self._clock = clock or Clock()
        self._generator = generator
        self._processes = next(iter(learners.values())).processes
        self._rows = Rows(batch, self._processes.own(batch, "train.pool_batch"))
        self._chains = {
            name: Rows(
                learner.chains, self._processes.own(learner.chains, f"{name}'s sampler.batch")
            )
            for name, learner in learners.items()
            if learner.settings.generative > 0
        }
        models = [learner.model for learner in learners.values()]
        given = nn.ParameterList(others)
        parts = [*models, given] if len(given) else models
        self._ascent = Ascent(parts, settings, self._processes)
        self._guards = {
            name: Safeguard([learner.model, learner.buffer, self._ascent.optimiser])
            for name, learner in learners.items()
        }
        self._ledger = Ledger(self._processes)
        self._gaps: dict[str, Readback] = {}

    @property
    def rollbacks(self) -> int:
        """How often training went back to an earlier state."""
        return sum(guard.rollbacks for guard in self._guards.values())

    def renew(self) -> None:
        """Says that weights were changed from outside: a rollback must not undo that."""
        for guard in self._guards.values():
            guard.renew()

    def step(
        self,
        queried: Mapping[str, Queried] | None = None,
        program: Callable[[Mapping[str, Views]], Sequence[Term]] = lambda views: (),
    ) -> None:
        """Makes a step; what went wrong shows some steps later, see :meth:`check`.

        Args:
            queried: Network -> its images that the program asks about.
            program: Maps their logits to the program's terms.

        Raises:
            RunError: The objective was not a finite number.
        """
        self._tell()
        self.done += 1
        with self._clock("perceive"):
            asked = queried or {}
            batches = {name: self._batch(name, asked.get(name)) for name in self.learners}
        self._ascent.begin()
        contrasts = self._contrast(batches)
        self._climb(batches, contrasts, program)
        self._ascent.move()
        for learner in self.learners.values():
            learner.average()
        self._ascent.advance()
        if self.done == self.steps:
            self.check()
            for learner in self.learners.values():
                learner.settle()

    def check(self) -> None:
        """Reads what steps left to be read later, so that no device waits for the host.

        Where the energy has diverged, weights, chains and optimiser go back to a good state. To be
        called before the weights are used for something else than the next step.

        Raises:
            RunError: The objective was not a finite number.
        """
        self._tell()
        self._watch()
        self._ledger.check()

    def tell(self) -> None:
        """Adds what is known to the history, and leaves to a later step what it would read.

        To be called before the state is saved: the resumed training then does what it would have
        done without.

        Raises:
            RunError: The objective was not a finite number.
        """
        self._tell()
        if all(math.isfinite(float(gap.read())) for gap in self._gaps.values()):
            self._ledger.check()

    def _batch(self, name: str, queried: Queried | None) -> _Batch:
        """Draws what a network sees in this step."""
        learner, rows, size = self.learners[name], self._rows, self._processes.size
        places, counts = rows.of(learner.draw(rows.total, self._generator)), None
        if queried is not None:
            before = queried.rows.total
            counts = tuple(count + len(rows.own) for count in queried.counts)
            rows = Rows(before + rows.total, torch.cat([queried.rows.own, before + rows.own]))
            places = torch.cat([queried.places, places])
        both = learner.augmented(places, self._generator, rows)
        labelled, contrasted = learner.labelled_views(self._generator), None
        if self._samples(learner):
            chains = self._chains[name]
            contrasted = chains.of(learner.draw(chains.total, self._generator))
        return _Batch(
            places,
            both,
            0 if queried is None else len(queried.places),
            counts if size > 1 else None,
            labelled,
            contrasted,
        )

    def _hold(self, learner: Learner) -> float:
        fades = learner.settings.assignment_fades
        return max(0.0, 1 - self.done / (_HOLD * self.steps)) if fades else 1.0

    def _turn(self, learner: Learner) -> int:
        """Steps between two of the generative term; training that is shorter has one, its last."""
        return min(learner.settings.sampler.every, self.steps)

    def _samples(self, learner: Learner) -> bool:
        settings = learner.settings
        if settings.generative == 0:
            return False
        turn, warm = self._turn(learner), min(_WARM_STEPS, self.steps // 2)
        first = turn * max(1, -(-warm // turn))
        last = max(first, settings.sampler.until * self.steps)
        return self.done % turn == 0 and first <= self.done <= last

    def _contrast(self, batches: Mapping[str, _Batch]) -> dict[str, Contrast]:
        """Holds data against samples and climbs the terms of the energy, where it is their turn."""
        # What a turn left is read at the next one, also where that has no generative term.
        if any(self.done % self._turn(learner) == 0 for learner in self.learners.values()):
            self._watch()
        turns = {n: b.contrasted for n, b in batches.items() if b.contrasted is not None}
        if not turns:
            return {}
        found: dict[str, Contrast] = {}

        def energy() -> Tensor:
            for name, places in turns.items():
                found[name] = self.learners[name].generative_terms(places)
            return add_up(term for contrast in found.values() for term in contrast.terms)

        with self._clock("sample"):
            value = self._ascent.compute(energy)
        with self._clock("perceive"):
            # A gap that is no number is found out when it is read; it moves nothing until then.
            self._ascent.climb(value, ENERGY_CLIP_NORM, sound=True)
        for name, contrast in found.items():
            gap = contrast.terms[0].value
            self._gaps[name] = Readback(self._processes.mean(gap.detach()))
        return found

    def _climb(
        self,
        batches: Mapping[str, _Batch],
        contrasts: Mapping[str, Contrast],
        program: Callable[[Mapping[str, Views]], Sequence[Term]],
    ) -> None:
        """Climbs all other terms, and keeps the values of all of them to be read later."""
        terms: list[Term] = []
        readings: dict[str, Reading] = {}

        def others() -> Tensor:
            with self._clock("perceive"):
                for name, batch in batches.items():
                    found = self._perceive(name, batch, readings)
                    if name in contrasts:
                        found += contrasts[name].terms
                    prefix = f"{name}." if len(self.learners) > 1 else ""
                    terms.extend(replace(term, name=prefix + term.name) for term in found)
            views = {
                name: (
                    readings[name].first[: batch.queried],
                    readings[name].second[: batch.queried],
                )
                for name, batch in batches.items()
                if batch.queried
            }
            with self._clock("reason"):
                terms.extend(program(views))
            return add_up(term for term in terms if not term.of_energy)

        value = self._ascent.compute(others)
        with self._clock("perceive"):
            self._ascent.climb(value, CLIP_NORM)
        energy = add_up(term for term in terms if term.of_energy)
        self._ledger.add(self.done, terms, energy + value)
        if self.done % REPORT_EVERY == 0:
            health = {
                name: (one.first, one.second, one.embedding[: len(one.first)])
                + ((contrasts[name].data, contrasts[name].others) if name in contrasts else ())
                for name, one in readings.items()
            }
            self._ledger.send(health, self._ascent.rate)

    def _perceive(self, name: str, batch: _Batch, readings: dict[str, Reading]) -> list[Term]:
        """Reads a network's views and returns the terms that need no samples."""
        learner = self.learners[name]
        readings[name] = learner.view(batch.both, batch.counts)
        found = learner.clustering_terms(readings[name], batch.places, self._hold(learner))
        if batch.labelled is not None:
            found.append(learner.label_term(*batch.labelled))
        return found

    def _tell(self) -> None:
        """Adds the row of the last report to the history, if that has not been done."""
        if self._ledger.due and not self._watch():
            self._on_row(self._ledger.row())

    def _watch(self) -> bool:
        """Reads the last energy gaps; goes back to a good state where they have run away.

        Returns:
            Whether it went back; what was kept of the steps since is then forgotten.
        """
        gaps, self._gaps = self._gaps, {}
        diverged = [n for n, gap in gaps.items() if self._guards[n].update(float(gap.read()))]
        for name in diverged:
            learner = self.learners[name]
            learner.calm()
            size = learner.sampler.step_size
            self._on_row(RollbackRow(step=self.done, network=name, step_size=size))
        if diverged:
            self._ledger.forget()
        return bool(diverged)

    def state_dict(self) -> dict[str, Any]:
        """Where it is, without the networks and the generator."""
        return {
            "done": self.done,
            "ascent": self._ascent.state_dict(),
            "guards": {name: guard.state_dict() for name, guard in self._guards.items()},
            "gaps": {name: float(gap.read()) for name, gap in self._gaps.items()},
            "ledger": self._ledger.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.done = state["done"]
        self._ascent.load_state_dict(state["ascent"])
        for name, guard in self._guards.items():
            guard.load_state_dict(state["guards"][name])
        self._gaps = {name: Readback(torch.tensor(gap)) for name, gap in state["gaps"].items()}
        self._ledger.load_state_dict(state.get("ledger", {}))
