import sys
import textwrap

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


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "my_nets_for_test.py").write_text(
        textwrap.dedent("""
        from torch import nn
        class Net(nn.Module):
            def __init__(self, width=6):
                super().__init__()
                self.layer = nn.Linear(16, width)
            def forward(self, x):
                return self.layer(x.flatten(1))
        class Flat(nn.Module):
            def forward(self, x):
                return x
        class Plain:
            pass
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "module:my_nets_for_test"
    sys.modules.pop("my_nets_for_test", None)


def test_a_users_module_is_built_and_measured(own_module):
    backbone = build_backbone(f"{own_module}:Net", (1, 4, 4), trust=True, width=9)
    assert backbone.features == 9
    assert backbone(torch.zeros(2, 1, 4, 4)).shape == (2, 9)


def test_a_users_module_is_not_imported_without_trust(own_module):
    with pytest.raises(NetworkError, match="--trust"):
        build_backbone(f"{own_module}:Net", (1, 4, 4))
    assert "my_nets_for_test" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "cannot be built"),
        ("Plain", "nn.Module"),
        ("Flat", r"turns 2 images into \(2, 1, 4, 4\)"),
    ],
)
def test_what_is_no_backbone_is_refused(own_module, name, message):
    with pytest.raises(NetworkError, match=message):
        build_backbone(f"{own_module}:{name}", (1, 4, 4), trust=True)


def test_a_module_that_fails_on_these_images_is_refused(own_module):
    with pytest.raises(NetworkError, match="fails on images of shape"):
        build_backbone(f"{own_module}:Net", (1, 5, 5), trust=True)
