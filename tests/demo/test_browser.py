"""One draws on the page with mouse or keys, and reads what `groundkit query` would say."""

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image

from groundkit.demo.easel import Easel
from groundkit.runs.session import open_run
from tests.browser import LOOKS, findings, needs_axe, opened, overflow, paper
from tests.demo.strokes import draw
from tests.demo.test_server import serving


@pytest.fixture(scope="module")
def url(session):
    with serving(Easel(session)) as server:
        yield server.url


def settle(page):
    """Waits until the page shows the answer to what is drawn."""
    page.wait_for_selector("#answers:not([aria-busy])", state="attached")


def bars(page, list_name):
    """Returns a list of bars as label -> text of its share."""
    rows = page.get_by_role("list", name=list_name).get_by_role("listitem").all()
    return {
        row.locator("span").first.text_content(): row.locator(".share").text_content()
        for row in rows
    }


def shares(values):
    return {label: f"{100 * share:.1f} %" for label, share in values.items()}


def test_a_drawn_digit_is_read_as_query_reads_its_pixels(browser, url, session, tmp_path):
    posted = []
    with opened(browser, url) as page:
        page.on("request", lambda request: posted.append(request.post_data))
        draw(page, "X", 1)
        draw(page, "Y", 3)
        settle(page)
        for name, pixels in json.loads(posted[-1])["drawings"].items():
            grey = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(8, 8)
            Image.fromarray(grey).save(tmp_path / f"{name}.png")
        files = {name: str(tmp_path / f"{name}.png") for name in "XY"}
        found = session.query(f"sum('{files['X']}', '{files['Y']}', Z)")
        for name, file in files.items():
            assert bars(page, f"Symbols of {name}") == shares(dict(found.images[file].ranked()))
        shown = {f"Z = {a.values['Z']}": a.probability for a in found.answers[:6]}
        assert bars(page, "Answers") == shares(shown)
        assert f"Z = {found.best.values['Z']}" in page.locator("#status").text_content()
        assert "Most probable proof" in page.locator("#why").text_content()
        seen = page.get_by_role("img", name=re.compile("^X as the network sees it"))
        assert seen.count() == 1


def test_drawings_are_made_like_the_training_images(browser, url):
    """Small or large, wherever it is drawn, a stroke fills the frame as these digits do."""
    with opened(browser, url) as page:
        page.wait_for_selector(".easel")
        frames = page.evaluate(
            """[[0.1, 0.1, 0.2], [0.3, 0.2, 0.6]].map(([x, top, length]) =>
            Array.from(render(easels[0].image, [[[x, top], [x, top + length]]])))"""
        )
        dot = page.evaluate("Array.from(render(easels[0].image, [[[0.9, 0.9]]]))")
    small, large = (np.array(frame).reshape(8, 8) for frame in frames)
    assert np.array_equal(small, large)
    assert (small.max(axis=1) > 60).all()
    columns = small.sum(axis=0)
    assert np.average(np.arange(8), weights=columns) == pytest.approx(3.5, abs=0.1)
    dot = np.array(dot).reshape(8, 8)
    assert dot.max() > 100 and (dot.max(axis=1) > 60).sum() <= 3


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_page_fits_follows_the_scheme_and_leaves_the_machine_alone(browser, url, width, scheme):
    with opened(browser, url, width, scheme) as page:
        draw(page, "X", 2)
        draw(page, "Y", 4)
        settle(page)
        assert page.troubles == []
        assert {address.split("/")[2] for address in page.addresses if "://" in address} == {
            url.split("/")[2]
        }
        assert overflow(page) <= 0
        assert (paper(page) < 60) == (scheme == "dark")
        canvas = "document.querySelector('.paper').getContext('2d').getImageData(0, 0, 480, 480)"
        ink = page.evaluate(
            f"{canvas}.data.filter((_, i) => i % 4 === 0).reduce((a, b) => Math.max(a, b))"
        )
        assert (ink > 200) == (scheme == "dark")


@needs_axe
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_page_has_no_finding(browser, url, width, scheme):
    with opened(browser, url, width, scheme) as page:
        page.wait_for_selector(".easel")
        assert findings(page) == []
        draw(page, "X", 2)
        settle(page)
        page.locator(".easel > p").first.evaluate("warning => { warning.hidden = false; }")
        assert findings(page) == []


def test_an_answer_moves_no_drawing_from_under_the_pen(browser, url):
    with opened(browser, url, 390) as page:
        paper_of_x = page.get_by_label("Draw X", exact=True)
        before = paper_of_x.bounding_box()
        draw(page, "X", 3)
        settle(page)
        assert paper_of_x.bounding_box() == before


