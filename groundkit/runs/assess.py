"""Measures a trained task on held-out images: the only place where true labels are looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.data import sources
from groundkit.data.examples import UNKNOWN
from groundkit.data.images import ImageSet
from groundkit.data.stored import fitting
from groundkit.errors import DataError
from groundkit.evaluate import generation, ood
from groundkit.evaluate.symbols import GroundingScores, score_grounding
from groundkit.evaluate.symptoms import MOST_IMAGES, colour_agreement, embedding_accuracy
from groundkit.perception.foreign import ForeignScore
from groundkit.perception.inputs import kind_of
from groundkit.perception.langevin import principal_components
from groundkit.perception.learner import Learner
from groundkit.perception.model import energy, log_probs
from groundkit.perception.pixels import to_model
from groundkit.perception.symbol_start import SymbolStart
from groundkit.report.rows import draw_inputs
from groundkit.task.shaped import EXCLUDED, ShapedExamples
from groundkit.task.task import Task
from groundkit.training.symbolic import cross_entropy

Floats = NDArray[np.float64]
_EXTRACTOR_SEED = 0


@dataclass
class NetworkAssessment:
    """One network on held-out images.

    Attributes:
        images: The held-out images, labels being positions in the domain.
        probs: p(y|x) ``(N, K)``.
        energies: E(x) ``(N,)``.
        scores: Grounding scores.
        ood: Foreign set -> its report.
        ood_energies: Foreign set -> energies ``(M,)``.
        samples: Generated images ``(S, C, H, W)`` in [-1, 1], or ``None``.
        asked: Symbol ``(S,)`` each was generated for.
        nearest: The training image nearest to each shown sample ``(S, C, H, W)`` in [-1, 1].
        generation: Scores of the generated images.
        symptoms: Why symbols may be wrong, beside the grounding scores.
        plane: The first of the held-out embeddings on their two principal components ``(M, 2)``.
    """

    images: ImageSet
    probs: Floats
    energies: Floats
    scores: GroundingScores
    ood: dict[str, ood.OodReport] = field(default_factory=dict)
    ood_energies: dict[str, Floats] = field(default_factory=dict)
    samples: Tensor | None = None
    asked: NDArray[np.int64] | None = None
    nearest: Tensor | None = None
    generation: generation.GenerationScores = field(
        default_factory=lambda: generation.no_generation("nothing was generated")
    )
    symptoms: dict[str, Any] = field(default_factory=dict)
    plane: Floats | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the scores under their names in ``metrics.json``."""
        return {
            "grounding": self.scores.to_dict() | self.symptoms,
            "ood": {foreign: report.to_dict() for foreign, report in self.ood.items()},
            "generation": self.generation.to_dict(),
        }


def held_out_images(task: Task, network: str) -> ImageSet:
    """Returns images of a network that training has not seen, with their labels if known."""
    bank = task.banks(1)[network]
    if bank.labels is not None or not task.asks:
        return bank
    rows, truth = [], []
    for shaped in task.held_out:
        for name, readers in shaped.goal.roles.images.items():
            if network in readers:
                rows.append(shaped.examples.images[name])
                truth.append(shaped.examples.truth[network, name])
    kept, first = np.unique(np.concatenate(rows), return_index=True)
    pixels = fitting(bank.pixels[torch.from_numpy(kept)])
    known = np.concatenate(truth)[first[: len(pixels)]]
    return ImageSet(bank.name, pixels, known, task.domains[network])


