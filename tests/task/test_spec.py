"""A spec is read whole or refused with the line at fault."""

import shlex
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from groundkit.errors import SpecError
from groundkit.perception.settings import PerceptionSpec, SamplerSpec
from groundkit.task.overrides import as_overrides
from groundkit.task.spec import (
    EvaluateSpec,
    ExamplesSpec,
    LabelsSpec,
    NetworkSpec,
    Spec,
    TrainSpec,
    load_spec,
    parse_spec,
)

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
        ('[query]\ngoal = "q"\ngoal = "p"', 3, "not valid TOML"),
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


SLIPS = [
    ("train.batch=true", "train.batch = True: a number is asked for, not true or false"),
    ("train.learning_rate=true", "train.learning_rate = True: a number is asked for"),
    ("query.goal=true", "query.goal = True: a text is asked for, not true or false"),
    ("examples.images=[true]", "examples.images = [True]: a text is asked for"),
    (
        "networks.n.options.width=true",
        "networks.n.options = {'width': True}: width must be a whole",
    ),
    ("networks.n.image_shape=[true, 8, 8]", "networks.n.image_shape = [True, 8, 8]: a number"),
    ("train.batch=99999999999999999999", "train.batch = 99999999999999999999: Input should be"),
    ("train.epochs=99999999999999999999", "train.epochs = 99999999999999999999: Input should"),
    (
        "networks.n.options.width=1000000000",
        "networks.n.options = {'width': 1000000000}: width",
    ),
    ("networks.n.image_shape=[1, 99999, 8]", "networks.n.image_shape = 99999: Input should"),
    ("networks.n.image_shape=[7, 8, 8]", "networks.n.image_shape = 7: Input should"),
    ("networks.n.image_shape=[1, 0, 8]", "networks.n.image_shape = 0: Input should"),
    ("examples.seed=-5", "examples.seed = -5: Input should be greater than or equal to 0"),
    ("examples.held_out=10000000", "examples.held_out = 10000000: Input should be less"),
    ("examples.count=10000000", "examples.count = 10000000: Input should be less"),
    ("networks.n.temperature=1e-30", "networks.n.temperature = 1e-30: Input should be greater"),
    ("networks.n.temperature=1e30", "networks.n.temperature = 1e+30: Input should be less"),
    ("networks.n.perception.contrastive_temperature=1e-30", "contrastive_temperature = 1e-30"),
    ("train.learning_rate=1e-30", "train.learning_rate = 1e-30: Input should be greater"),
    ("train.weight_decay=1e9", "train.weight_decay = 1000000000.0: Input should be less"),
    ("train.symbolic=1e-30", "train.symbolic = 1e-30: so small that it has no effect; 0 leaves"),
    ("networks.n.perception.prior=1e300", "networks.n.perception.prior = 1e+300: Input should"),
    ("networks.n.perception.ema=0.9999999", "networks.n.perception.ema = 0.9999999: Input"),
    ("networks.n.perception.sampler.step_size=1e-30", "sampler.step_size = 1e-30: Input should"),
    ("networks.n.perception.sampler.noise=1e30", "sampler.noise = 1e+30: Input should be less"),
]


@pytest.mark.parametrize(("override", "said"), SLIPS)
def test_slips_of_the_keyboard_are_refused_and_the_default_is_named(override, said):
    error = refusal(GOAL + "[networks.n]\n", override)
    assert said in error.found
    if error.remedy is not None:  # followed literally, it works
        assert error.remedy.startswith("leave it out")
        parse_spec(GOAL + "[networks.n]\n")


SECTIONS: dict[str, type[BaseModel]] = {
    "train": TrainSpec,
    "networks.n": NetworkSpec,
    "networks.n.perception": PerceptionSpec,
    "networks.n.perception.sampler": SamplerSpec,
    "networks.n.labels": LabelsSpec,
    "examples": ExamplesSpec,
    "evaluate": EvaluateSpec,
}
NUMBERS = [
    (section, name)
    for section, model in SECTIONS.items()
    for name, field in model.model_fields.items()
    if type(field.default) in (int, float)
]


@pytest.mark.parametrize(("section", "name"), NUMBERS)
@pytest.mark.parametrize("value", ["1e300", "-1", "10000000000000000000000", "true", "nan", "inf"])
def test_every_number_has_a_range_that_is_wide_and_ends(section, name, value):
    assert f"{section}.{name} = " in refusal(GOAL, f"{section}.{name}={value}").found


