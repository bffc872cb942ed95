"""Measures a trained task on held-out images: the only place where true labels are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.data import sources
from groundkit.data.examples import UNKNOWN, Examples, input_of
from groundkit.data.images import ImageSet
from groundkit.errors import DataError
from groundkit.evaluate import generation, ood
from groundkit.evaluate.symbols import GroundingScores, score_grounding
from groundkit.identifiability.identification import Identification
from groundkit.identifiability.identify import identify
from groundkit.identifiability.learnt import LearntMap, learnt_map
from groundkit.perception.foreign import ForeignScore
from groundkit.perception.learner import Learner
from groundkit.perception.model import energy, log_probs
from groundkit.perception.pixels import to_model
from groundkit.perception.symbol_start import SymbolStart
from groundkit.program.ground import NeuralSource
from groundkit.task.task import EXCLUDED, Task
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

    def to_dict(self) -> dict[str, Any]:
        """Returns the scores under their names in ``metrics.json``."""
        return {
            "grounding": self.scores.to_dict(),
            "ood": {foreign: report.to_dict() for foreign, report in self.ood.items()},
            "generation": self.generation.to_dict(),
        }


def held_out_images(task: Task, network: str) -> ImageSet:
    """Returns labelled images of a network that training has not seen."""
    if task.spec.examples.file is None:
        return task.banks(1)[network]
    examples = task.held_out
    variables = [v for v, name in task.roles.images.items() if name == network]
    rows = np.concatenate([examples.images[v] for v in variables])
    truth = np.concatenate([examples.truth[v] for v in variables])
    kept, first = np.unique(rows, return_index=True)
    bank = examples.banks[network]
    pixels = bank.pixels[torch.from_numpy(kept)]
    return ImageSet(bank.name, pixels, truth[first], task.domains[network])


def assess_network(task: Task, name: str, learner: Learner, *, seed: int) -> NetworkAssessment:
    """Scores one network's symbols, and its energy on every foreign set of the spec."""
    images = held_out_images(task, name)
    probs, energies = read(learner, images.pixels)
    truth = None if images.labels is None or (images.labels == UNKNOWN).all() else images.labels
    named = task.asks or name in task.labelled
    scores = score_grounding(truth, probs, task.domains[name], named=named)
    found = NetworkAssessment(images, probs, energies, scores)
    score, _ = ForeignScore.fit(learner.model, learner.pool)
    inside = foreign_scores(learner, images.pixels, score)
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
        theirs = foreign_scores(learner, outside.pixels, score)
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
    judged = None if task.spec.examples.file is not None else task.banks(0)[name]
    if judged is None or judged.labels is None:
        found.generation = generation.no_generation(
            "the images have no labels to train a judge of generated images on"
        )
        return
    labels = found.scores.in_own_names(judged.labels)
    extractor = generation.train_extractor(judged.floats(), labels, _EXTRACTOR_SEED)
    found.generation = generation.score_generation(
        made, found.images.floats(), judged.floats(), extractor, asked=asked, symbols=domain
    )
    if found.generation.fid is None:
        return
    near = generation.nearest(
        extractor.features(found.samples), extractor.features(judged.floats())
    )
    found.nearest = judged.floats(near[:, 0])


def foreign_scores(learner: Learner, pixels: Tensor, score: ForeignScore) -> dict[str, Floats]:
    """Scores ``(N,)`` of images, higher = more foreign, under every detector the model has."""
    images = to_model(pixels.to(learner.pool.device))
    together = score(learner.model, images).double().cpu().numpy()
    return ood.model_scores(learner.model, images) | {"foreign": together}


@torch.no_grad()
def read(learner: Learner, pixels: Tensor) -> tuple[Floats, Floats]:
    """Reads images as they are: p(y|x) ``(N, K)`` and E(x) ``(N,)``."""
    logits = learner.read(pixels).double()
    return log_probs(logits).exp().cpu().numpy(), energy(logits).cpu().numpy()


