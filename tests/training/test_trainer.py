"""Training adds up the terms, uses no label, and names symbols by the program."""

import dataclasses

import numpy as np
import pytest
import torch

from groundkit.data.images import ImageSet
from groundkit.errors import CheckpointError
from groundkit.perception.history import StepRow
from groundkit.training.history import RenameRow, SplitRow
from groundkit.training.name_updates import name_by_labels
from groundkit.training.trainer import Trainer

CPU = torch.device("cpu")


def train(task, seed=0):
    rows = []
    trainer = Trainer(task, CPU, seed, on_row=rows.append)
    trainer.train()
    return trainer, rows


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.learners["net"].model.parameters()])


def test_same_seed_same_weights_other_seed_others(small):
    first = weights(train(small())[0])
    assert torch.equal(first, weights(train(small())[0]))
    assert not torch.equal(first, weights(train(small(), seed=1)[0]))


def test_training_learns_nothing_from_labels(small):
    """Labels shuffled after the draw leave every weight as it is."""
    honest = small()
    shuffled = small()
    examples = shuffled.examples[0].examples
    rng = np.random.default_rng(0)
    bank = examples.banks["net"]
    examples.banks["net"] = ImageSet(
        bank.name, bank.pixels, rng.permutation(bank.labels), bank.classes
    )
    for values in examples.truth.values():
        rng.shuffle(values)
    assert torch.equal(weights(train(honest)[0]), weights(train(shuffled)[0]))


def test_history_has_terms_health_and_relabellings(small):
    trainer, rows = train(small("train.min_steps=40"))
    joint = [row for row in rows if isinstance(row, StepRow)]
    assert set(joint[0].terms) >= {"symbolic", "prior", "invariance", "generative"}
    assert joint[0].health["net"].effective_symbols > 1
    words = [row.words for row in rows if isinstance(row, RenameRow)]
    assert len(words) == len(trainer.relabellings) == 6
    assert all("log-likelihood" in text for text in words)


def test_switched_off_terms_are_absent(small):
    _, rows = train(
        small(
            "networks.net.perception.prior=0",
            "networks.net.perception.invariance=0",
            "networks.net.perception.generative=0",
            "train.reground=false",
        )
    )
    joint = [row for row in rows if isinstance(row, StepRow)]
    assert set(joint[0].terms) == {"symbolic"}
    assert not [row for row in rows if isinstance(row, RenameRow | SplitRow)]


def test_relabelling_moves_the_names(small):
    """Right clusters under wrong names come out right after one search."""
    task = small("train.cluster_steps=0", "examples.count=200")
    trainer = Trainer(task, CPU, 0)
    bank = task.banks(0)["net"]
    model = trainer.learners["net"].model
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    wrong = torch.from_numpy((bank.labels + 2) % 5)
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(model(bank.floats()), wrong)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    trainer._reground(0)
    predicted = trainer.learners["net"].log_probs(bank.pixels).argmax(1).numpy()
    assert trainer.relabellings[0][1].accepted
    assert (predicted == bank.labels).mean() > 0.95


def test_a_symbol_that_lost_its_cluster_gets_half_of_the_one_that_holds_it(small):
    task = small("train.cluster_steps=0", "examples.count=200", "train.min_steps=200")
    rows = []
    trainer = Trainer(task, CPU, 0, on_row=rows.append)
    learner, bank = trainer.learners["net"], task.banks(0)["net"]
    optimiser = torch.optim.Adam(learner.model.parameters(), 3e-3)
    merged = torch.from_numpy(np.minimum(bank.labels, 3))
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(learner.model(bank.floats()), merged)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (learner.log_probs(bank.pixels).argmax(1) != 4).all()
    trainer._reground(0)
    splits = [row for row in rows if isinstance(row, SplitRow)]
    assert [(row.network, row.symbol, row.of) for row in splits] == [("net", 4, 3)]
    trainer._join()
    predicted = learner.log_probs(bank.pixels).argmax(1).numpy()
    assert (predicted == bank.labels)[bank.labels == 4].mean() > 0.8


@pytest.mark.parametrize("setting", ["train.learning_rate=1e6", "train.cluster_learning_rate=1e6"])
def test_training_that_blows_up_ends_in_finite_weights_or_a_message(small, setting):
    from groundkit.errors import RunError

    try:
        trainer, _ = train(small(setting))
    except RunError as error:
        assert "learning_rate" in str(error)
    else:
        assert torch.isfinite(weights(trainer)).all()


def test_names_move_on_weak_evidence_early_and_on_clear_evidence_late(small):
    trainer = Trainer(small("train.min_steps=40"), CPU, 0)
    search, levels = trainer._namer._search, []

    def watched(*arguments, level, **options):
        levels.append(level)
        return search(*arguments, level=level, **options)

    trainer._namer._search = watched
    trainer.train()
    steps = [step for step, _ in trainer.relabellings]
    assert steps == [0, 5, 10, 20, 30, 40]
    assert levels == [0.5, 0.5, 0.5, 0.95, 0.95, 0.95]


@pytest.mark.parametrize("schedule", ["annealed", "clusters-first", "tempered"])
def test_schedules_change_what_is_learnt(small, schedule):
    plain = weights(train(small())[0])
    assert not torch.equal(plain, weights(train(small(f'train.schedule="{schedule}"'))[0]))


