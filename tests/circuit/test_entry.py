"""An entry of the cache whose checksum is right and whose values are not is made anew."""

import hashlib
import json
import warnings
import zlib

import pytest

from groundkit.circuit import cache
from groundkit.circuit.codec import decode, encode
from groundkit.circuit.prepare import prepare
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.source import parse_program

SHAPE = Shape(
    parse_program(
        "nn(net, [X], Y, [0,1]) :: digit(X, Y).\nt(0.2) :: odd. 0.5 :: a; 0.2 :: b. "
        "evidence(\\+b).\nq(X, Z) :- digit(X, Z), a, \\+odd.\n"
    ),
    parse_goal("q(X, Z)"),
    ("X",),
)
WRONG = (None, True, "0", 1.5, -1, [], {}, [[]], {"a": 1}, 10**30, float("nan"))


def leaves(value, path=()):
    """Paths of all values of nested lists and dicts, the containers too."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in items if isinstance(value, (dict, list)) else ():
        if isinstance(one, (dict, list)):
            yield from leaves(one, (*path, key))
        else:
            yield (*path, key)


def replaced(value, path, new):
    copy = json.loads(json.dumps(value))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return copy


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    prepare(SHAPE, folder, None)
    (path,) = folder.glob("*.shape")
    return json.loads(zlib.decompress(path.read_bytes()[len(cache._MAGIC) + 32 :]))


def test_values_of_another_type_are_refused_wherever_they_stand(entry):
    for path in leaves(entry):
        if not path:
            continue
        at = entry
        for key in path:
            at = at[key]
        for new in WRONG:
            same = type(new) is type(at) or (isinstance(at, float) and type(new) is int)
            if same and not (new == 10**30 or new != new):
                continue
            try:
                program, compiled = decode(replaced(entry, path, new))
            except ValueError as error:
                assert str(error)
                continue
            # What is let through is what it would be, such as a mask or an empty fixed part.
            assert json.loads(json.dumps(encode(program, compiled)))


def test_a_text_for_a_number_says_where_it_stands(entry):
    with pytest.raises(ValueError, match=r"roots\.0: expected a whole number"):
        decode(entry | {"roots": ["0", *entry["roots"][1:]]})


@pytest.mark.parametrize("key", ["choices", "nodes", "slots", "circuit", "compiled"])
@pytest.mark.parametrize("new", [None, 3, "x", [None], {"a": None}])
def test_such_an_entry_warns_and_is_made_anew(tmp_path, entry, key, new):
    body = zlib.compress(json.dumps(entry | {key: new}).encode(), 1)
    path = tmp_path / f"{cache.key_of(SHAPE)}.shape"
    path.write_bytes(cache._MAGIC + hashlib.sha256(body).digest() + body)
    with pytest.warns(UserWarning, match=r"is made anew: not a ground program"):
        assert cache.load(tmp_path, SHAPE) is None


def test_what_is_no_file_is_left_out_with_a_warning(tmp_path):
    (tmp_path / f"{cache.key_of(SHAPE)}.shape").mkdir()
    with pytest.warns(UserWarning, match="is no file but a folder"):
        assert cache.load(tmp_path, SHAPE) is None


def test_the_entry_itself_is_accepted(entry):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program, _ = decode(entry)
    assert program.observed == ("Z",)
