"""One network in training: its symbol model, its unlabelled images and the terms of its bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Generator, Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from groundkit.perception import bound
from groundkit.perception.augment import Augmentation, Rows
from groundkit.perception.augment_choice import Choice, choose
from groundkit.perception.cluster import (
    Clusters,
    fit_prototypes,
    over_cluster,
    start_prototypes,
)
from groundkit.perception.distributed import ProcessGroup
from groundkit.perception.generate import (
    contrast_with_perturbed,
    contrast_with_samples,
    sample_images,
)
from groundkit.perception.langevin import InformativeStart, Langevin, ReplayBuffer
from groundkit.perception.model import SymbolModel, log_probs
from groundkit.perception.parts import in_parts
from groundkit.perception.settings import PerceptionSpec
from groundkit.perception.shares import Shares
from groundkit.perception.symbol_start import SymbolStart
from groundkit.perception.terms import Contrast, Term

# Labelled images of a step, at most.
_LABELLED = 64
# Images that the Gaussian is fitted to from which chains start, and their values at most.
_START_IMAGES, _START_VALUES = 10_000, 1 << 27


@dataclass(frozen=True, slots=True)
class Reading:
    """Two augmented views of a batch of images as the model sees them.

    Attributes:
        first: Logits of one view ``(b, K)``.
        second: Logits of the other view ``(b, K)``.
        embedding: Embedding of both views ``(2b, F)``.
        counts: Images that each process has of the batch; ``None`` if all have as many.
    """

    first: Tensor
    second: Tensor
    embedding: Tensor
    counts: tuple[int, ...] | None = None


class Learner:
    """Trains one network without labels.

    Args:
        model: The model, on the device to train on.
        settings: Weights of its terms, sampler and augmentation.
        pool: Unlabelled images, or other inputs, ``(N, ...)`` on the model's device, as they rest.
        seed: Seed of the prototypes' clustering and of the chains.
        augmentation: Draws the views in place of the settings' one.
        symbols: The symbols' names, which say whether colour is what they are of.
        processes: The processes that share every batch.
        alone: Whether no other network reads its images.
    """

    def __init__(
        self,
        model: SymbolModel,
        settings: PerceptionSpec,
        pool: Tensor,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
        symbols: Sequence[str] = (),
        processes: ProcessGroup | None = None,
        alone: bool = True,
    ) -> None:
        self.model = model
        self.settings = settings
        self._invariance = settings.invariance_weight(alone=alone)
        self.chosen = (
            choose(settings.augmentation, pool, settings.invariant, symbols)
            if augmentation is None
            else Choice(augmentation, "the caller's own")
        )
        self.augmentation = self.chosen.augmentation
        self.model.sees_drawings = self.chosen.drawing
        self.pool = pool
        self.processes = processes or ProcessGroup()
        self.clusters: Tensor | None = None
        self._average: AveragedModel | None = None
        self._labelled: tuple[Tensor, Tensor] | None = None
        self._labels_weight = 0.0
        self._seed = seed
        # Each process's own, as its chains are.
        self._own_seed = seed + 7919 * (1 + self.processes.rank)
        self.generator = Generator(pool.device).manual_seed(self._own_seed)
        self.sampler = Langevin(settings.sampler)
        shares = settings.given_shares
        self._prior = None if shares is None else torch.tensor(shares, device=pool.device)
        self.shares = Shares(model.symbols, pool.device)
        self._queue = torch.zeros(0, model.symbols, device=pool.device)
        # The sum of the last step's probabilities, and of how many views.
        self._seen = (torch.zeros(model.symbols, device=pool.device), 0)
        shape = tuple(pool.shape[1:])
        start = InformativeStart(shape).to(pool.device)
        if settings.generative > 0:
            start.fit(model.take(_first(pool)))
        # More chains than images would be copies of each other, in memory that grows with them.
        self.chains = settings.sampler.batch
        if self.chains > len(pool):  # fewer, and as many in every process
            self.chains = max(1, len(pool) // self.processes.size) * self.processes.size
        capacity = max(self.chains, min(settings.sampler.buffer, len(pool)))
        self.buffer = ReplayBuffer(
            shape, capacity, settings.sampler.reinit, start, self.generator
        ).to(pool.device)

    def calm(self) -> None:
        """Halves the sampler's step and averages weights anew, after a divergence."""
        self.sampler = self.sampler.halved()
        self._average = None

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Draws places ``(count,)`` of the pool, with replacement."""
        return torch.randint(len(self.pool), (count,), generator=generator, device=self.pool.device)

    def images(self, places: Tensor) -> Tensor:
        """Inputs ``(b, ...)`` in the models' range at places ``(b,)`` of the pool."""
        return self.model.take(self.pool[places])

    def teach(self, pixels: Tensor, targets: Tensor, weight: float = 1.0) -> None:
        """Gives labelled images.

        Args:
            pixels: The images ``(n, C, H, W)``.
            targets: Their symbols' probabilities ``(n, K)``.
            weight: Weight of the labels' term.
        """
        self._labelled = (pixels.to(self.pool.device), targets.to(self.pool.device))
        self._labels_weight = weight

    def label_evidence(self) -> Tensor | None:
        """What the labelled images say of names, ``None`` where there are none.

        Returns:
            ``(K, K)`` in nats: log-likelihood, summed over the labelled images, that calling the
            present symbol of a column by the name of a row contributes.
        """
        if self._labelled is None:
            return None
        pixels, targets = self._labelled
        return targets.T @ self.log_probs(pixels)

    def start_symbols(self) -> None:
        """Starts the prototypes from the clusters of the embedding, and remembers them."""
        clusters = start_prototypes(self.model, self.pool, self._seed)
        self.processes.share(self.model)
        self.clusters = self.processes.agree(clusters)

    def over_cluster(self, count: int) -> Clusters:
        """Clusters the pool into more clusters than symbols; names are then to be found."""
        return over_cluster(self.model, self.pool, count, self._seed)

    def start_named(self, clusters: Clusters, names: Sequence[int]) -> None:
        """Starts the prototypes from clusters of which several may be named by one symbol."""
        symbols = torch.as_tensor(names, device=clusters.members.device)
        fit_prototypes(self.model, clusters.sample, symbols[clusters.members])
        self.processes.share(self.model)
        self.relabel()

    def relabel(self) -> None:
        """Takes the most probable symbols of the pool as the clusters to hold on to."""
        self.clusters = self.read(self.pool).argmax(-1)

    def permute_symbols(self, permutation: Sequence[int]) -> None:
        """Renames symbols: the new symbol k is the old ``permutation[k]``."""
        self.model.permute_symbols(permutation)
        if self._average is not None:
            cast(SymbolModel, self._average.module).permute_symbols(permutation)
        if self.clusters is not None:
            order = torch.as_tensor(permutation, device=self.clusters.device)
            self.clusters = torch.argsort(order)[self.clusters]
        self._queue = self._queue[:, list(permutation)]
        self.shares.permute(permutation)

    def split_symbol(self, unused: int, source: int) -> None:
        """Lets a symbol that is never predicted take half of another's cluster."""
        self.model.split_symbol(unused, source)
        self.shares.split(unused, source)
        self._average = None

    def handed_over(self) -> dict[str, Any]:
        """Copies what another network needs to do this one's work: see :meth:`take_over`."""
        weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        return {"model": weights, "clusters": self.clusters, "queue": self._queue}

    def take_over(self, state: dict[str, Any]) -> None:
        """Goes on with the clusters of a network that is built alike and reads the same pool."""
        self.model.load_state_dict(state["model"])
        self.clusters, self._queue = state["clusters"], state["queue"]
        self._average = None

    def average(self) -> None:
        """Moves the averaged weights towards those of this step, where the settings want them."""
        if self.settings.ema > 0:
            self._average = self._average or self._new_average()
            self._average.update_parameters(self.model)

    def settle(self) -> None:
        """Ends training: takes the averaged weights, where there are any."""
        if self._average is not None:
            self.model.load_state_dict(self._average.module.state_dict())
            self._average = None

    def _new_average(self) -> AveragedModel:
        rule = get_ema_multi_avg_fn(self.settings.ema)  # type: ignore[no-untyped-call]
        return AveragedModel(self.model, multi_avg_fn=rule)

    def augmented(self, places: Tensor, generator: Generator, among: Rows | None = None) -> Tensor:
        """Draws two augmented views of images, ``(2b, C, H, W)``.

        Args:
            places: Places ``(b,)`` of this process's images in the pool.
            generator: Source of the augmentation, the same in all processes.
            among: The rows that these are of the whole batch.
        """
        # Strokes of any colour are thickened where they are drawings.
        pixels = self.model.see(self.images(places))
        return torch.cat([self.augmentation(pixels, generator, among) for _ in range(2)])

    def view(self, both: Tensor, counts: tuple[int, ...] | None = None) -> Reading:
        """Reads two views of images.

        Args:
            both: What :meth:`augmented` drew, ``(2b, C, H, W)``.
            counts: Images that each process has of the batch; ``None`` if all have as many.
        """
        embedding = self.model.embed(both)
        first, second = self.model.classify(embedding).chunk(2)
        return Reading(first, second, embedding, counts)

    def clustering_terms(self, reading: Reading, places: Tensor, hold: float = 1.0) -> list[Term]:
        """The terms that need no samples.

        Args:
            reading: Views of images.
            places: Their places ``(b,)`` in the pool.
            hold: Factor of the self-labelling term's weight.
        """
        weights, processes, counts = self.settings, self.processes, reading.counts
        both = torch.cat([reading.first, reading.second])
        terms: list[Term] = []
        if weights.prior > 0:
            rows = processes.gather(both, counts and [2 * count for count in counts])
            terms.append(Term("prior", weights.prior, self._prior_term(rows)))
        # A mean over more rows than the others have counts for more in the processes' mean.
        share = len(reading.first) * processes.size / sum(counts) if counts else 1.0
        if self._invariance > 0:
            value = bound.invariance(
                reading.first,
                reading.second,
                symmetric=weights.symmetric,
                stop_gradient=weights.stop_gradient,
            )
            terms.append(Term("invariance", self._invariance, share * value))
        if weights.assignment > 0 and self.clusters is not None:
            value = bound.assignment(both, self.clusters[places].repeat(2))
            terms.append(Term("assignment", weights.assignment * hold, share * value))
        if weights.contrastive > 0:
            value = self.contrast(reading)
            terms.append(Term("contrastive", weights.contrastive, value))
        return terms

    @property
    def learns_shares(self) -> bool:
        """Whether the prior's shares are to be learnt from what a program says of the images."""
        return self.settings.prior > 0 and self.settings.prior_probabilities == "learn"

    def _prior_term(self, logits: Tensor) -> Tensor:
        """The prior term of all processes' views, with those of earlier steps in the marginal."""
        queue = self._queue if len(self._queue) else None
        convention = self.settings.prior_convention
        target = self.shares.target if self.shares.moved else self._prior
        value = bound.prior(logits, target, queue, convention=convention)
        self._seen = (log_probs(logits.detach()).exp().sum(0), len(logits))
        if self.settings.prior_queue:
            known = torch.cat([self._queue, log_probs(logits.detach())])
            self._queue = known[-self.settings.prior_queue :]
        return value

    def learn_shares(self, correction: Tensor) -> None:
        """Moves the estimated shares to those of the last step's images.

        Args:
            correction: ``(K,)``, by how much the program changes the sum of the probabilities of
                this process's images.
        """
        total, count = self._seen
        changed = self.processes.mean(correction.detach()) * self.processes.size
        self.shares.move((total + changed) / count)

    def labelled_views(self, generator: Generator) -> tuple[Tensor, Tensor] | None:
        """Draws views of labelled images and their targets, the same ones in all processes."""
        if self._labelled is None or self._labels_weight == 0:
            return None
        pixels, targets = self._labelled
        chosen = torch.randint(
            len(pixels), (min(_LABELLED, len(pixels)),), generator=generator, device=pixels.device
        )
        pixels = self.model.see(self.model.take(pixels[chosen]))
        return self.augmentation(pixels, generator), targets[chosen]

    def label_term(self, views: Tensor, targets: Tensor) -> Term:
        """The labels' term: ``mean_i sum_y t_y log p(y|x'_i)`` over :meth:`labelled_views`."""
        value = (targets * log_probs(self.model(views))).sum(-1).mean()
        return Term("labels", self._labels_weight, value)

    def contrast(self, reading: Reading) -> Tensor:
        """The contrastive term of the embedding of both views."""
        first, second = self.model.project(reading.embedding).chunk(2)
        return bound.contrastive(
            self.processes.gather(first, reading.counts),
            self.processes.gather(second, reading.counts),
            self.settings.contrastive_temperature,
        )

    def generative_terms(self, places: Tensor) -> Contrast:
        """Contrasts the images at places ``(m,)`` with samples, or with perturbations of them."""
        sampling, images = self.settings.sampler, self.images(places)
        if sampling.kind == "energy-discrepancy":
            data, perturbed = contrast_with_perturbed(
                self.model,
                images,
                deviation=sampling.perturbation,
                negatives=sampling.negatives,
                generator=self.generator,
            )
            value, others = bound.energy_discrepancy(data, perturbed), perturbed.flatten(0, 1)
        else:
            data, others = contrast_with_samples(
                self.model,
                images,
                buffer=self.buffer,
                sampler=self.sampler,
                generator=self.generator,
                data_noise=sampling.data_noise,
            )
            value = bound.generative(data, others)
        penalty = bound.energy_penalty(data, others)
        terms = (
            Term("generative", self.settings.generative, value, of_energy=True),
            Term("energy_penalty", sampling.energy_penalty, penalty, of_energy=True),
        )
        return Contrast(terms, data.detach(), others.detach())

    @torch.no_grad()
    def read(self, pixels: Tensor) -> Tensor:
        """Returns logits ``(N, K)`` of images, or other inputs, as they rest."""
        return in_parts(lambda x: self.model(self.model.take(x)), pixels, self.pool.device)

    @torch.no_grad()
    def embed(self, pixels: Tensor) -> Tensor:
        """Returns embeddings ``(N, F)`` of images, or other inputs, as they rest."""
        return in_parts(lambda x: self.model.embed(self.model.take(x)), pixels, self.pool.device)

    @torch.no_grad()
    def log_probs(self, pixels: Tensor) -> Tensor:
        """Returns log p(y|x) ``(N, K)`` of images as they are."""
        return log_probs(self.read(pixels))

    def symbol_start(self) -> SymbolStart:
        """Fits where chains of each symbol start to the pool, as the model reads it now."""
        some = _first(self.pool)
        start = SymbolStart(tuple(some.shape[1:]), self.model.symbols).to(some.device)
        return start.fit(self.model.take(some), self.read(some))

    def sample(self, start: SymbolStart, per_symbol: int, steps: int) -> Tensor:
        """Generates ``(K * per_symbol, C, H, W)`` images in [-1, 1], symbol by symbol.

        Args:
            start: Where chains start, see :meth:`symbol_start`.
            per_symbol: Images of each symbol.
            steps: Largest number of steps of a chain.
        """
        symbols = torch.arange(self.model.symbols, device=self.pool.device)
        return sample_images(
            self.model,
            start,
            symbols.repeat_interleave(per_symbol),
            sampler=self.sampler,
            generator=self.generator,
            steps=steps,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes."""
        return {
            "model": self.model.state_dict(),
            "buffer": self.buffer.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "clusters": self.clusters,
            "queue": self._queue,
            "shares": self.shares.estimate,
            "moved": self.shares.moved,
            "step_size": self.sampler.step_size,
            "generator": self.generator.get_state(),
            "rank": self.processes.rank,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets back what :meth:`state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.buffer.load_state_dict(state["buffer"])
        self._average = None
        if state["average"] is not None:
            self._average = self._new_average()
            self._average.load_state_dict(state["average"])
        self._queue = state["queue"].to(self.pool.device)
        self.shares.estimate, self.shares.moved = (
            state["shares"].to(self.pool.device),
            state["moved"],
        )
        clusters = state["clusters"]
        self.clusters = None if clusters is None else clusters.to(self.pool.device)
        self.sampler = self.sampler.with_step(state["step_size"])
        if state["rank"] == self.processes.rank:
            self.generator.set_state(state["generator"])
        else:  # another's chains, to be moved by random numbers of its own
            self.generator.manual_seed(self._own_seed)


def _first(pool: Tensor) -> Tensor:
    """The images that a start of chains is fitted to."""
    return pool[: min(_START_IMAGES, _START_VALUES // math.prod(pool.shape[1:]))]
