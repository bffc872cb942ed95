import pytest
import torch

from groundkit.errors import NetworkError
from groundkit.perception.backbones import build_backbone
from groundkit.perception.model import SymbolModel, energy, log_probs


def make(normalise: bool = False, temperature: float = 1.0) -> SymbolModel:
    torch.manual_seed(0)
    backbone = build_backbone("mlp", (1, 4, 4), width=16, features=12)
    return SymbolModel(backbone, 5, normalise=normalise, temperature=temperature)


IMAGES = 2 * torch.rand(7, 1, 4, 4, generator=torch.Generator().manual_seed(1)) - 1


@pytest.mark.parametrize("normalise", [False, True])
def test_all_readings_come_from_the_same_logits(normalise):
    model = make(normalise, 0.5)
    logits = model(IMAGES)
    assert torch.equal(logits, model.logits(IMAGES))
    assert torch.equal(logits, model.classify(model.embed(IMAGES)))
    assert torch.allclose(log_probs(logits).exp().sum(1), torch.ones(7))
    # p(x, y) = p(y|x) p(x) up to the normaliser.
    assert torch.allclose(log_probs(logits) - energy(logits)[:, None], logits, atol=1e-5)


def test_a_backbone_in_bfloat16_reads_and_learns_nearly_the_same():
    torch.manual_seed(0)
    images = (2 * torch.rand(7, 1, 12, 12) - 1).requires_grad_()
    exact = SymbolModel(build_backbone("convnet", (1, 12, 12), width=8, features=12), 5)
    half = SymbolModel(exact.backbone, 5, bfloat16=True)
    half.load_state_dict(exact.state_dict())
    found = []
    for model in (exact, half):
        logits = model(images)
        weights = next(model.backbone.parameters())
        found.append((logits, *torch.autograd.grad(energy(logits).sum(), (images, weights))))
    for precise, rough in zip(*found, strict=True):
        assert rough.dtype == torch.float32
        assert not torch.equal(precise, rough)
        assert (precise - rough).abs().max() < 0.03 * precise.abs().max()


def test_normalised_logits_are_bounded_by_the_temperature():
    model = make(normalise=True, temperature=0.1)
    assert model(100 * IMAGES).abs().max() <= 10 + 1e-4


@pytest.mark.parametrize("normalise", [False, True])
def test_permuting_symbols_permutes_logits(normalise):
    model = make(normalise)
    before = model(IMAGES)
    order = [3, 0, 4, 1, 2]
    model.permute_symbols(order)
    assert torch.allclose(model(IMAGES), before[:, order])


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 0, 1, 2, 3], [1, 2, 3, 4, 5]])
def test_what_is_no_permutation_is_refused(order):
    with pytest.raises(NetworkError, match="not a permutation"):
        make().permute_symbols(order)


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_prototypes_from_centres_classify_by_the_nearest_centre(temperature):
    model = make(temperature=temperature)
    embedding = model.embed(IMAGES)
    centres = embedding[:5].detach()
    model.set_prototypes(centres, sharpness=3.0)
    logits = model.classify(embedding)
    squared = torch.cdist(embedding, centres).square()
    assert torch.allclose(log_probs(logits), log_probs(-1.5 * squared), atol=1e-4)


def test_prototypes_on_the_sphere_are_the_centres_directions():
    model = make(normalise=True, temperature=0.1)
    embedding = model.embed(IMAGES)
    model.set_prototypes(4 * embedding[:5].detach())
    assert torch.equal(model.classify(embedding)[:5].argmax(1), torch.arange(5))
    assert torch.allclose(model.classify(embedding)[0, 0], torch.tensor(10.0))


def test_centres_of_another_shape_are_refused():
    with pytest.raises(NetworkError, match="centres of shape"):
        make().set_prototypes(torch.zeros(4, 12))


def test_projection_has_unit_norm():
    model = make()
    norms = model.project(model.embed(IMAGES)).norm(dim=1)
    assert torch.allclose(norms, torch.ones(7))


@pytest.mark.parametrize("options", [{"symbols": 1}, {"symbols": 3, "temperature": 0.0}])
def test_settings_without_meaning_are_refused(options):
    with pytest.raises(NetworkError):
        SymbolModel(build_backbone("mlp", (1, 4, 4)), **options)


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_a_split_symbol_shares_the_mass_evenly_and_leaves_the_energy(temperature):
    one, images = make(temperature=temperature), IMAGES
    with torch.no_grad():
        one.prototypes.bias[2] = -1e3
    before = one(images)
    one.split_symbol(2, 0)
    after = one(images)
    assert torch.allclose(after[:, 0], after[:, 2])
    assert torch.allclose(energy(before), energy(after), atol=1e-5)
    assert torch.equal(before[:, 1], after[:, 1])
