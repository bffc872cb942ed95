"""Any number of images, any seed and any shape: trained, or refused in one message."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundkit.errors import DataError, SpecError
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.perception.history import StepRow
from groundkit.perception.settings import SamplerSpec

QUICK = {"backbone": "mlp", "cluster_steps": 1, "pool_batch": 8, "cluster_batch": 8}


def images(count, height=8, width=8, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, channels, height, width)).astype(np.float32)


def model(symbols=3, steps=2, **given):
    sampler = SamplerSpec(steps=1)
    return SymbolPerception(symbols, min_steps=steps, sampler=sampler, **(QUICK | given))


@given(st.integers(3, 20), st.integers(4, 20), st.integers(4, 20), st.sampled_from([1, 3]))
@settings(max_examples=8, deadline=None)
def test_few_images_of_any_shape(count, height, width, channels):
    x = images(count, height, width, channels)
    assert model().fit(x).sample(2).shape == (2, channels, height, width)


def test_fewer_images_than_symbols_are_refused():
    with pytest.raises(DataError, match="2 images"):
        model().fit(images(2))


@pytest.mark.parametrize("seed", [None, 3, np.int64(3), np.uint8(3), np.random.RandomState(3)])
def test_a_seed_is_whatever_scikit_learn_takes(seed):
    assert model(random_state=seed).fit(images(9)).labels_.shape == (9,)


def test_seeds_of_any_whole_kind_are_the_same_seed():
    one, other = (model(random_state=s).fit(images(9)) for s in (3, np.int64(3)))
    assert (one.predict_proba(images(9)) == other.predict_proba(images(9))).all()


@pytest.mark.parametrize("name", ["pool_batch", "cluster_batch"])
def test_an_empty_batch_is_refused(name):
    with pytest.raises(SpecError, match=name):
        model(**{name: 0}).fit(images(9))


def test_a_buffer_smaller_than_a_batch_lowers_the_number_of_chains():
    assert SamplerSpec(buffer=3).batch == 3


@pytest.mark.parametrize("steps", [1, 3, 7, 20])
def test_the_generative_term_joins_training_of_any_length(steps, monkeypatch):
    monkeypatch.setattr("groundkit.perception.phases.REPORT_EVERY", 1)
    rows = model(steps=steps).fit(images(9)).history_
    assert any("generative" in row.terms for row in rows if isinstance(row, StepRow))


def test_the_buffer_is_not_filled_beyond_the_data(monkeypatch):
    made = []
    from groundkit.perception import learner
    from groundkit.perception.langevin import ReplayBuffer

    class Spy(ReplayBuffer):
        def __init__(self, *given, **rest):
            super().__init__(*given, **rest)
            made.append(len(self.images))

    monkeypatch.setattr(learner, "ReplayBuffer", Spy)
    model().fit(images(12))
    assert made == [12]
