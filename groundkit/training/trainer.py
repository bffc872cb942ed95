"""Training of a task: its networks' phases, the program's exact likelihood, and the naming.

Clusters come first, without names. Then all terms are maximised together, mean log P(query) among
them, while a search over relabellings puts the names right where gradient descent cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator

from groundkit.errors import CheckpointError, StoppedError
from groundkit.naming.relabelling import Relabelling
from groundkit.perception.ascent import Factories, PhaseSettings
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.embedding import EmbeddingPhase
from groundkit.perception.history import ClusterRow, Row
from groundkit.perception.phases import (
    REPORT_EVERY,
    Clock,
    JointPhase,
    Views,
)
from groundkit.perception.terms import Term
from groundkit.report.words import counted, listing
from groundkit.task.networks import build_learners
from groundkit.task.task import Task
from groundkit.training.name_updates import Namer, name_by_labels
from groundkit.training.shares import estimate_shares, learn_shares
from groundkit.training.symbolic import Moment, SymbolicTerm, moment

# Names that are kept are learnt, right or wrong, so in the first half of joint training the
# likelier ones are taken on weak evidence; later only a clear gain may move a symbol.
EARLY_LEVEL, LATE_LEVEL = 0.5, 0.95
AUTO_CLUSTERS = (2, 3)
"""Clusters for each symbol that are tried beside one for each."""
_STRANGE = (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError)
"""What setting back raises when a state is whole but not of this training."""

State = dict[str, Any]
"""Nested dicts and lists of tensors and plain values."""


class Trainer:
    """Trains the networks of a task.

    Args:
        task: Program, spec and examples. Its labels are not looked at.
        device: Where to train.
        seed: Seed of weights, batches, augmentation, chains and search.
        on_row: Called with every history row.
        on_step: Called with the steps done, all steps, and what is being done.
        on_state: Called with the steps done and the state of training every
            ``train.checkpoint_every`` steps.
        stop: Asked after every step; training then ends in :class:`~groundkit.errors.StoppedError`.
        trust: Allow backbones from the user's own modules.
        rivals: Maps of symbols that the program admits beside the identity, to be tried as names.
        processes: The processes that train together.
        factories: The user's own optimiser and scheduler.
    """

    def __init__(
        self,
        task: Task,
        device: torch.device,
        seed: int,
        *,
        on_row: Callable[[Row], None] = lambda row: None,
        on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
        on_state: Callable[[int, State], None] = lambda done, state: None,
        stop: Callable[[], bool] = lambda: False,
        trust: bool = False,
        rivals: Sequence[Mapping[str, Sequence[int]]] = (),
        processes: ProcessGroup | None = None,
        factories: Factories = Factories(),  # noqa: B008
    ) -> None:
        self.task = task
        self.device = device
        self.processes = processes or ProcessGroup()
        self.clock = Clock()
        self._factories = factories
        self._on_row, self._on_step, self._on_state, self._stop = on_row, on_step, on_state, stop
        self._rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.generator = Generator(device).manual_seed(seed)
        # The host must know which examples a step asks about: drawn on a GPU, it would wait there.
        on_cpu = device.type == "cpu"
        self._chooser = self.generator if on_cpu else Generator().manual_seed(seed)
        self.learners = build_learners(task, device, seed, trust=trust, processes=self.processes)
        self._families = self._find_families()
        self._symbolic = SymbolicTerm(task, device, self.processes) if task.asks else None
        self._namer = self._make_namer(rivals)
        self._named: list[str] = []
        self._embedding: dict[str, EmbeddingPhase] = {}
        self._joint = self._joint_phase()

    def _make_namer(self, rivals: Sequence[Mapping[str, Sequence[int]]]) -> Namer | None:
        """Makes the search for names, ``None`` where it is off, or no query says anything."""
        term = self._symbolic
        if term is None or not term.searchable or not self.task.spec.train.reground:
            return None
        return Namer(
            self.learners,
            self.task.domains,
            term,
            rivals=rivals,
            groups=self.task.groups,
            rng=self._rng,
            processes=self.processes,
            on_row=self._on_row,
        )

    def _find_families(self) -> list[tuple[str, ...]]:
        """Groups networks that share a backbone: those are clustered together."""
        found: dict[str, list[str]] = {}
        for name in self.learners:
            found.setdefault(self.task.binding.trunk_of(name) or name, []).append(name)
        return [tuple(names) for names in found.values()]

    def _joint_phase(self) -> JointPhase:
        train = self.task.spec.train
        return JointPhase(
            self.learners,
            PhaseSettings(
                self.joint_steps, train.learning_rate, train.weight_decay, self._factories
            ),
            train.pool_batch,
            self.generator,
            others=self._symbolic.learnt.parameters() if self._symbolic else (),
            on_row=self._on_row,
            clock=self.clock,
        )

    @property
    def joint_steps(self) -> int:
        """Number of steps of joint training."""
        examples = self.task.count if self._symbolic is not None else 0
        images = max(len(learner.pool) for learner in self.learners.values())
        return self.task.spec.train.joint_steps(examples, images)

    @property
    def total_steps(self) -> int:
        """Number of steps of both phases."""
        return len(self.learners) * self.task.spec.train.cluster_steps + self.joint_steps

    @property
    def steps_in_words(self) -> str:
        """What the steps consist of: ``1,140 steps: 300 of clustering net, 840 of ...``."""
        steps = self.task.spec.train.cluster_steps
        parts = [f"{steps:,} of clustering {name}" for name in self.learners if steps]
        parts.append(f"{self.joint_steps:,} of joint training")
        return f"{counted(self.total_steps, 'step')}: {listing(parts)}"

    @property
    def relabellings(self) -> list[tuple[int, Relabelling]]:
        """Joint step and finding of each search for names, in order."""
        return [] if self._namer is None else self._namer.relabellings

    @property
    def score(self) -> float | None:
        """Mean log P(query) when names were last searched, ``None`` before."""
        return None if self._namer is None else self._namer.score

    @property
    def rollbacks(self) -> int:
        """How often training went back to an earlier state."""
        return self._joint.rollbacks

    def train(self) -> None:
        """Runs what is left of both phases.

        Raises:
            RunError: Training diverged and did not recover.
            StoppedError: It was asked to stop; the state has been handed over.
        """
        with self.clock("train"):
            if self.task.spec.train.cluster_steps:
                for family in self._families:
                    if family[0] not in self._named:
                        self._cluster(family)
            self._join()

    def _cluster(self, family: Sequence[str]) -> None:
        """Clusters the images of networks that share a backbone; after the last, names clusters."""
        steps = self.task.spec.train.cluster_steps
        phases = self._embedding or {name: self._embedding_phase(name) for name in family}
        self._embedding = phases
        before = len(self._named) * steps
        while any(phase.done < steps for phase in phases.values()):
            name = min(phases, key=lambda one: phases[one].done)  # in turn, the first one first
            phase = phases[name]
            value = phase.step()
            if phase.done % REPORT_EVERY == 0:
                terms = {"contrastive": float(value)}
                self._on_row(ClusterRow(step=phase.done, network=name, terms=terms))
            done = sum(one.done for one in phases.values())
            self._pause(before + done, f"clustering {name}")
        for name in family:
            self.learners[name].start_symbols()
        self._named += family
        self._embedding = {}
        if len(self._named) == len(self.learners):
            self._name()

    def _name(self) -> None:
        """Gives the clusters of all networks their first names."""
        wanted = self.task.spec.train.clusters_per_symbol
        if self._namer is not None and wanted != 1:
            if wanted == "auto":
                self._namer.start_from_several(AUTO_CLUSTERS, where_better=True)
            else:
                self._namer.start_from_several((wanted,), where_better=False)
        name_by_labels(self.learners, self.processes)
        self._reground(0)
        self._joint.renew()

    def _embedding_phase(self, name: str) -> EmbeddingPhase:
        train = self.task.spec.train
        settings = PhaseSettings(
            train.cluster_steps,
            train.cluster_learning_rate,
            train.weight_decay,
            self._factories,
        )
        return EmbeddingPhase(self.learners[name], settings, train.cluster_batch, self.generator)

    def _join(self) -> None:
        """Maximises all terms together."""
        phase = self._joint
        before = self.total_steps - phase.steps
        while phase.done < phase.steps:
            self._step()
            if self._search_after(phase.done):
                phase.check()
                self._reground(phase.done)
            self._pause(before + phase.done, "joint training")

    def _search_after(self, step: int) -> bool:
        every = self.task.spec.train.reground_every
        return step % every == 0 or step == every // 2 or step == self.joint_steps

    def _pause(self, done: int, what: str) -> None:
        """Tells of a step; hands the state over where one is due, or on a request to stop."""
        self._on_step(done, self.total_steps, what)
        stop = self.processes.agree(self._stop())
        if stop or done % self.task.spec.train.checkpoint_every == 0 or done == self.total_steps:
            self._joint.tell()
            self._on_state(done, self.state_dict())
        if stop:
            raise StoppedError(
                f"stopped after step {done} of {self.total_steps}; everything so far is saved"
            )

    def _step(self) -> None:
        """Makes one step of joint training, on randomly chosen examples if there is a program."""
        term = self._symbolic
        if term is None:
            self._joint.step()
            return
        chosen = term.draw(self._chooser)
        train = self.task.spec.train
        now = moment(train.schedule, self._joint.done / train.schedule_steps)

        def ask(views: Mapping[str, Views]) -> list[Term]:
            value = term.likelihood(chosen, views, now.temperature)
            if now == Moment():
                learn_shares(
                    value, views, self.learners, examples=term.averaged, step=self._joint.done
                )
            return [Term("symbolic", train.symbolic * now.weight, value)]

        self._joint.step(term.queried(chosen), ask)

    def _reground(self, step: int) -> None:
        """Searches for better names."""
        if self._namer is not None:
            with self.clock("reground"):
                early = 2 * step < self.joint_steps
                moved = self._namer.search(step, EARLY_LEVEL if early else LATE_LEVEL)
                train = self.task.spec.train
                assert self._symbolic is not None  # a search for names has queries to go by
                estimate_shares(
                    self._symbolic, self.learners, examples=train.batch, pooled=train.pool_batch
                )
            if moved:
                self._joint.renew()

    def state_dict(self) -> State:
        """Everything that the rest of training depends on."""
        return {
            "learners": {name: one.state_dict() for name, one in self.learners.items()},
            "reasoner": self._symbolic.learnt.state_dict() if self._symbolic else None,
            "joint": self._joint.state_dict(),
            "embedding": {name: one.state_dict() for name, one in self._embedding.items()},
            "named": list(self._named),
            "generator": self.generator.get_state(),
            "chooser": self._chooser.get_state(),
            "search": self._rng.bit_generator.state,
            "score": self.score,
            "seconds": dict(self.clock.seconds),
        }

    def load_state_dict(self, state: State) -> None:
        """Sets back what :meth:`state_dict` returned, to go on from there.

        Raises:
            CheckpointError: It is the state of another training.
        """
        try:
            self._restore(state)
        except _STRANGE as error:
            raise CheckpointError(
                f"the state is not of this training: {type(error).__name__}: {error}",
                expected=f"one of the networks {', '.join(sorted(self.learners))}, as this version "
                "of groundkit writes it",
                remedy="begin a new run",
            ) from error

    def _restore(self, state: State) -> None:
        if set(state["learners"]) != set(self.learners):
            raise ValueError(f"it has the networks {', '.join(sorted(state['learners']))}")
        for name, learner in self.learners.items():
            learner.load_state_dict(state["learners"][name])
        if self._symbolic is not None:
            self._symbolic.learnt.load_state_dict(state["reasoner"])
        self._joint.load_state_dict(state["joint"])
        self._named = list(state["named"])
        for name, one in state["embedding"].items():
            self._embedding[name] = self._embedding_phase(name)
            self._embedding[name].load_state_dict(one)
        self.generator.set_state(state["generator"])
        self._chooser.set_state(state["chooser"])
        self._rng.bit_generator.state = state["search"]
        if self._namer is not None:
            self._namer.score = state["score"]
        self.clock.seconds.update(state["seconds"])
