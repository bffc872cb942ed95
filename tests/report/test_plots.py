"""Plots draw what they are given, for any name and number, and leak no figure."""

import io
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from groundkit.report import pictures, plots

HOSTILE = ["$\\frac", "_hidden", "<b>", "two\nlines", "", "a very long name for a symbol"]


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK])
def test_every_plot_survives_names_that_are_not_mathematics(theme, rng):
    k = len(HOSTILE)
    probs = rng.dirichlet(np.ones(k), 40)
    images = rng.random((40, 1, 6, 6))
    bins = {"edges": [0.0, 0.5, 1.0], "count": [0, 3], "confidence": [None, 0.9],
            "accuracy": [None, 0.7]}  # fmt: skip
    drawn = [
        plots.confusion(rng.integers(0, 9, (k, k)), HOSTILE, theme),
        plots.symbols_grid(
            images.__getitem__, probs, HOSTILE, truth=probs.argmax(1) * 0, theme=theme
        ),
        plots.samples_grid(images, rng.integers(0, 2, 40), HOSTILE, theme),
        plots.curves(
            [{"step": 1, "x": 0.1}, {"step": 2, "x": np.nan}], {"x": "$\\frac"}, [1], theme
        ),
        plots.energy_histogram([1.0, np.nan], {"$\\frac": [2.0], "empty": []}, theme),
        plots.reliability(bins, theme),
    ]
    paper = tuple(round(255 * c) for c in mpl.colors.to_rgb(theme.paper))
    for png in drawn:
        picture = pixels(png)
        assert tuple(picture[1, 1]) == paper and len(np.unique(picture)) > 2


def test_drawing_changes_no_global_setting(rng):
    before = dict(mpl.rcParams)
    plots.confusion(rng.integers(0, 9, (3, 3)), "abc")
    assert dict(mpl.rcParams) == before


def test_the_same_data_gives_the_same_bytes(rng):
    counts = rng.integers(0, 9, (3, 3))
    assert plots.confusion(counts, "abc") == plots.confusion(counts, "abc")


def test_constant_energies_and_empty_history_draw_without_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.energy_histogram(np.ones(5), {"x": np.ones(5)})
        plots.energy_histogram(np.full(5, np.nan), {})
        plots.curves([], {"a": "a"})


def test_most_certain_images_of_a_symbol_are_among_those_given_it():
    probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    assert plots.most_certain(probs, 0, 5).tolist() == [0, 1]
    assert plots.most_certain(probs, 0, 1).tolist() == [0]


def test_pixels_of_grey_and_colour_images():
    grey = plots.as_pixels(np.full((1, 1, 2, 2), 2.0))
    assert grey.shape == (1, 2, 2, 3) and grey.max() == 255
    colour = np.zeros((1, 3, 2, 2))
    colour[:, 0] = 1.0
    assert plots.as_pixels(colour)[0, 0, 0].tolist() == [255, 0, 0]
    assert plots.as_pixels(np.full((1, 2, 2), np.nan)).max() == 0


def test_strip_frames_the_wrong_images_only():
    png = pictures.strip(np.zeros((2, 1, 28, 28)), [False, True])
    row = np.asarray(Image.open(io.BytesIO(png)))
    assert row.shape == (56, 56 + 6 + 56, 4)
    assert row[0, 0].tolist() == [0, 0, 0, 255]
    assert row[0, -1].tolist() == [255, 112, 48, 255]
    wide = pictures.strip(np.zeros((2, 1, 28, 28)), columns=4)
    assert np.asarray(Image.open(io.BytesIO(wide)))[:, 130:, 3].max() == 0


def test_words_say_what_the_picture_shows():
    words = pictures.confusion_words([[5, 1], [0, 4]], ["cat", "dog"])
    assert "9 of 10" in words and "cat given as dog (1 of 6)" in words
    assert "No mistakes" in pictures.confusion_words([[5, 0], [0, 4]], ["cat", "dog"])
    assert "median 2.00" in pictures.energy_words([1, 2, 3], {"noise": []})
