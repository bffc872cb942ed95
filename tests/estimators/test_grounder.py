"""The package's names, and ``Grounder`` on arrays."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

import groundkit
from groundkit.errors import DataError, SpecError
from groundkit.estimators.grounder import Grounder
from groundkit.training.callbacks import Callback
from groundkit.training.history import RenameRow, SplitRow

SMALL = {
    "examples": {"images": ["X", "Y"], "data": "digits8"},
    "query": {"goal": "sum(X, Y, Z)"},
    "networks": {"net": {"backbone": "mlp", "perception": {"augmentation": "none",
                                                           "generative": 0.0}}},
    "train": {"epochs": 1, "min_steps": 60, "cluster_steps": 30, "cluster_batch": 64},
}  # fmt: skip


@pytest.fixture(scope="module")
def digits5():
    data = load_digits(n_class=5)
    return (data.images / 16.0).astype(np.float32), data.target


@pytest.fixture(scope="module")
def pairs(digits5):
    images, labels = digits5
    first, second = np.random.default_rng(0).integers(600, size=(2, 200))
    sums = labels[first] + labels[second]
    return {"X": images[first], "Y": images[second], "Z": sums}


@pytest.fixture(scope="module")
def fitted(finished, pairs):
    grounder = Grounder(finished.parent / "sum.pl", SMALL, device="cpu", train__min_steps=80)
    return grounder.fit(pairs)


def test_importing_loads_no_torch_and_verbs_outlive_modules_of_their_name():
    code = (
        "import sys, groundkit\n"
        "assert 'torch' not in sys.modules\n"
        "import groundkit.runs.run, groundkit.evaluate.ood, groundkit.runs.explain\n"
        "assert all(callable(getattr(groundkit, n)) for n in groundkit.__all__ if n != 'errors')\n"
        "from groundkit.evaluate import ood; from groundkit.runs.run import History\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(groundkit.__all__) <= set(dir(groundkit))
    with pytest.raises(AttributeError, match="quary"):
        groundkit.quary  # noqa: B018


class Seen(Callback):
    """Keeps what it is told, and reads images meanwhile."""

    def __init__(self, grounder=None, images=None):
        self.grounder, self.images = grounder, images
        self.rows, self.predicted, self.metrics, self.ends = [], [], [], 0

    def on_step(self, row):
        self.rows.append(row)
        if self.grounder is not None:
            self.predicted.append(self.grounder.predict(self.images))

    def on_names(self, row):
        assert isinstance(row, RenameRow | SplitRow)
        self.on_step(row)

    def on_evaluate(self, metrics):
        self.metrics.append(metrics)

    def on_end(self):
        self.ends += 1


def test_training_is_told_as_it_goes(finished, pairs, digits5):
    images, labels = digits5
    grounder = Grounder(finished.parent / "sum.pl", SMALL, device="cpu")
    assert "not fitted" in repr(grounder)
    seen, later = Seen(grounder, images[600:]), np.random.default_rng(1).integers(600, 700, (2, 40))
    held_out = {"X": images[later[0]], "Y": images[later[1]], "Z": labels[later].sum(0)}
    grounder.fit(pairs, held_out=held_out, callbacks=[seen])
    assert seen.rows == grounder.history_
    assert any(isinstance(row, RenameRow) for row in seen.rows)
    assert (seen.predicted[-1] == grounder.predict(images[600:])).all()
    assert (seen.predicted[0] != seen.predicted[-1]).any()
    (metrics,) = seen.metrics
    assert metrics["query"]["nll"] == pytest.approx(-grounder.score(held_out))
    answers = np.array(grounder.answers())[grounder.query_proba(held_out).argmax(1), 0]
    assert metrics["query"]["accuracy"] == (answers == held_out["Z"].astype(str)).mean()
    assert seen.ends == 1
    assert "fitted on 200 examples; symbols of net: 0 1 2 3 4" in repr(grounder)


def test_a_callback_that_raises_ends_training_and_is_told_of_the_end(finished, pairs):
    class Angry(Seen):
        def on_step(self, row):
            raise KeyError("enough")

    angry = Angry()
    with pytest.raises(KeyError, match="enough"):
        Grounder(finished.parent / "sum.pl", SMALL, device="cpu").fit(pairs, callbacks=[angry])
    assert angry.ends == 1


@pytest.mark.parametrize("wrong", [print, Seen])
def test_what_is_no_callback_is_refused(finished, pairs, wrong):
    with pytest.raises(SpecError, match=r"instance of a subclass of groundkit\.Callback"):
        Grounder(finished.parent / "sum.pl", SMALL).fit(pairs, callbacks=[wrong])


def test_both_engines_make_the_same_steps(finished, pairs):
    few = {name: values[:20] for name, values in pairs.items()}
    short = {"train__cluster_steps": 0, "train__min_steps": 1, "train__batch": 4}
    terms = [
        Grounder(finished.parent / "sum.pl", SMALL, engine=engine, device="cpu", **short)
        .fit(few)
        .score(few)
        for engine in ("circuit", "deepproblog")
    ]
    assert terms[0] == pytest.approx(terms[1], rel=1e-6)


def test_data_sets_are_loaded_by_name():
    data = groundkit.load_data("digits8")
    assert data.train.pixels.shape[1:] == (1, 8, 8)
    assert data.classes == tuple("0123456789")
    foreign = groundkit.load_ood("noise", data.test, 20, seed=0)
    assert foreign.pixels.shape == (20, 1, 8, 8)


def test_symbols_are_grounded_by_sums_alone(fitted, digits5):
    images, labels = digits5
    predicted = fitted.predict(images[600:])
    assert (predicted == labels[600:].astype(str)).mean() > 0.8
    assert fitted.predict_proba(images[:3]).sum(1) == pytest.approx(1.0)
    assert fitted.symbols_["net"] == ("0", "1", "2", "3", "4")
    assert any(isinstance(row, RenameRow) for row in fitted.history_)


def test_queries_are_answered_and_scored(fitted, pairs):
    few = {name: values[:20] for name, values in pairs.items()}
    likelihood = fitted.query_proba(few)
    assert likelihood.sum(1) == pytest.approx(1.0)
    columns = [fitted.answers().index((str(z),)) for z in few["Z"]]
    expected = np.log(likelihood[np.arange(20), columns]).mean()
    assert fitted.score(few) == pytest.approx(expected)


def test_bytes_and_floats_are_read_alike(fitted, digits5):
    few = digits5[0][:5]
    as_bytes = np.round(few * 255).astype(np.uint8)
    assert fitted.score_samples(few) == pytest.approx(fitted.score_samples(as_bytes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"W": [1]}, "no variable 'W'"),
        ({"Z": [1, 2]}, "Z 2"),
        ({"X": np.zeros((200, 8))}, "the inputs have several shapes"),
        ({"X": np.full((200, 8, 8), 7.0)}, "7.0"),
        ({"X": np.full((200, 8, 8), -0.5)}, r"give \(images \+ 1\) / 2 if -1 is black"),
    ],
)
def test_wrong_examples_are_refused(finished, pairs, change, words):
    with pytest.raises(DataError, match=words):
        Grounder(finished.parent / "sum.pl", SMALL).fit({**pairs, **change})


def test_unfitted_and_wrong_settings_are_refused(finished, digits5):
    with pytest.raises(SpecError, match="not fitted"):
        Grounder(finished.parent / "sum.pl", SMALL).predict(digits5[0])
    with pytest.raises(SpecError, match="epoch"):
        Grounder(finished.parent / "sum.pl", SMALL, train__epoch=3).fit()
