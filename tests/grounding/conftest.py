"""A small task that trains in seconds: the 8x8 digits, five symbols."""

import pytest

from groundkit.grounding.task import load_task

PROGRAM = """nn(net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).
add(X, Y, Z) :- digit(X, A), digit(Y, B), digit(Z, C), C is A+B.
sum(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
impossible(X) :- digit(X, A), A > 7.
"""
SPEC = """[query]
goal = "add(X, Y, Z)"
[examples]
data = "digits8"
images = ["X", "Y", "Z"]
count = 60
held_out = 40
[networks.net]
backbone = "mlp"
[networks.net.perception]
augmentation = "none"
[networks.net.perception.sampler]
steps = 2
buffer = 50
batch = 8
[train]
epochs = 1
min_steps = 24
batch = 16
pool_batch = 16
cluster_steps = 6
cluster_batch = 32
reground_every = 10
[evaluate]
ood = ["noise"]
ood_count = 50
samples = 2
sample_steps = 3
"""


@pytest.fixture
def small(tmp_path):
    """Writes the program and its spec; returns a function that loads the task with settings."""
    (tmp_path / "add.pl").write_text(PROGRAM)
    (tmp_path / "add.toml").write_text(SPEC)

    def load(*settings):
        return load_task(tmp_path / "add.pl", settings=settings)

    load.folder = tmp_path
    return load
