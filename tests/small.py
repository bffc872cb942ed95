"""Small tasks that train in seconds, and what a run of one leaves behind."""

import json

import numpy as np
from PIL import Image

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
LEVELS = np.random.default_rng(0).integers(0, 2, size=(60, 2))
"""Whether each image of a pair is bright."""


def write_task(folder):
    """Writes the program and its spec into a folder; returns the folder."""
    (folder / "add.pl").write_text(PROGRAM)
    (folder / "add.toml").write_text(SPEC)
    return folder


def write_pairs(folder, program, spec):
    """Writes a program on pairs of blank images, its spec and its images."""
    (folder / "pair.pl").write_text(program)
    (folder / "pair.toml").write_text(spec)
    images = np.tile((LEVELS * 255).astype(np.uint8)[:, :, None, None], (1, 1, 8, 8))
    labels = np.where(LEVELS[:, 0] == LEVELS[:, 1], "same", "different")
    np.savez(folder / "pairs.npz", images=images, labels=labels)
    for level in (0, 255):
        Image.fromarray(np.full((8, 8), level, np.uint8)).save(folder / f"{level}.png")


def timeless(value):
    """Leaves out what depends on the time a run took."""
    if isinstance(value, list):
        return [timeless(one) for one in value]
    if not isinstance(value, dict):
        return value
    timed = ("seconds", "timing", "memory", "environment")
    return {key: timeless(one) for key, one in value.items() if key not in timed}


def left_behind(path):
    """What a run leaves that does not depend on the time it took: weights, metrics, history."""
    metrics = timeless(json.loads((path / "metrics.json").read_text()))
    rows = [timeless(json.loads(line)) for line in (path / "history.jsonl").open()]
    weights = {
        file.name: file.read_bytes() for file in sorted((path / "checkpoint").glob("*.safetensors"))
    }
    return weights, metrics, rows
