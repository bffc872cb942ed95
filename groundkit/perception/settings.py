"""The settings of perception: the tables ``[networks.NAME.perception]`` and its ``sampler``.

Spec, presets, ``SymbolPerception`` and training all use these classes, so a setting has one name,
one default and one check of its value.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from groundkit.presets.bounds import (
    SMALLEST,
    Batch,
    CountOrNone,
    Factor,
    Spread,
    Steps,
    Temperature,
    Weight,
)
from groundkit.presets.section import Section


class SamplerSpec(Section):
    """What the generative term contrasts data with."""

    kind: Literal["langevin", "energy-discrepancy"] = "langevin"
    """``langevin``: samples of the model, drawn by SGLD; ``energy-discrepancy``: perturbed data,
    which is faster and blind to what no perturbation looks like. The last two keys are for
    perturbed data, and the others for SGLD."""
    steps: Steps = 10
    """SGLD steps per sampling."""
    step_size: Factor = 2.0
    """Twice the factor of the energy's gradient; with ``noise`` 0.01 the temperature is not 1."""
    noise: Spread = 0.01
    """Standard deviation of the noise added in every step."""
    clip_gradient: float = Field(default=0.2, ge=SMALLEST, le=1e12)
    """Largest absolute gradient of a pixel in one step."""
    anneal: float = Field(default=1.0, ge=SMALLEST, le=1)
    """Factor of step size and noise at the last step of a sampling; 1 keeps them as they are."""
    buffer: Batch = 1000
    """Number of persistent images in the replay buffer."""
    reinit: float = Field(default=0.05, ge=0, le=1)
    """Share of chains that start anew."""
    batch: Batch = Field(default=64, validate_default=True)
    """Chains per generative step, at most ``buffer``; by default fewer if ``buffer`` is smaller."""
    every: Steps = 4
    """Number of training steps after which the generative term joins one."""
    until: float = Field(default=0.7, ge=SMALLEST, le=1)
    """Share of the joint steps after which the generative term rests: it costs symbols some
    accuracy, which the last steps win back, and the energy keeps what it has learnt. 1 keeps it to
    the end."""
    energy_penalty: Weight = 0.001
    """Weight of the squared energies, which keeps them near zero."""
    data_noise: Spread = 0.03
    """Standard deviation of the noise added to real images in the generative term."""
    perturbation: float = Field(default=0.3, ge=SMALLEST, le=100)
    """Standard deviation of each of a perturbation's two steps, for images in [-1, 1]."""
    negatives: int = Field(default=4, ge=1, le=10_000)
    """Number of perturbations of an image."""

    @model_validator(mode="before")
    @classmethod
    def _fits_a_small_buffer(cls, given: Any) -> Any:
        held = given.get("buffer") if isinstance(given, dict) else None
        if type(held) is not int or "batch" in given or held >= cls.model_fields["batch"].default:
            return given
        return {**given, "batch": held}

    @field_validator("batch")
    @classmethod
    def _is_in_the_buffer(cls, batch: int, info: ValidationInfo) -> int:
        held = info.data.get("buffer", batch)
        if batch > held:
            raise ValueError(f"a batch of {batch} chains needs a buffer of as many, it has {held}")
        return batch


class PerceptionSpec(Section):
    """Weights of the bound's terms, the sampler and the augmentation of one network."""

    generative: Weight = 0.2
    """Weight of L_GEN, the energy-based term."""
    invariance: Weight | Literal["auto"] = "auto"
    """Weight of L_INV, the agreement of an image's two views; ``auto`` is 1, but 0 for networks
    that read the same images: each of them would settle on what an image shows most clearly."""
    symmetric: bool = True
    """Whether both views are L_INV's target in turn, or only the first one."""
    stop_gradient: bool = False
    """Whether L_INV's target is fixed and not trained like the other view."""
    prior: Weight = 10.0
    """Weight of L_PRIOR."""
    prior_convention: Literal["mean", "sum"] = "mean"
    """Whether L_PRIOR averages over symbols or sums: for ten symbols, weight 10 with ``mean`` is
    the same as weight 1 with ``sum``."""
    prior_probabilities: list[float] | Literal["learn", "uniform"] = "learn"
    """Expected share of every symbol; ``learn`` estimates the shares from what the program says
    about the training images, and is ``uniform`` without a goal."""
    prior_queue: CountOrNone = 0
    """Number of views from earlier steps that join L_PRIOR's marginal. If a step has fewer than
    some ten images per symbol, its own marginal is biased against confident predictions."""
    contrastive: Weight = 0.0
    """Weight of the contrastive term in joint training; in the clustering phase it is the only
    term."""
    contrastive_temperature: Temperature = 0.3
    """Its temperature, in the clustering phase too."""
    assignment: Weight = 0.0
    """Weight of the self-labelling term, which holds on to the clusters of the clustering phase;
    use 1 if there are few examples, or no program."""
    assignment_fades: bool = True
    """Whether that weight falls to 0 over the first half of joint training; set it to false if the
    clusters have shapes that invariance and prior would cut, such as moons."""
    ema: float = Field(default=0.0, ge=0, le=0.99999)
    """Decay, such as 0.99, of the moving average of the weights in joint training, which training
    ends with; with 0 it ends with the last weights as they are."""
    augmentation: Literal[
        "auto",
        "none",
        "digits",
        "small-digits",
        "objects",
        "garments",
        "points",
        "features",
        "sequences",
    ] = "auto"
    """``auto``: chosen from the images, and ``groundkit check`` says what and why; ``digits``:
    affine, elastic, stroke width; ``small-digits``: affine, elastic, noise, for images of some ten
    pixels a side; ``objects``: flips, crops, contrast; ``garments``: the same and noise;
    ``points``: small moves in the plane; ``features``: noise and missing columns of rows;
    ``sequences``: the same, missing steps and shifts in time."""
    invariant: list[Literal["colour", "flip", "inversion", "rotation", "thickness"]] | None = None
    """What may change without changing a symbol, besides small moves: colour, left and right, dark
    and bright, how an image is turned, the width of strokes. An empty list leaves all of them
    alone; when absent, ``augmentation`` decides."""
    sampler: SamplerSpec = SamplerSpec()
    """What the generative term contrasts data with."""

    @field_validator("prior_probabilities", mode="before")
    @classmethod
    def _absent_is_uniform(cls, shares: object) -> object:
        return "uniform" if shares is None else shares

    def invariance_weight(self, *, alone: bool) -> float:
        """The weight of L_INV, by whether no other network reads the same images."""
        return float(alone) if self.invariance == "auto" else self.invariance

    @property
    def given_shares(self) -> list[float] | None:
        """The expected share of every symbol, where the user has said it."""
        known = self.prior_probabilities
        return None if isinstance(known, str) else known

    @field_validator("prior_probabilities")
    @classmethod
    def _is_a_distribution(cls, shares: list[float] | str) -> list[float] | str:
        if isinstance(shares, str):
            return shares
        if min(shares, default=-1) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"shares must be at least 0 and sum to 1, they sum to {sum(shares)}")
        return shares
