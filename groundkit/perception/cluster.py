"""Prototypes from the clusters of an embedding that the contrastive term has trained.

That term draws the images of a symbol into a connected region rather than a ball, so its clusters
are read off the graph of nearest neighbours (spectral clustering) and not from k-means. The graph
is that of the projections, in which the term brings views together: in the embedding before them
two symbols may still touch. Prototypes are then fitted to the clusters in the embedding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from groundkit.perception.model import SymbolModel
from groundkit.perception.parts import in_parts

# Images of which the graph of neighbours is made: its cost grows with the square of their number.
GRAPH_IMAGES = 5000
NEIGHBOURS = 10
# A cluster smaller than this part of an even share is a few outliers of the graph, not a symbol.
SMALLEST_SHARE = 0.2
# Prototypes are fitted to "nine parts this cluster, one part any": one image in twenty or more is
# in a wrong cluster, and joint training has to be able to move it.
DOUBT = 0.1


def start_prototypes(model: SymbolModel, images: Tensor, seed: int) -> Tensor:
    """Starts the prototypes from the clusters of the images' projections.

    Args:
        model: Its prototypes are changed in place.
        images: Unlabelled inputs ``(N, ...)`` as they rest, with N at least the number
            of symbols.
        seed: Of the choice of images for the graph, and of the clustering.

    Returns:
        The most probable symbol of each image from now on, ``(N,)``.
    """
    embedding, sample = _embed(model, images, seed)
    with torch.no_grad():
        clusters = cluster_embedding(model.project(sample), model.symbols, seed)
    fit_prototypes(model, sample, clusters)
    with torch.no_grad():
        return model.classify(embedding).argmax(-1)


@dataclass(frozen=True, slots=True)
class Clusters:
    """More clusters than symbols, before anyone knows which symbol each one shows.

    Attributes:
        sample: Embedding ``(M, F)`` of the images that were clustered.
        members: The cluster of each of them ``(M,)``.
        log_probs: Log-probability of each cluster for every image ``(N, C)``.
    """

    sample: Tensor
    members: Tensor
    log_probs: Tensor


def over_cluster(model: SymbolModel, images: Tensor, count: int, seed: int) -> Clusters:
    """Clusters the images' projections into any number of clusters.

    Args:
        model: Left as it is.
        images: Unlabelled inputs ``(N, ...)`` as they rest.
        count: Number of clusters.
        seed: Of the choice of images for the graph, and of the clustering.
    """
    embedding, sample = _embed(model, images, seed)
    with torch.no_grad():
        members = cluster_embedding(model.project(sample), count, seed)
    head = nn.Linear(embedding.shape[1], count).to(embedding)
    _regress(head, head.parameters(), sample, members)
    with torch.no_grad():
        return Clusters(sample, members, functional.log_softmax(head(embedding), -1))


def _embed(model: SymbolModel, images: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Embeds all images ``(N, F)``, and picks those that a graph is made of ``(M, F)``."""
    with torch.no_grad():
        embedding = in_parts(lambda part: model.embed(model.take(part)), images)
    order = torch.randperm(len(images), generator=Generator().manual_seed(seed))
    return embedding, embedding[order[:GRAPH_IMAGES].to(embedding.device)]


def cluster_embedding(embedding: Tensor, count: int, seed: int) -> Tensor:
    """Spectral clustering of the graph of nearest neighbours.

    Where that cuts off a handful of outliers instead (few points, or a graph in many pieces),
    k-means takes its place.

    Args:
        embedding: ``(N, F)``.
        count: Number of clusters.
        seed: Of both.

    Returns:
        The cluster of each row, ``(N,)``, on the embedding's device.
    """
    # Loading scikit-learn takes a second, which commands that do not train can save.
    from sklearn.cluster import KMeans, SpectralClustering

    points = embedding.detach().cpu().numpy()
    enough = SMALLEST_SHARE * len(points) / count
    labels = torch.zeros(len(points), dtype=torch.long)
    if len(points) > count * NEIGHBOURS:
        spectral = SpectralClustering(
            count,
            affinity="nearest_neighbors",
            n_neighbors=NEIGHBOURS,
            assign_labels="cluster_qr",
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Graph is not fully connected")
            labels = torch.as_tensor(spectral.fit_predict(points), dtype=torch.long)
    if torch.bincount(labels, minlength=count).min() < enough:
        kmeans = KMeans(count, n_init=10, random_state=seed).fit(points)
        labels = torch.as_tensor(kmeans.labels_, dtype=torch.long)
    return labels.to(embedding.device)


def fit_prototypes(model: SymbolModel, embedding: Tensor, clusters: Tensor) -> None:
    """Fits the prototypes to clusters by regression.

    Free prototypes start at zero and so keep a sum of zero: the regression does not see what all
    logits have in common, but the energy does.

    Args:
        model: Its prototypes are changed in place.
        embedding: ``(M, F)``.
        clusters: The symbol of each row ``(M,)``.
    """
    membership = functional.one_hot(clusters, model.symbols).to(embedding)
    centres = membership.T @ embedding / membership.sum(0).clamp_min(1)[:, None]
    model.set_prototypes(centres, sharpness=0.0)
    _regress(model.classify, model.prototypes.parameters(), embedding, clusters)


def _regress(
    classify: Callable[[Tensor], Tensor],
    parameters: Iterable[nn.Parameter],
    embedding: Tensor,
    clusters: Tensor,
) -> None:
    """Fits a classifier of the embedding to clusters, with some doubt."""
    optimiser = torch.optim.LBFGS(parameters, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        logits = classify(embedding)
        loss = functional.cross_entropy(logits, clusters, label_smoothing=DOUBT)
        torch.autograd.backward(loss)
        return loss.item()

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    optimiser.zero_grad()
