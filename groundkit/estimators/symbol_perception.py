"""``SymbolPerception``: clustering, density score and samples from one energy, no program needed.

In the manner of scikit-learn: settings in the constructor, what is learnt ends in ``_``.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Generator

from groundkit.device import choose_device
from groundkit.errors import DataError, SpecError
from groundkit.estimators.arrays import Seed, draw_seed
from groundkit.estimators.reader import SymbolReader
from groundkit.perception.ascent import (
    Factories,
    OptimiserFactory,
    PhaseSettings,
    SchedulerFactory,
)
from groundkit.perception.augment import Augmentation
from groundkit.perception.embedding import EmbeddingPhase
from groundkit.perception.generate import sample_images
from groundkit.perception.history import ClusterRow, Row
from groundkit.perception.langevin import Langevin
from groundkit.perception.learner import Learner
from groundkit.perception.own_modules import Module
from groundkit.perception.own_names import OWN
from groundkit.perception.phases import JointPhase
from groundkit.perception.settings import PerceptionSpec, SamplerSpec
from groundkit.presets import load_preset
from groundkit.report.words import counted
from groundkit.task.networks import build_model
from groundkit.task.spec import NetworkSpec, TrainSpec

NETWORK_KEYS = ("backbone", "options", "normalise", "temperature", "bfloat16")
"""Keys of ``[networks.NAME]`` that are settings here; the others are of data and labels."""

TRAIN_KEYS = (
    "epochs",
    "min_steps",
    "pool_batch",
    "cluster_steps",
    "cluster_batch",
    "cluster_learning_rate",
    "learning_rate",
    "weight_decay",
)
"""Keys of ``[train]`` that are settings here; the others are of the program."""

PERCEPTION_KEYS = tuple(PerceptionSpec.model_fields)
"""Keys of ``[networks.NAME.perception]``, all of them settings here."""

_LEFT_OUT = "leave it out for the default"

NETWORK = "net"
"""The network's name in the history."""