def assess_network(
    task: Task, name: str, learner: Learner, score: ForeignScore, *, seed: int
) -> NetworkAssessment:
    """Scores one network's symbols, and its detectors on every out-of-distribution set.

    Args:
        task: The task.
        name: The network.
        learner: What was trained.
        score: How foreign an image is, fitted to the network's training images.
        seed: Seed of the sets that are drawn.
    """
    images = held_out_images(task, name)
    probs, energies = read(learner, images.pixels)
    truth = None if images.labels is None or (images.labels == UNKNOWN).all() else images.labels
    named = task.asks or name in task.labelled
    scores = score_grounding(truth, probs, task.domains[name], named=named)
    found = NetworkAssessment(images, probs, energies, scores)
    embedded = learner.embed(images.pixels[:MOST_IMAGES]).float().cpu()
    found.plane = _on_a_plane(embedded)
    found.symptoms = {
        "colour_nmi": colour_agreement(images.pixels.numpy(), probs.argmax(1), probs.shape[1]),
        "embedding_accuracy": None
        if truth is None
        else embedding_accuracy(embedded.numpy(), truth[:MOST_IMAGES]),
        "prior": task.spec.network(name).perception.given_shares,
        "prior_learnt": learner.shares.estimate.tolist() if learner.shares.moved else None,
    }
    inside = detector_scores(learner, images.pixels, score)
    settings = task.spec.evaluate
    for foreign in settings.ood:
        try:
            outside = sources.load_ood(
                foreign, images, settings.ood_count, seed, task.sources.spec.parent
            )
        except DataError as error:
            why = [error.found, error.expected, error.remedy]
            found.ood[foreign] = ood.unavailable(foreign, "; ".join(filter(None, why)))
            continue
        theirs = detector_scores(learner, outside.pixels, score)
        found.ood_energies[foreign] = theirs["energy"]
        density = learner.settings.generative > 0
        found.ood[foreign] = ood.compare_scores(foreign, inside, theirs, density=density)
    return found


def symbol_starts(learners: Mapping[str, Learner]) -> dict[str, SymbolStart]:
    """Fits where chains of each symbol start, for the networks that have an energy."""
    return {
        name: learner.symbol_start()
        for name, learner in learners.items()
        if learner.settings.generative > 0
    }


