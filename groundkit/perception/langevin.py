"""Samples of the energy model by stochastic gradient Langevin dynamics (SGLD).

One step is ``x <- x - (step_size / 2) * grad E(x) + noise * normal``. At temperature 1 the noise is
``sqrt(step_size)``; the energy models in use since JEM (Grathwohl et al., "Your classifier is
secretly an energy based model and you should treat it like one", 2020) take far larger steps than
their noise allows (step 1 with noise 0.01). Such chains follow a much colder distribution than
``p(x)``: they are good negatives for the generative term and they show what the model holds
likely, but they are not samples of ``p(x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn

from groundkit.perception.inputs import Shape, by_row
from groundkit.perception.settings import SamplerSpec

Energy = Callable[[Tensor], Tensor]
"""Maps inputs ``(B, ...)`` to energies ``(B,)``, each a function of its own input alone."""


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Switches off parameter gradients inside the block: sampling needs the input's alone.

    No sampler step can leak into the parameters' gradients, and autograd keeps nothing for them.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@dataclass(frozen=True, slots=True)
class Langevin:
    """The sampler; calling it moves a batch of chains.

    The clipped gradient bounds the move of one step when an energy has grown steep, as the proximal
    steps of JEM++ do (Yang and Ji, 2021).

    Attributes:
        settings: Steps a call, their size and noise.
    """

    settings: SamplerSpec

    @property
    def step_size(self) -> float:
        """The size of a step, see the module's formula."""
        return self.settings.step_size

    def __call__(
        self,
        energy: Energy,
        start: Tensor,
        generator: Generator | None = None,
        steps: int | None = None,
        levels: Tensor | None = None,
    ) -> Tensor:
        """Moves chains downhill in energy; wrap the network in :func:`frozen` around this.

        Args:
            energy: The energy to follow: ``E(x)``, or ``E(x, y)`` for samples of a symbol.
            start: ``(B, C, H, W)`` in [-1, 1].
            generator: Source of randomness, on the device of ``start``.
            steps: Overrides the setting.
            levels: Energies ``(B,)`` at which chains stand still; without them none does.

        Returns:
            ``(B, C, H, W)`` in [-1, 1], without gradient.
        """
        how, x = self.settings, start.detach().clone()
        count = how.steps if steps is None else steps
        for number in range(count):
            share = how.anneal ** (number / max(count - 1, 1))
            x.requires_grad_(True)
            energies = energy(x)
            (gradient,) = torch.autograd.grad(energies.sum(), x)
            with torch.no_grad():
                gradient = gradient.clamp(-how.clip_gradient, how.clip_gradient)
                before = x.detach()
                x = before.sub(gradient, alpha=0.5 * share * how.step_size)
                if how.noise > 0:
                    draw = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
                    x.add_(draw, alpha=share * how.noise)
                x.clamp_(-1, 1)
                if levels is not None:
                    arrived = by_row(energies <= levels, x)
                    x = torch.where(arrived, before, x)
        return x

    def halved(self) -> Langevin:
        """The same sampler with half the step size, to go on with after a rollback."""
        return self.with_step(self.step_size / 2)

    def with_step(self, step_size: float) -> Langevin:
        """The same sampler with another step size."""
        return Langevin(self.settings.model_copy(update={"step_size": step_size}))