@torch.no_grad()
def assess_queries(
    task: Task, learners: Mapping[str, Learner], examples: Examples
) -> dict[str, Any]:
    """Scores queries: negative log-likelihood, and accuracy.

    With observed answers a query is right when the likeliest answer is the observed one; where
    nothing is observed, when the likeliest symbols satisfy the goal; a query that is not to hold is
    right when it is otherwise.
    """
    device = next(iter(learners.values())).pool.device
    answers = task.answer_rows(examples).to(device)
    rows = {n: t.double().to(device) for n, t in task.observed_log_probs(examples).items()}
    for name, positions in task.slot_images(examples).items():
        used, inverse = np.unique(positions, return_inverse=True)
        pixels = examples.banks[name].pixels[torch.from_numpy(used)]
        read_rows = learners[name].log_probs(pixels).double()
        rows[name] = read_rows[torch.from_numpy(inverse.reshape(positions.shape)).to(device)]
    joint = task.reasoner(rows)
    likelihood = joint.gather(1, answers[:, None])[:, 0]
    if joint.shape[1] > 1:
        right = joint.argmax(1) == answers
    else:
        certain = {name: _one_hot(t) for name, t in rows.items()}
        right = task.reasoner.log_likelihood(certain, answers) > -1.0
    targets = None
    if examples.targets is not None:
        targets = torch.from_numpy(examples.targets).to(device)
        right = right == (targets > 0.5)
    return {
        "accuracy": float(right.double().mean()),
        "nll": float(-cross_entropy(likelihood, targets).mean()),
        "n": len(examples),
        "goal": task.goal.text,
    }


def _one_hot(rows: Tensor) -> Tensor:
    """Puts all mass on the most probable symbol: ``(B, S, K)``."""
    best = torch.full_like(rows, EXCLUDED)
    return best.scatter(-1, rows.argmax(-1, keepdim=True), 0.0)


def identify_task(task: Task, *, seconds: float = 20.0) -> Identification:
    """Counts the groundings that the goal admits, in full and for the drawn examples.

    Raises:
        LimitError: The goal has too many combinations to list.
    """
    priors = {name: task.spec.network(name).perception.given_shares for name in task.neural}
    return identify(
        task.reasoner.support(),
        task.domains,
        examples=_drawn(task) if task.spec.examples.file is None else None,
        slots=task.reasoner.slots,
        answers=task.reasoner.answers,
        kept=[name for name in task.domains if name not in task.neural],
        log_likelihood=task.reasoner.log_likelihood if _has_chances(task) else None,
        prior={name: p for name, p in priors.items() if p is not None},
        labelled={name: known.symbols() for name, known in task.labelled.items()},
        seconds=seconds,
    )


def _has_chances(task: Task) -> bool:
    """Whether the program has random facts of its own beside the networks' outputs."""
    choices = task.reasoner.ground_program.choices
    return any(not isinstance(choice.source, NeuralSource) for choice in choices)


@dataclass(frozen=True)
class _Combinations:
    """Combinations of symbols that examples hold."""

    values: Mapping[str, NDArray[np.int64]]
    answers: NDArray[np.int64]


def _drawn(task: Task) -> _Combinations:
    """Returns the combinations of the drawn examples, from the labels that drew them."""
    examples = task.examples
    values = {}
    for network, calls in task.reasoner.slots.items():
        if network in task.neural:
            truth = [examples.truth[input_of(call)] for call in calls]
            values[network] = np.stack(truth, axis=1)
        else:
            domain = [symbol.strip("'") for symbol in task.domains[network]]
            columns = [
                [domain.index(value.strip("'")) for value in examples.symbols[call[0]]]
                for call in calls
            ]
            values[network] = np.array(columns, dtype=np.int64).T
    return _Combinations(values, task.answer_rows(examples).numpy())


def learnt(
    task: Task, found: Identification, assessed: Mapping[str, NetworkAssessment]
) -> LearntMap | None:
    """Names the map that the predictions follow, ``None`` without true labels."""
    labels, predictions = {}, {}
    for name, domain in found.domains.items():
        if name not in assessed:
            labels[name] = predictions[name] = np.arange(len(domain))
            continue
        truth = assessed[name].images.labels
        if truth is None or (truth == UNKNOWN).all():
            return None
        known = truth != UNKNOWN
        labels[name] = truth[known]
        predictions[name] = assessed[name].probs.argmax(1)[known]
    return learnt_map(found, labels, predictions)


def as_pixels(images: Tensor) -> NDArray[np.float32]:
    """Brings images in the models' range, or bytes, to [0, 1] for plots: ``(N, C, H, W)``."""
    return ((to_model(images).clamp(-1, 1) + 1) / 2).cpu().numpy()
