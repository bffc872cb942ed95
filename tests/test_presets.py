"""Presets: each key is labelled, fits the spec, and what is given beside it wins."""

import pytest

from groundkit.data.sources import CARDS
from groundkit.errors import SpecError
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.perception.backbones import build_backbone
from groundkit.presets import ORIGINS, load_preset, preset_names
from groundkit.task.spec import NetworkSpec, TrainSpec, parse_spec

NAMES = ["cifar10", "cifar100", "circles", "digits8", "fashion-mnist", "mnist5k", "moons", "svhn"]


def dotted(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict) and key != "options":
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_there_is_a_preset_for_each_data_set_of_the_benchmarks():
    assert preset_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_labelled_and_known_to_the_spec(name):
    preset = load_preset(name)
    assert preset.data in CARDS and preset.name == name
    keys = {"data", "symbols", *dotted(preset.network, "network."), *dotted(preset.train, "train.")}
    assert set(preset.origins) == keys
    assert set(preset.origins.values()) <= set(ORIGINS)
    network = NetworkSpec(preset=name)
    TrainSpec(preset=name)
    shape = (3, 32, 32) if network.backbone == "resnet8" else (1, 1, 2)
    build_backbone(network.backbone, shape, **network.options)


def test_keys_of_the_spec_win_over_the_preset():
    spec = parse_spec(
        """
        [networks.net]
        preset = "digits8"
        [networks.net.perception]
        prior = 3.0
        [networks.net.perception.sampler]
        steps = 7
        [train]
        preset = "digits8"
        cluster_batch = 32
        """
    )
    preset, net = load_preset("digits8"), spec.network("net")
    assert (net.perception.prior, net.perception.sampler.steps) == (3.0, 7)
    assert net.perception.sampler.every == preset.network["perception"]["sampler"]["every"]
    assert net.options == preset.network["options"]
    assert (spec.train.cluster_batch, spec.train.cluster_steps) == (
        32,
        preset.train["cluster_steps"],
    )
    assert parse_spec(spec.to_toml()) == spec


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(SpecError, match="unknown preset 'mnist4k'") as caught:
        parse_spec('[networks.net]\npreset = "mnist4k"')
    assert "mnist5k" in caught.value.remedy
    with pytest.raises(SpecError):
        SymbolPerception.from_preset("mnist")


def test_an_estimator_takes_its_settings_from_a_preset():
    estimator = SymbolPerception.from_preset("cifar100", device="cuda", prior=2.0)
    assert (estimator.n_symbols, estimator.options["width"]) == (100, 256)
    assert (estimator.prior, estimator.device) == (2.0, "cuda")
    assert estimator.sampler.buffer == 10000