@torch.no_grad()
def principal_components(flat: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The leading principal components of data ``(N, P)``, worked out on the CPU.

    Args:
        flat: ``(N, P)``.
        count: Number of components, at most P; those that N images do not have are zero.

    Returns:
        Mean ``(P,)``, unit directions ``(count, P)``, and the variance along each ``(count,)``.
    """
    rows = flat.cpu().numpy()
    with np.errstate(invalid="ignore"):  # the shares of a variance of zero
        # Loading scikit-learn takes a second, which commands that do not train can save.
        from sklearn.decomposition import PCA

        found = PCA(min(count, *rows.shape), random_state=0).fit(rows)
    directions = torch.zeros(count, rows.shape[1])
    variances = torch.zeros(count)
    directions[: found.n_components_] = torch.from_numpy(found.components_)
    variances[: found.n_components_] = torch.from_numpy(found.explained_variance_)
    return torch.from_numpy(found.mean_), directions, variances


class InformativeStart(nn.Module):
    """A Gaussian fitted to unlabelled images, from which chains start.

    It has the data's mean and its leading principal components: blurred, digit-like shapes for
    digits. Chains that start there reach likely images in far fewer steps than from uniform noise
    (Yang and Ji, "JEM++", 2021, start from a Gaussian for each class; here no label is needed).

    Args:
        image_shape: ``(C, H, W)``, or the shape of another input.
        components: Number of principal components, at most the number of pixels.
    """

    mean: Tensor
    directions: Tensor

    def __init__(self, image_shape: Shape, components: int = 32) -> None:
        super().__init__()
        pixels = math.prod(image_shape)
        self.image_shape = image_shape
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("directions", torch.zeros(min(components, pixels), pixels))

    @torch.no_grad()
    def fit(self, images: Tensor) -> InformativeStart:
        """Fits the Gaussian to images ``(N, C, H, W)``; returns itself."""
        flat = images.flatten(1).to(self.mean)
        mean, directions, variances = principal_components(flat, len(self.directions))
        self.mean.copy_(mean)
        self.directions.copy_(variances.sqrt()[:, None] * directions)
        return self

    @torch.no_grad()
    def draw(self, count: int, generator: Generator | None = None) -> Tensor:
        """Draws ``(count, C, H, W)`` in [-1, 1]."""
        size = (count, self.directions.shape[0])
        factors = torch.randn(size, generator=generator, device=self.mean.device)
        flat = self.mean + factors @ self.directions
        return flat.clamp(-1, 1).reshape(count, *self.image_shape)


class ReplayBuffer(nn.Module):
    """Persistent chains: each sampling call goes on from where an earlier one stopped.

    Chains live on the module's device, are moved by ``.to`` and are saved by ``state_dict``.

    Args:
        image_shape: ``(C, H, W)``, or the shape of another input.
        capacity: Number of chains.
        reinit: Probability that a drawn chain starts anew.
        start: Where new chains start; uniform noise if ``None``.
        generator: Source of the first chains' randomness, on the CPU.
    """

    images: Tensor

    def __init__(
        self,
        image_shape: Shape,
        capacity: int = 10_000,
        reinit: float = 0.05,
        start: InformativeStart | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.reinit = reinit
        self.start = start
        self.register_buffer("images", torch.empty(capacity, *image_shape))
        self.images.copy_(self.fresh(capacity, generator))

    def fresh(self, count: int, generator: Generator | None = None) -> Tensor:
        """New chains, ``(count, C, H, W)`` in [-1, 1]."""
        if self.start is not None:
            return self.start.draw(count, generator)
        size = (count, *self.image_shape)
        return 2 * torch.rand(size, generator=generator, device=self.images.device) - 1

    def draw(self, count: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draws chains to go on with, some of them started anew.

        Args:
            count: Number of chains, at most the capacity.
            generator: Source of randomness, on the buffer's device.

        Returns:
            Chains ``(count, C, H, W)`` and their places ``(count,)`` in the buffer, all different.

        Raises:
            ValueError: The buffer holds fewer.
        """
        if count > len(self.images):
            raise ValueError(f"{count} chains from a buffer of {len(self.images)}")
        device = self.images.device
        places = torch.randperm(len(self.images), generator=generator, device=device)[:count]
        anew = torch.rand(count, generator=generator, device=device) < self.reinit
        # Fresh chains are drawn for the whole batch: reading how many are needed would make a GPU
        # wait for the host.
        fresh = self.fresh(count, generator)
        return torch.where(by_row(anew, fresh), fresh, self.images[places]), places

    @torch.no_grad()
    def put_back(self, places: Tensor, chains: Tensor) -> None:
        """Stores chains ``(count, C, H, W)`` that have moved, at the places they were drawn from.

        A chain with a value that is not finite is dropped: its place keeps the earlier chain.
        """
        sound = by_row(torch.isfinite(chains).flatten(1).all(1), chains)
        self.images[places] = torch.where(sound, chains.detach(), self.images[places])
