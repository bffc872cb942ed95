"""A spec is read whole or refused with the line at fault."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundkit.errors import SpecError
from groundkit.task.spec import Spec, as_overrides, line_of, load_spec, parse_spec

GOAL = '[query]\ngoal = "addition(X, Y, Z)"\n'


def refusal(text: str, *overrides: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, Path("a.toml"), overrides)
    return caught.value


def test_written_spec_reads_back_equal():
    spec = parse_spec(GOAL + "[train]\nepochs = 7\n[networks.net.perception]\nprior = 3.0\n")
    assert parse_spec(spec.to_toml()) == spec


def test_every_default_is_written_out():
    written = tomllib.loads(parse_spec(GOAL + "[networks.net]\n").to_toml())
    assert written["train"]["reground_every"] == Spec().train.reground_every
    assert written["networks"]["net"]["perception"]["sampler"]["steps"] == 10


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (GOAL + "[train]\nepoch = 3", 4, "did you mean 'epochs'"),
        (GOAL + '[train]\nepochs = "x"', 4, "valid integer"),
        (GOAL + "[train]\nbatch = 0", 4, "greater than or equal to 1"),
        (GOAL + "[networks.a]\nbackbon = 'mlp'", 4, "did you mean 'backbone'"),
        (GOAL + "[networks.a.perception]\nprior_probabilities = [0.5, 0.2]", 4, "sum to 1"),
        (GOAL + "[networks.a.perceptio]\nprior = 1.0", 3, "did you mean 'perception'"),
        ("[query]\n", 1, "'query.goal' is missing"),
        ("[query\n", 1, "not valid TOML"),
    ],
)
def test_wrong_specs_name_line_and_remedy(text, line, said):
    error = refusal(text)
    assert error.at is not None
    assert error.at.line == line
    assert said in str(error)


def test_missing_file_says_how_to_start(tmp_path):
    with pytest.raises(SpecError, match="there is no spec"):
        load_spec(tmp_path / "none.toml")


def test_overrides_are_toml_values_and_make_tables():
    spec = parse_spec(
        GOAL, None, ["train.epochs=5", "networks.n.backbone=mlp", "train.reground=false"]
    )
    assert (spec.train.epochs, spec.network("n").backbone, spec.train.reground) == (5, "mlp", False)


@pytest.mark.parametrize("override", ["train.epochs", "train.epohcs=3", "query.goal.x=1"])
def test_wrong_overrides_are_refused(override):
    assert refusal(GOAL, override).exit_code == 2


@given(st.integers(1, 999), st.booleans(), st.text(min_size=1, max_size=20))
def test_python_overrides_survive_the_text_form(epochs, reground, data):
    texts = as_overrides(
        {"train.epochs": epochs, "train.reground": reground, "examples.data": data}
    )
    spec = parse_spec(GOAL, None, texts)
    assert (spec.train.epochs, spec.train.reground) == (epochs, reground)
    assert spec.examples.data == data


@given(st.text(max_size=200))
def test_any_text_is_a_spec_or_a_spec_error(text):
    try:
        parse_spec(text, Path("a.toml"))
    except SpecError as error:
        assert str(error).startswith("a.toml")


def test_line_of_falls_back_to_the_table():
    assert line_of("[a]\nb = 1\n[a.c]\nd = 2\n", ["a", "c", "missing"]) == 3
    assert line_of("x = 1", ["y"]) is None
