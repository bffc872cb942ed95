"""Program, spec and data that do not fit each other are refused with place and remedy."""

import numpy as np
import pytest
import torch

from groundkit.errors import DataError, GroundkitError, ProgramError, SpecError


def test_drawn_examples_satisfy_the_goal(small):
    task = small()
    truth = task.examples[0].examples.truth
    assert (truth["net", "X"] + truth["net", "Y"] == truth["net", "Z"]).all()
    labels = task.examples[0].examples.banks["net"].labels
    assert (labels[task.examples[0].examples.images["X"]] == truth["net", "X"]).all()
    assert len(np.unique(truth["net", "Z"])) == 5


def test_observed_symbols_find_their_answer(small):
    task = small('query.goal="sum(X, Y, Z)"', 'examples.images=["X","Y"]')
    truth = task.examples[0].examples.truth
    assert [int(z) for z in task.examples[0].examples.symbols["Z"]] == (
        truth["net", "X"] + truth["net", "Y"]
    ).tolist()
    rows = task.examples[0].answers
    assert [task.goals[0].reasoner.answers[r][0] for r in rows] == list(
        task.examples[0].examples.symbols["Z"]
    )


def test_draw_seed_decides_the_examples(small):
    same, other = (task.examples[0].examples for task in (small(), small("examples.seed=1")))
    assert (small().examples[0].examples.images["X"] == same.images["X"]).all()
    assert (other.images["X"] != same.images["X"]).any()


def test_pool_is_all_training_images_or_those_of_the_examples(small):
    assert len(small().pool("net")) > len(small("examples.pool=false").pool("net"))
    used = np.unique(np.concatenate(list(small().examples[0].examples.images.values())))
    assert len(small("examples.pool=false").pool("net")) == len(used)


def test_an_observed_network_reads_symbols(small):
    text = (
        "nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).\n"
        "nn(given, [X], Y, [0,1,2,3,4]) :: given(X, Y).\n"
        "add(X, Y, Z) :- digit(X, A), digit(Y, B), given(Z, C), C is A+B.\n"
    )
    (small.folder / "add.pl").write_text(text)
    task = small('examples.images=["X","Y"]', 'networks.given.backbone="observed"')
    assert task.goals[0].roles.given == {"Z": "given"}
    truth = task.examples[0].examples.truth
    assert [int(z) for z in task.examples[0].examples.symbols["Z"]] == (
        truth["net", "X"] + truth["net", "Y"]
    ).tolist()
    rows = task.examples[0].observed_log_probs()["given"]
    assert rows.exp().sum(-1).allclose(torch.ones(len(rows), 1))
    hot = rows.argmax(-1)[:, 0].tolist()
    assert hot == (truth["net", "X"] + truth["net", "Y"]).tolist()


@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        (('query.goal="ad(X,Y,Z)"',), ProgramError, "add/3"),
        (('query.goal="add(X,Y"',), ProgramError, "cannot be parsed"),
        (('query.goal="impossible(X)"', 'examples.images=["X"]'), ProgramError, "impossible"),
        (('examples.images=["X","W"]',), SpecError, "'W' is not in the goal"),
        (("examples.images=[]",), SpecError, "no variable of the goal"),
        (('networks.nett.backbone="mlp"',), SpecError, "did you mean 'net'"),
        (('examples.data="digits9"',), DataError, "did you mean 'digits8'"),
        (('examples.data="moons"',), DataError, "has no such class"),
        (
            ("networks.net.perception.prior_probabilities=[0.5,0.5]",),
            SpecError,
            "one for each of the 5 symbols",
        ),
    ],
)
def test_what_does_not_fit_is_refused(small, settings, kind, said):
    with pytest.raises(GroundkitError) as caught:
        _ = small(*settings).examples
    assert isinstance(caught.value, kind)
    assert caught.value.exit_code == 2
    assert said in str(caught.value)


def test_a_program_without_networks_is_refused(small):
    (small.folder / "add.pl").write_text("0.5::a.\nadd(_,_,_) :- a.\n")
    with pytest.raises(SpecError, match=r"no network 'net'|no neural predicate"):
        small()
