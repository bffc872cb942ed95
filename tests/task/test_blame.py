"""What does not fit is blamed on the line where it was written, and the remedy fits it."""

import numpy as np
import pytest
from PIL import Image

from groundkit.errors import GroundkitError
from groundkit.runs.check import check_program

PROGRAM = """nn(net, [X], Y, [0,1]) :: digit(X, Y).
add(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.
total([], 0).
total([X|Xs], N) :- total(Xs, M), digit(X, D), N is M+D.
"""
SPEC = """[query]
goal = "add(X, Y, Z)"
[examples]
data = "digits8"
inputs = ["X", "Y"]
count = 10
held_out = 10
[networks.net]
backbone = "mlp"
"""
SHARED = """nn(one, [X], Y, [0,1]) :: digit(X, Y).
nn(two, [X], Y, [0,1]) :: same(X, Y).
add(X, Y, Z) :- digit(X, A), same(X, A), digit(Y, B), same(Y, B), Z is A+B.
"""


@pytest.fixture
def said(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abcd":
        pixels = rng.integers(0, 255, (8, 8)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")

    def said(*settings, program=PROGRAM, spec=SPEC, **files):
        (tmp_path / "a.pl").write_text(program)
        (tmp_path / "a.toml").write_text(spec)
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text)
        try:
            check_program(tmp_path / "a.pl", settings=settings)
        except GroundkitError as error:
            return str(error).replace(f"{tmp_path}/", "")
        return "in order"

    return said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["networks.net.backbone=mpl"], ["--set networks.net.backbone=mpl: unknown backbone"]),
        (["networks.net.options.width=0"], ["--set networks.net.options.width=0: width = 0"]),
        (
            ["networks.net.options.wide=1"],
            ["--set networks.net.options.wide=1: backbone 'mlp' has"],
        ),
        (["networks.net.perception.augmentation=points2"], ["--set networks.net.perception"]),
        (["networks.net.perception.augmentation=features"], ["--set networks.net.perception"]),
        (["examples.data=moon"], ["--set examples.data=moon: unknown data set"]),
        (
            ["examples.data=moons", "networks.net.image_shape=[1, 8, 8]"],
            ["--set networks.net.image_shape", "leave out image_shape"],
        ),
        (["networks.net.attribute=hue"], ["--set networks.net.attribute=hue: the images"]),
        (["networks.net.labels.per_symbol=9999"], ["--set networks.net.labels", "per_symbol = "]),
        (["networks.net.labels.file=l.csv"], ["there is no file", "the columns image and symbol"]),
        (["examples.held_out_lengths.Q=[2]"], ["the list 'Q' is not in the goal"]),
        (["query.answers.Q=[2]"], ["the observed variable 'Q' is not in the goal"]),
        (["query.answers.X=[2]"], ["'X' is among the inputs"]),
        (["query.goal=add(x, y, z)"], ["begin the goal's variables with a capital letter"]),
        (["networks.net.backbone=observed"], ["a.toml:5: the image variable 'X' is read by"]),
        (["examples.lengths.X=[2]"], ["--set examples.lengths.X=[2]: no network", "leave X out"]),
        (["examples.lengths.Z=[2]"], ["--set examples.lengths.Z=[2]: the goal", "leave Z out"]),
        (
            ["query.goal=total(Xs, N)", 'examples.inputs=["Xs"]'],
            ["--set", "lengths = {Xs = [1, 2]} under [examples]"],
        ),
        (["examples.file=h.csv"], ["--set examples.file=h.csv: there is no file"]),
        (["examples.file=t.csv", "examples.held_out_file=h.csv"], ["--set examples.held_out_file"]),
    ],
)
def test_the_setting_at_fault_is_named(said, settings, words):
    found = said(*settings, t="X,Y,Z\na.png,b.png,1\nc.png,d.png,1\n")
    assert all(one in found for one in words), found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["networks.two.encoder=torchvision:resnet18"], "networks.two.encoder has no effect"),
        (["networks.two.options.width=8"], "networks.two.options has no effect"),
        (["networks.two.image_shape=[1, 9, 9]"], "want them in different shapes"),
        (["networks.one.backbone=shared:two"], 'networks.two.backbone = "convnet"'),
        (["networks.one.backbone=shared:none"], 'networks.one.backbone = "convnet"'),
    ],
)
def test_what_networks_share_is_said_once(said, settings, words):
    spec = SPEC.replace("[networks.net]", "[networks.one]")
    spec += '[networks.two]\nbackbone = "shared:one"\n'
    assert said(program=SHARED, spec=spec) == "in order"
    assert words in said(*settings, program=SHARED, spec=spec)


def test_a_program_without_a_solution_is_blamed_itself(said):
    program = PROGRAM.replace("Z is A+B", "Z is A+B, Z > 5")
    found = said("examples.file=t.csv", program=program, t="X,Y,Z\na.png,b.png,1\n")
    assert found.startswith("a.pl:2:1: the goal 'add(X, Y, Z)' has no solution")
