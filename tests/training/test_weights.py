"""Weights come back as they were saved, or are refused; nothing half-written is ever read."""

import json

import pytest
import torch
from torch import nn

from groundkit.errors import CheckpointError
from groundkit.training.weights import load_weights, read_manifest, rewrite_facts, save_weights


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


@pytest.fixture
def saved(tmp_path):
    save_weights(tmp_path, {"net": net(0)}, {"seed": 5})
    return tmp_path


def test_weights_and_facts_come_back(saved):
    other = net(1)
    load_weights(saved, {"net": other})
    for mine, theirs in zip(other.parameters(), net(0).parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert read_manifest(saved)["facts"] == {"seed": 5}


@pytest.mark.parametrize("damage", [lambda b: b[:-3], lambda b: b[:-1] + b"x", lambda _: b""])
def test_damaged_weights_are_refused(saved, damage):
    path = saved / "net.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="hash differs"):
        load_weights(saved, {"net": net(0)})


def test_missing_weights_and_missing_checkpoints_are_named(saved, tmp_path):
    (saved / "net.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_weights(saved, {"net": net(0)})
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "files": 3}'])
def test_damaged_manifests_are_refused(saved, text):
    (saved / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError):
        read_manifest(saved)


def test_other_formats_are_refused_by_name(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        read_manifest(saved)


def test_weights_of_another_network_are_refused(saved):
    with pytest.raises(CheckpointError, match="does not fit network 'net'"):
        load_weights(saved, {"net": nn.Linear(2, 2)})


def test_names_of_networks_cannot_leave_the_folder(tmp_path):
    save_weights(tmp_path / "c", {"../evil": net(0)}, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c"]
    load_weights(tmp_path / "c", {"../evil": net(1)})


def test_facts_are_replaced_and_weights_stay(saved):
    before = read_manifest(saved)
    rewrite_facts(saved, {"seed": 7})
    after = read_manifest(saved)
    assert after["facts"] == {"seed": 7} and after["files"] == before["files"]
    load_weights(saved, {"net": net(1)})
