"""Symbols, facts and evidence that hold for one question only."""

import json
import shutil

import pytest

from groundkit.errors import DataError, GroundkitError, NetworkError, ProgramError
from groundkit.runs.session import open_run


@pytest.fixture(scope="module")
def session(finished):
    return open_run(finished, device="cpu")


@pytest.mark.parametrize("what", ["digit('1.png')=4", "digit(X) = 4", 'digit("1.png")=4'])
def test_a_symbol_that_is_set_replaces_what_the_network_sees(session, digits, what):
    (reading,) = session.read(["3.png"])
    found = session.query("sum('1.png', '3.png', Z)", fixed=[what])
    by_value = {int(a.values["Z"]): a.probability for a in found.answers}
    assert by_value == pytest.approx({4 + k: p for k, p in enumerate(reading.probabilities)})


def test_evidence_holds_for_one_question(session, digits):
    plain = session.query("nice('1.png')").best.probability
    sure = session.query("nice('1.png')", evidence=["lucky"]).best.probability
    assert plain == pytest.approx(0.3 * sure)
    without = session.query("(nice('1.png') ; digit('1.png', 2))", evidence=["\\+lucky"])
    (reading,) = session.read(["1.png"])
    assert without.best.probability == pytest.approx(reading.probabilities[2])
    with pytest.raises(ProgramError, match="under the evidence"):
        session.query("nice('1.png')", evidence=["\\+lucky"])
    assert session.query("nice('1.png')").best.probability == pytest.approx(plain)


def test_facts_hold_for_one_question(session, digits):
    (reading,) = session.read(["1.png"])
    found = session.query("nice('1.png')", facts=["lucky"])
    assert found.best.probability == pytest.approx(reading.probabilities[1])


def test_predicates_without_a_fact_are_known_where_examples_had_some(finished, tmp_path, digits):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["facts"]["declared"] = ["edge/2"]
    path.write_text(json.dumps(manifest))
    session = open_run(tmp_path / "run", device="cpu")
    assert session.query("(digit('1.png', Y), \\+edge(Y, 2))").answers
    with pytest.raises(GroundkitError, match="edge"):
        open_run(finished, device="cpu").query("(digit('1.png', Y), edge(Y, 2))")
    asked = session.query("(digit('1.png', Y), edge(Y, 2))", facts=["edge(1, 2)"])
    assert asked.best.values["Y"] == "1"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"fixed": ["digit = 3"]}, DataError, "sets no symbol"),
        ({"fixed": ["digid('1.png')=3"]}, NetworkError, "digit"),
        ({"fixed": ["digit('9.png')=3"]}, DataError, "is not asked"),
        ({"fixed": ["digit('1.png')=7"]}, DataError, "no symbol of network"),
        ({"fixed": ["digit('1.png')=1", "digit('1.png')=2"]}, DataError, "set to two symbols"),
        ({"facts": ["edge(X, b)"]}, ProgramError, "variable"),
        ({"facts": ["lukcy"]}, ProgramError, "did you mean 'lucky/0'"),
        ({"facts": ["digit(a, b, c)"]}, ProgramError, "asks digit/3"),
        ({"facts": ["consult('a.pl')"]}, ProgramError, "ProbLog's own"),
        ({"evidence": ["nothing"]}, ProgramError, "does not define"),
        ({"evidence": ["digit(X, 3)"]}, ProgramError, "is not one fact"),
        ({"evidence": ["digit('1.png', 3)"]}, ProgramError, "is not one fact"),
        ({"evidence": ["consult('a.pl')"]}, ProgramError, "consult"),
        ({"evidence": ["lucky). evidence(lucky"]}, ProgramError, "cannot be parsed"),
    ],
)
def test_what_cannot_be_set_is_told(session, digits, settings, error, words):
    with pytest.raises(error, match=words):
        session.query("sum('1.png', '3.png', Z)", **settings)
