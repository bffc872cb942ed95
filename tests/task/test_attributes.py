"""Networks of one data set that read different labels of its images."""

import pytest

from groundkit.errors import DataError
from groundkit.task.load import read_task

PROGRAM = """
nn(shape_net, [X], S, [circle,square,triangle]) :: shape(X, S).
nn(colour_net, [X], C, [red,blue]) :: colour(X, C).
same(X, Y, S, C) :- shape(X, S), colour(Y, C).
"""
SPEC = """
[query]
goal = "same(X, Y, S, C)"
[examples]
data = "kandinsky"
images = ["X", "Y"]
count = 30
held_out = 5
[networks.colour_net]
attribute = "colour"
"""


def task_of(folder, program=PROGRAM, settings=()):
    (folder / "same.pl").write_text(program)
    (folder / "same.toml").write_text(SPEC)
    return read_task(folder / "same.pl", settings=list(settings))


@pytest.mark.parametrize("settings", [(), ('networks.shape_net.attribute="shape"',)])
def test_each_network_draws_by_its_own_labels(tmp_path, settings):
    task = task_of(tmp_path, settings=settings)
    (shaped,) = task.examples
    examples = shaped.examples
    for variable, network, observed in (("X", "shape_net", "S"), ("Y", "colour_net", "C")):
        bank = examples.banks[network]
        assert bank.classes == task.domains[network]
        drawn = [bank.classes[k] for k in bank.labels[examples.images[variable]]]
        assert drawn == list(examples.symbols[observed])
    # Yellow is no symbol of the network: its images are left out, with all their labels.
    colours = examples.banks["colour_net"]
    assert len(colours) == 1800 and set(colours.attributes["shape"].labels) == {0, 1, 2}


@pytest.mark.parametrize(
    ("program", "settings", "message"),
    [
        (PROGRAM, ('networks.shape_net.attribute="form"',), "have no attribute 'form'"),
        (PROGRAM, ('networks.shape_net.attribute="colour"',), "lacks some of the symbols circle"),
        (PROGRAM.replace("circle", "disc"), (), "no labels of 'kandinsky' have the symbols disc"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, program, settings, message):
    with pytest.raises(DataError, match=message):
        _ = task_of(tmp_path, program, settings).examples
