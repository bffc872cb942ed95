"""The clustering phase: an embedding whose clusters are there before any symbol has a name.

The bound alone finds clusters that follow slant and stroke width, and a symbolic term from random
weights can settle on wrong names that explain a small set of examples. So the embedding is first
trained by the contrastive term, and prototypes start from its k-means centres.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from sklearn.cluster import KMeans
from torch import Generator, Tensor, nn

from groundkit.perception import bound
from groundkit.perception.augment import Augmentation
from groundkit.perception.model import SymbolModel

# Largest norm of a step's gradient in the clustering phase.
CLIP_NORM = 1.0
# Mean log-odds, in nats, of an image's nearest centre against the second nearest when prototypes
# start. The Gaussians that k-means assumes would give some hundred in an embedding of many
# dimensions: far too certain of clusters of which one image in ten is wrong.
MARGIN = 5.0


def train_embedding(
    model: SymbolModel,
    images: Tensor,
    augmentation: Augmentation,
    *,
    steps: int,
    generator: Generator,
    batch: int = 256,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-4,
    temperature: float = 0.3,
) -> Iterator[float]:
    """Trains backbone and projector on the contrastive term, a step for each value yielded.

    Args:
        model: Changed in place; its prototypes are left alone.
        images: Unlabelled images, ``(N, C, H, W)``, on the model's device.
        augmentation: Draws the two views of each image.
        steps: Number of steps; the learning rate rises, then falls to zero over them.
        generator: Source of batches and views, on the model's device.
        batch: Images a step.
        learning_rate: Peak rate of AdamW.
        weight_decay: AdamW's.
        temperature: See :func:`groundkit.perception.bound.contrastive`.

    Yields:
        The term's value at each step, in nats.
    """
    parameters = [*model.backbone.parameters(), *model.projector.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=max(steps, 2), pct_start=0.15
    )
    for _ in range(steps):
        places = torch.randint(len(images), (batch,), generator=generator, device=images.device)
        chosen = images[places]
        views = torch.cat([augmentation(chosen, generator), augmentation(chosen, generator)])
        first, second = model.project(model.embed(views)).chunk(2)
        value = bound.contrastive(first, second, temperature)
        optimiser.zero_grad()
        torch.autograd.backward(-value)
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimiser.step()
        schedule.step()
        yield value.item()


@torch.no_grad()
def start_prototypes(model: SymbolModel, images: Tensor, seed: int, chunk: int = 1000) -> Tensor:
    """Starts the prototypes from the k-means centres of the images' embedding.

    Args:
        model: Changed in place.
        images: Unlabelled images, ``(N, C, H, W)`` with N at least the number of symbols.
        seed: Of k-means.
        chunk: Images embedded at a time.

    Returns:
        The cluster of each image, ``(N,)``; cluster k is symbol k of the model.
    """
    embedding = torch.cat([model.embed(part) for part in torch.split(images, chunk)])
    kmeans = KMeans(model.symbols, n_init=10, random_state=seed).fit(embedding.cpu().numpy())
    centres = torch.as_tensor(kmeans.cluster_centers_).to(embedding)
    nearest = torch.cdist(embedding, centres).square().topk(2, largest=False).values
    log_odds = 0.5 * (nearest[:, 1] - nearest[:, 0]).mean().item()
    model.set_prototypes(centres, MARGIN / max(log_odds, 1e-12))
    return torch.as_tensor(kmeans.labels_, dtype=torch.long)
