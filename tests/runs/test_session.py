"""A finished run answers questions about image files, and says what it did to them."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from groundkit.errors import (
    CheckpointError,
    DataError,
    InputError,
    NetworkError,
    ProgramError,
    SpecError,
)
from groundkit.runs.commands import evaluate, query
from groundkit.runs.labels import label
from groundkit.runs.session import open_run
from tests.trained import write_digit


@pytest.fixture(scope="module")
def session(finished):
    return open_run(finished, device="cpu")


def test_answers_are_the_sums_that_the_readings_imply(session, digits):
    """Oracle: convolve the two symbol distributions."""
    found = session.query("sum('1.png', '3.png', Z)")
    first, second = session.read(["1.png", "3.png"])
    expected = np.convolve(first.probabilities, second.probabilities)
    by_value = {int(a.values["Z"]): a.probability for a in found.answers}
    assert by_value == pytest.approx(dict(enumerate(expected)), abs=1e-6)
    assert found.best.text == f"sum('1.png','3.png',{expected.argmax()})"
    assert set(found.images) == {"1.png", "3.png"}


def test_same_file_twice_is_one_image(session, digits):
    assert session.query("same('2.png', '2.png')").best.probability == pytest.approx(1.0)
    assert session.query("same('2.png', '3.png')").best.probability < 1.0


def test_unseen_image_gets_the_probability_of_the_goal_for_each_symbol(session, digits):
    found = session.query("sum('1.png', Other, 4)")
    (reading,) = session.read(["1.png"])
    by_value = {int(a.values["Other"]): a.probability for a in found.answers}
    expected = {k: reading.probabilities[4 - k] for k in range(5)}
    assert by_value == pytest.approx(expected, abs=1e-9)
    assert "no image was given for Other" in str(found)


def test_a_symbol_in_the_place_of_an_image_is_certain(session, digits):
    found = session.query("sum('1.png', 2, Z)")
    (reading,) = session.read(["1.png"])
    by_value = {int(a.values["Z"]): a.probability for a in found.answers}
    assert by_value == pytest.approx({k + 2: p for k, p in enumerate(reading.probabilities)})


def test_learnt_probabilities_of_the_program_are_used(session, digits):
    (reading,) = session.read(["1.png"])
    found = session.query("nice('1.png')").best.probability
    assert found == pytest.approx(0.3 * reading.probabilities[1])


def test_size_colour_and_inversion_do_not_change_the_symbol_and_are_told(session, digits):
    write_digit("paper.png", 0, invert=True, colour=True, size=(80, 80))
    plain, paper = session.read(["0.png", "paper.png"])
    assert plain.done == ()
    assert paper.symbol == plain.symbol
    assert [words.split()[0] for words in paper.done] == ["fitted", "turned", "inverted:"]


def test_transparent_paper_is_white(session, digits):
    ink = np.asarray(Image.open("0.png"))
    layers = np.stack([np.zeros_like(ink)] * 3 + [ink], axis=-1)
    Image.fromarray(layers, "RGBA").save("ink.png")
    plain, ink_on_nothing = session.read(["0.png", "ink.png"])
    assert ink_on_nothing.probabilities == pytest.approx(plain.probabilities, abs=1e-6)


def test_few_training_images_are_flagged_and_most_noise_is(session, digits):
    pool = session.task.pool("net")
    limit = session.in_distribution["net"].energy_limit
    energies = -torch.logsumexp(session.logits(pool, "net"), 1)
    assert 0.005 < float((energies > limit).double().mean()) < 0.06
    assert session.read(["0.png"])[0].energy_limit == limit


def test_a_run_without_stored_facts_measures_its_images_again(session, finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    manifest = json.loads((copy / "checkpoint" / "manifest.json").read_text())
    del manifest["facts"]["networks"]
    (copy / "checkpoint" / "manifest.json").write_text(json.dumps(manifest))
    known, again = (
        session.in_distribution["net"],
        open_run(copy, device="cpu").in_distribution["net"],
    )
    assert again.shape == known.shape
    assert again.energy_limit == pytest.approx(known.energy_limit)


def test_results_turn_into_json_and_html(session, digits):
    found = session.query("sum('1.png', '3.png', Z)")
    told = json.loads(json.dumps(found.to_dict()))
    assert sum(told["answers"].values()) == pytest.approx(1.0)
    assert "data:image/png" in found._repr_html_()


@pytest.mark.parametrize(
    ("question", "error", "words"),
    [
        ("sum('absent.png', '1.png', Z)", DataError, "there is no image 'absent.png'"),
        ("sum(elephant, '1.png', Z)", DataError, "neither an image file nor a symbol"),
        ("summ('0.png', '1.png', Z)", ProgramError, "summ/3"),
        ("sum('0.png', '1.png', 99)", ProgramError, "sum('0.png', '1.png', 99)' has no solution"),
        ("sum('0.png'", ProgramError, "cannot be parsed"),
    ],
)
def test_wrong_questions_are_refused(session, digits, question, error, words):
    with pytest.raises(error, match=re.escape(words)):
        session.query(question)


def test_a_question_without_solution_is_passed_on_to_explain(finished, digits):
    with pytest.raises(ProgramError) as info:
        query(finished, "sum('0.png', '1.png', 99)", device="cpu")
    words = f"""groundkit explain {finished} "sum('0.png', '1.png', 99)\""""
    assert info.value.remedy.endswith(words)


def test_a_copy_of_an_image_is_the_same_image(session, digits):
    shutil.copy("3.png", "again.png")
    found = session.query("sum('3.png', 'again.png', Z)")
    assert not any(a.probability for a in found.answers if int(a.values["Z"]) % 2)


def test_what_is_no_run_is_refused_with_runs_beside(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the runs that a developer has made here are named as well
    with pytest.raises(CheckpointError) as caught:
        open_run(finished.parent / "rum")
    assert str(finished) in str(caught.value)
    with pytest.raises(CheckpointError, match="no checkpoint") as caught:
        open_run(finished / "plots")
    assert str(finished) in caught.value.remedy
    with pytest.raises(CheckpointError) as caught:
        open_run(finished.parent)
    assert str(finished) in caught.value.remedy


def test_runs_are_named_once(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "runs/one")
    with pytest.raises(CheckpointError) as caught:
        open_run("runs/two")
    assert caught.value.remedy == "runs here: runs/one"


def test_a_run_that_has_not_ended_is_to_be_resumed(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    (tmp_path / "run" / "metrics.json").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint") as caught:
        open_run(tmp_path / "run")
    assert f"--resume {tmp_path / 'run'}" in caught.value.remedy


def test_images_are_a_list_and_networks_are_known(session, digits):
    with pytest.raises(DataError) as caught:
        session.read("1.png")
    assert caught.value.remedy == 'read(["1.png"])'
    with pytest.raises(NetworkError, match="the run has no network 'q'"):
        session.read(["1.png"], network="q")


@pytest.mark.parametrize(
    "options", [{"examples": ["e.pl"]}, {"count": 3}, {"seed": 1}, {"seed": 1, "task": "mpe"}]
)
def test_options_of_another_task_are_refused(finished, digits, options):
    with pytest.raises(InputError, match="has no effect on"):
        query(finished, "sum('1.png', '3.png', Z)", **options)


def test_labels_are_pairs(finished):
    with pytest.raises(DataError, match="a label is '1"):
        label(finished, ["1.png", "1"])


def test_no_seed_is_negative(finished):
    with pytest.raises(SpecError, match="the seed -1"):
        evaluate(finished, seed=-1)
