import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.metrics import normalized_mutual_info_score

from groundkit.errors import DataError, NetworkError, SpecError
from groundkit.estimators.symbol_perception import SymbolPerception
from groundkit.perception.settings import SamplerSpec


@pytest.fixture(scope="module")
def shapes():
    """Noisy images of a bar, a ring and a filled square, and which is which."""
    axis = np.arange(12) - 5.5
    x, y = np.meshgrid(axis, axis)
    ring = np.abs(np.hypot(x, y) - 3.5) < 1
    square = np.maximum(abs(x), abs(y)) < 2.5
    kinds = np.stack([np.abs(x) < 1.5, ring, square]).astype(np.float32)
    truth = np.arange(300) % 3
    noise = 0.2 * np.random.default_rng(0).normal(size=(300, 12, 12))
    return np.clip(kinds[truth] + noise / 2, 0, 1), truth


def small(**settings):
    defaults = {
        "n_symbols": 3,
        "options": {"width": 8, "features": 16},
        "cluster_steps": 30,
        "min_steps": 40,
        "pool_batch": 64,
        "cluster_batch": 64,
    }
    return SymbolPerception(**(defaults | settings))


@pytest.fixture(scope="module")
def fitted(shapes):
    return small().fit(shapes[0])


def test_clusters_are_found_without_labels(fitted, shapes):
    images, truth = shapes
    assert normalized_mutual_info_score(truth, fitted.labels_) > 0.9
    assert np.array_equal(fitted.predict(images), fitted.labels_)
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (300, 3)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)


def test_data_scores_higher_than_noise(fitted, shapes):
    noise = np.random.default_rng(1).random(size=(300, 12, 12))
    assert np.median(fitted.score_samples(shapes[0])) > np.quantile(
        fitted.score_samples(noise), 0.95
    )


def test_samples_of_a_symbol_are_that_symbol(fitted):
    for symbol in range(3):
        samples = fitted.sample(20, symbol=symbol)
        assert samples.shape == (20, 1, 12, 12)
        assert np.mean(fitted.predict(samples) == symbol) > 0.9


def test_the_same_seed_gives_the_same_model_and_another_seed_another(fitted, shapes):
    short = small(cluster_steps=2, min_steps=5)
    first = clone(short).fit(shapes[0]).predict_proba(shapes[0])
    assert np.array_equal(first, clone(short).fit(shapes[0]).predict_proba(shapes[0]))
    other = clone(short).set_params(random_state=1).fit(shapes[0]).predict_proba(shapes[0])
    assert not np.array_equal(first, other)


def test_the_history_tells_both_phases_and_the_health(fitted):
    assert [row.phase for row in fitted.history_] == ["cluster"] * 30 + ["joint"] * 2
    assert fitted.history_[-1].health["net"].effective_symbols > 2
    assert fitted.n_rollbacks_ == 0


def test_points_are_taken_as_images_of_one_row():
    points = np.random.default_rng(0).normal(size=(60, 2))
    model = small(n_symbols=2, backbone="mlp", augmentation="none", cluster_steps=1, min_steps=1)
    assert model.fit_predict(points).shape == (60,)
    assert model.sample(4).shape == (4, 2)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((20, 2, 2)) + 3, np.full((20, 2), np.nan), np.zeros(20), np.zeros((2, 6, 6))],
    ids=["range", "nan", "shape", "fewer than symbols"],
)
def test_wrong_images_are_refused(bad):
    with pytest.raises(DataError):
        small(backbone="mlp").fit(bad)


def test_wrong_settings_are_refused_with_the_nearest_name(shapes):
    with pytest.raises(SpecError, match="did you mean 'digits'"):
        small(augmentation="digit").fit(shapes[0])
    with pytest.raises(NetworkError, match="did you mean 'convnet'"):
        small(backbone="convnett").fit(shapes[0])


def test_an_unfitted_model_and_images_of_another_shape_are_refused(fitted):
    with pytest.raises(NotFittedError):
        small().predict(np.zeros((2, 12, 12)))
    with pytest.raises(DataError, match="images of shape"):
        fitted.predict(np.zeros((2, 10, 10)))
    with pytest.raises(DataError, match="symbol 3"):
        fitted.sample(symbol=3)


def test_two_moons_are_told_apart():
    """Invariance and prior alone would cut them by a line."""
    points, truth = make_moons(400, noise=0.05, random_state=0)
    model = SymbolPerception(
        2,
        backbone="mlp",
        options={"width": 64, "features": 16},
        augmentation="points",
        cluster_steps=300,
        min_steps=300,
        pool_batch=64,
        cluster_batch=64,
        generative=0,
        contrastive=0,
        assignment=10,
        assignment_fades=False,
    )
    assert normalized_mutual_info_score(truth, model.fit_predict(points)) > 0.8


def test_the_generative_term_needs_no_sampler(shapes):
    found = small(sampler=SamplerSpec(kind="energy-discrepancy")).fit(shapes[0])
    noise = np.random.default_rng(1).random(size=(300, 12, 12))
    assert np.median(found.score_samples(shapes[0])) > np.quantile(found.score_samples(noise), 0.95)
    assert np.mean(found.predict(found.sample(20, symbol=1)) == 1) > 0.9
