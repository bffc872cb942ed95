import pytest
import torch
from torch import nn

from groundkit.errors import NetworkError
from groundkit.perception.backbones import BACKBONES, build_backbone


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 23), (2, 1, 1)])
def test_images_of_any_shape_become_features(name, shape):
    backbone = build_backbone(name, shape, width=8, features=12)
    assert backbone(torch.zeros(3, *shape)).shape == (3, 12)
    assert backbone.features == 12


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_an_image_s_features_do_not_depend_on_its_batch(name):
    backbone = build_backbone(name, (1, 12, 12), width=8).train()
    x = torch.randn(4, 1, 12, 12)
    assert torch.allclose(backbone(x)[:1], backbone(x[:1]), atol=1e-5)


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