@pytest.mark.parametrize(("section", "name"), NUMBERS)
def test_no_positive_number_is_too_small_to_matter(section, name):
    """A setting of 1e-30 would train to nothing without a word."""
    if name in {"ema", "reinit", "weight_decay"}:  # near 0 they do what 0 does
        parse_spec(GOAL, None, [f"{section}.{name}=1e-30"])
    else:
        refusal(GOAL, f"{section}.{name}=1e-30")


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_part_of_a_spec(tmp_path, start):
    (tmp_path / "a.toml").write_bytes(start + GOAL.encode() + b"[train]\nepochs = 7\n")
    assert load_spec(tmp_path / "a.toml").train.epochs == 7
    (tmp_path / "a.toml").write_bytes(start + GOAL.encode() + b"[train]\nepochs = 0\n")
    with pytest.raises(SpecError, match=r"a.toml:4: train.epochs = 0"):
        load_spec(tmp_path / "a.toml")


def test_a_nul_byte_in_a_spec_is_located(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"[train]\nepochs\0 = 7\n")
    with pytest.raises(
        SpecError, match=r"a.toml:2:7: the spec cannot be read: it holds a NUL byte"
    ):
        load_spec(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ('query = "sum(X, Y, Z)"', "query"),
        ("train = 3", "train"),
        ("networks = []", "networks.NAME"),
        ('[networks]\nn = "mlp"', "networks.n"),
        ("[networks.n]\nperception = 1", "networks.n.perception"),
    ],
)
def test_a_value_where_a_table_belongs_is_told_how_to_write_the_table(text, table):
    with pytest.raises(SpecError, match="is a value") as info:
        parse_spec(text, Path("a.toml"))
    assert f"[{table}]" in str(info.value.remedy)
    parse_spec(f"{GOAL}[{table.replace('NAME', 'n')}]\n" if table != "query" else GOAL)


@pytest.mark.parametrize(
    "override",
    [
        "examples.inputs=X",
        "networks.n.labels.symbols=3",
        "query.answers.Z=3",
        "evaluate.ood=noise",
        "query.goal=3",
    ],
)
def test_the_remedy_of_a_setting_is_one_that_a_shell_passes_on(override):
    error = refusal(GOAL, override)
    assert str(error.at) == f"--set {override}"
    assert error.remedy is not None
    flag, better = shlex.split(error.remedy)
    assert flag == "--set"
    settings = [better, "networks.n.labels.per_symbol=1"]
    parse_spec(GOAL, None, settings)


def test_a_misspelt_key_is_told_before_the_one_that_it_leaves_missing():
    error = refusal('[query]\ngaol = "p(X)"\n')
    assert error.found == "unknown key 'query.gaol'"
    assert error.at is not None and error.at.line == 2


def test_a_key_of_another_table_is_told_where_it_belongs():
    assert "[train] has such a key" in str(refusal(GOAL + "epochs = 3\n"))
    both = "[networks.NAME.perception] and [networks.NAME.perception.sampler] have such a key"
    assert both not in str(refusal(GOAL + "generative = 3\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[examples]\ninputs = ['X']\nimages = ['Y']\n", "another name of inputs"),
        ("[examples]\nlengths = {Xs = []}\n", "Xs has no length: give some"),
        ("[networks.n]\nimage_shape = [28, 28]\n", "such as [1, 28, 28]"),
        ("[networks.n]\nimage_shape = 28\n", "such as [1, 28, 28]"),
        ("[networks.n.labels]\nsymbols = ['1']\n", "give per_symbol = 1"),
        ("[query]\ngoal = 'p'\n", "leave one of them out"),
        ("[query.answers]\nZ = 3\n", "write Z = [3]"),
        ("[examples]\nlengths = [3]\n", "write [examples.lengths] on a line of its own"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_what_to_write(text, said):
    assert said in str(refusal(GOAL + text))


def test_several_queries_are_named_before_one_is_set():
    two = "".join(f'[[query]]\n{name}goal = "p(X)"\n' for name in ("", ""))
    assert "give each a name in the spec" in str(refusal(two, "query.weight=3"))


@pytest.mark.parametrize("settings", ["train.epochs=3", {"train.epochs": 3}])
def test_settings_are_a_list(settings):
    with pytest.raises(SpecError, match="the settings are a"):
        parse_spec(GOAL, None, settings)
