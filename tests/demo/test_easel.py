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


def test_a_picture_is_read_as_query_reads_the_file(easel, session, digits):
    def sent(name):
        return base64.b64encode((digits / name).read_bytes()).decode()

    told = easel.answer({}, {}, pictures={"X": sent("1.png"), "Y": sent("3.png")})
    query = session.query("sum('1.png', '3.png', Z)")
    assert told["images"]["X"] == query.images["1.png"].to_dict()
    assert told["answers"][0]["probability"] == query.best.probability
    with pytest.raises(DataError, match="X"):
        easel.answer({}, {}, pictures={"X": base64.b64encode(b"no picture").decode()})


def test_a_symbol_that_is_set_and_evidence_count_for_one_question(easel, session, drawn):
    atoms = [one["atom"] for image in easel.describe()["images"] for one in image["settable"]]
    assert atoms == ["digit(X)", "digit(Y)"]
    drawings = {"X": drawn(1), "Y": drawn(3)}
    told = easel.answer(drawings, {}, fixed={"digit(X)": "4"})
    query = session.query("sum('1.png', '3.png', Z)", fixed=["digit('1.png')=4"])
    assert told["answers"][0]["values"] == query.best.values == {"Z": "7"}
    assert told["answers"][0]["probability"] == pytest.approx(query.best.probability)
    assert easel.answer(drawings, {})["answers"][0]["values"] == {"Z": "4"}
    supposed = easel.answer(drawings, {}, evidence=["lucky"])
    assert supposed["answers"][0]["values"] == {"Z": "4"} and supposed["problem"] is None
    assert "unheard_of" in easel.answer(drawings, {}, evidence=["unheard_of"])["problem"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"fixed": {"digit(W)": "1"}}, r"no network gives 'digit\(W\)'"),
        ({"fixed": {"digit(X)": "9"}}, "never '9'"),
        ({"fixed": {"digit(Y)": "1"}}, "Y is not drawn"),
        ({"evidence": ["lucky"] * 11}, "too much evidence"),
        ({"evidence": ["a" * 201]}, "too much evidence"),
        ({"pictures": {"W": ""}}, "no image 'W'"),
    ],
)
def test_what_may_not_be_supposed_is_refused(easel, drawn, more, words):
    with pytest.raises(DataError, match=words):
        easel.answer({"X": drawn(1)}, {}, **more)


def test_a_label_renames_the_run_and_only_an_image_that_is_asked_for_takes_one(doubtful, drawn):
    easel = Easel(doubtful)
    told = easel.suggest()
    assert told["maps"] == 2 and [one["symbols"] for one in told["images"]] == [list("01234")]
    asked = told["images"][0]
    shown = base64.b64decode(asked["picture"].removeprefix("data:image/png;base64,"))
    assert shown == (doubtful.folder / asked["image"]).read_bytes()
    reading = easel.answer({"X": drawn(1)}, {})["images"]["X"]
    assert "the program cannot tell" in reading["doubt"]
    with pytest.raises(DataError, match="no label is asked for"):
        easel.label("../../etc/passwd", "1")
    right = "1" if asked["image"] == "suggested/net-0.png" else "0"  # the names are swapped
    assert easel.label(asked["image"], right) == {"maps": 1, "images": [], "problem": None}
    reading = easel.answer({"X": drawn(1)}, {})["images"]["X"]
    assert reading["symbol"] == "1" and reading["doubt"] == ""
    with pytest.raises(DataError, match="no label is asked for"):
        easel.label(asked["image"], right)


def test_a_run_whose_meaning_is_known_asks_for_no_label(easel):
    assert easel.suggest()["images"] == []


def test_a_run_without_a_goal_is_refused(session, monkeypatch):
    monkeypatch.setitem(vars(session.binding), "queries", ())
    with pytest.raises(SpecError, match="no goal"):
        Easel(session)