class SymbolPerception(SymbolReader):
    """Self-supervised clustering and an energy-based model in one network.

    Settings have the same names and meanings as in a spec. Images are bytes or floats in [0, 1], as
    they are for :class:`Grounder`; rows of numbers may have any scale.

    Args:
        n_symbols: Number of clusters K.
        backbone: Name of a built-in backbone, see :mod:`groundkit.perception.backbones`;
            ``module:NAME:Class``; or your own module, or a class or function that makes it.
        options: The backbone's own options, such as ``{"width": 64}``, or keyword arguments.
        normalise: Whether embeddings have unit norm.
        temperature: Divides the logits.
        bfloat16: Whether the backbone computes with bfloat16: faster where the
            hardware has it.
        augmentation: ``"auto"`` to choose it from the images, a name in ``AUGMENTATIONS`` or an
            :class:`Augmentation`.
        invariant: Which of ``colour``, ``flip``, ``inversion``, ``rotation`` and ``thickness`` may
            change without changing a symbol; ``augmentation`` decides if ``None``.
        generative: Weight of the generative term; 0 leaves it out, and with it the density.
        invariance: Weight of the invariance term.
        symmetric: Whether both views are that term's target in turn, or only the first one.
        stop_gradient: Whether its target is fixed.
        prior: Weight of the prior term.
        prior_convention: Whether that term averages over symbols, ``"mean"``, or sums, ``"sum"``.
        prior_probabilities: Expected share of every cluster, or ``"uniform"``; ``"learn"`` means
            the same, as there is no program to learn shares from.
        prior_queue: Number of views from earlier steps that join the prior's marginal.
        contrastive: Weight of the contrastive term in joint training.
        contrastive_temperature: Its temperature, in the clustering phase too.
        assignment: Weight of the term that holds on to the clustering phase's clusters.
        assignment_fades: Whether that weight falls to 0 over the first half of joint training.
        ema: Decay of the moving average of the weights that training ends with; 0 for the last
            weights as they are.
        sampler: How the generative term samples; ``SamplerSpec()`` if ``None``.
        epochs: Passes over the images in joint training; at least ``min_steps`` steps are made.
        min_steps: Smallest number of joint steps.
        pool_batch: Images per joint step.
        cluster_steps: Steps of the clustering phase.
        cluster_batch: Images per step of that phase.
        cluster_learning_rate: Peak learning rate of that phase.
        learning_rate: Peak learning rate of joint training.
        weight_decay: Weight decay of AdamW.
        optimiser: A function from parameters to an optimiser, in place of AdamW with these rates.
        scheduler: A function from an optimiser and a phase's number of steps to a scheduler, in
            place of a rate that rises and falls; without one, your own optimiser keeps its rate.
        trust: Whether a ``module:`` backbone may be imported.
        device: Where to train, for instance ``"cuda"``.
        random_state: Seed of everything random: a whole number, a ``RandomState`` or ``Generator``
            to draw a seed from, or ``None`` for a new seed at every fit.

    Attributes:
        model_: The trained :class:`SymbolModel`.
        labels_: Cluster of each training image, ``(N,)``.
        history_: Rows of both phases, with the terms' values and the health of the model.
        assumed_: What was taken for granted about the images, in words.
        scale_: What brings rows of numbers to the model's range; ``None`` for images.
        n_features_in_: Number of columns, if it was fitted to rows.
        augmentation_: The augmentation in words, and why it was chosen.
        n_rollbacks_: How often the energy diverged and training went back to a good state.

    Example:
        >>> import groundkit
        >>> images = groundkit.load_data("digits8").test.pixels
        >>> model = groundkit.SymbolPerception(10, cluster_steps=5, min_steps=5)
        >>> model.fit(images).transform(images).shape
        (359, 128)
    """

    def __init__(
        self,
        n_symbols: int = 10,
        *,
        backbone: str | Module = "convnet",
        options: Mapping[str, Any] | None = None,
        normalise: bool = False,
        temperature: float = 1.0,
        bfloat16: bool = False,
        augmentation: str | Augmentation = "auto",
        invariant: Sequence[str] | None = None,
        generative: float = 0.2,
        invariance: float = 1.0,
        symmetric: bool = True,
        stop_gradient: bool = False,
        prior: float = 10.0,
        prior_convention: Literal["mean", "sum"] = "mean",
        prior_probabilities: Sequence[float] | str | None = "learn",
        prior_queue: int = 0,
        contrastive: float = 1.0,
        contrastive_temperature: float = 0.3,
        assignment: float = 1.0,
        assignment_fades: bool = True,
        ema: float = 0.0,
        sampler: SamplerSpec | None = None,
        epochs: int = 1,
        min_steps: int = 200,
        pool_batch: int = 256,
        cluster_steps: int = 300,
        cluster_batch: int = 256,
        cluster_learning_rate: float = 2e-3,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        optimiser: OptimiserFactory | None = None,
        scheduler: SchedulerFactory | None = None,
        trust: bool = False,
        device: str = "cpu",
        random_state: Seed = 0,
    ) -> None:
        self.n_symbols = n_symbols
        self.backbone = backbone
        self.options = options
        self.normalise = normalise
        self.temperature = temperature
        self.bfloat16 = bfloat16
        self.augmentation = augmentation
        self.invariant = invariant
        self.generative = generative
        self.invariance = invariance
        self.symmetric = symmetric
        self.stop_gradient = stop_gradient
        self.prior = prior
        self.prior_convention = prior_convention
        self.prior_probabilities = prior_probabilities
        self.prior_queue = prior_queue
        self.contrastive = contrastive
        self.contrastive_temperature = contrastive_temperature
        self.assignment = assignment
        self.assignment_fades = assignment_fades
        self.ema = ema
        self.sampler = sampler
        self.epochs = epochs
        self.min_steps = min_steps
        self.pool_batch = pool_batch
        self.cluster_steps = cluster_steps
        self.cluster_batch = cluster_batch
        self.cluster_learning_rate = cluster_learning_rate
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimiser = optimiser
        self.scheduler = scheduler
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
        chosen = {
            "n_symbols": load_preset(name).symbols,
            **{key: getattr(network, key) for key in NETWORK_KEYS},
            **{key: getattr(network.perception, key) for key in PERCEPTION_KEYS},
            **{key: getattr(train, key) for key in TRAIN_KEYS},
        }
        return cls(**(chosen | settings))

    def fit(self, X: ArrayLike, y: object = None) -> SymbolPerception:  # noqa: N803
        """Learns clusters and the energy of unlabelled images, or rows of numbers.

        Args:
            X: Images ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``, as bytes or floats in
                [0, 1]; or rows ``(N, D)`` of any scale, also as images of one row,
                ``(N, 1, 1, D)``. Columns of rows are brought to [-1, 1] as they lie here.
            y: Ignored; there for scikit-learn's pipelines.

        Returns:
            Itself.

        Raises:
            DataError: If ``X`` has another shape or range, or holds fewer images than symbols.
            SpecError: If a setting has a value that a spec would not take.
            NetworkError: If the backbone or one of its options is.
        """
        del y
        try:
            network, train = self._network(), self._train()
        except SpecError as error:
            if (error.remedy or "").startswith(_LEFT_OUT):  # a spec's default may be another one
                error.remedy = _LEFT_OUT
            raise
        choose_device(self.device)
        images = self._images(X, fitting=True)
        channels, height, breadth = images.shape[1:]
        self.image_shape_ = (channels, height, breadth)
        seed = draw_seed(self.random_state)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build_model(
                network,
                self.image_shape_,
                self.n_symbols,
                trust=self.trust,
                given=None if isinstance(self.backbone, str) else self.backbone,
                beside=Path(),
            )
        own = self.augmentation if isinstance(self.augmentation, Augmentation) else None
        learner = Learner(
            model.to(self.device),
            network.perception,
            images,
            seed=seed,
            augmentation=own,
        )
        self.augmentation_ = learner.chosen.words
        self.history_: list[Row] = []
        generator = Generator(self.device).manual_seed(seed)
        if train.cluster_steps:
            self._cluster(learner, train, generator)
        phase = JointPhase(
            {NETWORK: learner},
            PhaseSettings(
                train.joint_steps(0, len(images)),
                train.learning_rate,
                train.weight_decay,
                Factories(self.optimiser, self.scheduler),
            ),
            train.pool_batch,
            generator,
            on_row=self.history_.append,
        )
        for _ in range(phase.steps):
            phase.step()
        self.n_rollbacks_ = phase.rollbacks
        self.model_ = model.eval()
        self.start_ = learner.symbol_start()
        self.labels_ = self.predict(X)
        return self

    def sample(
        self,
        n_samples: int = 1,
        *,
        symbol: int | None = None,
        steps: int = 20,
        seed: int = 0,
    ) -> NDArray[np.float32]:
        """Generates likely inputs: images ``(n_samples, C, H, W)`` in [0, 1], or rows.

        Rows ``(n_samples, D)`` are in the units of those that the model was fitted to.

        Args:
            n_samples: Number of images or rows.
            symbol: The wanted symbol; any if ``None``.
            steps: Largest number of Langevin steps of a chain; see
                :mod:`groundkit.perception.symbol_start` for where it starts and stops.
            seed: Seed of start and noise.
        """
        check_is_fitted(self, "model_")
        if not self.generative:
            raise DataError(
                "this model was trained without the generative term, so it has no samples",
                remedy="fit it with generative above 0",
            )
        if not isinstance(n_samples, numbers.Integral) or n_samples < 1:
            raise DataError(f"n_samples = {n_samples!r}", expected="a whole number from 1")
        whole = symbol is None or isinstance(symbol, numbers.Integral)
        if not whole or not 0 <= (symbol or 0) < self.n_symbols:
            raise DataError(f"symbol {symbol!r}", expected=f"0 to {self.n_symbols - 1}")
        generator = Generator(self.device).manual_seed(seed)
        if symbol is None:
            wanted = self.start_.draw_symbols(n_samples, generator)
        else:
            wanted = torch.full((n_samples,), symbol, device=self.device)
        images = sample_images(
            self.model_,
            self.start_,
            wanted,
            sampler=Langevin(self._network().perception.sampler),
            generator=generator,
            steps=steps,
        )
        if self.scale_ is not None:
            return self.scale_.original(images)
        array: NDArray[np.float32] = ((images.clamp(-1, 1) + 1) / 2).cpu().numpy()
        return array

    def _network(self) -> NetworkSpec:
        """The settings of the network, checked."""
        symbols = self.n_symbols
        if not isinstance(symbols, numbers.Integral) or isinstance(symbols, bool) or symbols < 2:
            raise SpecError(f"n_symbols = {symbols!r}", expected="a whole number from 2")
        perception = {key: getattr(self, key) for key in PERCEPTION_KEYS}
        if isinstance(self.augmentation, Augmentation):
            del perception["augmentation"]
        network = {key: getattr(self, key) for key in NETWORK_KEYS}
        shares = self.prior_probabilities
        if shares is not None and not isinstance(shares, str) and len(shares) != symbols:
            raise SpecError(
                f"prior_probabilities has {counted(len(shares), 'share')}",
                expected=f"{symbols}, one for each symbol",
            )
        given = network | {"perception": perception}
        if not isinstance(self.backbone, str):
            given["backbone"] = OWN
        if self.options is None:
            del given["options"]
        if self.sampler is None:
            del perception["sampler"]
        return NetworkSpec(**given)

    def _train(self) -> TrainSpec:
        """The settings of the schedule, checked."""
        train = TrainSpec(**{key: getattr(self, key) for key in TRAIN_KEYS})
        if train.pool_batch == 0:
            raise SpecError("pool_batch = 0", expected="at least one image a step")
        return train

    def _cluster(self, learner: Learner, train: TrainSpec, generator: Generator) -> None:
        """Runs the clustering phase and starts the symbols."""
        settings = PhaseSettings(
            train.cluster_steps,
            train.cluster_learning_rate,
            train.weight_decay,
            Factories(self.optimiser, self.scheduler),
        )
        phase = EmbeddingPhase(learner, settings, train.cluster_batch, generator)
        for step in range(1, train.cluster_steps + 1):
            terms = {"contrastive": float(phase.step())}
            self.history_.append(ClusterRow(step=step, network=NETWORK, terms=terms))
        learner.start_symbols()
