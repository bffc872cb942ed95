"""From the spec's tables to the perception's settings."""

from __future__ import annotations

from groundkit.perception.langevin import Langevin
from groundkit.perception.learner import BoundSettings, Sampling
from groundkit.task.spec import PerceptionSpec, SamplerSpec


def langevin(spec: SamplerSpec) -> Langevin:
    """Returns the sampler that the spec describes."""
    return Langevin(spec.steps, spec.step_size, spec.noise, spec.clip_gradient, anneal=spec.anneal)


def bound_settings(spec: PerceptionSpec) -> BoundSettings:
    """Returns the weights of the bound that the spec describes."""
    sampler = spec.sampler
    return BoundSettings(
        generative=spec.generative,
        invariance=spec.invariance,
        symmetric=spec.symmetric,
        stop_gradient=spec.stop_gradient,
        prior=spec.prior,
        prior_convention=spec.prior_convention,
        prior_probabilities=spec.prior_probabilities,
        prior_queue=spec.prior_queue,
        contrastive=spec.contrastive,
        contrastive_temperature=spec.contrastive_temperature,
        assignment=spec.assignment,
        assignment_fades=spec.assignment_fades,
        ema=spec.ema,
        sampling=Sampling(
            kind=sampler.kind,
            langevin=langevin(sampler),
            chains=sampler.batch,
            every=sampler.every,
            buffer=sampler.buffer,
            reinitialise=sampler.reinit,
            energy_penalty=sampler.energy_penalty,
            data_noise=sampler.data_noise,
            perturbation=sampler.perturbation,
            negatives=sampler.negatives,
        ),
    )
