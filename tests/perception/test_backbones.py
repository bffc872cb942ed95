import pytest
import torch
from torch import nn

from groundkit.errors import NetworkError
from groundkit.perception.backbones import BACKBONES, READS, build_backbone

OF_IMAGES = [*sorted(name for name in BACKBONES if READS.get(name) == "image"), "mlp"]


@pytest.mark.parametrize("name", OF_IMAGES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 23), (2, 1, 1)])
def test_images_of_any_shape_become_features(name, shape):
    backbone = build_backbone(name, shape, width=8, features=12)
    assert backbone(torch.zeros(3, *shape)).shape == (3, 12)
    assert backbone.features == 12


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_an_input_s_features_do_not_depend_on_its_batch(name):
    shape = (5, 3) if READS.get(name) == "sequence" else (1, 12, 12)
    options = {} if name == "identity" else {"width": 8}
    backbone = build_backbone(name, shape, **options).train()
    x = torch.randn(4, *shape)
    assert torch.allclose(backbone(x)[:1], backbone(x[:1]), atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "transformer", "mlp"])
@pytest.mark.parametrize("shape", [(7, 3), (1, 1)])
def test_sequences_of_any_shape_become_features(name, shape):
    backbone = build_backbone(name, shape, width=8, features=12)
    assert backbone(torch.zeros(3, *shape)).shape == (3, 12)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_the_order_of_steps_counts(name):
    torch.manual_seed(0)
    backbone = build_backbone(name, (6, 2), width=8, features=5)
    x = torch.randn(1, 6, 2)
    assert not torch.allclose(backbone(x), backbone(x.flip(1)), atol=1e-4)


@pytest.mark.parametrize("shape", [(4,), (3, 2), (1, 2, 2)])
def test_the_identity_gives_the_values_themselves(shape):
    backbone = build_backbone("identity", shape)
    x = torch.randn(2, *shape)
    assert torch.equal(backbone(x), x.flatten(1)) and backbone.features == x[0].numel()


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("convnet", (13,), "reads images, the inputs are rows of shape 13\n  expected: one of i"),
        ("gru", (1, 8, 8), "reads sequences, the inputs are images"),
        ("transformer", (13,), "expected: one of identity, mlp"),
    ],
)
def test_a_kind_that_a_backbone_does_not_read_is_refused(name, shape, said):
    with pytest.raises(NetworkError, match=said):
        build_backbone(name, shape)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(NetworkError, match="a multiple of the heads"):
        build_backbone("transformer", (5, 3), width=10, heads=4)


def test_the_paper_s_network_has_eight_convolutions_in_its_blocks_and_no_norm():
    backbone = build_backbone("resnet8", (3, 32, 32))
    kernels = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert len([m for m in kernels if m.kernel_size == (3, 3)]) == 8 + 1
    assert all(m.out_channels == 128 for m in kernels)
    assert not any("Norm" in type(m).__name__ for m in backbone.modules())


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(NetworkError, match="did you mean 'convnet'"):
        build_backbone("convnets", (1, 28, 28))


def test_an_unknown_option_gets_the_nearest_one():
    with pytest.raises(NetworkError, match="did you mean 'width'"):
        build_backbone("convnet", (1, 28, 28), widht=3)
    with pytest.raises(NetworkError, match="at least 1"):
        build_backbone("convnet", (1, 28, 28), width=0)
