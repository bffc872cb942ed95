"""What the symbol model generates: negatives for the generative term, and images of a symbol."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from groundkit.perception.langevin import Langevin, ReplayBuffer, frozen
from groundkit.perception.model import SymbolModel, energy
from groundkit.perception.symbol_start import SymbolStart

# Chains that run side by side when images are made; bounds the memory.
CHUNK = 250


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


def contrast_with_perturbed(
    model: SymbolModel, data: Tensor, *, deviation: float, negatives: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Reads data and perturbations of it, for a generative term without a sampler.

    The result goes into :func:`~groundkit.perception.bound.energy_discrepancy`.

    Args:
        model: The model.
        data: Unlabelled images, ``(B, C, H, W)``.
        deviation: Standard deviation ``s`` of each of the two steps, to a noisy image and from it.
        negatives: Number M of perturbations of an image.
        generator: Source of randomness, on the model's device.

    Returns:
        Logits of data ``(B, K)`` and of perturbations ``(B, M, K)``, with gradients.
    """

    def noise(count: int) -> Tensor:
        size = (len(data), count, *data.shape[1:])
        return torch.randn(size, generator=generator, device=data.device, dtype=data.dtype)

    perturbed = data[:, None] + deviation * (noise(1) + noise(negatives))
    logits = model(torch.cat([data, perturbed.flatten(0, 1)]))
    return logits[: len(data)], logits[len(data) :].unflatten(0, (len(data), negatives))


def sample_images(
    model: SymbolModel,
    start: SymbolStart,
    symbols: Tensor,
    *,
    sampler: Langevin,
    generator: Generator,
    steps: int = 20,
) -> Tensor:
    """Images of given symbols: chains that follow the model's ``E(x, y) = -f_y(x)``.

    Args:
        model: The model.
        start: Where chains of each symbol start, and at which energies they stand still.
        symbols: The wanted symbol of each image, ``(B,)``; for images of any symbol, those of
            ``start.draw_symbols``.
        sampler: Its step, noise and clipping are used.
        generator: Source of randomness, on the model's device.
        steps: Largest number of steps of a chain.

    Returns:
        ``(B, C, H, W)`` in [-1, 1].
    """
    made = []
    with frozen(model):
        for wanted in torch.split(symbols, CHUNK):
            images, levels = start.draw(wanted, generator)

            def follow(x: Tensor, wanted: Tensor = wanted) -> Tensor:
                logits: Tensor = model(x)
                return -logits.gather(1, wanted[:, None])[:, 0]

            made.append(sampler(follow, images, generator, steps, levels))
    return torch.cat(made)