def assess_generation(
    task: Task, name: str, learner: Learner, start: SymbolStart | None, found: NetworkAssessment
) -> None:
    """Generates images by symbol and lets a classifier trained on labels judge them.

    Args:
        task: The task.
        name: The network.
        learner: The network as training left it.
        start: Where chains start; ``None`` for a network that was trained without an energy.
        found: The network's assessment, changed in place.
    """
    settings = task.spec.evaluate
    if settings.samples == 0:
        found.generation = generation.no_generation("evaluate.samples is 0")
        return
    if start is None:
        found.generation = generation.no_generation("trained without the generative term")
        return
    domain = task.domains[name]
    per_symbol = max(settings.samples, -(-generation.MOST_IMAGES // len(domain)))
    made = learner.sample(start, per_symbol, settings.sample_steps).cpu()
    asked = np.repeat(np.arange(len(domain)), per_symbol)
    shown = np.concatenate(
        [np.flatnonzero(asked == k)[: settings.samples] for k in range(len(domain))]
    )
    found.samples, found.asked = made[torch.from_numpy(shown)], asked[shown]
    judged = task.banks(0)[name]
    if judged.labels is None or (judged.labels == UNKNOWN).any():
        found.generation = generation.no_generation(
            "the images have no labels to train a judge of generated images on"
        )
        return
    labels = found.scores.in_own_names(judged.labels)
    real, training = (_in_range(learner, one.pixels) for one in (found.images, judged))
    extractor = generation.train_extractor(training, labels, _EXTRACTOR_SEED)
    found.generation = generation.score_generation(
        made, real, training, extractor, asked=asked, symbols=domain
    )
    if found.generation.fid is None:
        return
    near = generation.nearest(extractor.features(found.samples), extractor.features(training))
    found.nearest = training[near[:, 0]]


def _in_range(learner: Learner, inputs: Tensor) -> Tensor:
    """Brings inputs to the models' range, on the CPU."""
    return learner.model.take(inputs.to(learner.pool.device)).cpu()


_AT_ONCE = 2000
"""Images whose distances to the references are held in memory at a time."""


def detector_scores(learner: Learner, pixels: Tensor, score: ForeignScore) -> dict[str, Floats]:
    """Scores ``(N,)`` of images, higher is further out, under every detector the model has."""
    rows: list[dict[str, Floats]] = []
    for part in torch.split(pixels, _AT_ONCE):
        inputs = part.to(learner.pool.device)
        together = score(learner.model, inputs).double().cpu().numpy()
        own = ood.model_scores(learner.model, learner.model.take(inputs))
        rows.append(own | {"foreign": together})
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _on_a_plane(embedded: Tensor) -> Floats | None:
    """Two principal components of embeddings ``(M, F)``; ``None`` where there are no two."""
    if min(embedded.shape) < 2 or not bool(torch.isfinite(embedded).all()):
        return None
    mean, directions, _ = principal_components(embedded, 2)
    return ((embedded - mean) @ directions.T).double().numpy()


@torch.no_grad()
def read(learner: Learner, pixels: Tensor) -> tuple[Floats, Floats]:
    """Reads images as they are: p(y|x) ``(N, K)`` and E(x) ``(N,)``."""
    logits = learner.read(pixels).double()
    return log_probs(logits).exp().cpu().numpy(), energy(logits).cpu().numpy()


_LIKELY = math.log(0.5)


@torch.no_grad()
def assess_queries(
    task: Task, learners: Mapping[str, Learner], examples: Sequence[ShapedExamples]
) -> dict[str, Any]:
    """Scores queries: negative log-likelihood, and accuracy.

    With observed answers a query is right when the observed one is the likeliest, or likelier than
    not: answers that do not exclude each other may hold together. Where nothing is observed, it is
    right when the likeliest symbols satisfy the goal; a query that is not to hold is right when it
    is otherwise.

    Returns:
        ``accuracy``, ``nll`` and ``n`` over all examples; where there are several queries, the same
        of each under ``queries``.
    """
    scores: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for shaped in examples:
        scores.setdefault(shaped.goal.query.name, []).append(_query_scores(shaped, learners))
    if not scores:
        return {"accuracy": None, "nll": None, "n": 0, "reason": "no examples are held out"}
    found = _mean_scores([one for parts in scores.values() for one in parts])
    found["goal"] = "; ".join(query.goal.text for query in task.queries)
    if len(task.queries) > 1:
        found["queries"] = {name: _mean_scores(parts) for name, parts in scores.items()}
    return found


def _mean_scores(parts: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    right, likelihood = (torch.cat(one) for one in zip(*parts, strict=True))
    return {
        "accuracy": float(right.double().mean()),
        "nll": float(-likelihood.mean()),
        "n": len(right),
    }


def _query_scores(shaped: ShapedExamples, learners: Mapping[str, Learner]) -> tuple[Tensor, Tensor]:
    """Returns which examples ``(n,)`` of a shape are right, and their log-likelihoods ``(n,)``."""
    reasoner, examples = shaped.goal.reasoner, shaped.examples
    device = next(iter(learners.values())).pool.device
    reasoner.to(device)
    answers = shaped.answers.to(device)
    rows = {n: t.double().to(device) for n, t in shaped.observed_log_probs().items()}
    for name, positions in shaped.slots.items():
        used, inverse = np.unique(positions, return_inverse=True)
        pixels = examples.banks[name].pixels[torch.from_numpy(used)]
        read_rows = learners[name].log_probs(pixels).double()
        rows[name] = read_rows[torch.from_numpy(inverse.reshape(positions.shape)).to(device)]
    joint = reasoner(rows).expand(len(shaped), -1)
    likelihood = joint.gather(1, answers[:, None])[:, 0]
    if joint.shape[1] > 1:
        right = (joint.argmax(1) == answers) | (likelihood > _LIKELY)
    else:
        certain = {name: _one_hot(t) for name, t in rows.items()}
        right = reasoner.log_likelihood(certain, answers) > -1.0
    targets = None
    if examples.targets is not None:
        targets = torch.from_numpy(examples.targets).to(device)
        right = right == (targets > 0.5)
    return right, cross_entropy(likelihood, targets)


def _one_hot(rows: Tensor) -> Tensor:
    """Puts all mass on the most probable symbol: ``(B, S, K)``."""
    best = torch.full_like(rows, EXCLUDED)
    return best.scatter(-1, rows.argmax(-1, keepdim=True), 0.0)


def drawn(learner: Learner, pixels: Tensor, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Draws some inputs, given as they rest, as images ``(M, C, H, W)`` in [0, 1] for plots."""
    inputs = pixels[torch.from_numpy(chosen)]
    if kind_of(inputs.shape[1:]) == "image":
        return draw_inputs(to_model(inputs).cpu())
    return draw_inputs(_in_range(learner, inputs))
