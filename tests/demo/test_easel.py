"""Drawings are read as `groundkit query` reads files, and nothing else gets into the goal."""

import base64

import pytest

from groundkit.demo import easel as easel_module
from groundkit.demo.easel import Easel
from groundkit.errors import DataError, SpecError


def test_the_page_learns_what_to_draw_and_how_the_training_images_are_drawn(easel):
    told = easel.describe()
    assert told["goal"] == "sum(X, Y, Z)"
    assert [image["name"] for image in told["images"]] == ["X", "Y"]
    image = told["images"][0]
    assert image["symbols"] == list("01234")
    assert (image["height"], image["width"], image["dark"]) == (8, 8, True)
    assert image["smallest"] == image["largest"] == 1.0  # these digits fill their frame
    assert 0.1 < image["stroke"] < 0.3
    assert told["observed"] == [{"name": "Z", "values": list("012345678")}]


def test_readings_and_answers_are_those_of_a_query_about_the_same_file(easel, session, drawn):
    told = easel.answer({"X": drawn(1), "Y": drawn(3)}, {})
    query = session.query("sum('1.png', '3.png', Z)")
    assert told["images"]["X"] == query.images["1.png"].to_dict()
    assert told["images"]["Y"] == query.images["3.png"].to_dict()
    assert [(a["values"], a["probability"]) for a in told["answers"]] == [
        (a.values, a.probability) for a in query.answers[: len(told["answers"])]
    ]
    assert told["problem"] is None and "3 more" in told["rest"]
    assert told["explanation"][0].startswith("Most probable proof")
    assert "X = 1, Y = 3" in told["explanation"][0]


def test_what_is_not_drawn_is_asked_for(easel, session, drawn):
    told = easel.answer({"X": drawn(1)}, {"Z": "4"})
    query = session.query("sum('1.png', Y, 4)")
    assert told["answers"][0]["values"] == query.best.values == {"Y": "3"}
    assert told["answers"][0]["probability"] == pytest.approx(query.best.probability)
    assert "Y not given" in told["note"]


def test_a_held_value_that_does_not_fit_is_explained(easel, drawn):
    told = easel.answer({"X": drawn(1), "Y": drawn(3)}, {"Z": "8"})
    assert told["answers"] == [{"values": {}, "probability": pytest.approx(0, abs=0.05)}]
    assert any("X would have to be 4" in words for words in told["explanation"])


def test_too_much_left_open_gives_readings_and_says_what_to_draw(easel, drawn, monkeypatch):
    monkeypatch.setattr(easel_module, "_MOST_OPEN", 4)
    told = easel.answer({"X": drawn(1)}, {})
    assert told["note"] == "Still to draw: Y." and told["answers"] == []
    assert told["images"]["X"]["symbol"] == "1"


@pytest.mark.parametrize(
    ("drawings", "values", "words"),
    [
        ({"W": ""}, {}, "no image 'W'"),
        ({"/etc/passwd": ""}, {}, "no image"),
        ({"X": "?"}, {}, "base64"),
        ({"X": base64.b64encode(bytes(63)).decode()}, {}, "63 pixels"),
        ({"X": base64.b64encode(bytes(6400)).decode()}, {}, "6400 pixels"),
        ({}, {"X": "1"}, "no variable 'X'"),
        ({}, {"Z": "9"}, "Z is never '9'"),
        ({}, {"Z": "4), shell(ls"}, "Z is never"),
    ],
)
def test_what_the_page_would_not_send_is_refused(easel, drawings, values, words):
    with pytest.raises(DataError, match=words):
        easel.answer(drawings, values)


def test_a_run_without_a_goal_is_refused(session, monkeypatch):
    monkeypatch.setitem(vars(session.binding), "queries", ())
    with pytest.raises(SpecError, match="no goal"):
        Easel(session)
