"""Rows and sequences as arrays, and arrays that are no examples."""

import pickle

import numpy as np
import pytest

import groundkit
from groundkit import Grounder, SymbolPerception
from groundkit.errors import DataError, GroundkitError, SpecError
from groundkit.estimators.arrays import draw_seed
from groundkit.perception.settings import SamplerSpec

PROGRAM = """nn(net, [X], Y, [0,1]) :: kind(X, Y).
pair(X, Y, Z) :- kind(X, A), kind(Y, B), Z is A+B.
total([], 0).
total([X|Xs], N) :- kind(X, A), total(Xs, M), N is A+M.
"""
SPEC = """[query]
goal = "GOAL"
[examples]
inputs = INPUTS
[networks.net]
backbone = "mlp"
[train]
epochs = 1
min_steps = 2
cluster_steps = 2
reground_every = 2
"""
RNG = np.random.default_rng(0)
KINDS = RNG.integers(0, 2, (2, 12))
ROWS = KINDS[..., None] * 3.0 + RNG.normal(size=(2, 12, 2))
SUMS = KINDS.sum(0)


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "pair.pl").write_text(PROGRAM)
    spec = SPEC.replace("GOAL", "pair(X, Y, Z)").replace("INPUTS", '["X", "Y"]')
    (tmp_path / "pair.toml").write_text(spec)
    return Grounder(tmp_path / "pair.pl", device="cpu")


def test_rows_as_arrays_as_lists_and_one_by_one_are_the_same_examples(pair, tmp_path):
    columns = {"X": ROWS[0], "Y": ROWS[1], "Z": SUMS}
    forms = [
        columns,
        {name: values.tolist() for name, values in columns.items()},
        list(zip(*columns.values(), strict=True)),
    ]
    found = [pair.fit(form).predict_proba(ROWS[0]) for form in forms]
    assert found[0].shape == (12, 2) and all((one == found[0]).all() for one in found)
    again = pickle.loads(pickle.dumps(pair))
    assert (again.predict_proba(ROWS[0]) == found[0]).all()
    missing = np.where(ROWS[0] > 3, np.nan, ROWS[0])
    assert np.isfinite(pair.fit(columns | {"X": missing}).query_proba(columns)).all()
    pair.save(tmp_path / "run")
    session = groundkit.open_run(tmp_path / "run", device="cpu")
    with pytest.raises(GroundkitError, match="handed over in Python"):
        _ = session.task
    assert "not worked out" in str(groundkit.suggest(tmp_path / "run", device="cpu"))
    (tmp_path / "file").touch()
    with pytest.raises(GroundkitError, match="cannot be written"):
        pair.save(tmp_path / "file")


def test_three_axes_are_sequences_for_backbones_that_read_them(pair):
    steps = RNG.normal(size=(12, 4, 2))
    pair.set_params(networks__net__backbone="gru")
    found = pair.fit({"X": steps, "Y": steps[::-1], "Z": [1] * 12})
    assert found.predict(steps).shape == (12,)
    ragged = [one[: 1 + place % 3] for place, one in enumerate(steps)]
    with pytest.raises(DataError, match=r"(?s)sequences of the shapes .* fill the end of shorter"):
        pair.fit({"X": ragged, "Y": steps, "Z": [1] * 12})


