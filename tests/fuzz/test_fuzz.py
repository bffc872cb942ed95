"""A short round of fuzzing: a reader takes an input, or refuses it by one of our own errors."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.readers import edit, only_own_errors, readers

NAMES = (
    "goal", "question", "spec", "settings", "examples", "image", "npz",
    "npz on disk", "kept images", "rows", "npy", "features", "idx", "manifest",
    "weights", "state", "run.json", "cache", "cache body", "history", "metrics", "program",
)  # fmt: skip
# What Pillow and ProbLog say about odd files is no concern here.
pytestmark = pytest.mark.filterwarnings("ignore")
SHORT = settings(
    max_examples=60,
    deadline=5_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return readers(tmp_path_factory.mktemp("seeds"))


def test_all_readers_are_fuzzed(known):
    assert tuple(known) == NAMES


@pytest.mark.parametrize("name", NAMES)
@SHORT
@given(data=st.data())
def test_only_our_own_errors_come_out(known, tmp_path, name, data):
    reader = known[name]
    piece = st.binary(max_size=6)
    if reader.tokens:
        piece |= st.sampled_from(reader.tokens)
    change = st.tuples(
        st.integers(0, 2_000), st.integers(0, 30), piece, st.sampled_from((1, 1, 1, 3, 400))
    )
    content = data.draw(st.sampled_from(reader.seeds))
    content = edit(content, data.draw(st.lists(change, max_size=4)))
    with only_own_errors():
        reader.read(tmp_path, content)


@pytest.mark.parametrize(
    "name", ["program", "goal", "spec", "history", "metrics", "manifest", "state", "run.json"]
)
@pytest.mark.parametrize("bracket", ["(", "[", "{", '[{"a":', "- ", "\\+", "f("])
def test_deep_nesting_is_refused_and_not_a_crash(known, tmp_path, name, bracket):
    with only_own_errors():
        known[name].read(tmp_path, bracket.encode() * 20_000)


def test_seeds_are_accepted(known, tmp_path):
    for name in ("program", "spec", "image", "npz", "idx", "manifest", "weights", "history"):
        for seed in known[name].seeds:
            known[name].read(tmp_path, seed)
