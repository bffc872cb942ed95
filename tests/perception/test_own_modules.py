"""The user's own modules: handed over, or named and found beside the program."""

import sys
import textwrap

import pytest
import torch
from torch import nn

from groundkit.errors import NetworkError
from groundkit.perception.own_modules import OWN, build_own

SHAPE = (1, 4, 4)
CODE = """
from dataclasses import dataclass
from torch import nn
@dataclass
class Sizes:
    width: int
class Net(nn.Module):
    def __init__(self, width=6, layers=()):
        super().__init__()
        self.layer = nn.Linear(16, Sizes(width).width)
        self.layers = layers
    def forward(self, x):
        return self.layer(x.flatten(1))
class Flat(nn.Module):
    def forward(self, x):
        return x
class Failing(nn.Module):
    def forward(self, x):
        raise KeyError("no such layer")
class Plain:
    pass
number = 3
"""


class Shaped(nn.Module):
    """Asks for the shape of its inputs."""

    def __init__(self, image_shape, scale=1.0):
        super().__init__()
        self.layer = nn.Linear(image_shape[1] * image_shape[2], 5)
        self.scale = scale

    def forward(self, x):
        return self.scale * self.layer(x.flatten(1))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets.py").write_text(textwrap.dedent(CODE))
    return tmp_path


def build(name, folder, **options):
    return build_own(f"module:nets:{name}", SHAPE, options, trust=True, beside=folder)


def test_a_file_beside_the_program_is_found_and_measured(folder):
    backbone = build("Net", folder, width=9, layers=[1, "two"])
    assert backbone.features == 9 and backbone.body.layers == [1, "two"]
    assert backbone(torch.zeros(2, *SHAPE)).shape == (2, 9)
    assert "nets" not in sys.modules


def test_files_of_one_name_do_not_meet_and_may_import_others_beside_them(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "beside_for_test.py").write_text("WIDTH = 3\n")
    (other / "nets.py").write_text(
        "from torch import nn\nfrom beside_for_test import WIDTH\n"
        "def Net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(16, WIDTH))\n"
    )
    assert build("Net", folder).features == 6
    assert build("Net", other).features == 3
    assert str(other) not in sys.path
    sys.modules.pop("beside_for_test")


def test_a_file_may_be_named_by_its_path(folder):
    assert build_own(f"module:{folder / 'nets.py'}:Net", SHAPE, {}, trust=True).features == 6


def test_a_module_elsewhere_is_imported(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    assert build_own("module:nets:Net", SHAPE, {}, trust=True).features == 6
    sys.modules.pop("nets")


def test_code_is_not_run_without_trust(folder):
    (folder / "nets.py").write_text("raise SystemExit")
    with pytest.raises(NetworkError, match="--trust"):
        build_own("module:nets:Net", SHAPE, {}, beside=folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "cannot be built"),
        ("Plain", "makes a Plain"),
        ("number", "is a int"),
        ("Flat", r"turns 2 inputs into \(2, 1, 4, 4\)"),
        ("Failing", "fails on inputs of shape"),
    ],
)
def test_what_is_no_backbone_is_refused(folder, name, message):
    with pytest.raises(NetworkError, match=message):
        build(name, folder)


def test_options_that_a_class_does_not_take_are_told(folder):
    with pytest.raises(NetworkError, match="unexpected keyword argument 'depth'"):
        build("Net", folder, depth=3)


def test_a_module_that_is_handed_over_is_copied():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 7))
    backbone = build_own(OWN, SHAPE, {}, given=net)
    assert backbone.features == 7
    assert torch.equal(backbone.body[1].weight, net[1].weight)
    assert backbone.body[1].weight is not net[1].weight
    with pytest.raises(NetworkError, match="width are given to a module that is made already"):
        build_own(OWN, SHAPE, {"width": 3}, given=net)


def test_a_class_is_called_with_options_and_the_shape_where_it_asks_for_it():
    backbone = build_own(OWN, SHAPE, {"scale": 2.5}, given=Shaped)
    assert backbone.features == 5 and backbone.body.scale == 2.5
    assert build_own(OWN, SHAPE, {}, given=lambda: Shaped((1, 4, 4))).features == 5


def test_a_module_that_is_not_handed_over_again_is_asked_for():
    with pytest.raises(NetworkError, match=r"groundkit.open_run\(FOLDER, networks="):
        build_own(OWN, SHAPE, {})
