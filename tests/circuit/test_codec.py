"""What crosses from the child process arrives as it was, and the child imports nothing planted."""

import json
from pathlib import Path

import pytest

from groundkit.circuit.codec import decode, decode_error, encode, encode_error
from groundkit.circuit.prepare import prepare
from groundkit.errors import LimitError, Location, ProgramError
from groundkit.program.engine import Shape
from groundkit.program.goal import parse_goal
from groundkit.program.limits import Limits
from groundkit.program.source import parse_program


@pytest.mark.parametrize(
    "error",
    [
        ProgramError("bad", expected="good", remedy="mend it", at=Location(Path("a.pl"), 3, 7)),
        LimitError("slow", at=Location(None, 2)),
        ProgramError("bare"),
    ],
)
def test_errors_arrive_as_they_were(error):
    again = decode_error(encode_error(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def shape(text):
    return Shape(parse_program(text, Path("p.pl")), parse_goal("q(X)"))


def test_a_childs_answer_is_the_one_made_here():
    text = "0.3::a(1); 0.2::a(2). t(0.4)::b. q(X) :- a(X), \\+b."
    here, there = (prepare(shape(text), None, limits) for limits in (None, Limits()))
    assert here[0].choices == there[0].choices
    assert here[0].nodes == there[0].nodes
    assert here[1].circuit == there[1].circuit


def test_a_childs_error_keeps_its_place():
    with pytest.raises(ProgramError) as caught:
        prepare(shape("0.7::a(1).\nq(X) :- a(X), missing(X).\n"), None, Limits())
    assert "p.pl:2" in str(caught.value)


def test_modules_beside_the_program_are_not_imported(tmp_path, monkeypatch):
    for name in ("problog", "numpy", "groundkit"):
        (tmp_path / f"{name}.py").write_text("open('marker', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    prepare(shape("0.5::q(1)."), None, Limits())
    assert not (tmp_path / "marker").exists()


def test_a_reference_to_what_is_not_there_is_refused():
    """A cache entry whose checksum fits may still come from a stranger."""
    whole = encode(*prepare(shape("0.3::a(1); 0.2::a(2). 0.4::b. q(X) :- a(X), \\+b."), None, None))
    decode(json.loads(json.dumps(whole)))
    leaf = next(n for n, node in enumerate(whole["nodes"]) if node[0] == "leaf")
    inner = next(n for n, node in enumerate(whole["nodes"]) if node[0] in ("and", "or"))
    broken = {
        "roots": lambda d: d["roots"].__setitem__(0, 99),
        "evidence": lambda d: d.update(evidence=-99),
        "choice": lambda d: d["nodes"][leaf].__setitem__(2, 7),
        "mask": lambda d: d["nodes"][leaf].__setitem__(3, 1 << 40),
        "child": lambda d: d["nodes"][inner].__setitem__(1, [inner]),
        "kind": lambda d: d["circuit"]["kinds"].__setitem__(2, 9),
        "item": lambda d: d["circuit"]["items"].__setitem__(-1, 10_000),
        "offset": lambda d: d["circuit"]["offsets"].__setitem__(-1, 10_000),
        "root": lambda d: d["circuit"]["roots"].__setitem__(0, -1),
        "number": lambda d: d["circuit"]["roots"].__setitem__(0, 1 << 80),
        "answers": lambda d: d["answers"].pop(),
        "probabilities": lambda d: d["choices"][0][3].update(probabilities=[1.0]),
        "source": lambda d: d["choices"][0].__setitem__(2, "Path"),
        "field": lambda d: d.pop("slots"),
    }
    for what, breaks in broken.items():
        data = json.loads(json.dumps(whole))
        breaks(data)
        with pytest.raises(ValueError, match=r"refers to what is not there|not a ground program"):
            pytest.fail(f"{what}: {decode(data)}")