WRONG = {
    "single values": ({"X": ROWS[0, :, 0]}, r"X holds single values(?s:.*)X\[:, None\]"),
    "names of files": ({"X": ["a.png"] * 12}, r"X holds 'a.png'(?s:.*)read files into arrays"),
    "no values": ({"X": [None] * 12}, r"X holds None(?s:.*)read files into arrays"),
    "endless values": ({"X": ROWS[0] * np.inf}, "infinite or too large"),
    "one input twice, and what it cannot give": (
        {"Y": ROWS[0], "Z": [1] * 12}, "has no solution with Z = 1",
    ),
    "rows beside images": ({"Y": np.zeros((12, 4, 4))}, "the inputs have several shapes"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_rows_that_are_no_examples_are_refused(pair, case):
    change, words = WRONG[case]
    with pytest.raises(DataError, match=words):
        pair.fit({"X": ROWS[0], "Y": ROWS[1], "Z": SUMS} | change)


def test_questions_need_every_input_in_one_number(pair):
    pair.fit({"X": ROWS[0], "Y": ROWS[1], "Z": SUMS})
    for given, words in (
        ({"X": ROWS[0]}, "the variable 'Y' is missing"),
        ({"X": ROWS[0], "Y": ROWS[1, :5]}, "X 12, Y 5"),
        ({"X": ROWS[0, :0], "Y": ROWS[1, :0]}, "X 0, Y 0"),
    ):
        with pytest.raises(DataError, match=words):
            pair.query_proba(given)
    with pytest.raises(DataError, match="the variable 'Z' is missing"):
        pair.score({"X": ROWS[0], "Y": ROWS[1]})


def test_lists_that_are_all_empty_leave_a_network_without_input(tmp_path):
    (tmp_path / "list.pl").write_text(PROGRAM)
    spec = SPEC.replace("GOAL", "total(Xs, N)").replace("INPUTS", '["Xs"]')
    (tmp_path / "list.toml").write_text(spec)
    with pytest.raises(DataError, match="no example gives network 'net' an input"):
        Grounder(tmp_path / "list.pl").fit({"Xs": [[], []], "N": [0, 0]})


def test_settings_are_numbers_of_any_type_or_refused(pair):
    pair.set_params(train__min_steps=np.int64(3), networks__net__perception__prior=np.float64(1))
    assert pair.fit({"X": ROWS[0], "Y": ROWS[1], "Z": SUMS}).task_.spec.train.min_steps == 3
    pair.set_params(train__min_steps=None)
    with pytest.raises(
        SpecError, match=r"(?s)train.min_steps is a NoneType.*leave train.min_steps"
    ):
        pair.fit({"X": ROWS[0], "Y": ROWS[1], "Z": SUMS})


IMAGES = RNG.integers(0, 256, (12, 4, 4), dtype=np.uint8)
UNFIT = {
    "no whole number of symbols": ({"n_symbols": 2.5}, IMAGES, "n_symbols = 2.5"),
    "one symbol": ({"n_symbols": 1}, IMAGES, "a whole number from 2"),
    "shares of other symbols": ({"prior_probabilities": [1.0]}, IMAGES, "has 1 share\n"),
    "a seed below 0": ({"random_state": -1}, IMAGES, "the seed -1"),
    "a device that is none": ({"device": "gpu"}, IMAGES, "unknown device 'gpu'"),
    "bytes of 0 and 1": ({}, IMAGES % 2, r"give images.astype\(bool\)"),
    "equal images": ({}, IMAGES * 0, "all 12 images are equal"),
    "a default of its own": ({"pool_batch": -1}, IMAGES, "leave it out for the default$"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_perception_cannot_be_fitted_to_is_refused(case):
    settings, images, words = UNFIT[case]
    model = SymbolPerception(**({"n_symbols": 2, "backbone": "mlp"} | settings))
    with pytest.raises(GroundkitError, match=words):
        model.fit(images)


def test_samples_are_asked_for_in_whole_numbers_of_a_model_that_has_them():
    quick = {"backbone": "mlp", "cluster_steps": 2, "min_steps": 2}
    fitted = SymbolPerception(2, **quick).fit(IMAGES)
    for wrong in ({"n_samples": 0}, {"n_samples": 1.5}, {"symbol": 2}, {"symbol": 0.5}):
        with pytest.raises(DataError):
            fitted.sample(**wrong)
    assert fitted.sample(np.int64(2), symbol=np.int64(1)).shape == (2, 1, 4, 4)
    with pytest.raises(DataError, match="without the generative term"):
        SymbolPerception(2, generative=0.0, **quick).fit(IMAGES).sample()


@pytest.mark.parametrize("source", [None, np.uint8(3), np.random.RandomState(0), True])
def test_every_source_of_randomness_gives_a_seed(source):
    assert 0 <= draw_seed(source) < 2**32


def test_a_small_buffer_holds_all_chains():
    assert SamplerSpec(buffer=4).batch == 4 and SamplerSpec(buffer=500).batch == 64
    with pytest.raises(SpecError, match="a batch of 8 chains needs a buffer of as many"):
        SamplerSpec(buffer=4, batch=8)
