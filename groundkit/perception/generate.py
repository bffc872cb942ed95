"""What the symbol model generates: negatives for the generative term, and images of a symbol."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from groundkit.perception.langevin import Langevin, ReplayBuffer, frozen
from groundkit.perception.model import SymbolModel, energy, log_probs


def contrast_with_samples(
    model: SymbolModel,
    data: Tensor,
    *,
    buffer: ReplayBuffer,
    sampler: Langevin,
    generator: Generator,
    data_noise: float = 0.03,
) -> tuple[Tensor, Tensor]:
    """Moves as many chains as there are images, and reads both with the model.

    The result goes into :func:`~groundkit.perception.bound.generative` and
    :func:`~groundkit.perception.bound.energy_penalty`. Data comes without augmentation: the
    energy is to model images, not their distortions.

    Args:
        model: Its energy drives the chains; its parameters are frozen meanwhile.
        data: Unlabelled images, ``(B, C, H, W)``.
        buffer: The persistent chains, changed in place.
        sampler: Moves them.
        generator: Source of randomness, on the model's device.
        data_noise: Standard deviation of noise added to data, which smooths the energy.

    Returns:
        Logits of data and logits of samples, ``(B, K)`` each, with gradients to the parameters.
    """
    chains, places = buffer.draw(len(data), generator)
    with frozen(model):
        samples = sampler(lambda x: energy(model(x)), chains, generator)
    buffer.put_back(places, samples)
    noise = torch.randn(data.shape, generator=generator, device=data.device, dtype=data.dtype)
    logits = model(torch.cat([data + data_noise * noise, samples]))
    of_data, of_samples = logits.chunk(2)
    return of_data, of_samples


def sample_images(
    model: SymbolModel,
    start: Tensor,
    *,
    sampler: Langevin,
    generator: Generator,
    symbols: Tensor | None = None,
    guidance: float = 1.0,
    steps: int = 100,
) -> Tensor:
    """Images that the model holds likely, of given symbols or of any.

    Args:
        model: The model.
        start: Where chains start, ``(B, C, H, W)``: of ``ReplayBuffer.fresh`` or its chains.
        sampler: Its step, noise and clipping are used.
        generator: Source of randomness, on the model's device.
        symbols: The wanted symbol of each image, ``(B,)``: chains follow
            ``E(x) - guidance * log p(y|x)`` instead of ``E(x)``.
        guidance: 1 is the model's own ``E(x, y) = -f_y(x)``; more insists on the symbol, as in
            classifier guidance (Dhariwal and Nichol, 2021).
        steps: Steps of each chain.

    Returns:
        ``(B, C, H, W)`` in [-1, 1].
    """

    def follow(x: Tensor) -> Tensor:
        logits: Tensor = model(x)
        if symbols is None:
            return energy(logits)
        wanted = log_probs(logits).gather(1, symbols[:, None])[:, 0]
        return energy(logits) - guidance * wanted

    with frozen(model):
        return sampler(follow, start, generator, steps)
