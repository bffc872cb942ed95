"""What scikit-learn asks of estimators: its own checks, clones and searches."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from groundkit.errors import DataError
from groundkit.estimators.symbol_perception import SymbolPerception

QUICK = {
    "backbone": "mlp",
    "options": {"width": 8, "features": 4},
    "cluster_steps": 3,
    "min_steps": 3,
    "pool_batch": 8,
    "cluster_batch": 8,
    "generative": 0.0,
}
INAPPLICABLE: dict[str, str] = {}
"""Checks that are expected to fail, each with its reason: none is."""


def test_all_of_scikit_learn_s_checks_pass():
    found = check_estimator(
        SymbolPerception(3, **QUICK),
        on_skip=None,
        on_fail=None,
        expected_failed_checks=INAPPLICABLE,
    )
    failed = {one["check_name"]: repr(one["exception"]) for one in found if "fail" in one["status"]}
    assert failed == {}
    skipped = {one["check_name"] for one in found if one["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}  # runs where SCIPY_ARRAY_API is set
    assert len(found) > 45


def test_a_search_over_perception_needs_no_label():
    rows, truth = make_blobs(90, centers=3, cluster_std=0.3, random_state=0)
    model = SymbolPerception(3, **QUICK | {"cluster_steps": 60, "assignment_fades": False})
    search = GridSearchCV(model, {"min_steps": [1, 60], "random_state": [0]}, cv=2).fit(rows)
    assert search.best_params_["min_steps"] == 60
    assert 0 < search.best_score_ <= np.log(3)
    by_labels = GridSearchCV(
        model, {"min_steps": [1]}, cv=2, scoring="normalized_mutual_info_score"
    )
    assert by_labels.fit(rows, truth).best_score_ > 0.5


@pytest.mark.parametrize("seed", [np.random.default_rng(0), np.random.RandomState(0), None])
def test_a_source_of_seeds_gives_another_one_at_every_fit(seed):
    rows = make_blobs(30, random_state=0)[0]
    model = SymbolPerception(3, **QUICK, random_state=seed)
    first, second = (clone(model).set_params(random_state=seed).fit(rows) for _ in range(2))
    assert not np.array_equal(first.predict_proba(rows), second.predict_proba(rows))


def test_equal_sources_of_seeds_give_equal_models():
    rows = make_blobs(30, random_state=0)[0]
    first, second = (
        SymbolPerception(3, **QUICK, random_state=np.random.default_rng(5)).fit(rows)
        for _ in range(2)
    )
    assert np.array_equal(first.predict_proba(rows), second.predict_proba(rows))


def test_the_score_is_the_information_of_the_symbols():
    rows = make_blobs(30, random_state=0)[0]
    model = SymbolPerception(3, **QUICK).fit(rows)
    p = model.predict_proba(rows).astype(float)

    def entropy(q):
        return -(q * np.log(q)).sum(-1)

    assert model.score(rows) == pytest.approx(entropy(p.mean(0)) - entropy(p).mean(), abs=1e-5)


def test_rows_may_have_any_scale_and_are_generated_in_it():
    rows = make_blobs(60, centers=3, random_state=0)[0] * [1, 1000] + [5, -300]
    model = SymbolPerception(3, **QUICK | {"generative": 0.2}).fit(rows)
    made = model.sample(20)
    assert made.shape == (20, 2)
    assert (made >= rows.min(0) - 1e-2).all() and (made <= rows.max(0) + 1e-2).all()
    as_images = clone(model).fit(rows[:, None, None, :])
    assert np.array_equal(as_images.predict_proba(rows), model.predict_proba(rows))
    assert model.transform(rows).shape == (60, 4)
    assert model.get_feature_names_out().tolist()[0] == "symbolperception0"


def test_a_table_s_columns_are_remembered():
    pandas = pytest.importorskip("pandas", reason="no pandas")
    rows = pandas.DataFrame(make_blobs(30, random_state=0)[0], columns=["wide", "tall"])
    model = SymbolPerception(3, **QUICK).fit(rows)
    assert model.feature_names_in_.tolist() == ["wide", "tall"]
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(rows[["tall", "wide"]])


@pytest.mark.parametrize(
    ("images", "remedy"),
    [
        (np.linspace(-1, 1, 90).reshape(10, 3, 3), r"give \(images \+ 1\) / 2 if -1 is black"),
        (np.linspace(0, 255, 90).reshape(10, 3, 3), r"give images / 255"),
        (np.linspace(0, 16, 90).reshape(10, 3, 3), "give images / 16"),
        (np.arange(90).reshape(10, 3, 3), r"give images.astype\(numpy.uint8\)"),
        (np.full((10, 3, 3), np.nan), "leave out those images"),
    ],
)
def test_images_of_another_range_are_refused_with_what_brings_them_into_it(images, remedy):
    with pytest.raises(DataError, match=remedy):
        SymbolPerception(3, **QUICK).fit(images)


def test_a_dark_image_is_as_dark_alone_as_among_others():
    images = np.random.default_rng(0).random((12, 4, 4))
    images[3] *= 0.05
    for given in (images, np.round(images * 255).astype(np.uint8)):
        model = SymbolPerception(3, **QUICK).fit(given)
        alone, among = model.score_samples(given[3:4]), model.score_samples(given)[3:4]
        assert alone == pytest.approx(among, abs=1e-5)


def test_a_model_of_images_reads_no_rows():
    model = SymbolPerception(3, **QUICK).fit(np.random.default_rng(0).random((12, 4, 4)))
    with pytest.raises(DataError, match="expected: images"):
        model.predict(np.zeros((2, 16)))
