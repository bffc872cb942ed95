"""Own networks in a run: named in the spec or handed over, and opened again."""

import numpy as np
import pytest
import torch
from torch import nn

from groundkit.errors import InputError, NetworkError
from groundkit.runs.check import check_program
from groundkit.runs.run import run
from groundkit.runs.session import open_run
from tests.trained import PROGRAM, SPEC, write_digit

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, image_shape, sizes, gain):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, sizes[0]), nn.SiLU())
        self.gain = gain
    def forward(self, x):
        return self.gain * self.body(x)
"""
SHORT = [
    "examples.count=20", "examples.held_out=10", "train.min_steps=4", "train.cluster_steps=4",
    "networks.net.perception.generative=0.0", "evaluate.ood=[]", "evaluate.samples=0",
]  # fmt: skip


@pytest.fixture
def program(tmp_path):
    (tmp_path / "sum.pl").write_text(PROGRAM)
    (tmp_path / "sum.toml").write_text(SPEC)
    (tmp_path / "nets.py").write_text(NET)
    write_digit(tmp_path / "3.png", 3)
    return tmp_path / "sum.pl"


def read(session, folder):
    return session.read([folder / "3.png"])[0].probabilities


def test_a_module_beside_the_program_takes_options_of_any_type_and_opens_from_elsewhere(
    program, tmp_path, monkeypatch
):
    own = ['networks.net.backbone="module:nets:Net"', "networks.net.options.sizes=[12]",
           "networks.net.options.gain=0.5"]  # fmt: skip
    found = check_program(program, settings=own, trust=True)
    assert found.to_dict()["networks"]["net"]["backbone"] == "module:nets:Net"
    folder = run(program, out=tmp_path / "run", settings=SHORT + own, trust=True).folder
    monkeypatch.chdir("/")
    session = open_run(folder, trust=True)
    assert session.spec.network("net").backbone == f"module:{tmp_path / 'nets.py'}:Net"
    assert session.spec.network("net").options == {"sizes": [12], "gain": 0.5}
    assert np.isclose(read(session, tmp_path).sum(), 1)
    with pytest.raises(NetworkError, match="--trust"):
        read(open_run(folder), tmp_path)


def test_a_module_that_is_handed_over_is_trained_and_handed_over_again(program, tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.SiLU())
    before = net[1].weight.clone()
    folder = run(program, out=tmp_path / "run", settings=SHORT, networks={"net": net}).folder
    assert torch.equal(net[1].weight, before)
    session = open_run(folder, networks={"net": net})
    assert not torch.equal(session.model("net").backbone.body[1].weight, before)
    assert np.isclose(read(session, tmp_path).sum(), 1)
    with pytest.raises(NetworkError, match="handed over in Python"):
        read(open_run(folder), tmp_path)
    with pytest.raises(NetworkError, match="did you mean 'net'"):
        open_run(folder, networks={"nett": net})


@pytest.mark.parametrize(
    ("networks", "told"),
    [({"nett": nn.Flatten()}, "did you mean 'net'"), ({"net": 3}, "network 'net' is a int")],
)
def test_what_is_no_network_of_the_program_is_refused(program, networks, told):
    with pytest.raises(InputError, match=told):
        run(program, settings=SHORT, networks=networks)
