"""Explanations: proofs that add up, images that would have to change, goals that fail."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from groundkit.runs.explain import explain
from groundkit.runs.session import open_run


@pytest.fixture(scope="module")
def session(finished):
    return open_run(finished, device="cpu")


def test_all_proofs_add_up_to_the_answer(session, digits):
    found = explain(session, "sum('1.png', '3.png', 4)", count=100)
    assert sum(p.probability for p in found.proofs) == pytest.approx(found.probability)
    assert all(int(p.symbols["1.png"]) + int(p.symbols["3.png"]) == 4 for p in found.proofs)
    chances = [p.probability for p in found.proofs]
    assert chances == sorted(chances, reverse=True)
    first, second = session.read(["1.png", "3.png"])
    best = max(first.probabilities[k] * second.probabilities[4 - k] for k in range(5))
    assert chances[0] == pytest.approx(best)


def test_image_that_would_have_to_change_is_named(session, digits):
    reading = session.read(["0.png"])[0]
    other = (int(reading.symbol) + 1) % 5
    found = explain(session, f"sum('0.png', 0, {other})")
    assert found.disagreements()[0].startswith(f"0.png would have to be {other}")


def test_facts_are_part_of_proofs(session, digits):
    (proof,) = explain(session, "nice('1.png')").proofs
    assert proof.facts == ("lucky",)
    assert proof.symbols == {"1.png": "1"}


def test_picture_holds_the_images(session, digits):
    found = explain(session, "sum('1.png', '3.png', Z)")
    picture = Image.open(io.BytesIO(found.picture()))
    assert picture.width > 600
    assert np.asarray(picture.convert("L")).min() < 60
    assert found.draw("why.png").stat().st_size > 5000
    assert "data:image/png" in found._repr_html_()


def test_question_without_proof_names_the_goal_that_fails(session, digits):
    found = explain(session, "sum('1.png', '3.png', 99)")
    assert found.answer is None
    assert found.failure.failed == "99 is A+B"
    assert found.failure.before == ("digit('1.png',A)", "digit('3.png',B)")
    assert found.failure.at.line == 2
    assert json.loads(json.dumps(found.to_dict()))["failed"]["goal"] == "99 is A+B"
    assert "has no proof" in str(found)