def test_keys_draw_take_back_and_clear(browser, url):
    with opened(browser, url) as page:
        status = page.locator("#status")
        page.get_by_label("Draw X", exact=True).focus()
        for key in ["Space", *["ArrowDown"] * 5, "Space", "ArrowLeft", "Space", "ArrowUp"]:
            page.keyboard.press(key)
        settle(page)
        assert status.text_content().startswith("X reads ")
        assert page.evaluate("easels[0].strokes.length") == 2
        page.keyboard.press("Backspace")
        page.keyboard.press("Backspace")
        settle(page)
        assert status.text_content() == "Draw to begin."
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert focused != "Draw X"


def test_held_values_are_kept_to_and_drawing_again_frees_all(browser, url):
    with opened(browser, url) as page:
        draw(page, "X", 1)
        draw(page, "Y", 3)
        page.get_by_label("Z", exact=True).fill("8")
        settle(page)
        assert set(bars(page, "Answers")) == {"it holds"}
        page.get_by_label("Z", exact=True).fill("9")
        settle(page)
        assert page.locator("#status").text_content().startswith("Z is never '9'")
        page.get_by_label("Z", exact=True).fill("")
        page.get_by_role("button", name="Clear Y").click()
        settle(page)
        assert "Y" not in page.locator("#status").text_content().split(":")[0]
        page.get_by_role("button", name="Draw again").click()
        settle(page)
        assert page.locator("#status").text_content() == "Draw to begin."
        assert bars(page, "Answers") == {}


def test_a_click_labels_an_image_and_the_symbols_get_their_names(browser, doubtful):
    with serving(Easel(doubtful)) as server, opened(browser, server.url) as page:
        page.get_by_role("heading", name="What the program cannot tell").wait_for()
        assert "2 readings" in page.locator("#left").text_content()
        assert page.get_by_role("img", name="Image 1 to label").bounding_box()["height"] > 30
        draw(page, "X", 1)
        settle(page)
        assert "cannot tell" in page.locator(".reads").first.text_content()
        asked = server.easel.suggest()["images"][0]["image"]
        right = "1" if asked == "suggested/net-0.png" else "0"  # the names are swapped
        page.get_by_role("button", name=f"Image 1 shows {right}").click()
        page.get_by_text("One reading of the symbols is left").wait_for()
        page.locator(".reads").filter(has_text=re.compile("^reads")).first.wait_for()
        assert page.troubles == []
        assert open_run(doubtful.folder, device="cpu").facts()["labelled"]


def test_a_run_whose_meaning_is_known_shows_no_images_to_label(browser, url):
    with opened(browser, url) as page:
        page.wait_for_selector("#left:not(:empty)", state="attached")
        assert page.locator("#unsure").is_hidden()


def test_symbols_are_set_and_facts_supposed_for_one_question(browser, url):
    with opened(browser, url) as page:
        set_x = page.get_by_label("Set digit(X)", exact=True)
        assert set_x.is_disabled()
        draw(page, "X", 1)
        draw(page, "Y", 3)
        settle(page)
        set_x.select_option("4")
        settle(page)
        assert next(iter(bars(page, "Answers"))) == "Z = 7"
        page.get_by_label("Known").fill("unheard_of")
        settle(page)
        assert "unheard_of" in page.locator("#status").text_content()
        page.get_by_label("Known").fill("lucky; \\+nice(X)")
        settle(page)
        assert "is not one fact" in page.locator("#status").text_content()
        page.get_by_label("Known").fill("lucky")
        settle(page)
        assert "Z = 7" in page.locator("#status").text_content()
        page.get_by_role("button", name="Draw again").click()
        settle(page)
        assert set_x.is_disabled() and page.get_by_label("Known").input_value() == ""


def test_a_picture_from_a_file_is_read_as_query_reads_it(browser, url, session, digits):
    with opened(browser, url) as page:
        for name, digit in (("X", 1), ("Y", 3)):
            page.get_by_label(f"Picture for {name}").set_input_files(digits / f"{digit}.png")
            settle(page)
        page.get_by_text("Most probable proof").wait_for()
        found = session.query("sum('1.png', '3.png', Z)")
        assert bars(page, "Symbols of X") == shares(dict(found.images["1.png"].ranked()))
        draw(page, "X", 2)  # takes the picture's place
        settle(page)
        assert bars(page, "Symbols of X") != shares(dict(found.images["1.png"].ranked()))


def test_a_server_that_has_ended_is_told(browser, session):
    with serving(Easel(session)) as server, opened(browser, server.url) as page:
        page.wait_for_selector(".easel")
        server.shutdown()
        server.server_close()
        draw(page, "X", 1)
        settle(page)
        assert "is it still running" in page.locator("#status").text_content()
