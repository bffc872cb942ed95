"""One network in training: its chains, its queue, its labelled images."""

import torch

from groundkit.perception.backbones import build_backbone
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel, log_probs
from groundkit.perception.settings import PerceptionSpec, SamplerSpec

SHAPE = (1, 8, 8)
SYMBOLS = 3


def make(seed: int = 0, **weights) -> Learner:
    torch.manual_seed(0)
    model = SymbolModel(build_backbone("mlp", SHAPE, width=16, features=8), SYMBOLS)
    images = 2 * torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0)) - 1
    settings = PerceptionSpec(augmentation="none", sampler=SamplerSpec(batch=16), **weights)
    return Learner(model, settings, images, seed=seed)


def test_chains_start_from_the_seed():
    assert torch.equal(make(0).buffer.images, make(0).buffer.images)
    assert not torch.equal(make(0).buffer.images, make(1).buffer.images)


def test_the_queue_keeps_the_latest_views():
    one = make(generative=0, prior_queue=5)
    steps = [torch.randn(4, SYMBOLS, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    for logits in steps:
        one._prior_term(logits)
    expected = torch.cat([log_probs(logits) for logits in steps])[-5:]
    assert torch.equal(one.state_dict()["queue"], expected)


def test_labels_say_how_likely_each_name_of_each_present_symbol_is():
    one = make()
    targets = torch.eye(SYMBOLS)[[0, 0, 2]]
    one.teach(one.pool[:3], targets)
    read = one.log_probs(one.pool[:3])
    expected = torch.stack([read[0] + read[1], torch.zeros(SYMBOLS), read[2]])
    assert torch.allclose(one.label_evidence(), expected, atol=1e-5)


def test_the_labels_term_is_a_mean_over_images_of_a_sum_over_symbols():
    one = make()
    targets = torch.full((4, SYMBOLS), 1 / SYMBOLS)
    value = one.label_term(one.pool[:4], targets).value
    assert torch.allclose(value, one.log_probs(one.pool[:4]).mean(1).mean(), atol=1e-5)
