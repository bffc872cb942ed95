import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from groundkit.perception.ascent import PhaseSettings
from groundkit.perception.augment import Augmentation
from groundkit.perception.backbones import build_backbone
from groundkit.perception.cluster import (
    cluster_embedding,
    fit_prototypes,
    over_cluster,
    start_prototypes,
)
from groundkit.perception.embedding import EmbeddingPhase
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel
from groundkit.perception.settings import PerceptionSpec

KINDS = 3


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def shapes():
    """Noisy images of a bar, a ring and a filled square."""
    side = 12
    rows = torch.arange(side).float()
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    radius = ((x - 5.5) ** 2 + (y - 5.5) ** 2).sqrt()
    square = (x - 5.5).abs().maximum((y - 5.5).abs())
    kinds = torch.stack([(x - 5.5).abs() < 1.5, (radius - 3.5).abs() < 1.0, square < 4]).float()
    truth = torch.arange(300) % KINDS
    noise = 0.2 * torch.randn(300, 1, side, side, generator=rng())
    return (2 * kinds[truth][:, None] - 1 + noise).clamp(-1, 1), truth


def fresh_model() -> SymbolModel:
    torch.manual_seed(0)
    return SymbolModel(build_backbone("convnet", (1, 12, 12), width=8, features=16), KINDS)


def train(images, steps=40):
    model = fresh_model()
    own = Augmentation(thickness=0, shear=0.1)
    learner = Learner(model, PerceptionSpec(generative=0), images, seed=0, augmentation=own)
    phase = EmbeddingPhase(learner, PhaseSettings(steps, 2e-3), 64, rng(1))
    values = [phase.step() for _ in range(steps)]
    return model, values


def test_the_phase_finds_the_kinds_of_images_and_prototypes_predict_them(shapes):
    images, truth = shapes
    model, values = train(images)
    clusters = start_prototypes(model, images, seed=0)
    assert values[-1] > values[0] + 0.5
    assert normalized_mutual_info_score(truth, clusters) > 0.9
    assert torch.equal(model(images).argmax(1), clusters)


def test_the_same_generator_gives_the_same_embedding(shapes):
    images, _ = shapes
    (first, _), (second, _) = train(images, 3), train(images, 3)
    assert torch.equal(first.embed(images), second.embed(images))


def test_prototypes_are_left_alone_by_the_contrastive_term(shapes):
    model, _ = train(shapes[0], 3)
    assert torch.equal(model.prototypes.weight, fresh_model().prototypes.weight)


def ring_and_core() -> tuple[torch.Tensor, torch.Tensor]:
    """Points of a ring, and of the blob in its middle: no k-means can part them."""
    angle = torch.linspace(0, 2 * torch.pi, 200)
    ring = 3 * torch.stack([angle.cos(), angle.sin()], dim=1)
    core = 0.3 * torch.randn(200, 2, generator=rng())
    truth = torch.arange(400) // 200
    return torch.cat([ring, core]), truth


def test_clusters_follow_the_graph_of_neighbours():
    points, truth = ring_and_core()
    assert normalized_mutual_info_score(truth, cluster_embedding(points, 2, 0)) == 1


def test_outliers_do_not_become_symbols():
    points = torch.randn(300, 2, generator=rng())
    points[:3] += 50
    points[150:] += 8
    sizes = torch.bincount(cluster_embedding(points, 2, 0), minlength=2)
    assert sizes.min() > 100


def test_a_handful_apart_from_all_others_does_not_become_a_symbol():
    """The graph of neighbours falls into a line of 300 points and a knot of 12 beside it."""
    line = torch.rand(300, 2, generator=rng()) * torch.tensor([20.0, 1.0])
    knot = torch.tensor([10.0, 6.0]) + 0.1 * torch.randn(12, 2, generator=rng(1))
    sizes = torch.bincount(cluster_embedding(torch.cat([line, knot]), 2, 0), minlength=2)
    assert sizes.min() > 100


def test_prototypes_have_no_common_part():
    """The energy would see one, the regression does not."""
    model = fresh_model()
    embedding = torch.randn(90, 16, generator=rng()) + 3
    fit_prototypes(model, embedding, torch.arange(90) % KINDS)
    assert torch.allclose(model.prototypes.weight.sum(0), torch.zeros(16), atol=1e-3)


def test_a_few_images_are_enough_to_start(shapes):
    images, _ = shapes
    symbols = start_prototypes(fresh_model(), images[:5], seed=0)
    assert symbols.shape == (5,)


def test_finer_clusters_are_of_one_kind_and_leave_the_model(shapes):
    images, truth = shapes
    model, _ = train(images)
    before = model(images)
    found = over_cluster(model, images, 2 * KINDS, seed=0)
    assert torch.equal(model(images), before)
    assert torch.allclose(found.log_probs.exp().sum(1), torch.ones(len(images)), atol=1e-5)
    named = torch.zeros(len(images), dtype=torch.long)
    for cluster in range(2 * KINDS):
        members = found.log_probs.argmax(1) == cluster
        named[members] = torch.mode(truth[members]).values if members.any() else 0
    assert (named == truth).float().mean() > 0.95
