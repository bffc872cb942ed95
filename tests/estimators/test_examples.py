"""Examples in every form: columns, DataFrames, data sets, loaders; and what scikit-learn does."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import groundkit
from groundkit.errors import DataError, NetworkError, SpecError
from groundkit.estimators.grounder import Grounder
from groundkit.perception.history import StepRow
from tests.estimators.test_grounder import SMALL

QUICK = {"train__cluster_steps": 4, "train__min_steps": 4, "train__batch": 16}


class Pairs(Dataset):
    """Pairs of digits with their sum."""

    def __init__(self, as_tuples=False):
        data = load_digits(n_class=5)
        self.images = torch.as_tensor(data.images / 16).float().unsqueeze(1)
        self.labels = torch.as_tensor(data.target)
        self.places = torch.randint(600, (60, 2), generator=torch.Generator().manual_seed(0))
        self.as_tuples = as_tuples

    def __len__(self):
        return len(self.places)

    def __getitem__(self, number):
        x, y = self.places[number]
        found = {"X": self.images[x], "Y": self.images[y], "Z": self.labels[x] + self.labels[y]}
        return tuple(found.values()) if self.as_tuples else found


class Stream(IterableDataset):
    """The same without a length."""

    def __iter__(self):
        pairs = Pairs()
        return (pairs[number] for number in range(len(pairs)))


def columns():
    pairs = Pairs()
    x, y = pairs.places.T
    sums = pairs.labels[x] + pairs.labels[y]
    return {"X": pairs.images[x], "Y": pairs.images[y].numpy(), "Z": sums}


def frame():
    pandas = pytest.importorskip("pandas", reason="no pandas")
    given = columns()
    return pandas.DataFrame({"X": [*given["X"].numpy()], "Y": [*given["Y"]], "Z": given["Z"]})


FORMS = {
    "frame": frame,
    "data set": Pairs,
    "tuples": lambda: Pairs(as_tuples=True),
    "stream": Stream,
    "records": lambda: [Pairs()[number] for number in range(60)],
    "loader": lambda: DataLoader(Pairs(), batch_size=16),
    "loader of tuples": lambda: DataLoader(Pairs(as_tuples=True), batch_size=7),
    "collated": lambda: DataLoader(Pairs(), batch_size=16, collate_fn=groundkit.collate),
}


@pytest.fixture(scope="module")
def program(finished):
    return finished.parent / "sum.pl"


@pytest.fixture(scope="module")
def fitted(program):
    return Grounder(program, SMALL, device="cpu", **QUICK).fit(columns())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_examples_is_the_same_training(program, fitted, form):
    other = Grounder(program, SMALL, device="cpu", **QUICK).fit(FORMS[form]())
    images = Pairs().images[600:650]
    assert (other.predict_proba(images) == fitted.predict_proba(images)).all()
    assert other.score(FORMS[form]()) == pytest.approx(fitted.score(columns()))


@pytest.mark.parametrize(
    ("examples", "told"),
    [
        ([], "there is no example"),
        (3, "the examples are a int"),
        ([3], r"a mapping, or a tuple \(X, Y, Z\)"),
        ([(1, 2)], "an example has 2 values"),
        ([{"X": torch.zeros(1, 8, 8), "Z": 1}], "the variable 'Y' is missing"),
        ([{"X": torch.zeros(1, 8, 8)}, {"Y": 1}], "others do not"),
        ([{"X": torch.zeros(1, 8, 8)}, {"X": torch.zeros(1, 8, 9)}], "shapes 1x8x8, 1x8x9"),
    ],
)
def test_what_are_no_examples_is_refused(program, examples, told):
    with pytest.raises(DataError, match=told):
        Grounder(program, SMALL).fit(examples)


def test_lists_of_inputs_stay_apart_in_a_batch():
    one, two = torch.zeros(1, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    batch = groundkit.collate([{"Xs": one, "N": 3}, {"Xs": two, "N": 4}])
    assert [len(images) for images in batch["Xs"]] == [1, 2] and batch["N"] == [3, 4]
    assert groundkit.collate([{"Xs": [one[0]]}, {"Xs": [two[0]]}])["Xs"][1][0].shape == (1, 8, 8)


def test_settings_are_parameters_and_a_clone_has_all_of_them(program):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
    first = Grounder(program, SMALL, networks={"net": net}, seed=np.int64(3), train__epochs=2)
    params = first.get_params()
    assert params["train__epochs"] == 2 and params["networks"] == {"net": net}
    second = clone(first)
    assert second.get_params()["train__epochs"] == 2
    assert second.networks["net"] is not net
    second.set_params(train__epochs=5, seed=1)
    assert (second.settings["train__epochs"], second.seed) == (5, 1)
    assert first.settings["train__epochs"] == 2
    with pytest.raises(SpecError, match="did you mean 'seed'"):
        first.set_params(sed=3)


def test_a_search_finds_the_settings_that_explain_examples_best(program):
    examples = frame()
    grounder = Grounder(program, SMALL, device="cpu", **QUICK)
    search = GridSearchCV(grounder, {"train__min_steps": [1, 100]}, cv=2).fit(examples)
    assert search.best_params_ == {"train__min_steps": 100}
    assert search.best_score_ < 0
    assert search.best_estimator_.classes_.tolist() == list("01234")


def test_an_own_module_is_trained_as_a_copy_from_where_it_stands(program):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.SiLU())
    before = net[1].weight.clone()
    grounder = Grounder(program, SMALL, networks={"net": net}, device="cpu", **QUICK)
    images = Pairs().images[600:650]
    first = grounder.fit(columns()).predict_proba(images)
    assert torch.equal(net[1].weight, before)
    trained = grounder.networks_["net"].backbone.body[1].weight
    assert trained.shape == (12, 64) and not torch.equal(trained, before)
    assert (grounder.fit(columns()).predict_proba(images) == first).all()
    with pytest.raises(SpecError, match="did you mean 'net'"):
        Grounder(program, SMALL, networks={"nett": net}).fit(columns())


def test_an_own_class_takes_options_of_the_spec(program):
    def make(image_shape, sizes):
        return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] ** 2, sizes[-1]))

    given = {"networks__net__options__sizes": [3, 9]}
    grounder = Grounder(program, SMALL, networks={"net": make}, device="cpu", **QUICK, **given)
    grounder.fit(columns())
    assert grounder.networks_["net"].backbone.features == 9


def test_own_optimisers_and_schedulers_train(program):
    made = []

    def cosine(optimiser, steps):
        made.append((type(optimiser), steps))
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    sgd = partial(torch.optim.SGD, lr=0.01, momentum=0.9)
    rates = []
    for scheduler in (None, cosine):
        grounder = Grounder(
            program, SMALL, device="cpu", optimiser=sgd, scheduler=scheduler,
            **QUICK | {"train__min_steps": 20},
        )  # fmt: skip
        grounder.fit(columns())
        rates += [row.learning_rate for row in grounder.history_ if isinstance(row, StepRow)]
    assert made == [(torch.optim.SGD, 20), (torch.optim.SGD, 4)]
    assert rates[0] == 0.01 and 0 <= rates[1] < 0.001


def test_what_is_no_optimiser_is_refused(program):
    for given in (
        {"optimiser": lambda parameters: 3},
        {"scheduler": lambda optimiser, steps: 3},
        {"scheduler": lambda o, _: torch.optim.lr_scheduler.ReduceLROnPlateau(o)},
    ):
        with pytest.raises(NetworkError, match=r"for instance (functools|lambda)"):
            Grounder(program, SMALL, device="cpu", **given, **QUICK).fit(columns())


def test_what_was_learnt_is_saved_and_loaded(program, fitted, tmp_path):
    folder = fitted.save(tmp_path / "kept")
    loaded = Grounder.load(folder, device="cpu")
    images = Pairs().images[600:650]
    assert (loaded.predict_proba(images) == fitted.predict_proba(images)).all()
    assert loaded.score(columns()) == pytest.approx(fitted.score(columns()))
    assert loaded.classes_.tolist() == fitted.classes_.tolist() and "loaded" in repr(loaded)
    assert groundkit.open_run(folder).networks == ("net",)
    with pytest.raises(SpecError, match="holds a run already"):
        fitted.save(folder)
    with pytest.raises(SpecError, match="copy that folder"):
        loaded.save(tmp_path / "again")


def test_a_run_s_folder_is_loaded(finished):
    loaded = Grounder.load(finished, device="cpu")
    assert loaded.predict(Pairs().images[:5]).shape == (5,)
    assert loaded.query_proba({"X": Pairs().images[:3], "Y": Pairs().images[:3]}).shape == (3, 9)
