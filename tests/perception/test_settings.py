"""Settings are written once: spec, presets, estimator and training take the same classes."""

import inspect
from typing import get_args

import pytest
import torch
from sklearn.base import clone

from groundkit.errors import SpecError
from groundkit.estimators.symbol_perception import (
    NETWORK_KEYS,
    PERCEPTION_KEYS,
    TRAIN_KEYS,
    SymbolPerception,
)
from groundkit.perception.augment import AUGMENTATIONS
from groundkit.perception.augment_rows import ROW_AUGMENTATIONS, SEQUENCE_AUGMENTATIONS
from groundkit.perception.settings import PerceptionSpec, SamplerSpec
from groundkit.presets import load_preset, preset_names
from groundkit.task.spec import NetworkSpec, TrainSpec
from groundkit.training.trainer import Trainer
from tests.loaded import load_task

OF_DATA = {"preset", "attribute", "data", "image_shape", "labels", "perception"} | {
    "encoder",
    "encoder_weights",
}
OF_THE_PROGRAM = {
    "preset",
    "batch",
    "clusters_per_symbol",
    "symbolic",
    "schedule",
    "schedule_steps",
    "reground",
    "reground_every",
    "checkpoint_every",
}
# Without a program it is the clusters that are wanted, training is short, and no other network
# reads the images.
OWN_DEFAULTS = {"contrastive", "assignment", "epochs", "min_steps", "pool_batch", "invariance"}


def test_the_estimator_has_every_key_of_the_spec_that_is_not_of_a_program():
    assert set(NETWORK_KEYS) == set(NetworkSpec.model_fields) - OF_DATA
    assert set(TRAIN_KEYS) == set(TrainSpec.model_fields) - OF_THE_PROGRAM
    own = {"n_symbols", "optimiser", "scheduler", "trust", "device", "random_state"}
    assert set(SymbolPerception().get_params()) == own.union(
        NETWORK_KEYS, PERCEPTION_KEYS, TRAIN_KEYS
    )


def test_the_estimator_s_defaults_are_the_spec_s_but_for_those_of_clustering_alone():
    parameters = inspect.signature(SymbolPerception).parameters
    sections = (NetworkSpec(), TrainSpec(), PerceptionSpec())
    differing = {
        key
        for keys, section in zip((NETWORK_KEYS, TRAIN_KEYS, PERCEPTION_KEYS), sections, strict=True)
        for key in keys
        if parameters[key].default not in (None, getattr(section, key))
    }
    assert differing == OWN_DEFAULTS
    plain = SymbolPerception()
    assert plain._network().perception.sampler == SamplerSpec()
    assert plain._network().options == NetworkSpec().options


def test_the_spec_names_the_augmentations_there_are():
    named = get_args(PerceptionSpec.model_fields["augmentation"].annotation)
    known = {*AUGMENTATIONS, *ROW_AUGMENTATIONS, *SEQUENCE_AUGMENTATIONS}
    assert set(named) == {*known, "auto"}


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_means_the_same_to_the_estimator_and_to_the_spec(name):
    estimator = clone(SymbolPerception.from_preset(name))
    network, train = NetworkSpec(preset=name), TrainSpec(preset=name)
    assert estimator.n_symbols == load_preset(name).symbols
    assert estimator._network() == network.model_copy(update={"preset": None})
    assert {key: getattr(estimator._train(), key) for key in TRAIN_KEYS} == {
        key: getattr(train, key) for key in TRAIN_KEYS
    }


def test_a_preset_is_one_training_by_spec_and_by_estimator(tmp_path):
    short = {"cluster_steps": 4, "min_steps": 24, "cluster_batch": 32, "pool_batch": 64}
    (tmp_path / "alone.pl").write_text("nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).\n")
    (tmp_path / "alone.toml").write_text(
        '[examples]\ndata = "digits8"\n[networks.net]\npreset = "digits8"\n'
        '[train]\npreset = "digits8"\n' + "".join(f"{k} = {v}\n" for k, v in short.items())
    )
    task, rows = load_task(tmp_path / "alone.pl"), []
    trainer = Trainer(task, torch.device("cpu"), 3, on_row=rows.append)
    trainer.train()
    estimator = SymbolPerception.from_preset("digits8", random_state=3, **short)
    estimator.fit(task.pool("net"))
    by_spec, by_estimator = trainer.learners["net"].model, estimator.model_
    for name, value in by_spec.state_dict().items():
        assert torch.equal(value, by_estimator.state_dict()[name]), name
    joint = [row for row in estimator.history_ if row.phase == "joint"]
    assert joint == [row for row in rows if row.phase == "joint"] and len(joint) == 1


@pytest.mark.parametrize(
    ("section", "wrong", "told"),
    [
        (SamplerSpec, {"kind": "langvin"}, "kind = 'langvin'"),
        (SamplerSpec, {"chains": 3}, "unknown key 'chains'"),
        (SamplerSpec, {"steps": 0}, "steps = 0"),
        (PerceptionSpec, {"sampler": {"noise": -1}}, "sampler.noise = -1"),
        (PerceptionSpec, {"prior_probabilities": [0.5, 0.6]}, "they sum to 1.1"),
        (PerceptionSpec, {"generative": float("nan")}, "generative = nan"),
        (NetworkSpec, {"perception": {"sampler": {"kind": "langvin"}}}, "sampler.kind = 'langvin'"),
        (TrainSpec, {"epochs": 0}, "epochs = 0"),
    ],
)
def test_a_value_that_no_training_can_have_is_refused_wherever_it_is_given(section, wrong, told):
    with pytest.raises(SpecError) as caught:
        section(**wrong)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"sampler": {"kind": "langvin"}}, "did you mean 'langevin'?"),
        ({"prior_convention": "maen"}, "did you mean 'mean'?"),
        ({"augmentation": "digit"}, "did you mean 'digits'?"),
    ],
)
def test_the_estimator_refuses_it_too_and_names_the_nearest(wrong, remedy):
    with pytest.raises(SpecError) as caught:
        SymbolPerception(2, backbone="mlp", **wrong).fit(torch.zeros(4, 2).numpy())
    assert remedy in caught.value.remedy