def labelled(small, *settings):
    """Trains without the search for names, on a goal that says nothing of them."""
    held = "networks.net.perception.assignment=1"
    switched_off = ("train.reground=false", "train.symbolic=0")
    task = small(*switched_off, held, "train.cluster_steps=40", *settings)
    trainer, rows = train(task)
    bank = task.banks(1)["net"]
    predicted = trainer.learners["net"].log_probs(bank.pixels).argmax(1).numpy()
    return [(predicted == bank.labels)[bank.labels == k].mean() for k in range(5)], rows


def test_a_label_of_each_symbol_names_the_clusters(small):
    recalls, rows = labelled(small, "networks.net.labels.per_symbol=1")
    assert np.mean(recalls) > 0.7
    assert "labels" in rows[-1].terms
    without, rows = labelled(small)
    assert np.mean(without) < 0.6
    assert "labels" not in rows[-1].terms


def test_labels_of_one_symbol_name_that_one(small):
    recalls, _ = labelled(
        small, "networks.net.labels.per_symbol=3", 'networks.net.labels.symbols=["3"]'
    )
    assert recalls[3] > 0.6


DIFFERENCE = """nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).
add(X, Y, Z) :- digit(X, A), digit(Y, B), Z is abs(A-B).
"""


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_choose_between_names_that_queries_cannot_tell_apart(small, seed):
    """|a-b| is blind to d -> 4-d; two labelled zeros are not."""
    (small.folder / "add.pl").write_text(DIFFERENCE)
    task = small(
        'examples.images=["X","Y"]',
        "examples.count=200",
        "train.cluster_steps=150",
        "train.min_steps=160",
        "networks.net.perception.generative=0",
        "networks.net.labels.per_symbol=2",
        'networks.net.labels.symbols=["0"]',
    )
    trainer, _ = train(task, seed)
    bank = task.banks(1)["net"]
    predicted = trainer.learners["net"].log_probs(bank.pixels).argmax(1).numpy()
    assert (predicted == bank.labels)[bank.labels != 2].mean() > 0.7


def test_labels_outweigh_a_renaming_that_queries_barely_favour(small):
    trainer = Trainer(small("networks.net.labels.per_symbol=2"), CPU, 0)
    trainer._embedding = trainer._embedding_phase("net")
    trainer.learners["net"].start_symbols()
    name_by_labels(trainer.learners, trainer.processes)
    trainer._reground(0)
    found = trainer.relabellings[0][1]
    moves = {"net": (1, 0, 2, 3, 4)}
    barely = dataclasses.replace(
        found, accepted=True, permutations=moves, after=found.before + 1e-4
    )
    assert not trainer._namer._by_labels(barely).accepted
    clearly = dataclasses.replace(barely, after=found.before + 100)
    assert trainer._namer._by_labels(clearly).accepted


def test_symbols_may_start_from_several_clusters_that_the_program_names(small):
    def start(*settings):
        trainer = Trainer(small("examples.count=300", "train.cluster_steps=40", *settings), CPU, 0)
        trainer._cluster(["net"])
        bank = trainer.task.banks(1)["net"]
        predicted = trainer.learners["net"].log_probs(bank.pixels).argmax(1).numpy()
        return trainer, (predicted == bank.labels).mean()

    observed_sum = ['query.goal="sum(X, Y, Z)"', 'examples.images=["X", "Y"]']
    trainer, finer = start("train.clusters_per_symbol=3", *observed_sum)
    assert finer > 0.8
    # All images called 0 satisfy the triplets, but that says nothing of the images.
    one = start("train.clusters_per_symbol=1")[1]
    assert start("train.clusters_per_symbol=3")[1] > one - 0.05
    assert start()[1] >= one  # by default the better of both
    assert torch.equal(
        trainer.learners["net"].clusters,
        trainer.learners["net"].log_probs(trainer.learners["net"].pool).argmax(1),
    )


def _without(part):
    return lambda state: state.pop(part)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without("joint"), "joint"),
        (lambda state: state["learners"].update(other=state["learners"]["net"]), "net, other"),
        (lambda state: state["learners"]["net"]["model"].clear(), "Missing key"),
        (lambda state: state.update(generator=torch.zeros(3)), "ByteTensor|dtype|state"),
        (lambda state: state.update(search={"bit_generator": "other"}), "state"),
    ],
)
def test_a_state_of_something_else_is_refused(small, spoil, told):
    state = Trainer(small(), CPU, 0).state_dict()
    spoil(state)
    with pytest.raises(CheckpointError, match=told) as error:
        Trainer(small(), CPU, 0).load_state_dict(state)
    assert error.value.remedy


def test_the_steps_are_told_by_what_they_consist_of(small):
    trainer = Trainer(small("train.cluster_steps=1200"), CPU, 0)
    joint = trainer.joint_steps
    words = f"{1200 + joint:,} steps: 1,200 of clustering net, {joint:,} of joint training"
    assert trainer.steps_in_words == words
    alone = Trainer(small("train.cluster_steps=0"), CPU, 0)
    assert alone.steps_in_words == f"{joint:,} steps: {joint:,} of joint training"
