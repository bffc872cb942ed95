"""``SymbolPerception``: clustering, density score and samples from one energy, no program needed.

In the manner of scikit-learn: settings in the constructor, what is learnt ends in ``_``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from groundkit.data.levels import Levels, extent, take_images
from groundkit.errors import DataError, SpecError, choose_from
from groundkit.grounding.settings import bound_settings
from groundkit.perception.augment import AUGMENTATIONS, Augmentation
from groundkit.perception.backbones import build_backbone
from groundkit.perception.generate import sample_images
from groundkit.perception.learner import BoundSettings, Learner, Sampling
from groundkit.perception.model import SymbolModel, energy
from groundkit.perception.phases import EmbeddingPhase, JointPhase, PhaseSettings, Row
from groundkit.presets import load_preset
from groundkit.spec import NetworkSpec, TrainSpec

CHUNK = 1000


class SymbolPerception(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Self-supervised clustering and an energy-based model in one network.

    Args:
        n_symbols: Number of clusters K.
        backbone: Name of a built-in backbone, see :mod:`groundkit.perception.backbones`.
        width: The backbone's width.
        features: Width of the embedding.
        normalise: Whether embeddings have unit norm.
        temperature: Divides the logits.
        bfloat16: Whether the backbone computes with bfloat16: about twice as fast where the
            hardware has it.
        augmentation: A name in ``AUGMENTATIONS`` or an :class:`Augmentation`.
        cluster_steps: Steps of the clustering phase.
        joint_steps: Steps of joint training of all terms.
        batch_size: Images a step.
        learning_rate: Peak rate of both phases.
        generative: Weight of the generative term; 0 leaves it out, and with it the density.
        invariance: Weight of the invariance term.
        prior: Weight of the prior term, mean convention.
        contrastive: Weight of the contrastive term in joint training.
        assignment: Weight of the term that holds on to the clustering phase's clusters.
        assignment_fades: Whether that weight falls to 0 over the first half of joint training.
        ema: Decay of the moving average of the weights that training ends with; 0 for the last
            weights as they are.
        sampling: How the generative term samples.
        trust: Whether a ``module:`` backbone may be imported.
        device: Where to train, for instance ``"cuda"``.
        random_state: Seed of everything random.

    Attributes:
        model_: The trained :class:`SymbolModel`.
        labels_: Cluster of each training image, ``(N,)``.
        history_: Rows of both phases, with the terms' values and the health of the model.
        levels_: Which values of images are black and white, as found in training.
        assumed_: What was taken for granted of the images, in words.
        n_rollbacks_: How often the energy diverged and training went back to a good state.
    """

    def __init__(
        self,
        n_symbols: int = 10,
        *,
        backbone: str = "convnet",
        width: int = 32,
        features: int = 128,
        normalise: bool = False,
        temperature: float = 1.0,
        bfloat16: bool = False,
        augmentation: str | Augmentation = "digits",
        cluster_steps: int = 300,
        joint_steps: int = 200,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        generative: float = 0.2,
        invariance: float = 1.0,
        prior: float = 10.0,
        contrastive: float = 1.0,
        assignment: float = 1.0,
        assignment_fades: bool = True,
        ema: float = 0.0,
        sampling: Sampling = Sampling(),  # noqa: B008  (frozen)
        trust: bool = False,
        device: str = "cpu",
        random_state: int = 0,
    ) -> None:
        self.n_symbols = n_symbols
        self.backbone = backbone
        self.width = width
        self.features = features
        self.normalise = normalise
        self.temperature = temperature
        self.bfloat16 = bfloat16
        self.augmentation = augmentation
        self.cluster_steps = cluster_steps
        self.joint_steps = joint_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.generative = generative
        self.invariance = invariance
        self.prior = prior
        self.contrastive = contrastive
        self.assignment = assignment
        self.assignment_fades = assignment_fades
        self.ema = ema
        self.sampling = sampling
        self.trust = trust
        self.device = device
        self.random_state = random_state

    @classmethod
    def from_preset(cls, name: str, **settings: Any) -> SymbolPerception:
        """Settings for a known data set.

        Args:
            name: One of ``groundkit.presets.preset_names()``.
            settings: What is to differ from the preset.

        Raises:
            SpecError: There is no preset of this name.
        """
        network, train = NetworkSpec(preset=name), TrainSpec(preset=name)
        bound = bound_settings(network.perception)
        chosen = {
            "n_symbols": load_preset(name).symbols,
            "backbone": network.backbone,
            **network.options,
            "normalise": network.normalise,
            "temperature": network.temperature,
            "bfloat16": network.bfloat16,
            "augmentation": network.perception.augmentation,
            "cluster_steps": train.cluster_steps,
            "joint_steps": train.min_steps,
            "batch_size": train.pool_batch,
            "learning_rate": train.learning_rate,
            "generative": bound.generative,
            "invariance": bound.invariance,
            "prior": bound.prior,
            "contrastive": bound.contrastive,
            "assignment": bound.assignment,
            "assignment_fades": bound.assignment_fades,
            "ema": bound.ema,
            "sampling": bound.sampling,
        }
        return cls(**(chosen | settings))

    def fit(self, X: ArrayLike, y: object = None) -> SymbolPerception:  # noqa: N803
        """Learns clusters and the energy of unlabelled images.

        Args:
            X: Images ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``, of any range that
                :func:`~groundkit.data.levels.take_images` knows, or points ``(N, D)`` in [-1, 1].
            y: Ignored; there for scikit-learn's pipelines.

        Returns:
            Itself.

        Raises:
            DataError: If ``X`` has another shape or range, or holds fewer images than symbols.
            SpecError: If the augmentation is unknown.
            NetworkError: If the backbone or one of its options is.
        """
        del y
        images = self._images(X)
        if len(images) < self.n_symbols:
            raise DataError(f"{len(images)} images", expected=f"at least {self.n_symbols}")
        channels, height, breadth = images.shape[1:]
        self.image_shape_ = (channels, height, breadth)
        generator = Generator(self.device).manual_seed(self.random_state)
        model = self._build(self.image_shape_)
        learner = Learner(
            model, self._bound(), self._augmentation(), images, seed=self.random_state
        )
        self.history_: list[Row] = []
        self._cluster(learner, generator)
        phase = JointPhase(
            {"": learner},
            PhaseSettings(self.joint_steps, self.learning_rate),
            self.batch_size,
            generator,
            on_row=self._keep,
        )
        for _ in range(self.joint_steps):
            phase.step()
        self.n_rollbacks_ = phase.rollbacks
        self.model_ = model.eval()
        self.start_ = learner.symbol_start()
        self.labels_ = self.predict(X)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:  # noqa: N803
        """Most probable symbol of each image, ``(N,)``."""
        symbols: NDArray[np.int64] = self._logits(X).argmax(-1).cpu().numpy()
        return symbols

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Distribution over symbols of each image, ``(N, K)``."""
        probabilities: NDArray[np.float32] = self._logits(X).softmax(-1).cpu().numpy()
        return probabilities

    def score_samples(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """``-E(x)`` of each image, ``(N,)``: the log-density up to one constant for the model.

        High is likely. To flag images out of distribution, compare with the scores of images that
        are known to belong.
        """
        scores: NDArray[np.float32] = (-energy(self._logits(X))).cpu().numpy()
        return scores

    def sample(
        self,
        n_samples: int = 1,
        *,
        symbol: int | None = None,
        steps: int = 20,
        seed: int = 0,
    ) -> NDArray[np.float32]:
        """Images that the model holds likely, ``(n_samples, C, H, W)`` in [-1, 1].

        Args:
            n_samples: Number of images.
            symbol: The wanted symbol; any if ``None``.
            steps: Largest number of Langevin steps of a chain; see
                :mod:`groundkit.perception.symbol_start` for where it starts and stops.
            seed: Of start and noise.
        """
        check_is_fitted(self, "model_")
        if symbol is not None and not 0 <= symbol < self.n_symbols:
            raise DataError(f"symbol {symbol}", expected=f"0 to {self.n_symbols - 1}")
        generator = Generator(self.device).manual_seed(seed)
        if symbol is None:
            wanted = self.start_.draw_symbols(n_samples, generator)
        else:
            wanted = torch.full((n_samples,), symbol, device=self.device)
        images = sample_images(
            self.model_,
            self.start_,
            wanted,
            sampler=self.sampling.langevin,
            generator=generator,
            steps=steps,
        )
        array: NDArray[np.float32] = images.cpu().numpy()
        return array

    def _cluster(self, learner: Learner, generator: Generator) -> None:
        """Runs the clustering phase and starts the symbols."""
        settings = PhaseSettings(self.cluster_steps, self.learning_rate)
        phase = EmbeddingPhase(learner, settings, self.batch_size, generator)
        for step in range(1, self.cluster_steps + 1):
            terms = {"contrastive": phase.step()}
            self.history_.append({"phase": "cluster", "step": step, "terms": terms})
        learner.start_symbols()

    def _keep(self, row: Row) -> None:
        """Adds a row of joint training, in which health is of the one network."""
        self.history_.append(row | {"health": row["health"][""]} if "health" in row else row)

    def _bound(self) -> BoundSettings:
        return BoundSettings(
            generative=self.generative,
            invariance=self.invariance,
            prior=self.prior,
            contrastive=self.contrastive,
            assignment=self.assignment,
            assignment_fades=self.assignment_fades,
            ema=self.ema,
            sampling=self.sampling,
        )

    def _augmentation(self) -> Augmentation:
        if isinstance(self.augmentation, Augmentation):
            return self.augmentation
        if self.augmentation not in AUGMENTATIONS:
            raise SpecError(
                f"unknown augmentation '{self.augmentation}'",
                remedy=choose_from(self.augmentation, AUGMENTATIONS),
            )
        return AUGMENTATIONS[self.augmentation]

    def _build(self, image_shape: tuple[int, int, int]) -> SymbolModel:
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            backbone = build_backbone(
                self.backbone,
                image_shape,
                trust=self.trust,
                width=self.width,
                features=self.features,
            )
            return SymbolModel(
                backbone,
                self.n_symbols,
                normalise=self.normalise,
                temperature=self.temperature,
                bfloat16=self.bfloat16,
            ).to(self.device)

    def _images(self, X: Any, levels: Levels | None = None) -> Tensor:  # noqa: N803
        """Images ``(N, C, H, W)`` on the device; points become images of one row."""
        array = X.cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
        if array.ndim != 2:
            taken = take_images(array, "X", levels=levels)
            self.levels_, self.assumed_ = taken.levels, taken.assumed
            return torch.as_tensor(taken.floats(), device=self.device)
        points = array.astype(np.float32)
        if not points.size or max(map(abs, extent(points, "X"))) > 1:
            low, high = extent(points, "X") if points.size else (0.0, 0.0)
            raise DataError(
                f"X of shape {points.shape} has values from {low:.3g} to {high:.3g}",
                expected="points (N, D) with values in [-1, 1]",
                remedy="scale X, for instance with sklearn.preprocessing.MaxAbsScaler",
            )
        return torch.as_tensor(points[:, None, None, :], device=self.device)

    @torch.no_grad()
    def _logits(self, X: ArrayLike) -> Tensor:  # noqa: N803
        check_is_fitted(self, "model_")
        images = self._images(X, getattr(self, "levels_", None))
        if tuple(images.shape[1:]) != self.image_shape_:
            raise DataError(
                f"images of shape {tuple(images.shape[1:])}", expected=f"{self.image_shape_}"
            )
        return torch.cat([self.model_(part) for part in torch.split(images, CHUNK)])
